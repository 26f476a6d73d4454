//! The result of a write.

use session_model::transition::Reply;
use session_model::{Code, answer, producer};

/// The answer to a write.
#[derive(Debug, Clone)]
pub enum Answer {
    /// The reply to one command.
    Reply(Reply),
    /// An answer that was made when the write was stored: the results of a batch, or what the first
    /// request with these producer numbers got. Its bytes are passed on unchanged.
    Stored(producer::Answer),
    /// A repeated request whose first answer has been forgotten.
    Duplicate,
}

impl Answer {
    /// Returns the answer in the form in which the journal keeps it for repeats.
    pub fn to_stored(&self) -> producer::Answer {
        match self {
            Self::Stored(stored) => stored.clone(),
            Self::Reply(reply) => accepted(answer::body_of(reply)),
            Self::Duplicate => accepted(answer::DUPLICATE.to_owned()),
        }
    }

    /// Like [`Self::to_stored`], without a copy of an answer that is stored already.
    pub fn into_stored(self) -> producer::Answer {
        match self {
            Self::Stored(stored) => stored,
            Self::Reply(_) | Self::Duplicate => self.to_stored(),
        }
    }
}

/// Returns the stored answer to a write that was accepted.
pub(super) fn accepted(body: String) -> producer::Answer {
    producer::Answer {
        status: 200,
        body,
        part: None,
    }
}

/// The result of a write.
#[derive(Debug, Clone)]
pub struct Submitted {
    /// The answer.
    pub answer: Answer,
    /// Error codes of the rejected lines of a batch, one per line.
    pub refused: Vec<Code>,
    /// Whether nothing was stored because the producer repeated a request.
    pub repeated: bool,
}

impl Submitted {
    /// Creates the result of a write that was accepted.
    pub(super) fn new(answer: Answer) -> Self {
        Self {
            answer,
            refused: Vec::new(),
            repeated: false,
        }
    }

    /// Marks the result as that of a repeated request.
    pub(super) fn repeated(self) -> Self {
        Self {
            repeated: true,
            ..self
        }
    }
}
