//! The archive: completed sessions as bundles in S3-compatible storage, or in a folder.
//!
//! ```text
//! <ARCHIVE_URL>/<session id>/<offset, 20 digits>-<12 hex of its content>.tar.zst
//! ```
//! The name of an object is derived from its content, so archiving the same session again finds the
//! existing object, and a session that continued gets another object beside the older one. Nothing
//! in the archive is overwritten with other content or deleted. After an upload, the object is read
//! back and verified; only then does the session count as archived.
//!
//! With `ARCHIVE_URL` set, retention archives a session before it deletes it, and deletes it only
//! if it is unchanged since. A session that cannot be archived is not deleted. Available only with
//! the cargo feature `archive`.

#[cfg(not(feature = "archive"))]
mod absent;
#[cfg(feature = "archive")]
mod remote;

use session_model::SessionId;

#[cfg(not(feature = "archive"))]
pub use absent::Archive;
#[cfg(feature = "archive")]
pub use remote::Archive;

/// Why archiving or fetching a session failed.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The feature is not built in.
    #[error("this program was built without the feature `archive`")]
    Absent,
    /// `ARCHIVE_URL` has an unsupported form.
    #[error("ARCHIVE_URL must be `s3://<bucket>[/<prefix>]` or `file:///<folder>`, not `{0}`")]
    Url(String),
    /// The storage reported an error or could not be reached.
    #[error("the archive failed: {0}")]
    Remote(String),
    /// The object read back differs from the one written.
    #[error("the archive returned other content for `{0}` than was archived")]
    Differs(String),
    /// The archive holds nothing of this session.
    #[error("session `{0}` is not in the archive")]
    NotThere(SessionId),
    /// A local file could not be read or written.
    #[error("failed to use a local file: {0}")]
    Local(#[from] std::io::Error),
    /// The fetched object is not a complete bundle.
    #[error(transparent)]
    Bundle(#[from] session_store::bundle::BundleError),
}

/// An object in the archive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Archived {
    /// Its key, relative to `ARCHIVE_URL`.
    pub key: String,
    /// Its size in bytes.
    pub bytes: u64,
}
