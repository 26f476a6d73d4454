//! Sessions that are behind: their files lack something that the journal holds.
//!
//! The reasons:
//! - A session could not be recovered at the start: its files could not be read or completed.
//! - A log could not be written, or another program truncated or moved it: the acknowledged lines
//!   are in the journal alone.
//! - A deleted session's folder could not be moved to the trash.
//! - A snapshot could not be written by the time of a checkpoint.
//!
//! None of this affects another session. Such a session accepts no writes until its files are
//! complete, which is tried when it is next requested. It is noted in `journal/checkpoint.json`
//! with the offset from which the journal holds what its files may lack, and the journal is kept
//! from that offset on: nothing is lost, and no checkpoint is delayed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use session_model::SessionId;

/// The work that a session needs before it accepts writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PendingWork {
    /// Recover the session from the journal, from this offset on.
    Unrecovered(u64),
    /// Complete its logs from the journal.
    LogsShort,
    /// Move its folder to the trash: the event of this offset deleted the session.
    Undeleted(u64),
}

#[derive(Debug)]
struct State {
    /// The offsets from which the journal is needed, as of the checkpoint on disk.
    from: BTreeMap<SessionId, u64>,
    pending: BTreeMap<SessionId, PendingWork>,
    /// The offset of the checkpoint on disk.
    checkpoint: u64,
}

/// The sessions that are behind.
#[derive(Debug)]
pub(crate) struct Incomplete {
    state: Mutex<State>,
    /// How many are pending, so that the common case of none is known without a lock.
    count: AtomicUsize,
}

impl Incomplete {
    /// Creates the list with the sessions that could not be recovered at the start.
    pub(crate) fn new(from: BTreeMap<SessionId, u64>, checkpoint: u64) -> Self {
        let pending: BTreeMap<_, _> = from
            .iter()
            .map(|(id, from)| (id.clone(), PendingWork::Unrecovered(*from)))
            .collect();
        let count = AtomicUsize::new(pending.len());
        Self {
            state: Mutex::new(State {
                from,
                pending,
                checkpoint,
            }),
            count,
        }
    }

    /// Returns the work that a session needs before it accepts writes.
    pub(crate) fn pending(&self, id: &SessionId) -> Option<PendingWork> {
        if self.count() == 0 {
            return None;
        }
        self.state.lock().pending.get(id).copied()
    }

    /// Returns how many sessions are pending.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Returns the sessions that are pending.
    pub(crate) fn ids(&self) -> Vec<SessionId> {
        self.state.lock().pending.keys().cloned().collect()
    }

    /// Notes that a session needs work, unless work is already noted for it. Returns whether the
    /// note is new.
    pub(crate) fn note(&self, id: &SessionId, pending: PendingWork) -> bool {
        let mut state = self.state.lock();
        let is_new = !state.pending.contains_key(id);
        state.pending.entry(id.clone()).or_insert(pending);
        self.count.store(state.pending.len(), Ordering::Release);
        is_new
    }

    /// Notes that the work is done. The session's files are complete by the next checkpoint.
    pub(crate) fn done(&self, id: &SessionId) {
        if self.count() > 0 {
            let mut state = self.state.lock();
            state.pending.remove(id);
            self.count.store(state.pending.len(), Ordering::Release);
        }
    }

    /// Returns all sessions that are behind as of the checkpoint on disk.
    pub(crate) fn all(&self) -> BTreeMap<SessionId, u64> {
        self.state.lock().from.clone()
    }

    /// Returns the sessions that the next checkpoint notes as behind: the pending ones and those
    /// that could not be written.
    pub(crate) fn after(&self, failed: &[SessionId]) -> BTreeMap<SessionId, u64> {
        let state = self.state.lock();
        let from = |id: &SessionId| {
            (
                id.clone(),
                state.from.get(id).copied().unwrap_or(state.checkpoint),
            )
        };
        state.pending.keys().chain(failed).map(from).collect()
    }

    /// Records that the next checkpoint is on disk.
    pub(crate) fn checkpointed(&self, from: BTreeMap<SessionId, u64>, checkpoint: u64) {
        let mut state = self.state.lock();
        state.from = from;
        state.checkpoint = checkpoint;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_behind_until_a_checkpoint_could_write_it() {
        let id = |name: &str| SessionId::parse(name).unwrap();
        let behind = Incomplete::new(BTreeMap::from([(id("a"), 5)]), 9);
        assert_eq!(behind.pending(&id("a")), Some(PendingWork::Unrecovered(5)));
        let next = behind.after(&[id("b")]);
        assert_eq!(next, BTreeMap::from([(id("a"), 5), (id("b"), 9)]));
        behind.checkpointed(next, 20);
        behind.done(&id("a"));
        assert_eq!(behind.pending(&id("a")), None);
        assert_eq!(behind.count(), 0);
        assert!(behind.note(&id("d"), PendingWork::LogsShort));
        assert!(!behind.note(&id("d"), PendingWork::Undeleted(25)));
        let next = behind.after(&[id("b"), id("c")]);
        assert_eq!(
            next,
            BTreeMap::from([(id("b"), 9), (id("c"), 20), (id("d"), 20)])
        );
        behind.done(&id("d"));
        behind.checkpointed(next, 30);
        assert_eq!(behind.after(&[]), BTreeMap::new());
    }
}
