//! The journal: the service's only write-ahead log.
//!
//! Requests append to the pending commit group under a briefly held lock. The commit thread takes
//! the whole group, writes and syncs it as one, appends to the logs, wakes the waiters, notifies
//! the observer and takes the next group. There is no timer: a group contains whatever arrived
//! while the previous one was being synced.
//!
//! Failures: a failed write (disk full) fails the group and everything pending, which was built on
//! it. The offsets are used again, since nobody has seen them, and a new `generation` makes the
//! sessions reload. The group is erased from the journal before its tickets fail, so that it cannot
//! reappear. A failed sync is final: what is on disk is then unknown, and nothing is acknowledged
//! until a restart has recovered.

mod pending;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::error::CommitError;
use super::ticket::CommitTicket;

use pending::FIRST_CHECKPOINT;
pub use pending::PendingGroup;
pub(super) use pending::Spare;

/// The most bytes that may wait for a commit.
const MAX_PENDING: usize = 64 << 20;

/// While this guard exists, no group is taken to be committed.
#[must_use]
#[derive(Debug)]
pub struct Together<'j>(&'j Journal);

impl Drop for Together<'_> {
    fn drop(&mut self) {
        let mut pending = self.0.pending.lock();
        pending.held -= 1;
        let free = pending.held == 0;
        drop(pending);
        if free {
            self.0.work.notify_one();
            self.0.done.notify_all();
        }
    }
}

const OPEN: u8 = 0;
const FAILED: u8 = 1;
const DRAINING: u8 = 2;

/// The journal as used by requests.
#[derive(Debug)]
pub struct Journal {
    pending: Mutex<PendingGroup>,
    work: Condvar,
    done: Condvar,
    durable: AtomicU64,
    generation: AtomicU64,
    /// The number of the newest checkpoint begun, as in `pending`.
    checkpoint: AtomicU64,
    status: AtomicU8,
    /// Bytes committed since the service started.
    committed_bytes: AtomicU64,
}

impl Journal {
    /// Creates a journal whose next event gets this offset.
    pub fn new(next_offset: u64) -> Self {
        Self {
            pending: Mutex::new(PendingGroup::new(next_offset)),
            work: Condvar::new(),
            done: Condvar::new(),
            durable: AtomicU64::new(next_offset - 1),
            generation: AtomicU64::new(1),
            checkpoint: AtomicU64::new(FIRST_CHECKPOINT),
            status: AtomicU8::new(OPEN),
            committed_bytes: AtomicU64::new(0),
        }
    }

    /// Returns the offset of the newest durable event.
    pub fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// Returns the generation, which changes whenever a commit fails: views of an older generation
    /// may include events that were not stored.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Returns the number of the newest checkpoint begun. Read without the lock: where it matters,
    /// check it again with [`PendingGroup::checkpoint`].
    pub fn checkpoint(&self) -> u64 {
        self.checkpoint.load(Ordering::Acquire)
    }

    /// Returns whether a sync has failed.
    pub fn has_failed(&self) -> bool {
        self.status.load(Ordering::Acquire) == FAILED
    }

    /// Returns the offset of the newest appended event, which may not be durable yet.
    pub fn newest(&self) -> u64 {
        self.pending.lock().next_offset - 1
    }

    /// Returns how many bytes were committed since the start.
    pub fn committed_bytes(&self) -> u64 {
        self.committed_bytes.load(Ordering::Relaxed)
    }

    /// Runs `fill` to append to the pending group, for a view of this generation.
    pub fn append<R>(
        &self,
        generation: u64,
        fill: impl FnOnce(&mut PendingGroup) -> R,
    ) -> Result<(CommitTicket, R), CommitError> {
        let mut pending = self.pending.lock();
        if generation != self.generation() {
            return Err(CommitError::Superseded);
        }
        // Appends under a `Together` guard were admitted when the guard was taken.
        if pending.held == 0 {
            self.admit(&pending)?;
        }
        if pending.entries == 0 {
            pending.opened = Some(Instant::now());
        }
        let result = fill(&mut pending);
        let ticket = CommitTicket::new(Arc::clone(&pending.group));
        let first = pending.entries == 1;
        drop(pending);
        if first {
            self.work.notify_one();
        }
        Ok((ticket, result))
    }

    /// Yields the journal's lock to waiting threads: a caller that appends repeatedly would
    /// otherwise take it before them each time.
    pub fn give_way(&self) {
        MutexGuard::unlock_fair(self.pending.lock());
    }

    /// Refuses an append if the journal is closed or full.
    fn admit(&self, pending: &PendingGroup) -> Result<(), CommitError> {
        match self.status.load(Ordering::Acquire) {
            OPEN if pending.buffer.len() <= MAX_PENDING => Ok(()),
            OPEN => Err(CommitError::WriteFailed),
            DRAINING => Err(CommitError::Draining),
            _ => Err(CommitError::Failed),
        }
    }

    /// Makes everything appended while the returned guard exists one commit: all of it becomes
    /// durable, or nothing.
    ///
    /// Hold the guard for a few appends only, since the commit thread waits for it.
    pub fn together(&self) -> Result<Together<'_>, CommitError> {
        let mut pending = self.pending.lock();
        self.admit(&pending)?;
        pending.held += 1;
        Ok(Together(self))
    }

    /// Returns how many events, and how many bytes, wait for the next commit.
    pub fn waiting(&self) -> (usize, usize) {
        let pending = self.pending.lock();
        let bytes = if pending.entries == 0 {
            0
        } else {
            pending.buffer.len()
        };
        (pending.events.len(), bytes)
    }

    /// Returns a ticket for the commit of this offset; `None` if it is durable.
    pub fn ticket_of(&self, offset: u64) -> Option<CommitTicket> {
        let pending = self.pending.lock();
        if offset <= self.durable() {
            return None;
        }
        // The result is checked only once: a group may finish at any moment, and an empty group is
        // never committed.
        let in_flight = pending
            .in_flight
            .as_ref()
            .filter(|group| group.result().is_none());
        let group = if pending.entries == 0 {
            in_flight?
        } else {
            match in_flight {
                Some(in_flight) if offset < pending.first_offset => in_flight,
                _ => &pending.group,
            }
        };
        Some(CommitTicket::new(Arc::clone(group)))
    }

    /// Ensures that no later event gets an offset up to this one: a session copied from another
    /// directory may already contain it.
    pub fn pass_over(&self, offset: u64) {
        let mut pending = self.pending.lock();
        if offset >= pending.next_offset {
            pending.next_offset = offset + 1;
            if pending.is_idle() {
                self.durable.store(offset, Ordering::Release);
                pending.first_offset = offset + 1;
            }
        }
    }

    /// Begins a checkpoint: every event below the returned offset must be made durable in the
    /// session files.
    pub fn begin_checkpoint(&self) -> u64 {
        let mut pending = self.pending.lock();
        pending.checkpoint += 1;
        self.checkpoint.store(pending.checkpoint, Ordering::Release);
        pending.next_offset
    }

    /// Blocks until the event of this offset is durable; returns false if its commit failed, or any
    /// commit since this generation.
    pub fn wait_durable(&self, offset: u64, generation: u64) -> bool {
        let mut pending = self.pending.lock();
        while self.durable() < offset && self.generation() == generation && !pending.is_idle() {
            self.done.wait(&mut pending);
        }
        self.generation() == generation && self.durable() >= offset
    }

    /// Refuses new appends; the commit thread ends once the accepted ones are done.
    pub fn drain(&self) {
        let mut pending = self.pending.lock();
        while pending.held > 0 {
            self.done.wait(&mut pending);
        }
        if !self.has_failed() {
            self.status.store(DRAINING, Ordering::Release);
        }
        pending.stopping = true;
        self.work.notify_one();
    }

    /// Returns the commit thread's next group; `None` at the end.
    pub(super) fn next_group(&self, spare: Spare) -> Option<PendingGroup> {
        let mut pending = self.pending.lock();
        while pending.entries == 0 || pending.held > 0 {
            if pending.stopping && pending.held == 0 {
                return None;
            }
            self.work.wait(&mut pending);
        }
        Some(pending.take(spare))
    }

    /// Marks a group as durable; its logs are written.
    pub(super) fn succeed(&self, group: &PendingGroup) {
        self.durable.store(group.next_offset - 1, Ordering::Release);
        self.committed_bytes
            .fetch_add(group.buffer.len() as u64, Ordering::Relaxed);
        group.group.finish(Ok(()));
        self.notify_done();
    }

    /// Fails a group and everything that was appended after it.
    pub(super) fn fail(&self, group: &PendingGroup, error: CommitError) {
        let mut pending = self.pending.lock();
        self.generation.fetch_add(1, Ordering::AcqRel);
        if error == CommitError::Failed {
            self.status.store(FAILED, Ordering::Release);
        }
        let built_on_it = pending.take(Spare::default());
        pending.first_offset = group.first_offset;
        pending.next_offset = group.first_offset;
        MutexGuard::unlocked(&mut pending, || {
            group.group.finish(Err(error));
            built_on_it.group.finish(Err(error));
        });
        drop(pending);
        self.notify_done();
    }

    /// Stops all writes after a failed sync outside of a commit.
    pub(super) fn poison(&self) {
        let _pending = self.pending.lock();
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.status.store(FAILED, Ordering::Release);
        self.done.notify_all();
    }

    fn notify_done(&self) {
        // Taking the lock orders this after a waiter's check of the conditions above.
        drop(self.pending.lock());
        self.done.notify_all();
    }
}
