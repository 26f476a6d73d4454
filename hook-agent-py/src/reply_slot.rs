//! Holds one answer, and notifies the waiters: blocked threads and event loops.

use std::sync::Arc;
use std::time::Instant;

use hook_agent::Error;
use hook_agent::sync::{Condvar, Mutex};

use crate::loop_notifier::Waiter;

/// An answer's JSON text, or the error in its place; shared by any number of readers.
pub(crate) type Settled = Result<Arc<str>, Arc<Error>>;

/// Filled once, by the delivery thread, or by the caller if the answer is already known.
#[derive(Default)]
pub(crate) struct ReplySlot {
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Default)]
struct State {
    settled: Option<Settled>,
    waiters: Vec<Waiter>,
}

impl ReplySlot {
    /// Returns a slot with the answer `queued`, for a process that did not make the call: a fork of
    /// the one that did.
    pub(crate) fn queued() -> Self {
        let slot = Self::default();
        slot.state.lock().settled = Some(Ok(r#"{"success":true,"queued":true}"#.into()));
        slot
    }

    pub(crate) fn fill(&self, answer: Result<String, Error>) {
        let settled = answer.map(Arc::from).map_err(Arc::new);
        let mut state = self.state.lock();
        state.settled = Some(settled);
        let waiters = std::mem::take(&mut state.waiters);
        drop(state);
        self.filled.notify_all();
        waiters.into_iter().for_each(Waiter::notify);
    }

    pub(crate) fn settled(&self) -> Option<Settled> {
        self.state.lock().settled.clone()
    }

    /// Stores a waiter to notify when the answer arrives. Returns false if the answer is already
    /// there.
    pub(crate) fn add_waiter(&self, waiter: Waiter) -> bool {
        let mut state = self.state.lock();
        let waits = state.settled.is_none();
        if waits {
            state.waiters.push(waiter);
        }
        waits
    }

    /// Blocks until the answer arrives or the given time comes.
    pub(crate) fn wait_until(&self, until: Instant) -> Option<Settled> {
        let mut state = self.state.lock();
        let mut over = false;
        while state.settled.is_none() && !over {
            (state, over) = self.filled.wait_until(state, until);
        }
        state.settled.clone()
    }
}
