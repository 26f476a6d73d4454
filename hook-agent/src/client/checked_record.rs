//! A record that is known to be a JSON object.

/// A record whose text needs no check: a typed helper wrote it.
#[derive(Debug)]
pub(crate) struct CheckedRecord {
    /// The record as a JSON object.
    pub(crate) json: String,
    /// Whether the caller gave it a time.
    pub(crate) has_timestamp: bool,
}
