//! The one commit log of the service.
//!
//! Requests append to the pending group under a short lock; the commit thread takes the whole group, writes and
//! syncs it as one, lets the logs follow, tells the waiting and the watching, and takes the next. No timer: a
//! group is as large as what arrived while the one before it was being synced.
//!
//! Failures. A write that fails (disk full) fails the group and everything pending, which was built on it; the
//! offsets are used again, since nobody has seen them, and `generation` tells the sessions to reload. The group
//! is erased from the journal before its tickets fail, so that it cannot come back. A sync that fails is final:
//! what the disk holds is then unknown, and nothing is acknowledged until a restart has recovered.

mod pending;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::error::CommitError;
use super::ticket::Ticket;

use pending::FIRST_CHECKPOINT;
pub use pending::Pending;
pub(super) use pending::Spare;

/// The most bytes that may wait for a commit.
const MAX_PENDING: usize = 64 << 20;

/// While this is there no group is taken away to be committed.
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

/// The journal as requests see it.
#[derive(Debug)]
pub struct Journal {
    pending: Mutex<Pending>,
    work: Condvar,
    done: Condvar,
    durable: AtomicU64,
    generation: AtomicU64,
    /// Which checkpoint is the newest begun, as in `pending`.
    checkpoint: AtomicU64,
    status: AtomicU8,
    /// Bytes committed since the service started.
    committed_bytes: AtomicU64,
}

impl Journal {
    /// A journal whose next event gets this offset.
    pub fn new(next_offset: u64) -> Self {
        Self {
            pending: Mutex::new(Pending::new(next_offset)),
            work: Condvar::new(),
            done: Condvar::new(),
            durable: AtomicU64::new(next_offset - 1),
            generation: AtomicU64::new(1),
            checkpoint: AtomicU64::new(FIRST_CHECKPOINT),
            status: AtomicU8::new(OPEN),
            committed_bytes: AtomicU64::new(0),
        }
    }

    /// The offset of the newest durable event.
    pub fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// Changes whenever a commit failed: views of an older generation may hold what did not happen.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Which checkpoint is the newest begun. To be asked again where it counts: see [`Pending::checkpoint`].
    pub fn checkpoint(&self) -> u64 {
        self.checkpoint.load(Ordering::Acquire)
    }

    /// Whether a sync has failed.
    pub fn has_failed(&self) -> bool {
        self.status.load(Ordering::Acquire) == FAILED
    }

    /// The offset of the newest event appended, which may not be durable yet.
    pub fn newest(&self) -> u64 {
        self.pending.lock().next_offset - 1
    }

    /// How many bytes were committed since the start.
    pub fn committed_bytes(&self) -> u64 {
        self.committed_bytes.load(Ordering::Relaxed)
    }

    /// Lets `fill` append to the pending group, for a view of this generation.
    pub fn append<R>(
        &self,
        generation: u64,
        fill: impl FnOnce(&mut Pending) -> R,
    ) -> Result<(Ticket, R), CommitError> {
        let mut pending = self.pending.lock();
        if generation != self.generation() {
            return Err(CommitError::Superseded);
        }
        // What belongs together was let in as a whole.
        if pending.held == 0 {
            self.admit(&pending)?;
        }
        if pending.entries == 0 {
            pending.opened = Some(Instant::now());
        }
        let result = fill(&mut pending);
        let ticket = Ticket::new(Arc::clone(&pending.group));
        let first = pending.entries == 1;
        drop(pending);
        if first {
            self.work.notify_one();
        }
        Ok((ticket, result))
    }

    /// Lets those who wait for the journal have it: a caller that appends again and again would take it from them each
    /// time.
    pub fn give_way(&self) {
        MutexGuard::unlock_fair(self.pending.lock());
    }

    /// Refuses what finds the journal closed or full.
    fn admit(&self, pending: &Pending) -> Result<(), CommitError> {
        match self.status.load(Ordering::Acquire) {
            OPEN if pending.buffer.len() <= MAX_PENDING => Ok(()),
            OPEN => Err(CommitError::WriteFailed),
            DRAINING => Err(CommitError::Draining),
            _ => Err(CommitError::Failed),
        }
    }

    /// Lets what is appended until the answer is dropped be one commit: all of it becomes durable, or nothing. To be
    /// held for a few appends and no longer, since the commit thread waits.
    pub fn together(&self) -> Result<Together<'_>, CommitError> {
        let mut pending = self.pending.lock();
        self.admit(&pending)?;
        pending.held += 1;
        Ok(Together(self))
    }

    /// How many events wait for the next commit, and how many bytes.
    pub fn waiting(&self) -> (usize, usize) {
        let pending = self.pending.lock();
        let bytes = if pending.entries == 0 { 0 } else { pending.buffer.len() };
        (pending.events.len(), bytes)
    }

    /// A ticket for the commit of this offset; `None` if it is durable.
    pub fn ticket_of(&self, offset: u64) -> Option<Ticket> {
        let pending = self.pending.lock();
        if offset <= self.durable() {
            return None;
        }
        // Asked once: a group may be done at any moment, and an empty one is never committed.
        let in_flight = pending.in_flight.as_ref().filter(|group| group.result().is_none());
        let group = if pending.entries == 0 {
            in_flight?
        } else {
            in_flight.filter(|_| offset < pending.first_offset).unwrap_or(&pending.group)
        };
        Some(Ticket::new(Arc::clone(group)))
    }

    /// Lets no event have an offset up to this one, which a session that was put here from elsewhere has seen.
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

    /// Begins a checkpoint: every event below the answered offset is to be made durable in the session files.
    pub fn begin_checkpoint(&self) -> u64 {
        let mut pending = self.pending.lock();
        pending.checkpoint += 1;
        self.checkpoint.store(pending.checkpoint, Ordering::Release);
        pending.next_offset
    }

    /// Blocks until the event of this offset is durable; false if its commit failed, or one since this generation.
    pub fn wait_durable(&self, offset: u64, generation: u64) -> bool {
        let mut pending = self.pending.lock();
        while self.durable() < offset && self.generation() == generation && !pending.is_idle() {
            self.done.wait(&mut pending);
        }
        self.generation() == generation && self.durable() >= offset
    }

    /// Refuses what comes from now on; the commit thread ends when the rest is done.
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

    /// The commit thread's next group; `None` at the end.
    pub(super) fn next_group(&self, spare: Spare) -> Option<Pending> {
        let mut pending = self.pending.lock();
        while pending.entries == 0 || pending.held > 0 {
            if pending.stopping && pending.held == 0 {
                return None;
            }
            self.work.wait(&mut pending);
        }
        Some(pending.take(spare))
    }

    /// The group is durable and its logs are written.
    pub(super) fn succeed(&self, group: &Pending) {
        self.durable.store(group.next_offset - 1, Ordering::Release);
        self.committed_bytes.fetch_add(group.buffer.len() as u64, Ordering::Relaxed);
        group.group.finish(Ok(()));
        self.notify_done();
    }

    /// The group did not happen, nor did anything that was appended after it.
    pub(super) fn fail(&self, group: &Pending, error: CommitError) {
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

    /// A sync outside of a commit has failed.
    pub(super) fn poison(&self) {
        let _pending = self.pending.lock();
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.status.store(FAILED, Ordering::Release);
        self.done.notify_all();
    }

    fn notify_done(&self) {
        // The lock orders this after a waiter's check of the conditions above.
        drop(self.pending.lock());
        self.done.notify_all();
    }
}
