//! The queue of sessions whose entries must be written to runs.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use crate::session_cache::CacheEntry;

/// The sessions that wait for a flush.
#[derive(Debug, Default)]
pub(crate) struct FlushQueue {
    state: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    cells: VecDeque<Arc<CacheEntry>>,
    stopping: bool,
}

impl FlushQueue {
    pub(super) fn push(&self, cell: &Arc<CacheEntry>) {
        let mut state = self.state.lock();
        if !state.cells.iter().any(|known| Arc::ptr_eq(known, cell)) {
            state.cells.push_back(Arc::clone(cell));
            self.changed.notify_one();
        }
    }

    /// Returns the next session; `None` once the store stops.
    pub(super) fn next(&self) -> Option<Arc<CacheEntry>> {
        let mut state = self.state.lock();
        loop {
            if state.stopping {
                return None;
            }
            if !state.cells.is_empty() {
                return state.cells.pop_front();
            }
            self.changed.wait(&mut state);
        }
    }

    /// Ends the thread after the session that it works on.
    pub(crate) fn stop(&self) {
        let mut state = self.state.lock();
        state.stopping = true;
        state.cells.clear();
        self.changed.notify_one();
    }
}
