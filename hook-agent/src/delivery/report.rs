//! What delivery has been through, for `stats()`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::sync::Mutex;

/// Counters of the thread, since the process opened its spool.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub batches: AtomicU64,
    pub retries: AtomicU64,
    pub renumbered: AtomicU64,
    pub adopted: AtomicU64,
    /// Something of the spool's own could not be read or written.
    pub spool_errors: AtomicU64,
    /// The latest answer to our own records was that nobody is let in with this token.
    locked: AtomicBool,
    last_error: Mutex<Option<String>>,
}

impl Report {
    pub(crate) fn add(counter: &AtomicU64, more: u64) {
        counter.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self, reason: String) {
        *self.last_error.lock() = Some(reason);
    }

    /// The token is at fault.
    pub(crate) fn locked(&self, reason: String) {
        self.locked.store(true, Ordering::Relaxed);
        self.failed(reason);
    }

    /// The service took something.
    pub(crate) fn let_in(&self) {
        self.locked.store(false, Ordering::Relaxed);
    }

    pub(crate) fn is_locked(&self) -> bool {
        self.locked.load(Ordering::Relaxed)
    }

    /// The latest trouble, kept after it is over.
    pub(crate) fn last_error(&self) -> Option<String> {
        self.last_error.lock().clone()
    }
}
