//! Why a request was refused.

use session_model::Refusal;

use super::commit_refusal;
use crate::store::error::CommitError;

/// Why a request was refused, with the header that goes with it, if any.
#[derive(Debug, Clone)]
pub struct Refused {
    /// The code and its sentence.
    pub refusal: Refusal,
    /// What a producer needs to go on.
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
