//! The key used to make redaction placeholders: created once, at the first start, and readable by
//! its owner only.
//!
//! Without the key a placeholder reveals nothing about its secret; with the key, guesses can be
//! tested. If the key is lost or damaged a new one is created, unless the key is required; the same
//! secret then gets a different placeholder. The content of a damaged file is kept beside the new
//! one. A key that cannot be read now counts as neither lost nor damaged: the start fails, and
//! nothing is replaced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use session_redact::Key;

use super::disk::sync_dir;
use super::error::OpenError;
use super::layout::Layout;

/// Longer than any key; a longer file is not a key.
const LONGEST: u64 = 4096;

/// What is known about whether placeholders were made with a key that no longer exists.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand {
    /// A lost or damaged key must not be replaced by a new one.
    pub(super) required: bool,
    /// The directory has sessions, so a required key must have existed.
    pub(super) has_sessions: bool,
}

/// Reads the key, or creates it. The caller holds the directory's lock.
pub(super) fn read_or_make(layout: &Layout, demand: Demand) -> Result<Key, OpenError> {
    let path = layout.redaction_key();
    match read(&path).map_err(OpenError::io("read", &path))? {
        Found::Key(key) => Ok(key),
        Found::Nothing if demand.required && demand.has_sessions => Err(OpenError::RedactionKey {
            path,
            fault: "is missing",
        }),
        Found::Nothing => replace(&path, layout.root(), None),
        Found::Damaged if demand.required => Err(OpenError::RedactionKey {
            path,
            fault: "is damaged",
        }),
        Found::Damaged => {
            let kept = unused(&path).map_err(OpenError::io("examine", &path))?;
            let key = replace(&path, layout.root(), Some(&kept))?;
            tracing::error!(
                path = %path.display(),
                kept = %kept.display(),
                "the redaction key is damaged and a new one was made: tags in records from before no longer match the tags of \
                 the same secrets in new ones; what the file held is kept, and a copy of the key can be put back before a start"
            );
            Ok(key)
        }
    }
}

/// What is at the key's path.
enum Found {
    Key(Key),
    Nothing,
    /// The file was read and is not a valid key.
    Damaged,
}

/// Reads the file, which may be of any kind; does not block on a pipe.
fn read(path: &Path) -> io::Result<Found> {
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let file = match OpenOptions::new()
        .read(true)
        .custom_flags(nonblocking)
        .open(path)
    {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        file => file?,
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no file: move it away, or put the key in its place",
        ));
    }
    let mut content = Vec::new();
    file.take(LONGEST).read_to_end(&mut content)?;
    let key = std::str::from_utf8(&content).ok().and_then(Key::from_hex);
    Ok(key.map_or(Found::Damaged, Found::Key))
}

/// Returns the first free file name for a damaged key.
fn unused(path: &Path) -> io::Result<PathBuf> {
    let mut number = 0_u32;
    loop {
        let end = if number == 0 {
            "damaged".to_owned()
        } else {
            format!("damaged.{number}")
        };
        let name = path.with_extension(end);
        match fs::symlink_metadata(&name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(name),
            found => found?,
        };
        number += 1;
    }
}

/// Creates a key and keeps the old file under another name. The new key is written first, then the
/// old file is renamed.
fn replace(path: &Path, root: &Path, keep: Option<&Path>) -> Result<Key, OpenError> {
    let spare = path.with_extension("new");
    let key = make(&spare).map_err(OpenError::io("write", &spare))?;
    if let Some(keep) = keep {
        fs::rename(path, keep).map_err(OpenError::io("move", path))?;
    }
    let placed = fs::rename(&spare, path).and_then(|()| sync_dir(root));
    placed.map_err(OpenError::io("write", path))?;
    Ok(key)
}

fn make(path: &Path) -> io::Result<Key> {
    let key = Key::new(uuid::Uuid::new_v4().into_bytes());
    let mut file: File = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    writeln!(file, "{}", key.to_hex())?;
    file.sync_all()?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const ANY: Demand = Demand {
        required: false,
        has_sessions: true,
    };

    #[test]
    fn a_key_is_made_once_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let made = read_or_make(&layout, ANY).unwrap();
        assert_eq!(read_or_make(&layout, ANY).unwrap().to_hex(), made.to_hex());
        let mode = fs::metadata(layout.redaction_key())
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_content_of_a_damaged_file_is_kept_beside_the_new_key() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let long = "0".repeat(10_000).into_bytes();
        let damages = [&b"torn"[..], b"", &[0xff; 32], &long];
        for (number, damage) in damages.iter().enumerate() {
            fs::write(layout.redaction_key(), damage).unwrap();
            let made = read_or_make(&layout, ANY).unwrap();
            assert_eq!(read_or_make(&layout, ANY).unwrap().to_hex(), made.to_hex());
            let name = if number == 0 {
                String::new()
            } else {
                format!(".{number}")
            };
            assert_eq!(
                fs::read(dir.path().join(format!(".redaction-key.damaged{name}"))).unwrap(),
                *damage
            );
        }
    }

    #[test]
    fn a_required_key_is_not_replaced_once_there_are_sessions() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let required = |has_sessions| Demand {
            required: true,
            has_sessions,
        };
        let error = read_or_make(&layout, required(true))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(".redaction-key` is missing")
                && error.contains("REDACTION_KEY_REQUIRED"),
            "{error}"
        );
        read_or_make(&layout, required(false)).unwrap();
        read_or_make(&layout, required(true)).unwrap();
        fs::write(layout.redaction_key(), "torn").unwrap();
        let error = read_or_make(&layout, required(false))
            .unwrap_err()
            .to_string();
        assert!(error.contains(".redaction-key` is damaged"), "{error}");
        assert_eq!(fs::read(layout.redaction_key()).unwrap(), b"torn");
    }
}
