//! What a check finds and repairs, and why a check may be impossible.

use std::io;
use std::path::PathBuf;

use crate::error::OpenError;

/// Why a directory or a session cannot be checked.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The directory holds no sessions.
    #[error("`{}` is no storage directory: it has no `sessions`", .0.display())]
    NotStorage(PathBuf),
    /// The directory cannot be locked for the repair.
    #[error(transparent)]
    Locked(#[from] OpenError),
    /// A file cannot be read or replaced.
    #[error("failed to {action} `{name}`: {source}")]
    File {
        /// What failed.
        action: &'static str,
        /// The file, relative to the storage directory.
        name: String,
        /// The operating system's error.
        source: io::Error,
    },
    /// A folder's entry cannot be read, or the report cannot be written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl CheckError {
    /// Builds the error of one file with its action and name.
    pub(super) fn io(action: &'static str, name: impl ToString) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File {
            action,
            name: name.to_string(),
            source,
        }
    }
}

/// What a check repairs.
#[derive(Clone, Copy)]
pub(super) struct Repair {
    /// Logs and documents.
    pub(super) files: bool,
    /// Blobs.
    pub(super) blobs: bool,
}

/// A fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file, relative to the storage directory.
    pub file: String,
    /// The position in the file.
    pub place: String,
    /// What is wrong.
    pub what: String,
    /// Whether it was repaired.
    pub repaired: bool,
    /// Whether it is no fault, but worth a line.
    pub is_remark: bool,
}

impl Fault {
    pub(super) fn new(
        file: impl Into<String>,
        place: impl Into<String>,
        what: impl Into<String>,
    ) -> Self {
        Self {
            file: file.into(),
            place: place.into(),
            what: what.into(),
            repaired: false,
            is_remark: false,
        }
    }

    /// Builds a remark: nothing is wrong with the directory.
    pub(super) fn remark(
        file: impl Into<String>,
        place: impl Into<String>,
        what: impl Into<String>,
    ) -> Self {
        Self {
            is_remark: true,
            ..Self::new(file, place, what)
        }
    }
}
