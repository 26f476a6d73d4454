//! Statistics of delivery, for `stats()`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::sync::Mutex;

/// Counters of the delivery thread since the process opened its spool.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub batches: AtomicU64,
    pub retries: AtomicU64,
    pub renumbered: AtomicU64,
    pub adopted: AtomicU64,
    /// Times that a file of the spool could not be read or written.
    pub spool_errors: AtomicU64,
    /// Whether the latest response to our own records refused access with this token.
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

    /// Reports that access was refused because of the token.
    pub(crate) fn locked(&self, reason: String) {
        self.locked.store(true, Ordering::Relaxed);
        self.failed(reason);
    }

    /// Reports that the service accepted records.
    pub(crate) fn access_granted(&self) {
        self.locked.store(false, Ordering::Relaxed);
    }

    pub(crate) fn is_locked(&self) -> bool {
        self.locked.load(Ordering::Relaxed)
    }

    /// Returns the latest error, kept after its cause is gone.
    pub(crate) fn last_error(&self) -> Option<String> {
        self.last_error.lock().clone()
    }
}
