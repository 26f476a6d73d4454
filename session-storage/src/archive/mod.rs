//! The archive: completed sessions as bundles in S3-compatible storage, or in a folder.
//!
//! ```text
//! <ARCHIVE_URL>/<session id>/<offset, 20 digits>-<12 hex of its content>.tar.zst
//! ```
//! A key is made from the content, so that archiving the same again finds what is there, and a session that went on
//! gets another object beside the older one: nothing in the archive is ever overwritten with other content, or
//! deleted. After writing, the object is read back and proved; only that counts as archived.
//!
//! With `ARCHIVE_URL` set, retention archives a session before it deletes it, and deletes it only if it is still as it
//! was archived; what cannot be archived stays. Built in with the cargo feature `archive` alone.

#[cfg(not(feature = "archive"))]
mod absent;
#[cfg(feature = "archive")]
mod remote;

use session_model::SessionId;

#[cfg(not(feature = "archive"))]
pub use absent::Archive;
#[cfg(feature = "archive")]
pub use remote::Archive;

/// Why something was not archived, or not fetched.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The feature is not built in.
    #[error("this program was built without the feature `archive`")]
    Absent,
    /// `ARCHIVE_URL` is of no known kind.
    #[error("ARCHIVE_URL must be `s3://<bucket>[/<prefix>]` or `file:///<folder>`, not `{0}`")]
    Url(String),
    /// The storage refused or could not be reached.
    #[error("the archive failed: {0}")]
    Remote(String),
    /// What was read back is not what was written.
    #[error("what was read back from `{0}` is not what was archived")]
    Differs(String),
    /// There is nothing of this session.
    #[error("session `{0}` is not in the archive")]
    NotThere(SessionId),
    /// A local file could not be read or written.
    #[error("failed to use a local file: {0}")]
    Local(#[from] std::io::Error),
    /// What was fetched is no whole bundle.
    #[error(transparent)]
    Bundle(#[from] crate::bundle::BundleError),
}

/// An object of the archive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Archived {
    /// Its key below `ARCHIVE_URL`.
    pub key: String,
    /// Its length.
    pub bytes: u64,
}
