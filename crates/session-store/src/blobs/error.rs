//! Why a blob could not be stored or opened.

use std::io;

use session_model::BlobName;

use crate::error::Damage;

/// Why a blob could not be stored or opened.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// There is no session of this id, or it was deleted during the upload.
    #[error("there is no such session")]
    NoSession,
    /// The session has no blob of this name.
    #[error("there is no such blob")]
    NotFound,
    /// The bytes do not have the hash in their name.
    #[error("the bytes have the SHA-256 {0}")]
    Mismatch(BlobName),
    /// The blob is larger than a blob may be.
    #[error("the blob is larger than {0} bytes")]
    TooLarge(u64),
    /// The blobs of the session would be larger than they may be together.
    #[error("the blobs of the session would have more than {0} bytes")]
    SessionFull(u64),
    /// The stored bytes, or what is known about them, are damaged.
    #[error("the blob is damaged: {0}")]
    Damaged(String),
    /// The session's files cannot be read or completed.
    #[error(transparent)]
    Session(#[from] Damage),
    /// The session was changed or moved again and again by failing commits.
    #[error("the storage changed its course during the upload")]
    Overtaken,
    /// A file could not be read or written.
    #[error("failed to {action} the blob: {source}")]
    Io {
        /// What failed.
        action: &'static str,
        /// The operating system's error.
        source: io::Error,
    },
}

impl BlobError {
    /// Builds the error of a failed action.
    pub(super) fn io(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, source }
    }
}
