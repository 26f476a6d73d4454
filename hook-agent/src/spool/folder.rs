//! Ownership of a spool folder: created new, or adopted after its owner has ended. The lock shows
//! which it is.

use std::collections::HashSet;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::count::waiting;
use super::line_files::{LOST, REJECTED, SHORTENED};
use super::{private, trust};
use crate::transport::is_same_service;

/// Any process that finds more empty free folders than this removes the surplus.
const KEPT_EMPTY: usize = 16;

/// With at least this many folders, a process takes one that holds another session's records
/// instead of creating a new one.
const MANY: usize = 64;

/// A folder owned by this process. Dropping it releases the lock.
#[derive(Debug)]
pub(crate) struct Folder {
    pub path: PathBuf,
    /// The folder's name, which is the Producer-Id of all its records.
    pub producer: String,
    pub lock: File,
}

impl Folder {
    /// Takes a free folder of this service. First choice is a folder that still holds records of
    /// this session and `suits`, so that new records follow those that the session left there; else
    /// an empty folder, else a new one. A folder with another session's records is left to the next
    /// process of that session, whose records would otherwise get out of order, unless there are
    /// many folders.
    pub(crate) fn claim(
        spool_dir: &Path,
        service: &str,
        session: Option<&str>,
        suits: impl Fn(&Self) -> bool,
    ) -> io::Result<Self> {
        trust::make(spool_dir)?;
        let mut empty = None;
        let mut anothers = None;
        let names = names(spool_dir)?;
        let are_many = names.len() >= MANY;
        for name in names {
            let Some(folder) = Self::try_own(&spool_dir.join(&name), name, service) else {
                continue;
            };
            // An unreadable folder is left for `adopt`, which reports the error.
            let Some(first) = waiting(&folder.path).unwrap_or_default() else {
                empty.get_or_insert(folder);
                continue;
            };
            let ours = session.is_none_or(|session| session.as_bytes() == first);
            if (ours || are_many && anothers.is_none()) && suits(&folder) {
                if ours {
                    return Ok(folder);
                }
                anothers = Some(folder);
            }
        }
        anothers
            .or(empty)
            .map_or_else(|| Self::make(spool_dir, service), Ok)
    }

    /// Takes a free folder that still holds records and is not in `passed_over`, if there is one.
    /// Removes empty folders that are too many.
    pub(crate) fn adopt(
        spool_dir: &Path,
        service: &str,
        passed_over: &HashSet<String>,
    ) -> io::Result<Option<Self>> {
        let names = names(spool_dir)?;
        let mut surplus = names.len().saturating_sub(KEPT_EMPTY);
        let mut nothing = Ok(None);
        for name in names.into_iter().filter(|name| !passed_over.contains(name)) {
            let Some(folder) = Self::try_own(&spool_dir.join(&name), name, service) else {
                continue;
            };
            match waiting(&folder.path) {
                Ok(Some(_)) => return Ok(Some(folder)),
                Ok(None)
                    if surplus > 0
                        && !REJECTED.is_in(&folder.path)
                        && !LOST.is_in(&folder.path)
                        && !SHORTENED.is_in(&folder.path) =>
                {
                    surplus -= 1;
                    std::fs::remove_dir_all(&folder.path)?;
                }
                Ok(None) => {}
                Err(error) => nothing = Err(error),
            }
        }
        nothing
    }

    /// Returns whether the folder has pending records. An unreadable folder counts as having some.
    pub(crate) fn holds_records(&self) -> bool {
        !waiting(&self.path).is_ok_and(|first| first.is_none())
    }

    /// Assigns a free folder's records to this service. Returns `None` if another process owns the
    /// folder.
    pub(crate) fn redirect(path: &Path, service: &str) -> io::Result<Option<()>> {
        let lock = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => private::write(&path.join("service"), format!("{service}\n")).map(Some),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Returns `None` if the folder is owned by another process, belongs to another service, or is
    /// gone.
    fn try_own(path: &Path, producer: String, service: &str) -> Option<Self> {
        let lock = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path.join("lock"))
            .ok()?;
        lock.try_lock().ok()?;
        let same = lock.metadata().ok()?.ino() == path.join("lock").metadata().ok()?.ino();
        let ours = std::fs::read_to_string(path.join("service")).ok()?;
        (same && is_same_service(&ours, service)).then(|| Self {
            path: path.to_owned(),
            producer,
            lock,
        })
    }

    fn make(spool_dir: &Path, service: &str) -> io::Result<Self> {
        loop {
            let producer = uuid::Uuid::new_v7(uuid::Timestamp::now(uuid::NoContext))
                .simple()
                .to_string();
            let path = spool_dir.join(&producer);
            DirBuilder::new().mode(0o700).create(&path)?;
            private::write(&path.join("service"), format!("{service}\n"))?;
            let lock = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path.join("lock"))?;
            if lock.try_lock().is_ok() {
                return Ok(Self {
                    path,
                    producer,
                    lock,
                });
            }
        }
    }
}

/// Returns the folders of a spool directory, oldest first. Entries with names of another form are
/// ignored.
pub(super) fn names(spool_dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in spool_dir.read_dir()? {
        let name = entry?.file_name().into_string().unwrap_or_default();
        if name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_owner_and_is_claimed_again_once_free() {
        let dir = tempfile::tempdir().unwrap();
        let first = Folder::claim(dir.path(), "http://a:1", None, |_| true).unwrap();
        let second = Folder::claim(dir.path(), "http://a:1", None, |_| true).unwrap();
        let other = Folder::claim(dir.path(), "http://b:1", None, |_| true).unwrap();
        assert_ne!(first.producer, second.producer);
        let freed = second.producer.clone();
        drop((second, other));
        assert_eq!(
            Folder::claim(dir.path(), "http://a:1", None, |_| true)
                .unwrap()
                .producer,
            freed
        );
    }

    #[test]
    fn one_service_is_one_service_however_its_address_is_spelled() {
        let dir = tempfile::tempdir().unwrap();
        let freed = Folder::claim(dir.path(), "http://127.0.0.1:9000", None, |_| true)
            .unwrap()
            .producer;
        for spelled in [
            "http://localhost:9000",
            "http://[::1]:9000/",
            "http://127.1:9000",
            "HTTP://LOCALHOST:9000",
        ] {
            assert_eq!(
                Folder::claim(dir.path(), spelled, None, |_| true)
                    .unwrap()
                    .producer,
                freed,
                "{spelled}"
            );
        }
        for other in [
            "http://localhost:9001",
            "http://127.0.0.2:9000",
            "https://localhost:9000",
            "http://localhost:9000/x",
        ] {
            assert_ne!(
                Folder::claim(dir.path(), other, None, |_| true)
                    .unwrap()
                    .producer,
                freed,
                "{other}"
            );
        }
    }

    #[test]
    fn empty_folders_do_not_pile_up() {
        let dir = tempfile::tempdir().unwrap();
        let held: Vec<Folder> = (0..40)
            .map(|_| Folder::claim(dir.path(), "http://a:1", None, |_| true).unwrap())
            .collect();
        drop(held);
        assert!(
            Folder::adopt(dir.path(), "http://a:1", &HashSet::new())
                .unwrap()
                .is_none()
        );
        assert_eq!(names(dir.path()).unwrap().len(), KEPT_EMPTY);
    }
}
