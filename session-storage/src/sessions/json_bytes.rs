//! Documents as JSON bytes.

use bytes::Bytes;

/// Serializes a document as JSON.
pub(super) fn to_json(value: &impl serde::Serialize) -> Bytes {
    serde_json::to_vec(value)
        .expect("JSON values always serialize")
        .into()
}
