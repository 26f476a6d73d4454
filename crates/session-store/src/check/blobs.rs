//! Checks a session's blobs: each must have the hash in its name, and a sidecar that says what it is.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _};

use session_model::{BlobName, SessionId, Timestamp};
use sha2::{Digest as _, Sha256};

use super::fault::{CheckError, Fault};
use crate::blobs::{BlobError, BlobFolder, FoundFile, MediaType, Sidecar};
use crate::disk::{Disk as _, RealDisk};
use crate::files;
use crate::layout::BlobFile;

/// Checks the blobs of a session. `referenced`: the blobs to which its records refer. With `repair`,
/// damaged bytes are moved to `<sha256>.damaged`, and sidecars that are missing are written again.
pub(super) fn check(
    id: &SessionId,
    folder: &BlobFolder,
    referenced: &BTreeSet<BlobName>,
    repair: bool,
) -> Result<Vec<Fault>, CheckError> {
    let mut faults = Vec::new();
    let mut names = BTreeSet::new();
    let mut damaged = BTreeSet::new();
    let place = |name: &str| format!("sessions/{id}/blobs/{name}");
    let read = CheckError::io("read", place(""));
    folder
        .walk(&mut |found| {
            match found.file {
                Some(BlobFile::Bytes(name) | BlobFile::Sidecar(name)) => drop(names.insert(name)),
                Some(BlobFile::Damaged(name)) => {
                    damaged.insert(name);
                    faults.push(remark(found, &place, "was found damaged and is not served"));
                }
                None => {
                    let what = "is no file of a blob; it is never read";
                    faults.push(Fault::new(place(found.place), "file", what));
                }
            }
            Ok(())
        })
        .map_err(read)?;
    let mut present = BTreeSet::new();
    for name in names {
        match one(folder, &name) {
            Ok(true) => drop(present.insert(name)),
            Ok(false) if referenced.contains(&name) && !damaged.contains(&name) => {
                let what = "a record refers to it, and its bytes are missing: send it again";
                faults.push(Fault::new(place(&name.to_string()), "blob", what));
            }
            // An upload that a crash cut off, or a blob whose bytes were moved aside.
            Ok(false) => {}
            Err(what) => {
                let mut fault = Fault::new(place(&name.to_string()), "blob", what.to_string());
                fault.repaired = repair && what.repair(folder, &name)?;
                faults.push(fault);
            }
        }
    }
    let mut absent = referenced.difference(&present);
    if let Some(first) = absent.next() {
        let what = format!(
            "records refer to {} blobs that are not here, the first is {first}",
            1 + absent.count()
        );
        faults.push(Fault::remark(format!("sessions/{id}"), "blobs", what));
    }
    Ok(faults)
}

fn remark(found: &FoundFile<'_>, place: &impl Fn(&str) -> String, what: &str) -> Fault {
    Fault::remark(place(found.place), "file", what)
}

/// What is wrong with a blob.
#[derive(Debug, thiserror::Error)]
enum Wrong {
    #[error("does not have the hash in its name but {0}")]
    Hash(BlobName),
    #[error("has no sidecar")]
    NoSidecar,
    #[error("{0}")]
    Sidecar(String),
    #[error("cannot be read: {0}")]
    Unreadable(String),
    #[error("is stored as `{0}`, which is not here")]
    NoTarget(BlobName),
}

/// Returns whether a blob is there and whole.
fn one(folder: &BlobFolder, name: &BlobName) -> Result<bool, Wrong> {
    let unreadable = |error: BlobError| match error {
        BlobError::Damaged(what) => Wrong::Sidecar(what),
        other => Wrong::Unreadable(other.to_string()),
    };
    let sidecar = Sidecar::read(&folder.sidecar(name)).map_err(unreadable)?;
    if let Some(target) = sidecar.as_ref().and_then(|sidecar| sidecar.stored_as) {
        return match folder.length(&target).map_err(unreadable)? {
            Some(_) => Ok(true),
            None => Err(Wrong::NoTarget(target)),
        };
    }
    let Some(length) = folder.length(name).map_err(unreadable)? else {
        return Ok(false);
    };
    let hash = hash_of(folder, name).map_err(|error| Wrong::Unreadable(error.to_string()))?;
    if hash != *name {
        return Err(Wrong::Hash(hash));
    }
    match sidecar {
        None => Err(Wrong::NoSidecar),
        Some(sidecar) if sidecar.bytes != length => Err(Wrong::Sidecar(format!(
            "has {length} bytes, but its sidecar says {}",
            sidecar.bytes
        ))),
        Some(_) => Ok(true),
    }
}

fn hash_of(folder: &BlobFolder, name: &BlobName) -> io::Result<BlobName> {
    let mut file = files::open(&folder.bytes(name))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 128 << 10];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(BlobName::of_digest(hash.finalize().into()));
        }
        hash.update(&buffer[..read]);
    }
}

impl Wrong {
    /// Repairs what can be repaired without guessing; returns whether that was possible.
    fn repair(&self, folder: &BlobFolder, name: &BlobName) -> Result<bool, CheckError> {
        let bytes = folder.bytes(name);
        match self {
            Self::Hash(_) => {
                fs::rename(&bytes, folder.damaged(name))
                    .map_err(CheckError::io("move", bytes.display()))?;
                Ok(true)
            }
            Self::NoSidecar | Self::Sidecar(_) => {
                let Ok(found) = fs::symlink_metadata(&bytes) else {
                    return Ok(false);
                };
                if hash_of(folder, name).map_err(CheckError::io("read", bytes.display()))? != *name
                {
                    return Ok(false);
                }
                let sidecar = Sidecar {
                    media_type: MediaType::BINARY.to_owned(),
                    bytes: found.len(),
                    sent: modified(&found),
                    referenced: false,
                    stored_as: None,
                    redacted: 0,
                };
                let path = folder.sidecar(name);
                RealDisk
                    .replace(&path, &sidecar.to_bytes(), true)
                    .map_err(CheckError::io("replace", path.display()))?;
                Ok(true)
            }
            Self::Unreadable(_) | Self::NoTarget(_) => Ok(false),
        }
    }
}

fn modified(found: &fs::Metadata) -> Timestamp {
    let since = found
        .modified()
        .ok()
        .and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    let millis = since.and_then(|since| i64::try_from(since.as_millis()).ok());
    Timestamp::from_millis(millis.unwrap_or(0))
}
