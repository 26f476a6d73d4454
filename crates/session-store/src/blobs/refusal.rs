//! What clients see of a blob that could not be stored or opened. The operating system's own message
//! goes to the log only.

use session_model::{BlobName, Code, Refusal, SessionId};

use super::error::BlobError;
use crate::disk::is_full;
use crate::refusals::{not_found, unopened};

/// Returns the refusal of a blob that could not be stored or opened.
pub fn refusal(error: &BlobError, id: &SessionId, name: &BlobName) -> Refusal {
    let refusal = |code, message: String| Refusal::new(code, message);
    match error {
        BlobError::NoSession => not_found(id),
        BlobError::NotFound => refusal(
            Code::BlobNotFound,
            format!("session `{id}` has no blob `{name}`"),
        ),
        BlobError::Mismatch(sent) => refusal(
            Code::BlobMismatch,
            format!(
                "the bytes sent have the SHA-256 {sent}, not the one in the path: nothing was stored"
            ),
        ),
        BlobError::TooLarge(most) => refusal(
            Code::PayloadTooLarge,
            format!("a blob may have {most} bytes at most (MAX_BLOB_BYTES)"),
        ),
        BlobError::SessionFull(most) => refusal(
            Code::QuotaExceeded,
            format!(
                "the blobs of a session may have {most} bytes at most (MAX_SESSION_BLOB_BYTES)"
            ),
        ),
        BlobError::Damaged(what) => {
            tracing::error!(session = %id, blob = %name, what, "a blob is damaged and is not served");
            refusal(
                Code::BlobDamaged,
                format!(
                    "blob `{name}` of session `{id}` is damaged: send it again, or run `session-storage check`"
                ),
            )
        }
        BlobError::Session(damage) => unopened(id, damage),
        BlobError::Overtaken => refusal(
            Code::StorageUnavailable,
            "storage could not be written during the upload: send the blob again".to_owned(),
        ),
        BlobError::Io { source, .. } if is_full(source) => refusal(
            Code::StorageFull,
            "the disk is full; nothing of the blob was stored".to_owned(),
        ),
        BlobError::Io { action, source } => {
            tracing::error!(session = %id, blob = %name, action, error = %source, "a blob could not be stored or read");
            refusal(
                Code::StorageUnavailable,
                format!(
                    "failed to {action} a blob of session `{id}`: ask again; the service's log says why"
                ),
            )
        }
    }
}
