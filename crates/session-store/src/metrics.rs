//! The store's metrics, updated by the commit thread once per commit and by the maintenance thread
//! once per checkpoint.

use std::time::Instant;

use super::error::CommitError;
use super::journal::PendingGroup;
use session_model::instrument::{BYTES, COUNTS, Counter, Histogram, SECONDS};

/// The metrics of one store.
#[derive(Debug)]
pub struct StoreMetrics {
    /// Events per commit.
    pub group_events: Histogram,
    /// Bytes that each commit wrote to the journal.
    pub group_bytes: Histogram,
    /// Duration of each commit: journal, sync and logs.
    pub commit_time: Histogram,
    /// Duration of each commit's sync.
    pub sync_time: Histogram,
    /// Time from appending the first change of a commit until its commit is done.
    pub wait_time: Histogram,
    /// Bytes appended to the sessions' logs.
    pub log_bytes: Counter,
    /// Bytes written to the journal.
    pub journal_bytes: Counter,
    /// Commits that failed because the disk was full.
    pub full: Counter,
    /// Commits that could not be written for another reason.
    pub unwritten: Counter,
    /// Commits that could not be synced, and those refused afterwards.
    pub unsynced: Counter,
    /// Duration of checkpoints.
    pub checkpoint_time: Histogram,
}

impl Default for StoreMetrics {
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

impl StoreMetrics {
    /// Counts a committed group, which the commit thread took at `begun`.
    pub(super) fn committed(&self, group: &PendingGroup, begun: Instant) {
        let now = Instant::now();
        let bytes = group.buffer.len() as u64;
        self.group_events.observe_alone(group.events.len() as u64);
        self.group_bytes.observe_alone(bytes);
        self.journal_bytes.add_alone(bytes);
        self.log_bytes.add_alone(
            group
                .events
                .iter()
                .map(|event| event.line.len() as u64)
                .sum(),
        );
        self.commit_time
            .time_alone(now.saturating_duration_since(begun));
        if let Some(opened) = group.opened {
            self.wait_time
                .time_alone(now.saturating_duration_since(opened));
        }
    }

    /// Counts a failed group.
    pub(super) fn failed(&self, error: CommitError) {
        match error {
            CommitError::Full => self.full.increment(),
            CommitError::WriteFailed | CommitError::Superseded | CommitError::Draining => {
                self.unwritten.increment();
            }
            CommitError::Failed => self.unsynced.increment(),
        }
    }

    /// Counts a checkpoint.
    pub(super) fn checkpointed(&self, begun: Instant) {
        self.checkpoint_time.time_alone(begun.elapsed());
    }
}
