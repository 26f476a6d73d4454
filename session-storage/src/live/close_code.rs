//! WebSocket close codes, and what a client should do about each.
//!
//! This is the only table of close codes; clients may rely on every row. Codes 1000 to 1015 are
//! defined by RFC 6455, codes 4000 to 4999 by this service.

use session_model::Refusal;

/// What a client should do after its socket was closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Advice {
    /// Connect again, with back-off, from the last position. No event is lost.
    Reconnect,
    /// The stream cannot continue from that position. Fetch snapshots, then connect without a
    /// position.
    Resync,
    /// The client made an error. The same request will fail in the same way.
    Terminal,
}

/// A close code with its reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CloseCode {
    /// The number in the close frame.
    pub code: u16,
    /// The text in the close frame.
    pub reason: &'static str,
    /// What the client should do.
    pub advice: Advice,
}

const fn row(code: u16, reason: &'static str, advice: Advice) -> CloseCode {
    CloseCode {
        code,
        reason,
        advice,
    }
}

/// The service is stopping.
pub const GOING_AWAY: CloseCode = row(1001, "going away", Advice::Reconnect);
/// The client broke the WebSocket protocol.
pub const PROTOCOL_ERROR: CloseCode = row(1002, "protocol error", Advice::Terminal);
/// The client sent a message larger than allowed.
pub const TOO_BIG: CloseCode = row(1009, "message too big", Advice::Terminal);
/// The history could not be read at the moment.
pub const TRY_AGAIN_LATER: CloseCode = row(1013, "try again later", Advice::Reconnect);
/// The key or token that the socket was opened with is no longer valid.
pub const ACCESS_ENDED: CloseCode = row(4401, "access ended", Advice::Terminal);
/// The client sent nothing, not even a pong, for longer than the idle timeout.
pub const IDLE: CloseCode = row(4408, "idle", Advice::Reconnect);
/// The history after this position cannot be read (damaged or quarantined).
pub const RESYNC: CloseCode = row(4409, "resync", Advice::Resync);

/// All rows of the table.
pub const ALL: &[CloseCode] = &[
    GOING_AWAY,
    PROTOCOL_ERROR,
    TOO_BIG,
    TRY_AGAIN_LATER,
    ACCESS_ENDED,
    IDLE,
    RESYNC,
];

/// Returns the close code for a history that could not be read.
pub fn for_refusal(refusal: &Refusal) -> CloseCode {
    if refusal.code.retryable() {
        TRY_AGAIN_LATER
    } else {
        RESYNC
    }
}

#[cfg(test)]
mod tests {
    use session_model::Code;

    use super::*;

    #[test]
    fn codes_are_unique_and_allowed_on_the_wire() {
        let mut codes: Vec<_> = ALL.iter().map(|row| row.code).collect();
        codes.dedup();
        assert_eq!(codes.len(), ALL.len());
        for row in ALL {
            assert!(
                matches!(row.code, 1001 | 1002 | 1009 | 1013 | 4000..=4999),
                "{row:?}"
            );
        }
    }

    #[test]
    fn a_history_that_may_be_readable_later_asks_for_a_reconnect_and_a_damaged_one_for_a_resync() {
        let advice = |code| for_refusal(&Refusal::new(code, "")).advice;
        assert_eq!(advice(Code::StorageUnavailable), Advice::Reconnect);
        assert_eq!(advice(Code::RecordDamaged), Advice::Resync);
    }
}
