//! What the store counts: by the commit thread once a commit, by the maintenance thread once a checkpoint.

use std::time::Instant;

use super::error::CommitError;
use super::journal::Pending;
use crate::meter::{BYTES, COUNTS, Counter, Histogram, SECONDS};

/// The figures of one store.
#[derive(Debug)]
pub struct Figures {
    /// How many events each commit had.
    pub group_events: Histogram,
    /// How many bytes each commit wrote to the journal.
    pub group_bytes: Histogram,
    /// How long each commit took: journal, sync and logs.
    pub commit_time: Histogram,
    /// How long the sync of each commit took.
    pub sync_time: Histogram,
    /// How long the first change of each commit waited for its answer, from being appended on.
    pub wait_time: Histogram,
    /// Bytes that were appended to the sessions' logs.
    pub log_bytes: Counter,
    /// Bytes that were written to the journal.
    pub journal_bytes: Counter,
    /// Commits that failed because the disk was full.
    pub full: Counter,
    /// Commits that could not be written for another reason.
    pub unwritten: Counter,
    /// Commits that could not be synced, and those refused afterwards.
    pub unsynced: Counter,
    /// How long checkpoints took.
    pub checkpoint_time: Histogram,
}

impl Default for Figures {
    fn default() -> Self {
        let [commit_time, sync_time, wait_time, checkpoint_time] =
            std::array::from_fn(|_| Histogram::new(&SECONDS));
        Self {
            group_events: Histogram::new(&COUNTS),
            group_bytes: Histogram::new(&BYTES),
            commit_time,
            sync_time,
            wait_time,
            checkpoint_time,
            log_bytes: Counter::default(),
            journal_bytes: Counter::default(),
            full: Counter::default(),
            unwritten: Counter::default(),
            unsynced: Counter::default(),
        }
    }
}

impl Figures {
    /// A group was committed; it was taken up at `begun`.
    pub(super) fn committed(&self, group: &Pending, begun: Instant) {
        let (now, bytes) = (Instant::now(), group.buffer.len() as u64);
        self.group_events.observe_alone(group.events.len() as u64);
        self.group_bytes.observe_alone(bytes);
        self.journal_bytes.add_alone(bytes);
        self.log_bytes.add_alone(group.events.iter().map(|event| event.line.len() as u64).sum());
        self.commit_time.time_alone(now.saturating_duration_since(begun));
        if let Some(opened) = group.opened {
            self.wait_time.time_alone(now.saturating_duration_since(opened));
        }
    }

    /// A group was given up.
    pub(super) fn failed(&self, error: CommitError) {
        match error {
            CommitError::Full => self.full.increment(),
            CommitError::WriteFailed | CommitError::Superseded | CommitError::Draining => {
                self.unwritten.increment();
            }
            CommitError::Failed => self.unsynced.increment(),
        }
    }

    /// A checkpoint was made.
    pub(super) fn checkpointed(&self, begun: Instant) {
        self.checkpoint_time.time_alone(begun.elapsed());
    }
}
