//! The commit thread: writes and syncs each group, appends to the logs, and notifies.
//!
//! It commits one group after the other, in this order: check free space → one write to the segment
//! → one sync (with `always`) → the sessions' logs → the index → `durable` advances and the tickets
//! are resolved → the observer is notified. A crash before the sync ends leaves a torn tail that
//! nobody was notified of; after a later crash, recovery completes the logs.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use super::disk::{Disk, is_full, reserve};
use super::error::CommitError;
use super::index::Index;
use super::journal::{Journal, PendingGroup, Spare};
use super::log_writer::{LogWriter, PendingEvent};
use super::metrics::StoreMetrics;
use super::segment::{END, write_group_header};
use super::segments::{Segments, Tail};
use super::store::SyncPolicy;

/// An observer that the commit thread notifies of every durable event, in order. It must not block.
pub trait Observer: Send + Sync + 'static {
    /// Events became durable; their lines are in `buffer`.
    fn committed(&self, events: &[PendingEvent], buffer: &[u8]);
}

/// An observer that ignores commits, for a directory that is only copied or changed by a command.
pub(super) struct Unwatched;

impl Observer for Unwatched {
    fn committed(&self, _: &[PendingEvent], _: &[u8]) {}
}

/// The state of the commit thread.
pub(crate) struct Committer {
    pub(super) journal: Arc<Journal>,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) policy: SyncPolicy,
    pub(super) root: File,
    pub(super) segments: Arc<Segments>,
    /// The segment being written; `None` before the first commit if the disk was full at the
    /// start.
    pub(super) tail: Option<Tail>,
    pub(super) logs: LogWriter,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) index: Arc<Index>,
    pub(super) metrics: Arc<StoreMetrics>,
}

enum Failure {
    Full,
    Write(io::Error),
    Sync(io::Error),
}

impl Committer {
    /// Commits groups until the journal is drained.
    pub(crate) fn run(mut self) {
        let mut spare = Spare::default();
        while let Some(mut group) = self.journal.next_group(spare) {
            let begun = Instant::now();
            match self.commit(&mut group) {
                Ok(()) => {
                    for (session, row) in group.rows.drain(..) {
                        self.index.follow(&session, row);
                    }
                    self.journal.succeed(&group);
                    self.metrics.committed(&group, begun);
                    self.observer.committed(&group.events, &group.buffer);
                }
                Err(failure) => self.give_up(&group, &failure),
            }
            spare = Spare::of(group);
        }
        if let Some(Err(error)) = self.tail.map(|tail| tail.seal()) {
            tracing::warn!(%error, "the last segment keeps what was allocated for it");
        }
    }

    fn commit(&mut self, group: &mut PendingGroup) -> Result<(), Failure> {
        if self.journal.has_failed() {
            return Err(Failure::Sync(io::Error::other("an earlier sync failed")));
        }
        self.check_free_space(group.buffer.len() as u64)?;
        let len = group.buffer.len() as u64;
        let tail = match self.tail.take() {
            Some(tail) if tail.is_full(group.first_offset, len + END.len() as u64) => {
                // The full segment keeps its allocated size so that it can be recycled. With
                // `always` all of it is synced.
                let synced = self.disk.sync_data(&tail.file).map_err(Failure::Sync);
                let next = synced.and_then(|()| {
                    Tail::begin(&self.segments, group.first_offset).map_err(write_failure)
                });
                match next {
                    Ok(next) => next,
                    Err(failure) => {
                        self.tail = Some(tail);
                        return Err(failure);
                    }
                }
            }
            Some(tail) => tail,
            None => Tail::begin(&self.segments, group.first_offset).map_err(write_failure)?,
        };
        let tail = self.tail.insert(tail);
        write_group_header(
            &mut group.buffer,
            tail.segment,
            group.first_offset,
            group.entries,
        );
        group.buffer.extend_from_slice(&END);
        self.disk
            .write_at(&tail.file, &group.buffer, tail.at)
            .map_err(write_failure)?;
        if self.policy == SyncPolicy::Always {
            let begun = Instant::now();
            self.disk.sync_data(&tail.file).map_err(Failure::Sync)?;
            self.metrics.sync_time.time_alone(begun.elapsed());
        }
        self.logs
            .write(self.disk.as_ref(), &group.events, &group.buffer)
            .map_err(write_failure)?;
        self.segments
            .note(tail.segment, group.first_offset, tail.at);
        tail.at += len;
        Ok(())
    }

    /// Refuses a group before anything is half-written: logs, snapshots and the next segment need
    /// space too.
    fn check_free_space(&self, len: u64) -> Result<(), Failure> {
        let (free, size) = self.disk.free_space(&self.root).map_err(Failure::Write)?;
        if free < reserve(size) + 2 * len {
            Err(Failure::Full)
        } else {
            Ok(())
        }
    }

    fn give_up(&mut self, group: &PendingGroup, failure: &Failure) {
        let error = match failure {
            Failure::Full => CommitError::Full,
            Failure::Write(_) => CommitError::WriteFailed,
            Failure::Sync(_) => CommitError::Failed,
        };
        let error = match failure {
            Failure::Sync(source) => {
                tracing::error!(error = %source, "a sync failed: nothing is acknowledged until a restart has recovered");
                error
            }
            Failure::Full => {
                tracing::warn!("the disk is full: writes are refused until there is room");
                self.erase().map_or(CommitError::Failed, |()| error)
            }
            Failure::Write(source) => {
                tracing::error!(error = %source, "a commit could not be written");
                self.erase().map_or(CommitError::Failed, |()| error)
            }
        };
        self.metrics.failed(error);
        self.journal.fail(group, error);
    }

    /// Removes a partly written group from the logs and the journal.
    fn erase(&mut self) -> io::Result<()> {
        let sync = self.policy == SyncPolicy::Always;
        let erased = self.logs.undo().and_then(|()| match &self.tail {
            Some(tail) => tail.erase(self.disk.as_ref(), sync),
            None => Ok(()),
        });
        if let Err(error) = &erased {
            tracing::error!(%error, "a failed commit could not be undone: a restart has to recover");
        }
        erased
    }
}

fn write_failure(error: io::Error) -> Failure {
    if is_full(&error) {
        Failure::Full
    } else {
        Failure::Write(error)
    }
}
