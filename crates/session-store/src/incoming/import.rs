//! Imports the sessions of a bundle or directory into a directory that is not in use.
//!
//! First, the target is opened and closed, so that nothing is left to replay in its journal: a
//! replay could modify imported sessions. Then all sessions are staged, verified and compared with
//! existing ones; a difference refuses the whole import unless the caller has decided otherwise.
//! Only then the index is removed, and the folders are renamed into place, one by one. Without an
//! index, the next start reads the metadata of each session and assigns no offset that an imported
//! event has. An interrupted import is completed by repeating it: sessions that were already
//! imported are identical.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::Path;

use serde_json::Value;
use session_model::hex::hex;
use session_model::{SessionId, json};
use sha2::{Digest as _, Sha256};

use super::staging::{Staging, link_children};
use super::{IncomingError, gather, inspect};
use crate::blobs::{BlobFolder, move_missing};
use crate::bundle::{self, Kind};
use crate::disk::{Disk as _, RealDisk, sync_dir};
use crate::layout::{Layout, METADATA, is_session_file};
use crate::store::{Options, Store};

/// How to handle a session that exists with different content.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Existing {
    /// Import no session at all.
    #[default]
    Refuse,
    /// Keep the existing session, and import the others.
    Skip,
    /// Import the session under a new id, derived from its content.
    AsNew,
}

impl Existing {
    /// Converts the flags of the command line, of which at most one is set.
    pub fn from_flags(skip: bool, as_new: bool) -> Self {
        match (skip, as_new) {
            (true, _) => Self::Skip,
            (false, true) => Self::AsNew,
            (false, false) => Self::Refuse,
        }
    }
}

/// The result of an import.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Imported {
    /// Imported sessions, by their ids in the target.
    pub new: Vec<SessionId>,
    /// Sessions that already existed with the same content.
    pub same: Vec<SessionId>,
    /// Sessions that already existed with different content and were not imported.
    pub skipped: Vec<SessionId>,
    /// Messages for the operator.
    pub remarks: Vec<String>,
}

/// The names and checksums of a session's files.
type Files = BTreeMap<String, String>;

/// Imports the sessions of a bundle or a storage directory into the directory of the options.
pub fn import(
    options: Options,
    source: &Path,
    existing: Existing,
) -> Result<Imported, IncomingError> {
    // The closed store keeps the directory's lock until this function returns.
    let store = Store::open_unwatched(options)?;
    store.close();
    let staging = Staging::begin(store.layout())?;
    let mut imported = Imported::default();
    if source.is_dir() {
        imported.remarks = gather::directory(source, &staging.layout(), staging.free_bytes()?)?;
    } else {
        let file = File::open(source).map_err(IncomingError::io("open", source))?;
        let manifest = bundle::stage(BufReader::new(file), staging.path(), staging.free_bytes()?)?;
        if manifest.kind != Kind::Export {
            return Err(IncomingError::IsBackup);
        }
        imported.remarks = staging.leave_out_foreign()?;
    }
    for id in staging.sessions()? {
        imported
            .remarks
            .extend(inspect::session(&staging.layout(), &id)?);
    }
    compare(store.layout(), &staging, existing, &mut imported)?;
    settle(store.layout(), &staging, &imported)?;
    Ok(imported)
}

/// Sorts the sessions into new, identical and skipped ones; renames those that get a new id.
fn compare(
    target: &Layout,
    staging: &Staging,
    existing: Existing,
    imported: &mut Imported,
) -> Result<(), IncomingError> {
    let mut differ = Vec::new();
    for id in staging.sessions()? {
        match (is_same(target, staging, &id)?, existing) {
            (None, _) => imported.new.push(id),
            (Some(true), _) => imported.same.push(id),
            (Some(false), Existing::Skip) => imported.skipped.push(id),
            (Some(false), Existing::Refuse) => differ.push(id.to_string()),
            (Some(false), Existing::AsNew) => {
                let id = rename(&staging.layout(), &id)?;
                match is_same(target, staging, &id)? {
                    None => imported.new.push(id),
                    Some(true) => imported.same.push(id),
                    Some(false) => imported.skipped.push(id),
                }
            }
        }
    }
    if differ.is_empty() {
        return Ok(());
    }
    Err(IncomingError::Differ(differ.join(", ")))
}

/// Returns whether the existing session has the same documents and logs; `None` if there is none. Its
/// blobs may be fewer, where no record refers to them.
fn is_same(
    target: &Layout,
    staging: &Staging,
    id: &SessionId,
) -> Result<Option<bool>, IncomingError> {
    let existing = target.session(id);
    if fs::symlink_metadata(&existing).is_err() {
        return Ok(None);
    }
    Ok(Some(
        files(&existing)? == files(&staging.layout().session(id))?,
    ))
}

fn files(folder: &Path) -> Result<Files, IncomingError> {
    let read = || IncomingError::io("read", folder);
    let mut files = Files::new();
    for entry in fs::read_dir(folder).map_err(read())? {
        let entry = entry.map_err(read())?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type().map_err(read())?.is_file() && is_session_file(&name) {
            let sum = checksum(&entry.path()).map_err(IncomingError::io("read", entry.path()))?;
            files.insert(name, sum);
        }
    }
    Ok(files)
}

fn checksum(path: &Path) -> io::Result<String> {
    let mut sum = Sha256::new();
    io::copy(&mut File::open(path)?, &mut Summing(&mut sum))?;
    Ok(hex(&sum.finalize()))
}

struct Summing<'s>(&'s mut Sha256);

impl io::Write for Summing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Gives a staged session a new id: the old one and a checksum of the content, so that repeating
/// the import leads to the same id. The logs stay unchanged, byte for byte.
fn rename(staged: &Layout, id: &SessionId) -> Result<SessionId, IncomingError> {
    let listed = serde_json::to_vec(&files(&staged.session(id))?).expect("texts always serialize");
    let sum = Sha256::digest(listed);
    let stem = &id.as_str()[..id.as_str().len().min(110)];
    let name = SessionId::adopt(&format!("{stem}-{}", &hex(&sum)[..12]));
    let path = staged.file(id, METADATA);
    let stored = fs::read(&path).map_err(IncomingError::io("read", &path))?;
    let mut metadata: Value =
        json::stored(&stored).map_err(|_| IncomingError::NoMetadata(id.clone()))?;
    metadata["sessionId"] = name.as_str().into();
    metadata["importedFrom"] = id.as_str().into();
    let mut bytes = serde_json::to_vec_pretty(&metadata).expect("JSON values always serialize");
    bytes.push(b'\n');
    RealDisk
        .replace(&path, &bytes, false)
        .map_err(IncomingError::io("replace", &path))?;
    let folder = staged.session(id);
    fs::rename(&folder, staged.session(&name)).map_err(IncomingError::io("rename", folder))?;
    Ok(name)
}

/// Moves the staged sessions into place, durably, and the blobs that sessions lack which exist
/// already.
fn settle(target: &Layout, staging: &Staging, imported: &Imported) -> Result<(), IncomingError> {
    for id in &imported.same {
        let staged = BlobFolder::of(&staging.layout().session(id));
        let existing = target.session(id);
        move_missing(&staged, &BlobFolder::of(&existing))
            .map_err(IncomingError::io("add blobs to", &existing))?;
    }
    let new = &imported.new;
    if new.is_empty() {
        return staging.sync();
    }
    for id in new {
        link_children(&staging.layout(), id)?;
    }
    staging.sync()?;
    remove_index(target).map_err(IncomingError::io("remove", target.index()))?;
    for id in new {
        let place = target.session(id);
        fs::rename(staging.layout().session(id), &place)
            .map_err(IncomingError::io("move into place", place))?;
    }
    let folder = target.sessions();
    sync_dir(&folder.join("x")).map_err(IncomingError::io("sync", folder))
}

fn remove_index(target: &Layout) -> io::Result<()> {
    match fs::remove_file(target.index()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => sync_dir(&target.index()),
    }
}
