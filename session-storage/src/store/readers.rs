//! The logs that readers keep open between two pieces of an answer.
//!
//! A client that takes its answer slowly, or not at all, would keep its logs' descriptors for as long. So many may be
//! kept; a reader beyond them opens its log anew for each piece.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many logs readers may keep open.
#[derive(Debug)]
pub struct Readers {
    left: AtomicUsize,
}

/// The right to keep one log open.
#[derive(Debug)]
pub struct Kept(Arc<Readers>);

impl Readers {
    /// With room for so many.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { left: AtomicUsize::new(most) })
    }

    /// Takes the right to keep one more log open, if there is room.
    pub fn keep(self: &Arc<Self>) -> Option<Kept> {
        let one_less = |left: usize| left.checked_sub(1);
        let taken = self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_less);
        taken.is_ok().then(|| Kept(Arc::clone(self)))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.left.fetch_add(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_again_once_one_is_dropped() {
        let readers = Readers::new(1);
        let kept = readers.keep().unwrap();
        assert!(readers.keep().is_none());
        drop(kept);
        assert!(readers.keep().is_some());
    }
}
