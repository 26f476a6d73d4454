//! One attempt to write.

use session_store::engine::CommitTicket;
use session_store::keys::KeyWork;

use super::submitted::Submitted;

/// Result of one attempt to write under the session's lock.
pub(super) enum Attempt {
    /// The session must be loaded first.
    Load,
    /// Work on the index of record keys comes first.
    Keys(KeyWork),
    /// Nothing has to be stored. The state behind the answer is durable once the ticket resolves.
    Answered {
        ticket: Option<CommitTicket>,
        answer: Submitted,
    },
    /// The change was appended. It is stored once the ticket resolves.
    Stored {
        ticket: CommitTicket,
        answer: Submitted,
    },
}
