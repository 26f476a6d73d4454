//! The sessions whose files are not complete up to the checkpoint: they could not be read or written when it was made.
//!
//! Each is noted in `journal/checkpoint.json` with the offset from which on the journal holds what its files may lack, and
//! the journal is kept from there on. So one session with a file that cannot be written, or read at a start, neither
//! holds up the checkpoints nor loses anything.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;
use session_model::SessionId;

#[derive(Debug)]
struct State {
    /// From which offset on the journal is needed for each of them.
    from: BTreeMap<SessionId, u64>,
    /// Those of them that have not been recovered since the start.
    unrecovered: BTreeSet<SessionId>,
    /// The offset of the checkpoint on disk.
    checkpoint: u64,
}

/// The sessions that are behind.
#[derive(Debug)]
pub(super) struct Behind(Mutex<State>);

impl Behind {
    /// Those that could not be recovered at the start.
    pub(super) fn new(from: BTreeMap<SessionId, u64>, checkpoint: u64) -> Self {
        let unrecovered = from.keys().cloned().collect();
        Self(Mutex::new(State { from, unrecovered, checkpoint }))
    }

    /// From which offset on a session has to be recovered before it is used.
    pub(super) fn unrecovered(&self, id: &SessionId) -> Option<u64> {
        let state = self.0.lock();
        state.unrecovered.get(id).and_then(|id| state.from.get(id)).copied()
    }

    /// How many sessions have not been recovered.
    pub(super) fn unrecovered_count(&self) -> usize {
        self.0.lock().unrecovered.len()
    }

    /// Notes that a session is in memory now, or quarantined. Its files follow by the next checkpoint.
    pub(super) fn recovered(&self, id: &SessionId) {
        self.0.lock().unrecovered.remove(id);
    }

    /// All of them, as of the checkpoint on disk.
    pub(super) fn all(&self) -> BTreeMap<SessionId, u64> {
        self.0.lock().from.clone()
    }

    /// Those that the next checkpoint leaves behind: what was not recovered, and what could not be written.
    pub(super) fn after(&self, failed: &[SessionId]) -> BTreeMap<SessionId, u64> {
        let state = self.0.lock();
        let from = |id: &SessionId| (id.clone(), state.from.get(id).copied().unwrap_or(state.checkpoint));
        state.unrecovered.iter().chain(failed).map(from).collect()
    }

    /// The next checkpoint is on disk.
    pub(super) fn checkpointed(&self, from: BTreeMap<SessionId, u64>, checkpoint: u64) {
        let mut state = self.0.lock();
        state.unrecovered.retain(|id| from.contains_key(id));
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
        let behind = Behind::new(BTreeMap::from([(id("a"), 5)]), 9);
        assert_eq!(behind.unrecovered(&id("a")), Some(5));
        let next = behind.after(&[id("b")]);
        assert_eq!(next, BTreeMap::from([(id("a"), 5), (id("b"), 9)]));
        behind.checkpointed(next, 20);
        behind.recovered(&id("a"));
        assert_eq!((behind.unrecovered(&id("a")), behind.unrecovered_count()), (None, 0));
        let next = behind.after(&[id("b"), id("c")]);
        assert_eq!(next, BTreeMap::from([(id("b"), 9), (id("c"), 20)]));
        behind.checkpointed(next, 30);
        assert_eq!(behind.after(&[]), BTreeMap::new());
    }
}
