//! A folder shared by many short-lived processes: hooks, each a process of a few milliseconds.
//!
//! ```text
//! <spool dir>/shared-<checksum of the service's URL, see `service_identity`>/
//! ├── append      held (flock) while records are appended, for microseconds
//! ├── lock        held during delivery; other processes leave their records to the holder
//! ├── producer    the folder's Producer-Id
//! └── service, *.seg, state, rejected/   as in a folder with one owner
//! ```
//!
//! **Order.** The lock puts the appends of all processes into one sequence. The service gets
//! records in the order in which the processes appended them, whichever process delivers them.
//! **Nothing is lost** when a process ends or is killed: the next process delivers what it
//! appended, with the numbers in `state`.
//!
//! Two rules make one folder safe for many processes: it is opened (which cuts off a torn tail)
//! only under `append`, and `state` is written only under `lock`. A reader of a `state` that is
//! being written finds the previous slot: an older position, behind which it is just as safe to
//! append. If a segment vanishes while it is opened, it was delivered.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::count::waiting;
use super::producer::producer_of;
use super::queue::Spool;
use super::storage::SpoolStorage;
use super::tail::Limits;
use super::window::Head;
use super::{private, trust};
use crate::transport::{is_same_service, service_identity};

/// How long an append waits for those before it. Each takes microseconds; only a stopped process
/// takes longer.
const PATIENCE: Duration = Duration::from_millis(500);

/// The shared folder of one service.
#[derive(Debug)]
pub(crate) struct SharedFolder {
    pub path: PathBuf,
}

/// The folder while this process holds its append lock.
#[derive(Debug)]
pub(crate) struct AppendLock<'a> {
    folder: &'a SharedFolder,
    _append: File,
}

impl SharedFolder {
    /// Opens the folder, creating it if needed.
    pub(crate) fn open(spool_dir: &Path, service: &str) -> io::Result<Self> {
        trust::make(spool_dir)?;
        let folder = Self::at(spool_dir, service);
        if !folder.path.join("service").exists() {
            private::make_folder(&folder.path)?;
            private::write(&folder.path.join("service"), format!("{service}\n"))?;
        }
        Ok(folder)
    }

    /// Returns the existing shared folders of a service: there may be several, because an earlier
    /// version named a folder by the URL as it was spelled.
    pub(crate) fn find(spool_dir: &Path, service: &str) -> io::Result<Vec<Self>> {
        trust::check(spool_dir)?;
        let is_ours = |folder: &Self| {
            let known = std::fs::read_to_string(folder.path.join("service"));
            known.is_ok_and(|known| is_same_service(&known, service))
        };
        let folders = Self::names(spool_dir)?.into_iter().map(|name| Self {
            path: spool_dir.join(name),
        });
        Ok(folders.filter(is_ours).collect())
    }

    /// Returns the names of the shared folders of all services.
    pub(super) fn names(spool_dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in spool_dir.read_dir()? {
            let entry = entry?;
            let name = entry.file_name().into_string().unwrap_or_default();
            if name.starts_with("shared-") && entry.file_type()?.is_dir() {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn at(spool_dir: &Path, service: &str) -> Self {
        let name = format!(
            "shared-{:08x}",
            crc32c::crc32c(service_identity(service).as_bytes())
        );
        Self {
            path: spool_dir.join(name),
        }
    }

    /// Waits for the append lock.
    pub(crate) fn hold(&self) -> io::Result<AppendLock<'_>> {
        let append = self.lock_file("append")?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match append.try_lock() {
                Ok(()) => {
                    return Ok(AppendLock {
                        folder: self,
                        _append: append,
                    });
                }
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_micros(100));
                }
                Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::TimedOut.into()),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }

    /// Takes the delivery lock, held for as long as the file is open. Returns `None` if another
    /// process has it.
    pub(crate) fn try_deliver(&self) -> io::Result<Option<File>> {
        let lock = self.lock_file("lock")?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(lock)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Returns whether the folder has pending records.
    pub(crate) fn pending(&self) -> io::Result<bool> {
        waiting(&self.path).map(|first| first.is_some())
    }

    fn lock_file(&self, name: &str) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.path.join(name))
    }
}

impl AppendLock<'_> {
    /// Opens the folder's records and the delivery position.
    pub(crate) fn open(&self, limits: Limits) -> io::Result<(Spool, Head)> {
        Spool::open(
            SpoolStorage::Disk(self.folder.path.clone()),
            producer_of(&self.folder.path)?,
            limits,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::kind::Kind;
    use crate::spool::{begin_frame, finish_frame};

    fn append(folder: &SharedFolder, n: usize) {
        let limits = Limits::of(&Config::new("http://a:1").unwrap(), false);
        let mut frame = begin_frame(Kind::Line(session_model::BatchLine::Action), "s", 1, 0);
        frame.extend_from_slice(format!(r#"{{"type":"action","data":{{"n":{n}}}}}"#).as_bytes());
        finish_frame(&mut frame);
        folder
            .hold()
            .unwrap()
            .open(limits)
            .unwrap()
            .0
            .append(&frame)
            .unwrap();
    }

    #[test]
    fn appends_of_many_make_one_row_under_one_producer() {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let dir = dir.path();
                scope.spawn(move || {
                    for n in 0..25 {
                        append(
                            &SharedFolder::open(dir, "http://a:1").unwrap(),
                            thread * 25 + n,
                        );
                    }
                });
            }
        });
        let folder = SharedFolder::find(dir.path(), "http://a:1")
            .unwrap()
            .remove(0);
        let limits = Limits::of(&Config::new("http://a:1").unwrap(), false);
        let held = folder.hold().unwrap();
        let (spool, _) = held.open(limits).unwrap();
        assert_eq!(spool.pending(), 100);
        assert_eq!(spool.producer, held.open(limits).unwrap().0.producer);
        assert!(folder.pending().unwrap());
    }

    #[test]
    fn one_delivers_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let folder = SharedFolder::open(dir.path(), "http://a:1").unwrap();
        let first = folder.try_deliver().unwrap();
        assert!(first.is_some() && folder.try_deliver().unwrap().is_none());
        drop(first);
        assert!(folder.try_deliver().unwrap().is_some());
    }
}
