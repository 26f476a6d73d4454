//! What became of a record.

/// What became of a record, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The service's response, as JSON.
    Answer(Box<str>),
    /// The service has the record; its response is no longer known.
    Stored,
    /// The record is in the spool; the service can't be reached.
    Queued,
    Rejected {
        call: &'static str,
        code: String,
        message: String,
    },
    Dropped,
    /// The record was settled too long ago to say how.
    Forgotten,
}
