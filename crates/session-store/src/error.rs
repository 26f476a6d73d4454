//! Errors of the store.

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
    /// A restore into the directory was interrupted.
    #[error("a restore into `{path}` was cut short: do it again")]
    Restoring {
        /// The directory.
        path: PathBuf,
    },
    /// There is no key for redaction placeholders, and a new one must not be made.
    #[error(
        "`{path}` {fault}: put the key back from its copy, or start without REDACTION_KEY_REQUIRED, and a new one is made, \
         whose tags match none from before"
    )]
    RedactionKey {
        /// The path of the key.
        path: PathBuf,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// A file or directory could not be read or written.
    #[error("failed to {action} `{path}`: {source}")]
    Io {
        /// The action that failed.
        action: &'static str,
        /// The path it was tried on.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl OpenError {
    /// Builds an I/O error with its action and path.
    pub fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}

/// Why a running store could not be copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The copy could not be read or written.
    #[error("failed to copy: {0}")]
    Io(#[from] io::Error),
    /// A commit failed or a session was quarantined during the copy, so the copy may contain events
    /// that were never committed.
    #[error("the storage changed its course while it was copied: try again")]
    Overtaken,
    /// A sync has failed: what is on disk is unknown.
    #[error("storage failed and needs a restart")]
    Failed,
    /// The engine has no files that could be copied.
    #[error("this storage engine has no files to copy")]
    NoFiles,
    /// A session cannot be read.
    #[error("session `{id}` is damaged: {damage}")]
    Damaged {
        /// The session's id.
        id: String,
        /// What is wrong with it.
        damage: Damage,
    },
}

/// Why a commit failed. None of its events were stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CommitError {
    /// The disk is full; later commits may succeed.
    Full,
    /// A write failed for another reason; later commits may succeed.
    WriteFailed,
    /// A sync failed, now or earlier: nothing is acknowledged until a restart has recovered.
    Failed,
    /// The service is stopping.
    Draining,
    /// An earlier commit, on which this one was built, failed; the same command may be sent again.
    Superseded,
}

impl From<CommitError> for Refusal {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Full => {
                Refusal::new(Code::StorageFull, "the disk is full; nothing was stored")
            }
            CommitError::WriteFailed | CommitError::Superseded => Refusal::new(
                Code::StorageUnavailable,
                "storage could not be written; nothing was stored",
            ),
            CommitError::Failed => Refusal::new(
                Code::StorageUnavailable,
                "storage failed and needs a restart; nothing was stored",
            ),
            CommitError::Draining => {
                Refusal::new(Code::StorageUnavailable, "the service is stopping")
            }
        }
    }
}

/// Why a session's files cannot be trusted.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// The bytes at a record's place are not a valid record.
    #[error("`{file}` is damaged at byte {at}: {what}")]
    Record {
        /// The file's name in the session's folder.
        file: &'static str,
        /// The position in the file.
        at: u64,
        /// What was found.
        what: String,
    },
    /// A log ends before the records that were acknowledged.
    #[error("`{file}` ends at byte {found} but {expected} bytes were stored")]
    Short {
        /// The file's name in the session's folder.
        file: &'static str,
        /// The file's length.
        found: u64,
        /// The length it should have.
        expected: u64,
    },
    /// Records in the middle are missing.
    #[error("`{file}` lacks the record with seq {seq}")]
    Gap {
        /// The file's name in the session's folder.
        file: &'static str,
        /// The first missing `seq`.
        seq: u64,
    },
    /// There is no session, and none can be created: something else uses its path. It is left where
    /// it is.
    #[error("what lies in its place is no folder")]
    InTheWay,
    /// The folder or a file could not be read.
    #[error("`{file}` cannot be read: {source}")]
    Io {
        /// The file's name in the session's folder.
        file: &'static str,
        /// The cause.
        source: io::Error,
    },
}

impl Damage {
    /// Returns whether the stored data may be intact: it only could not be read or completed at
    /// this moment. Such a session is left where it is and read again when it is next requested.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Io { .. } | Self::InTheWay => true,
            Self::Record { .. } | Self::Short { .. } | Self::Gap { .. } => false,
        }
    }
}
