//! A limit on the logs that readers keep open between two parts of a response.
//!
//! A client that reads its response slowly, or not at all, would keep the file descriptors of its
//! logs open for that long. Only a limited number may be kept; a reader above the limit opens its
//! log again for each part.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The number of logs that readers may still keep open.
#[derive(Debug)]
pub struct ReaderLimit {
    left: AtomicUsize,
}

/// The permission to keep one log open; released when dropped.
#[derive(Debug)]
pub struct OpenPermit(Arc<ReaderLimit>);

impl ReaderLimit {
    /// Creates a limit of `most` logs.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            left: AtomicUsize::new(most),
        })
    }

    /// Takes the permission to keep one more log open, if the limit allows it.
    pub fn keep(self: &Arc<Self>) -> Option<OpenPermit> {
        let one_less = |left: usize| left.checked_sub(1);
        let taken = self
            .left
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_less);
        taken.is_ok().then(|| OpenPermit(Arc::clone(self)))
    }
}

impl Drop for OpenPermit {
    fn drop(&mut self) {
        self.0.left.fetch_add(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_once_a_reader_is_dropped() {
        let readers = ReaderLimit::new(1);
        let kept = readers.keep().unwrap();
        assert!(readers.keep().is_none());
        drop(kept);
        assert!(readers.keep().is_some());
    }
}
