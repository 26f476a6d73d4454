//! What can go wrong in the store.

use std::io;
use std::path::PathBuf;

use session_model::{Code, Refusal};

/// Why the storage directory could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the directory open.
    #[error("storage directory `{path}` is in use by another process{holder}")]
    InUse {
        /// The directory.
        path: PathBuf,
        /// ` (pid N)`, where known.
        holder: String,
    },
    /// A restore into the directory was cut short.
    #[error("a restore into `{path}` was cut short: do it again")]
    Restoring {
        /// The directory.
        path: PathBuf,
    },
    /// There is no key to make tags with, and none may be made.
    #[error(
        "`{path}` {fault}: put the key back from its copy, or start without REDACTION_KEY_REQUIRED, and a new one is made, \
         whose tags match none from before"
    )]
    RedactionKey {
        /// The key.
        path: PathBuf,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// A file or directory could not be read or written.
    #[error("failed to {action} `{path}`: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl OpenError {
    /// An I/O error with its action and path.
    pub fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}

/// Why no copy could be made of a running store.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The copy could not be taken or handed on.
    #[error("failed to copy: {0}")]
    Io(#[from] io::Error),
    /// A commit failed or a session was set aside meanwhile, so that what was copied may be what did not happen.
    #[error("the storage changed its course while it was copied: try again")]
    Overtaken,
    /// A sync has failed: what the disk holds is unknown.
    #[error("storage failed and needs a restart")]
    Failed,
    /// A session cannot be read.
    #[error("session `{id}` is damaged: {damage}")]
    Damaged {
        /// Which.
        id: String,
        /// What is wrong.
        damage: Damage,
    },
}

/// Why a commit failed. None of its events happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CommitError {
    /// No room; later commits may succeed.
    Full,
    /// A write failed for another reason; later commits may succeed.
    WriteFailed,
    /// A sync failed, now or before: nothing is acknowledged until a restart has recovered.
    Failed,
    /// The service is stopping.
    Draining,
    /// An earlier commit, on which this one was built, failed; the same command may be asked again.
    Superseded,
}

impl From<CommitError> for Refusal {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Full => Refusal::new(Code::StorageFull, "the disk is full; nothing was stored"),
            CommitError::WriteFailed | CommitError::Superseded => {
                Refusal::new(Code::StorageUnavailable, "storage could not be written; nothing was stored")
            }
            CommitError::Failed => Refusal::new(
                Code::StorageUnavailable,
                "storage failed and needs a restart; nothing was stored",
            ),
            CommitError::Draining => Refusal::new(Code::StorageUnavailable, "the service is stopping"),
        }
    }
}

/// Why a session's files cannot be trusted.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// Bytes that should be a record are none.
    #[error("`{file}` is damaged at byte {at}: {what}")]
    Record {
        /// The file's name in the session's folder.
        file: &'static str,
        /// Where.
        at: u64,
        /// What was found.
        what: String,
    },
    /// A log ends before the records that were acknowledged.
    #[error("`{file}` ends at byte {found} but {expected} bytes were stored")]
    Short {
        /// The file's name in the session's folder.
        file: &'static str,
        /// Its length.
        found: u64,
        /// The length it had.
        expected: u64,
    },
    /// Records in between are missing.
    #[error("`{file}` lacks the record with seq {seq}")]
    Gap {
        /// The file's name in the session's folder.
        file: &'static str,
        /// The first missing.
        seq: u64,
    },
    /// There is no session, and none can be made: something else has its name. It is left where it is.
    #[error("what lies in its place is no folder")]
    InTheWay,
    /// The folder or a file could not be read.
    #[error("`{file}` cannot be read: {source}")]
    Io {
        /// The file's name in the session's folder.
        file: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl Damage {
    /// Whether nothing is known to be wrong with what was stored: it could not be read, or not be completed, at this
    /// moment. Such a session is left where it is and read again when it is next asked for.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Io { .. } | Self::InTheWay => true,
            Self::Record { .. } | Self::Short { .. } | Self::Gap { .. } => false,
        }
    }
}
