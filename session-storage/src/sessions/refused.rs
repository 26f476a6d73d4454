//! Rejection of a request, with an optional response header.

use session_model::Refusal;

use super::commit_refusal;
use crate::store::error::CommitError;

/// Rejection of a request, with the header to send with it, if any.
#[derive(Debug, Clone)]
pub struct Refused {
    /// Error code and message.
    pub refusal: Refusal,
    /// Header that tells a producer how to continue.
    pub header: Option<(&'static str, String)>,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, header: None }
    }
}

impl From<CommitError> for Refused {
    fn from(error: CommitError) -> Self {
        commit_refusal(error).into()
    }
}
