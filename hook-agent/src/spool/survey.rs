//! Lists the folders of a spool directory for `flush` and `status`: every folder of every service,
//! unreadable ones included.

use std::fs::{self, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::count::{Waiting, count_waiting};
use super::folder::names;
use super::shared::SharedFolder;
use super::{loss, rejected, shortened};

/// The survey of one folder.
#[derive(Debug)]
pub(crate) struct FolderInfo {
    pub path: PathBuf,
    /// The folder's name.
    pub name: String,
    /// The URL that its records are for, from its `service` file; may be empty.
    pub service: String,
    /// Whether hooks share the folder.
    pub shared: bool,
    /// Whether a running process owns the folder.
    pub owned: bool,
    /// How many records are pending.
    pub pending: u64,
    /// How many records the service rejected, and why it rejected the last one.
    pub rejected: u64,
    pub last_rejection: Option<String>,
    /// How many records were lost, and the message of the last loss.
    pub lost: u64,
    pub last_loss: Option<String>,
    /// Of how many values only an excerpt was recorded, and what is known about the last one.
    pub shortened: u64,
    pub last_shortened: Option<String>,
    /// How many lost records the pending `gap` records report.
    pub unreported: u64,
    /// Why the folder cannot be read or delivered.
    pub error: Option<String>,
}

/// Returns all folders, those of single processes first.
pub(crate) fn survey(spool_dir: &Path) -> io::Result<Vec<FolderInfo>> {
    let own = names(spool_dir)?
        .into_iter()
        .map(|name| look(spool_dir.join(&name), name, false));
    let shared = SharedFolder::names(spool_dir)?
        .into_iter()
        .map(|name| look(spool_dir.join(&name), name, true));
    Ok(own.chain(shared).collect())
}

fn look(path: PathBuf, name: String, shared: bool) -> FolderInfo {
    let mut errors = Vec::new();
    let mut failed = |what: &str, error: io::Error| errors.push(format!("{what}: {error}"));
    let text = fs::read(path.join("service")).unwrap_or_else(|error| {
        failed("`service`", error);
        Vec::new()
    });
    let service = String::from_utf8_lossy(&text).trim().to_owned();
    let owned = is_owned(&path).unwrap_or_else(|error| {
        failed("`lock`", error);
        false
    });
    let pending = count_waiting(&path).unwrap_or_else(|error| {
        failed("its records", error);
        Waiting::default()
    });
    let (lost, last_loss) = loss::survey(&path).unwrap_or_else(|error| {
        failed("`lost`", error);
        (0, None)
    });
    let (rejected, last_rejection) = rejected::survey(&path).unwrap_or_else(|error| {
        failed("`rejected`", error);
        (0, None)
    });
    let (shortened, last_shortened) = shortened::survey(&path).unwrap_or_else(|error| {
        failed("`shortened`", error);
        (0, None)
    });
    let error = (!errors.is_empty()).then(|| errors.join("; "));
    FolderInfo {
        path,
        name,
        service,
        shared,
        owned,
        pending: pending.records,
        rejected,
        last_rejection,
        lost,
        last_loss,
        shortened,
        last_shortened,
        unreported: pending.lost,
        error,
    }
}

/// Returns whether a process holds the folder's lock.
fn is_owned(path: &Path) -> io::Result<bool> {
    match OpenOptions::new()
        .read(true)
        .write(true)
        .open(path.join("lock"))
    {
        Ok(lock) => match lock.try_lock() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(error),
        },
        // The folder was never delivered from, or is just being created.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
