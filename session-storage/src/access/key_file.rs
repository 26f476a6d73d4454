//! The files in the `access` folder. Each is read whole, replaced whole, changed by one process at
//! a time, and readable by its owner only.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::record::Keys;
use super::secret::{self, NoRandomness};

/// Why a file in the `access` folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// An operation of the file system failed.
    #[error("failed to {what} `{path}`: {source}")]
    Io {
        /// The operation.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file has invalid content; a person who edited it has to repair it.
    #[error("failed to read `{path}`: {why}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The directory is no storage directory.
    #[error(
        "`{0}` is no storage directory: it has no `sessions`. Set STORAGE_PATH to the directory of the service; before \
         its first start `key create --init` makes it"
    )]
    NoDirectory(PathBuf),
    /// There is no key with this id.
    #[error("there is no key `{0}`; `session-storage key list` shows them all")]
    NoSuchKey(String),
    /// The key has already been revoked.
    #[error("key `{0}` was revoked")]
    KeyRevoked(String),
    /// No secret could be generated.
    #[error(transparent)]
    Random(#[from] NoRandomness),
}

/// The path of the `access` folder.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Returns the folder inside a storage directory.
    pub fn below(storage: &Path) -> Self {
        Self(storage.join("access"))
    }

    /// The path of `keys.json`.
    pub fn keys(&self) -> PathBuf {
        self.0.join("keys.json")
    }

    /// The path of `token.secret`.
    pub fn token_secret(&self) -> PathBuf {
        self.0.join("token.secret")
    }

    /// The path of `last-used.json`.
    pub fn last_used(&self) -> PathBuf {
        self.0.join("last-used.json")
    }

    /// Reads the keys; there are none if there is no file.
    pub fn read_keys(&self) -> Result<Keys, FileError> {
        let path = self.keys();
        let Some(text) = read(&path)? else {
            return Ok(Keys::default());
        };
        serde_json::from_str(&text).map_err(|error| FileError::Malformed {
            path,
            why: error.to_string(),
        })
    }

    /// Changes the keys under the lock of the folder.
    pub fn change_keys<T>(
        &self,
        change: impl FnOnce(&mut Keys) -> Result<T, FileError>,
    ) -> Result<T, FileError> {
        let _lock = self.lock()?;
        let mut keys = self.read_keys()?;
        let changed = change(&mut keys)?;
        let mut text = serde_json::to_vec_pretty(&keys).expect("texts and lists always serialize");
        text.push(b'\n');
        self.replace(&self.keys(), &text)?;
        Ok(changed)
    }

    /// Reads the secret that signs tokens; `None` if none was created yet.
    pub fn read_token_secret(&self) -> Result<Option<Vec<u8>>, FileError> {
        let path = self.token_secret();
        let Some(text) = read(&path)? else {
            return Ok(None);
        };
        let secret = secret::unhex(text.trim()).filter(|secret| secret.len() >= 32);
        let malformed = || FileError::Malformed {
            path,
            why: "it is no secret of 256 bits".into(),
        };
        secret.map(Some).ok_or_else(malformed)
    }

    /// Reads the secret that signs tokens, and creates it if there is none yet.
    pub fn token_secret_or_new(&self) -> Result<Vec<u8>, FileError> {
        if let Some(secret) = self.read_token_secret()? {
            return Ok(secret);
        }
        let lock = self.lock()?;
        if self.read_token_secret()?.is_none() {
            self.replace(&self.token_secret(), secret::new_secret()?.as_bytes())?;
        }
        drop(lock);
        self.read_token_secret()?
            .ok_or_else(|| FileError::Malformed {
                path: self.token_secret(),
                why: "it went away".into(),
            })
    }

    /// Replaces the secret that signs tokens, which invalidates every token issued so far.
    pub fn renew_token_secret(&self) -> Result<(), FileError> {
        let _lock = self.lock()?;
        self.replace(&self.token_secret(), secret::new_secret()?.as_bytes())
    }

    fn lock(&self) -> Result<File, FileError> {
        if let Some(storage) = self.0.parent() {
            fs::create_dir_all(storage).map_err(failed("create", storage))?;
        }
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0);
        made.map_err(failed("create", &self.0))?;
        let path = self.0.join(".lock");
        let file = open(&path).map_err(failed("open", &path))?;
        file.lock().map_err(failed("lock", &path))?;
        give_to_owner(&self.0, self.0.parent());
        give_to_owner(&path, self.0.parent());
        Ok(file)
    }

    /// Replaces a whole file durably; only its owner may read it. When root writes for a service
    /// that runs as another user, the file is given to the owner of the storage directory.
    pub(super) fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), FileError> {
        let temporary = path.with_extension("tmp");
        let written = open(&temporary).and_then(|mut file| {
            file.set_len(0)?;
            file.write_all(bytes)?;
            file.sync_all()
        });
        written.map_err(failed("write", &temporary))?;
        give_to_owner(&temporary, self.0.parent());
        fs::rename(&temporary, path).map_err(failed("replace", path))?;
        File::open(&self.0)
            .and_then(|folder| folder.sync_all())
            .map_err(failed("sync", &self.0))
    }
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError::Io { what, path, source }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

fn read(path: &Path) -> Result<Option<String>, FileError> {
    let text = session_store::files::read(path).and_then(|bytes| {
        String::from_utf8(bytes)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is no text"))
    });
    match text {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
    }
}

/// Gives a file that root created to the owner of the storage directory, because the service runs
/// as that user.
pub fn give_to_owner(path: &Path, storage: Option<&Path>) {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let owner = storage.and_then(|storage| fs::metadata(storage).ok());
    let Some(owner) = owner.filter(|owner| owner.uid() != 0) else {
        return;
    };
    if let Err(error) = std::os::unix::fs::chown(path, Some(owner.uid()), Some(owner.gid())) {
        tracing::warn!(%error, path = %path.display(), "failed to change the owner of a file to the service's user");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, chown};

    #[test]
    fn the_files_are_their_owners_alone_and_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::below(&dir.path().join("storage"));
        assert!(
            folder.read_keys().unwrap().keys.is_empty()
                && folder.read_token_secret().unwrap().is_none()
        );
        folder.change_keys(|_| Ok(())).unwrap();
        let first = folder.token_secret_or_new().unwrap();
        assert_eq!(first.len(), 32);
        assert_eq!(folder.token_secret_or_new().unwrap(), first.clone());
        folder.renew_token_secret().unwrap();
        assert_ne!(folder.read_token_secret().unwrap(), Some(first));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            [
                mode(&folder.0),
                mode(&folder.keys()),
                mode(&folder.token_secret())
            ],
            [0o700, 0o600, 0o600]
        );
    }

    #[test]
    fn files_created_by_root_belong_to_the_owner_of_the_storage_directory() {
        let dir = tempfile::tempdir().unwrap();
        // Only root can change a file's owner, so only then is there something to test.
        if chown(dir.path(), Some(4321), Some(4321)).is_err() {
            return;
        }
        let folder = Folder::below(dir.path());
        folder.change_keys(|_| Ok(())).unwrap();
        for path in [folder.0.clone(), folder.keys(), folder.0.join(".lock")] {
            assert_eq!(
                fs::metadata(&path).unwrap().uid(),
                4321,
                "{}",
                path.display()
            );
        }
    }

    #[test]
    fn a_change_that_fails_changes_nothing_and_a_damaged_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::below(dir.path());
        let refused = folder.change_keys::<()>(|keys| {
            keys.keys.clear();
            Err(FileError::NoSuchKey("k".into()))
        });
        assert!(refused.is_err() && !folder.keys().exists());
        fs::write(folder.keys(), "{").unwrap();
        assert!(
            folder
                .read_keys()
                .unwrap_err()
                .to_string()
                .contains("keys.json")
        );
        fs::write(folder.token_secret(), "abc").unwrap();
        assert!(
            folder
                .token_secret_or_new()
                .unwrap_err()
                .to_string()
                .contains("token.secret")
        );
    }
}
