//! Hands bytes to the connection in slices. One large message, or one subscriber that is far
//! behind, then neither grows the connection's buffer nor keeps the worker from its other
//! connections.

use std::task::{Context, Poll};

use bytes::Bytes;

/// Largest slice; also how many bytes are handed over before the connection must write them out.
const SLICE: usize = 16 * 1024;

/// Bytes on their way to one connection: the rest of a shared batch.
#[derive(Debug, Default)]
pub struct Outbox {
    rest: Bytes,
    given: usize,
}

impl Outbox {
    /// Puts bytes in. The outbox must be empty.
    pub fn put(&mut self, bytes: impl Into<Bytes>) {
        debug_assert!(self.rest.is_empty(), "frames must not be cut by others");
        self.rest = bytes.into();
    }

    /// Returns whether everything was handed over, so that a whole frame may follow.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Returns the next slice, or `None` if the outbox is empty. After enough bytes for one write
    /// were handed over, returns pending once and wakes the task immediately.
    pub fn poll(&mut self, cx: &Context<'_>) -> Poll<Option<Bytes>> {
        if self.given >= SLICE {
            self.given = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let slice = self.rest.split_to(self.rest.len().min(SLICE));
        self.given += slice.len();
        if self.rest.is_empty() {
            self.rest = Bytes::new();
        }
        Poll::Ready(Some(slice))
    }

    /// Notes that no more bytes follow for now: what was handed over is being written out.
    pub fn rested(&mut self) {
        self.given = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn a_large_message_leaves_in_slices_with_a_pause_after_each() {
        let mut outbox = Outbox::default();
        outbox.put(vec![7; SLICE * 2 + 5]);
        let cx = Context::from_waker(Waker::noop());
        let mut lengths = Vec::new();
        loop {
            match outbox.poll(&cx) {
                Poll::Ready(Some(slice)) => lengths.push(slice.len()),
                Poll::Ready(None) => break,
                Poll::Pending => lengths.push(0),
            }
        }
        assert_eq!(lengths, [SLICE, 0, SLICE, 0, 5]);
    }
}
