//! Copies the sessions of a directory into staging. The directory belongs to this service and was
//! stopped cleanly, or to the older service.

use std::fs::{self, DirEntry, File};
use std::io;
use std::path::Path;

use session_model::SessionId;

use super::IncomingError;
use crate::adopted::{self, Foreign};
use crate::blobs::{BlobFolder, FoundFile, sort_files};
use crate::checkpoint::Checkpoint;
use crate::disk::RealDisk;
use crate::index;
use crate::layout::{BLOBS, Layout, is_derived_file, is_session_file};
use crate::lock::DirLock;
use crate::session_dir::holds_session;

/// Copies the sessions of a storage directory, at most `limit` bytes; returns what was left out or
/// renamed. A directory of the older service is only read; one of this service is locked meanwhile.
pub(super) fn directory(
    source: &Path,
    into: &Layout,
    limit: u64,
) -> Result<Vec<String>, IncomingError> {
    let from = Layout::new(source);
    if !from.sessions().is_dir() {
        return Err(IncomingError::NotStorage(source.to_owned()));
    }
    let _lock = lock_stopped(&from)?;
    let folder = from.sessions();
    let read = || IncomingError::io("read", &folder);
    let foreign = adopted::foreign(&from, true).map_err(read())?;
    let mut copy = Copy {
        left: limit,
        left_out: Vec::new(),
    };
    for entry in fs::read_dir(&folder).map_err(read())? {
        let entry = entry.map_err(read())?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Ok(id) = SessionId::parse(&name)
            && is_session(&entry).map_err(IncomingError::io("read", entry.path()))?
        {
            copy.session(&entry.path(), &into.session(&id))?;
        } else if !foreign.iter().any(|found| is_top_of(&name, &found.name)) {
            copy.left_out
                .push(format!("sessions/{name}: is no session"));
        }
    }
    rename_foreign(&from, into, foreign, &mut copy)?;
    Ok(copy.left_out)
}

/// Returns whether this is a session's folder. A symbolic link leads out of the directory and is not
/// followed.
fn is_session(entry: &DirEntry) -> io::Result<bool> {
    Ok(entry.file_type()?.is_dir() && holds_session(&entry.path())?)
}

/// Returns whether a name with slashes begins with this folder.
fn is_top_of(folder: &str, name: &str) -> bool {
    name.split('/').next() == Some(folder)
}

/// Locks a directory of this service, which must have been stopped cleanly; `None` for one of the
/// older service.
fn lock_stopped(from: &Layout) -> Result<Option<DirLock>, IncomingError> {
    if !from.journal().is_dir() {
        return Ok(None);
    }
    let lock = DirLock::take(from)?;
    let checkpoint =
        Checkpoint::read(from).map_err(IncomingError::io("read", from.checkpoint()))?;
    if checkpoint.is_some_and(|checkpoint| checkpoint.clean && checkpoint.behind.is_empty()) {
        return Ok(Some(lock));
    }
    Err(IncomingError::NotStopped(from.root().to_owned()))
}

/// Copies sessions whose names are no ids, each under a safe id.
fn rename_foreign(
    from: &Layout,
    into: &Layout,
    foreign: Vec<Foreign>,
    copy: &mut Copy,
) -> Result<(), IncomingError> {
    let known = index::look(from);
    for Foreign { name, folder } in foreign {
        let rename = || IncomingError::io("give a session id to", &folder);
        let id = adopted::free_name(into, &name).map_err(rename())?;
        copy.session(&folder, &into.session(&id))?;
        let is_named = adopted::rename_metadata(&into.session(&id), &RealDisk, &id, &name);
        if !is_named.map_err(rename())? {
            adopted::rebuild_metadata(into, &RealDisk, &known, &id, &name).map_err(rename())?;
        }
        copy.left_out.push(format!(
            "sessions/{name}: is no session id, so that it is `{id}` here"
        ));
    }
    Ok(())
}

/// A copy in progress.
struct Copy {
    /// How many bytes may still be copied.
    left: u64,
    /// What was left out or renamed.
    left_out: Vec<String>,
}

impl Copy {
    fn session(&mut self, from: &Path, into: &Path) -> Result<(), IncomingError> {
        fs::create_dir_all(into).map_err(IncomingError::io("create", into))?;
        let read = || IncomingError::io("read", from);
        for entry in fs::read_dir(from).map_err(read())? {
            let entry = entry.map_err(read())?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let found = entry
                .metadata()
                .map_err(IncomingError::io("read", entry.path()))?;
            if found.is_file() && is_session_file(&name) {
                self.left = self
                    .left
                    .checked_sub(found.len())
                    .ok_or(IncomingError::NoRoom)?;
                file(&entry.path(), &into.join(&name))
                    .map_err(IncomingError::io("copy", entry.path()))?;
            } else if found.is_dir() && name == BLOBS {
                self.blobs(from, into)?;
            } else if name != "subsessions" && !name.starts_with('.') && !is_derived_file(&name) {
                let folder = from.file_name().unwrap_or_default().display();
                self.left_out
                    .push(format!("sessions/{folder}/{name}: is no file of a session"));
            }
        }
        Ok(())
    }

    /// Copies the blobs of a session.
    fn blobs(&mut self, from: &Path, into: &Path) -> Result<(), IncomingError> {
        let folder = from.file_name().unwrap_or_default().display();
        let target = into.join(BLOBS);
        let Self { left, left_out } = self;
        let mut take = |found: &FoundFile<'_>| {
            *left = left
                .checked_sub(found.bytes)
                .ok_or(io::ErrorKind::StorageFull)?;
            let to = target.join(found.place);
            fs::create_dir_all(to.parent().unwrap_or(&target))?;
            file(found.path, &to).map(drop)
        };
        let mut leave_out = |found: &FoundFile<'_>| {
            let place = found.place;
            left_out.push(format!("sessions/{folder}/{BLOBS}/{place}: is no blob"));
            Ok(())
        };
        match sort_files(&BlobFolder::of(from), &mut take, &mut leave_out) {
            Err(error) if error.kind() == io::ErrorKind::StorageFull => Err(IncomingError::NoRoom),
            copied => copied.map_err(IncomingError::io("copy", from.join(BLOBS))),
        }
    }
}

/// Copies the content of a file but not its mode, because every user may be able to read the
/// source.
fn file(from: &Path, to: &Path) -> io::Result<u64> {
    io::copy(&mut File::open(from)?, &mut File::create_new(to)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::METADATA;

    #[test]
    fn a_derived_file_is_neither_copied_nor_reported() {
        let source = tempfile::tempdir().unwrap();
        let target = tempfile::tempdir().unwrap();
        let session = source.path().join("sessions/s");
        fs::create_dir_all(&session).unwrap();
        for name in [METADATA, "keys-actions-1.idx", "notes.txt"] {
            fs::write(session.join(name), "{}").unwrap();
        }
        let left_out = directory(source.path(), &Layout::new(target.path()), 1000).unwrap();
        assert_eq!(left_out, ["sessions/s/notes.txt: is no file of a session"]);
        let copied = fs::read_dir(target.path().join("sessions/s")).unwrap();
        let copied: Vec<_> = copied.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(copied, [METADATA]);
    }
}
