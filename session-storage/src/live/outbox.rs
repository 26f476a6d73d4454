//! Hands bytes to the connection in pieces, so that one large message, or one subscriber that is far behind,
//! neither swells the connection's buffer nor keeps its worker from the others.

use std::task::{Context, Poll};

use bytes::Bytes;

/// The largest piece; also how much is given before the connection has to write it out.
const PIECE: usize = 16 * 1024;

/// What is on its way to one connection: a slice of a shared block.
#[derive(Debug, Default)]
pub struct Outbox {
    rest: Bytes,
    given: usize,
}

impl Outbox {
    /// Puts bytes in; the box must be empty.
    pub fn put(&mut self, bytes: impl Into<Bytes>) {
        debug_assert!(self.rest.is_empty(), "frames must not be cut by others");
        self.rest = bytes.into();
    }

    /// Whether everything was given out, so that a whole frame may follow.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next piece; `None` when the box is empty. Pending, with a wake-up at once, after enough was given
    /// to be written out in one go.
    pub fn poll(&mut self, cx: &Context<'_>) -> Poll<Option<Bytes>> {
        if self.given >= PIECE {
            self.given = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let piece = self.rest.split_to(self.rest.len().min(PIECE));
        self.given += piece.len();
        if self.rest.is_empty() {
            self.rest = Bytes::new();
        }
        Poll::Ready(Some(piece))
    }

    /// Nothing more is coming just now: what was given is being written out.
    pub fn rested(&mut self) {
        self.given = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn a_large_message_leaves_in_pieces_with_a_pause_after_each() {
        let mut outbox = Outbox::default();
        outbox.put(vec![7; PIECE * 2 + 5]);
        let cx = Context::from_waker(Waker::noop());
        let mut lengths = Vec::new();
        loop {
            match outbox.poll(&cx) {
                Poll::Ready(Some(piece)) => lengths.push(piece.len()),
                Poll::Ready(None) => break,
                Poll::Pending => lengths.push(0),
            }
        }
        assert_eq!(lengths, [PIECE, 0, PIECE, 0, 5]);
    }
}
