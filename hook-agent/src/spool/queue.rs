//! The shared side of the spool: appending from any thread, making room, and reporting losses.
//!
//! One lock, held briefly, guards the tail; a call does one `write(2)` under it. The delivery
//! thread takes the lock only to learn how far it may read, so it never makes a call wait for the
//! disk or the network.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::age::Age;
use super::loss::{Losses, Reason};
use super::progress::{Position, Progress, StateFile, now_millis};
use super::record::{Record, record_start, session, time};
use super::storage::SpoolStorage;
use super::tail::{Counters, Limits, Meta, Tail};
use crate::Error;
use crate::config::FullPolicy;
use crate::offload::Offload;
use crate::sync::Mutex;

/// A record waits for its session for the age limit divided by this: about five minutes of seven
/// days.
const SESSION_WAIT: u32 = 2000;

/// The records of one folder, or of memory.
#[derive(Debug)]
pub(crate) struct Spool {
    pub(crate) storage: SpoolStorage,
    /// The folder that keeps rejected and lost records.
    pub(crate) kept: SpoolStorage,
    pub(crate) producer: String,
    pub(crate) counters: Counters,
    pub(super) limits: Limits,
    pub(super) tail: Mutex<Tail>,
    age: Age,
    opened: Instant,
}

impl Spool {
    /// Opens the folder's records, cuts off a torn tail, and reads the delivery position.
    pub(super) fn with_progress(
        storage: SpoolStorage,
        producer: String,
        limits: Limits,
    ) -> io::Result<(Self, StateFile, Progress)> {
        let (state_file, progress) = StateFile::open(&storage)?;
        let (tail, pending) = Tail::open(&storage, &progress)?;
        let damaged = AtomicU64::new(tail.losses.records());
        let counters = Counters {
            pending: AtomicU64::new(pending),
            damaged,
            ..Counters::default()
        };
        let age = Age {
            most: limits.max_age,
            first: tail.next,
        };
        let spool = Self {
            kept: storage.clone(),
            storage,
            producer,
            counters,
            limits,
            tail: Mutex::new(tail),
            age,
            opened: Instant::now(),
        };
        // Report what was cut off at once: the opener may append.
        spool.report_losses();
        Ok((spool, state_file, progress))
    }

    /// Appends one framed record. Once this returns, the end of the process does not lose the
    /// record.
    pub(crate) fn append(&self, frame: &[u8]) -> Result<u64, Error> {
        let mut tail = self.tail.lock();
        self.append_to(&mut tail, frame).inspect_err(|error| {
            self.refuse(&mut tail, frame);
            // Report the first refusal at once: a short process may end right after this. A
            // long-lived process reports later refusals together.
            if matches!(error, Error::SpoolFull { .. })
                && !std::mem::replace(&mut tail.refusal_reported, true)
            {
                self.report_refusals(&mut tail);
            }
        })
    }

    /// Like [`append`](Self::append), for a caller that has another way to the service: a refused
    /// record is not a loss yet.
    pub(crate) fn try_append(&self, frame: &[u8]) -> Result<u64, Error> {
        let mut tail = self.tail.lock();
        self.append_to(&mut tail, frame)
    }

    /// Reports these records as lost: they were refused, and there was no other way to the service.
    pub(crate) fn lose_all(&self, frames: &[Vec<u8>]) {
        let mut tail = self.tail.lock();
        frames
            .iter()
            .for_each(|frame| self.refuse(&mut tail, frame));
        self.report_refusals(&mut tail);
    }

    fn refuse(&self, tail: &mut Tail, frame: &[u8]) {
        self.counters.refused.fetch_add(1, Ordering::Relaxed);
        tail.losses
            .add(session(frame), Reason::Refused, 1, time(frame));
    }

    /// Appends copies of records that are also in another spool, with one write, all or none. A
    /// failure loses no record.
    pub(crate) fn append_copies(&self, frames: &[&[u8]]) -> io::Result<()> {
        let count = frames.len() as u64;
        self.tail
            .lock()
            .append(&self.storage, &self.limits, &frames.concat(), count)?;
        self.counters.pending.fetch_add(count, Ordering::SeqCst);
        Ok(())
    }

    /// Appends the record. If it does not fit, it is recorded without its long values, before other
    /// records are dropped for it.
    fn append_to(&self, tail: &mut Tail, frame: &[u8]) -> Result<u64, Error> {
        let fits = tail.bytes + frame.len() as u64 <= self.limits.max_bytes;
        let error = if fits {
            match self.append_whole(tail, frame) {
                Ok(record) => return Ok(record),
                Err(error) => error,
            }
        } else {
            self.full()
        };
        match self.shortened(frame) {
            Some(short) => {
                let record = self.append_whole(tail, &short.frame)?;
                self.note_shortened(&short.values, &error.to_string());
                Ok(record)
            }
            None if fits => Err(error),
            None => self.append_whole(tail, frame),
        }
    }

    fn full(&self) -> Error {
        Error::SpoolFull {
            path: self.path(),
            limit: self.limits.max_bytes,
        }
    }

    fn append_whole(&self, tail: &mut Tail, frame: &[u8]) -> Result<u64, Error> {
        self.drop_oldest(tail, frame.len() as u64)?;
        self.append_with_losses(tail, frame)
            .map_err(|source| Error::SpoolWrite {
                path: self.storage.path().to_owned(),
                source,
            })?;
        self.counters.accepted.fetch_add(1, Ordering::Relaxed);
        // Sequentially consistent: the delivery thread checks this once more before it goes to
        // sleep.
        self.counters.pending.fetch_add(1, Ordering::SeqCst);
        Ok(tail.next - 1)
    }

    /// Reports losses at once, up to an eighth beyond the limit: this room serves short processes
    /// that follow one another. Losses beyond that are only in `lost/`.
    fn report_refusals(&self, tail: &mut Tail) {
        if self.can_report(tail) {
            self.write_losses(tail);
        } else {
            self.note(&std::mem::take(&mut tail.losses));
        }
    }

    pub(super) fn can_report(&self, tail: &Tail) -> bool {
        tail.bytes < self.limits.max_bytes + self.limits.max_bytes / 8
    }

    /// Drops the oldest segments, except the first: delivery may be working on it.
    fn drop_oldest(&self, tail: &mut Tail, more: u64) -> Result<(), Error> {
        if more > self.limits.max_bytes {
            return Err(self.full());
        }
        while tail.bytes + more > self.limits.max_bytes {
            let oldest = 1 + usize::from(
                tail.segments
                    .get(1)
                    .is_some_and(|second| second.reports.is_some()),
            );
            if self.limits.policy == FullPolicy::RejectNew || tail.segments.len() < oldest + 2 {
                return Err(self.full());
            }
            self.drop_segment(tail, oldest);
        }
        Ok(())
    }

    /// Replaces a segment by the `gap` records that report its loss, merged with those that
    /// replaced earlier segments.
    fn drop_segment(&self, tail: &mut Tail, index: usize) {
        let Some(gone) = tail.segments.remove(index) else {
            return;
        };
        let bytes = gone
            .segment
            .read(0, gone.length as usize)
            .unwrap_or_default();
        let (dropped, reported_before) = Losses::of_dropped(&bytes);
        self.counters
            .dropped
            .fetch_add(dropped.records(), Ordering::Relaxed);
        self.forget(dropped.records() + reported_before.gaps());
        self.note(&dropped);
        tail.bytes -= gone.length;
        let before = if index > 1 {
            tail.segments.remove(1)
        } else {
            None
        };
        let mut reported = before
            .as_ref()
            .and_then(|before| before.reports.clone())
            .unwrap_or_default();
        let first = before.as_ref().map_or(gone.first, |before| before.first);
        if let Some(before) = before {
            tail.bytes -= before.length;
            self.forget(reported.gaps());
        }
        reported.merge(reported_before);
        reported.merge(dropped);
        self.replace_segment(tail, first, reported);
        if first != gone.first {
            // A file that can't be removed is found again by the next opening, and delivered.
            let _ = self.storage.remove(gone.first);
        }
    }

    /// Without disk space for the replacement, the loss is reported behind the pending records.
    fn replace_segment(&self, tail: &mut Tail, first: u64, reported: Losses) {
        let bytes = reported.frames().concat();
        let Ok(segment) = self.storage.replace(first, &bytes) else {
            let _ = self.storage.remove(first);
            return tail.losses.merge(reported);
        };
        let length = bytes.len() as u64;
        tail.bytes += length;
        self.counters
            .pending
            .fetch_add(reported.gaps(), Ordering::SeqCst);
        tail.segments.insert(
            1,
            Meta {
                first,
                length,
                segment,
                reports: Some(reported),
            },
        );
    }

    /// Returns the number of the next record.
    pub(crate) fn next(&self) -> u64 {
        self.tail.lock().next
    }

    /// Returns the bytes in the segments.
    pub(crate) fn bytes(&self) -> u64 {
        self.tail.lock().bytes
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.storage.path().to_owned()
    }

    /// Returns whether the record has been here for longer than the limit.
    pub(crate) fn is_too_old(&self, record: &Record) -> bool {
        self.age
            .is_past(record, now_millis(), self.opened.elapsed())
    }

    /// Returns whether more records may be held apart: they may take another half of the spool's
    /// limit.
    pub(crate) fn can_hold(&self, held: u64) -> bool {
        held < self.limits.max_bytes / 2
    }

    /// Returns which values of a record become blobs.
    pub(crate) fn offload(&self) -> Offload {
        self.limits.offload
    }

    /// Returns how long a record waits for its session to be created.
    pub(crate) fn session_wait(&self) -> Duration {
        self.limits.max_age / SESSION_WAIT
    }

    /// Returns how many records are left to deliver.
    pub(crate) fn pending(&self) -> u64 {
        self.counters.pending.load(Ordering::SeqCst)
    }

    /// Subtracts settled records, delivered or not, from the pending count.
    pub(crate) fn forget(&self, records: u64) {
        let less = |pending: u64| Some(pending.saturating_sub(records));
        let _ = self
            .counters
            .pending
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// Returns the segment that contains `at`, and the number of the first record after it.
    /// Segments before it are removed. On a full disk the last segment is removed too once it is
    /// settled: nothing else might ever make room.
    pub(super) fn locate(&self, at: &mut Position) -> Option<(Meta, u64)> {
        let mut tail = self.tail.lock();
        while tail.segments.len() > usize::from(!tail.starved) && tail.is_past_first(at) {
            let Some(done) = tail.segments.pop_front() else {
                break;
            };
            tail.bytes -= done.length;
            let _ = self.storage.remove(done.first);
            tail.starved &= !tail.segments.is_empty();
        }
        let first = tail.segments.front()?.clone();
        if first.first > at.segment || at.segment == 0 && at.record < first.first {
            *at = Position {
                segment: first.first,
                offset: 0,
                record: first.first,
            };
        }
        let end = tail
            .segments
            .get(1)
            .map_or(tail.next, |following| following.first);
        (at.offset < first.length).then_some((first, end))
    }

    /// Cuts off the records from this number on, which do not belong to the folder.
    pub(crate) fn cut(&self, from: u64) -> io::Result<()> {
        let mut tail = self.tail.lock();
        while tail.next > from {
            let next = tail.next;
            let Some(last) = tail.segments.back_mut() else {
                break;
            };
            let whole = last.segment.read(0, last.length as usize)?;
            let kept = record_start(&whole, from.saturating_sub(last.first));
            last.segment.truncate(kept as u64)?;
            let first = last.first;
            let cut = last.length - kept as u64;
            last.length = kept as u64;
            tail.bytes -= cut;
            tail.next = first.max(from);
            self.forget(next - tail.next);
            if first > from {
                tail.segments.pop_back();
                self.storage.remove(first)?;
            }
        }
        Ok(())
    }

    /// Stops appending to this segment: something in it cannot be read.
    pub(super) fn seal(&self, segment: u64) {
        let mut tail = self.tail.lock();
        if tail
            .segments
            .back()
            .is_some_and(|last| last.first == segment)
        {
            tail.sealed = true;
        }
    }

    /// Counts lost records; [`report_losses`](Self::report_losses) reports them later.
    pub(crate) fn lose(&self, session: &[u8], reason: Reason, count: u64, time: Option<u64>) {
        self.tail.lock().losses.add(session, reason, count, time);
    }

    /// Appends a `gap` for each loss not reported yet, beyond the spool's limit if necessary.
    /// Returns whether it appended one. A `gap` that does not fit on a full disk is reported later.
    pub(crate) fn report_losses(&self) -> bool {
        let mut tail = self.tail.lock();
        self.write_losses(&mut tail)
    }

    /// Like [`report_losses`](Self::report_losses), for periodic calls, which must not grow a spool
    /// that stays full.
    pub(crate) fn report_losses_within_limit(&self) {
        let mut tail = self.tail.lock();
        if self.can_report(&tail) {
            self.write_losses(&mut tail);
        }
    }

    pub(super) fn write_losses(&self, tail: &mut Tail) -> bool {
        let mut written = false;
        for one in std::mem::take(&mut tail.losses).each() {
            let frames = one.frames();
            if frames
                .iter()
                .all(|frame| tail.append(&self.storage, &self.limits, frame, 1).is_ok())
            {
                self.counters
                    .pending
                    .fetch_add(frames.len() as u64, Ordering::SeqCst);
                tail.reported_below = tail.next;
                self.note(&one);
                written = true;
            } else {
                tail.losses.merge(one);
            }
        }
        written
    }

    /// Appends a record behind the `gap` records of the losses before it, all or nothing: a full
    /// disk may have room for one `gap` after another, but never for a record.
    pub(super) fn append_with_losses(&self, tail: &mut Tail, frame: &[u8]) -> io::Result<()> {
        if tail.losses.is_empty() {
            return tail.append(&self.storage, &self.limits, frame, 1);
        }
        let mut frames = tail.losses.frames();
        let gaps = frames.len() as u64;
        frames.push(frame.to_vec());
        tail.append(&self.storage, &self.limits, &frames.concat(), gaps + 1)?;
        self.counters.pending.fetch_add(gaps, Ordering::SeqCst);
        tail.reported_below = tail.next - 1;
        let reported = std::mem::take(&mut tail.losses);
        self.note(&reported);
        Ok(())
    }

    /// Writes the losses to `lost/events.jsonl`. If that fails, `status` lacks a line, but the
    /// `gap` still reports the loss.
    pub(super) fn note(&self, losses: &Losses) {
        let _ = losses.keep(&self.kept);
    }

    /// Takes the losses not reported yet, for a caller that may not append.
    pub(crate) fn take_losses(&self) -> Losses {
        std::mem::take(&mut self.tail.lock().losses)
    }

    /// Adds losses that another opening of this folder found.
    pub(crate) fn add_losses(&self, losses: Losses) {
        self.tail.lock().losses.merge(losses);
    }

    /// Returns whether all losses so far are reported in records below this one.
    pub(crate) fn are_losses_reported(&self, cursor: u64) -> bool {
        let tail = self.tail.lock();
        tail.losses.is_empty() && cursor >= tail.reported_below
    }
}
