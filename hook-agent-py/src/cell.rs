//! Holds one answer, and notifies those that wait for it: blocked threads and event loops.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hook_agent::Error;

use crate::mailbox::Letter;

/// An answer's JSON text, or the error in its place; shared by any number of readers.
pub(crate) type Settled = Result<Arc<str>, Arc<Error>>;

/// Filled once, by the delivery thread, or by the caller if the answer is already known.
#[derive(Default)]
pub(crate) struct Cell {
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Default)]
struct State {
    settled: Option<Settled>,
    letters: Vec<Letter>,
}

impl Cell {
    /// Returns a cell with the answer `queued`, for a process that did not make the call: a fork of
    /// the one that did.
    pub(crate) fn queued() -> Self {
        let cell = Self::default();
        cell.lock().settled = Some(Ok(r#"{"success":true,"queued":true}"#.into()));
        cell
    }

    pub(crate) fn fill(&self, answer: Result<String, Error>) {
        let settled = answer.map(Arc::from).map_err(Arc::new);
        let mut state = self.lock();
        state.settled = Some(settled);
        let letters = std::mem::take(&mut state.letters);
        drop(state);
        self.filled.notify_all();
        letters.into_iter().for_each(Letter::post);
    }

    pub(crate) fn settled(&self) -> Option<Settled> {
        self.lock().settled.clone()
    }

    /// Stores a letter to be posted when the answer arrives. Returns false if the answer is already
    /// there.
    pub(crate) fn leave(&self, letter: Letter) -> bool {
        let mut state = self.lock();
        let waits = state.settled.is_none();
        if waits {
            state.letters.push(letter);
        }
        waits
    }

    /// Blocks until the answer arrives or the given time comes.
    pub(crate) fn wait_until(&self, until: Instant) -> Option<Settled> {
        let mut state = self.lock();
        while state.settled.is_none() {
            let left = until.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                return None;
            }
            state = self.filled.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.settled.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
