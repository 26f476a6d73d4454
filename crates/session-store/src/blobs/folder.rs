//! One session's folder of blobs: its paths, what is kept under a name, and a walk over its files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use session_model::BlobName;

use super::error::BlobError;
use super::sidecar::Sidecar;
use crate::layout::{BLOBS, BlobFile, blob_damaged, blob_folder, blob_sidecar, parse_blob_file};

/// A session's folder of blobs.
#[derive(Clone, Debug)]
pub struct BlobFolder {
    path: PathBuf,
}

/// A blob that is kept whole, as far as its length tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    /// The name under which the bytes are stored.
    pub stored: BlobName,
    /// What is known about the name that was asked for.
    pub sidecar: Sidecar,
    /// The media type of the stored bytes.
    pub media_type: String,
}

/// A file that a walk finds.
#[derive(Debug)]
pub struct FoundFile<'f> {
    /// What it is; `None` if it does not belong into the folder.
    pub file: Option<BlobFile>,
    /// Its path in the folder of blobs, with `/`.
    pub place: &'f str,
    /// Its full path.
    pub path: &'f Path,
    /// Its length.
    pub bytes: u64,
}

impl BlobFolder {
    /// Returns the folder of blobs of a session's folder.
    pub fn of(session: &Path) -> Self {
        Self {
            path: session.join(BLOBS),
        }
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder in which a blob is.
    pub fn folder(&self, name: &BlobName) -> PathBuf {
        self.path.join(blob_folder(name))
    }

    /// The bytes of a blob.
    pub fn bytes(&self, name: &BlobName) -> PathBuf {
        self.folder(name).join(name.to_string())
    }

    /// The sidecar of a blob.
    pub fn sidecar(&self, name: &BlobName) -> PathBuf {
        self.folder(name).join(blob_sidecar(name))
    }

    /// The damaged bytes of a blob.
    pub fn damaged(&self, name: &BlobName) -> PathBuf {
        self.folder(name).join(blob_damaged(name))
    }

    /// Returns what is kept under a name. A sidecar without bytes is no blob, unless it is an alias.
    pub fn find(&self, name: &BlobName) -> Result<Option<Kept>, BlobError> {
        let Some(sidecar) = Sidecar::read(&self.sidecar(name))? else {
            return match self.length(name)? {
                None => Ok(None),
                Some(_) => Err(BlobError::Damaged("it has no sidecar".to_owned())),
            };
        };
        let Some(stored) = sidecar.stored_as else {
            return Ok(self.whole(name, &sidecar)?.then(|| Kept {
                stored: *name,
                media_type: sidecar.media_type.clone(),
                sidecar,
            }));
        };
        let target = Sidecar::read(&self.sidecar(&stored))?;
        match target {
            Some(target) if target.stored_as.is_none() && self.whole(&stored, &target)? => {
                Ok(Some(Kept {
                    stored,
                    media_type: target.media_type,
                    sidecar,
                }))
            }
            Some(_) | None => Err(BlobError::Damaged(format!(
                "it is stored as `{stored}`, which is missing"
            ))),
        }
    }

    /// Returns whether the bytes of a blob are there; their length must be the one in the sidecar.
    fn whole(&self, name: &BlobName, sidecar: &Sidecar) -> Result<bool, BlobError> {
        match self.length(name)? {
            None => Ok(false),
            Some(length) if length == sidecar.bytes => Ok(true),
            Some(length) => Err(BlobError::Damaged(format!(
                "it has {length} bytes, but {} were stored",
                sidecar.bytes
            ))),
        }
    }

    /// Returns the length of a blob's file; `None` if there is none.
    pub fn length(&self, name: &BlobName) -> Result<Option<u64>, BlobError> {
        match fs::symlink_metadata(self.bytes(name)) {
            Ok(found) if found.is_file() => Ok(Some(found.len())),
            Ok(_) => Err(BlobError::Damaged("it is no file".to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(BlobError::io("read")(error)),
        }
    }

    /// Calls `each` with every file of the folder, in the order of their places. A folder that is
    /// not there has no files.
    pub fn walk(&self, each: &mut dyn FnMut(&FoundFile<'_>) -> io::Result<()>) -> io::Result<()> {
        for (name, kind) in names_in(&self.path)? {
            let path = self.path.join(&name);
            if !kind.is_dir() {
                visit(None, &name, &name, &path, kind.is_file(), each)?;
                continue;
            }
            for (file, kind) in names_in(&path)? {
                let place = format!("{name}/{file}");
                let is_file = kind.is_file();
                visit(Some(&name), &file, &place, &path.join(&file), is_file, each)?;
            }
        }
        Ok(())
    }
}

fn visit(
    folder: Option<&str>,
    name: &str,
    place: &str,
    path: &Path,
    is_file: bool,
    each: &mut dyn FnMut(&FoundFile<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let bytes = match fs::symlink_metadata(path) {
        // Completed or removed at this moment.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?.len(),
    };
    let file = folder
        .filter(|_| is_file)
        .and_then(|folder| parse_blob_file(folder, name));
    each(&FoundFile {
        file,
        place,
        path,
        bytes,
    })
}

/// Returns the names in a folder, sorted; none if it is not there.
fn names_in(folder: &Path) -> io::Result<Vec<(String, fs::FileType)>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        match entry.file_type() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            kind => names.push((name, kind?)),
        }
    }
    names.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    Ok(names)
}
