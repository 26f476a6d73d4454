//! A bundle in a file: compressed, synced, and verified by reading it back.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use session_model::Timestamp;

use crate::disk::{self, sync_dir};

use super::{BundleError, BundleWriter, Kind, Manifest, Sink, prove};

/// The compression level of a bundle.
pub const LEVEL: i32 = 3;

/// Why a bundle was not written to a file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The folder to write into does not exist.
    #[error("`{}` is no folder: create it first", .0.display())]
    NoFolder(PathBuf),
    /// The file to write exists.
    #[error("`{}` is there already: choose another name", .0.display())]
    Exists(PathBuf),
    /// What was written is no whole bundle.
    #[error("failed to read back what was written: {0}")]
    Unreadable(#[from] BundleError),
    /// The file could not be written, named or removed.
    #[error("failed to {action} `{path}`: {source}")]
    Io {
        /// What failed.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl FileError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}

/// A bundle file that was written and verified.
#[derive(Debug)]
pub struct Written {
    /// The file.
    pub file: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its manifest.
    pub manifest: Manifest,
}

/// A file that is removed when this value is dropped.
#[derive(Debug)]
pub struct TemporaryFile(PathBuf);

impl TemporaryFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// The path of the file, which may not exist yet.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, path = %self.0.display(), "a temporary file could not be removed");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

/// Writes a bundle to a file, whose folder is created if it is missing, and verifies it; `fill` adds
/// the members and finishes the bundle.
pub fn write<E: From<io::Error> + From<BundleError>>(
    path: &Path,
    at: Timestamp,
    fill: impl FnOnce(BundleWriter<Sink<'_>>) -> Result<(), E>,
) -> Result<Manifest, E> {
    fs::create_dir_all(disk::folder_of(path))?;
    let mut packed = begin(path)?;
    fill(BundleWriter::new(&mut packed, at))?;
    packed.finish()?.sync_all()?;
    Ok(prove(BufReader::new(File::open(path)?))?)
}

/// Writes a new bundle to a file, or into a folder under a name that contains its position; `fill`
/// writes the tar.
///
/// The file is written in its target folder under a temporary name, synced, read back and verified,
/// and only then renamed. So a file with the final name is always complete.
pub fn write_new<E: From<FileError>>(
    target: &Path,
    fill: impl FnOnce(Sink<'_>) -> Result<(), E>,
) -> Result<Written, E> {
    let folder = folder_of(target)?;
    let part = TemporaryFile::new(folder.join(format!(".bundle-{}.part", std::process::id())));
    let path = part.path();
    let mut packed = begin(path).map_err(FileError::io("create", path))?;
    fill(&mut packed)?;
    let synced = packed.finish().and_then(|file| file.sync_all());
    synced.map_err(FileError::io("sync", path))?;
    Ok(finish(path, target)?)
}

/// Creates a file and starts to compress into it.
pub(crate) fn begin(path: &Path) -> io::Result<zstd::stream::write::Encoder<'static, File>> {
    let mut packed = zstd::stream::write::Encoder::new(File::create(path)?, LEVEL)?;
    packed.include_checksum(true)?;
    Ok(packed)
}

/// Returns the folder to write into; refuses a target that would be overwritten.
fn folder_of(target: &Path) -> Result<&Path, FileError> {
    let folder = if target.is_dir() {
        target
    } else {
        disk::folder_of(target)
    };
    if !folder.is_dir() {
        return Err(FileError::NoFolder(folder.to_owned()));
    }
    if target.is_file() {
        return Err(FileError::Exists(target.to_owned()));
    }
    Ok(folder)
}

/// Verifies what was written and gives it its final name.
fn finish(part: &Path, target: &Path) -> Result<Written, FileError> {
    let opened = File::open(part).map_err(FileError::io("read back", part))?;
    let manifest = prove(opened)?;
    let found = fs::metadata(part).map_err(FileError::io("examine", part))?;
    let kind = match manifest.kind {
        Kind::Export => "export",
        Kind::Backup => "backup",
    };
    let file = if target.is_dir() {
        target.join(format!("{kind}-{}.tar.zst", manifest.position()))
    } else {
        target.to_owned()
    };
    fs::rename(part, &file)
        .and_then(|()| sync_dir(&file))
        .map_err(FileError::io("name", &file))?;
    Ok(Written {
        file,
        bytes: found.len(),
        manifest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn export(out: Sink<'_>) -> Result<(), FileError> {
        let mut bundle = BundleWriter::new(out, Timestamp::from_millis(0));
        let added = bundle.bytes("sessions/s/metadata.json".to_owned(), b"{}\n");
        let finished = added.and_then(|()| bundle.finish(Kind::Export, "epoch", 7).map(drop));
        finished.map_err(FileError::io("write", Path::new("the bundle")))
    }

    fn names_in(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn a_bundle_in_a_folder_gets_a_name_with_its_position_and_nothing_else_stays() {
        let folder = tempfile::tempdir().unwrap();
        let written = write_new(folder.path(), export).unwrap();
        assert_eq!(names_in(folder.path()), ["export-epoch-7.tar.zst"]);
        assert_eq!(written.manifest.offset, 7);
        assert_eq!(written.bytes, fs::metadata(&written.file).unwrap().len());
    }

    #[test]
    fn a_bundle_that_was_not_finished_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("sessions.tar.zst");
        let cut_off = |out: Sink<'_>| {
            let written = out.write_all(b"no tar");
            written.map_err(FileError::io("write", &target))
        };
        let error = write_new(&target, cut_off).unwrap_err();
        assert!(matches!(error, FileError::Unreadable(_)), "{error}");
        assert_eq!(names_in(folder.path()), [""; 0]);
    }

    #[test]
    fn a_file_that_exists_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("sessions.tar.zst");
        fs::write(&target, "mine").unwrap();
        let error = write_new(&target, export).unwrap_err();
        assert!(matches!(error, FileError::Exists(_)), "{error}");
        assert_eq!(fs::read_to_string(&target).unwrap(), "mine");
    }
}
