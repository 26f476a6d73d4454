//! The shared side of the spool: appending from any thread, the limits, and the list of segments.
//!
//! One lock, held briefly, guards the tail; a call does one `write(2)` under it. The delivery
//! thread takes the lock only to learn how far it may read, so it never makes a call wait for the
//! disk or the network.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Head;
use super::age::Age;
use super::count::{count_records, if_there, nearest_session, record_start};
use super::loss::{Losses, Reason};
use super::place::{Place, Segment};
use super::progress::{Ledger, Position, Progress, now_millis};
use super::record::{Record, is_torn, session, time};
use crate::config::FullPolicy;
use crate::sync::Mutex;
use crate::{Config, Error};

/// A record waits for its session for the age limit divided by this: about five minutes of seven
/// days.
const SESSION_WAIT: u32 = 2000;

/// How much the spool may hold, for how long, and what is dropped when it is full.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub max_bytes: u64,
    pub segment_bytes: u64,
    pub max_age: Duration,
    pub policy: FullPolicy,
}

impl Limits {
    pub(crate) fn of(config: &Config, in_memory: bool) -> Self {
        let max_bytes = if in_memory { config.spool_max_bytes / 16 } else { config.spool_max_bytes };
        Self {
            max_bytes,
            segment_bytes: (max_bytes / 16).clamp(4096, 1024 * 1024),
            max_age: config.spool_max_age,
            policy: config.spool_full,
        }
    }
}

/// Counts since this process opened the spool.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub accepted: AtomicU64,
    /// Values of accepted records that were written in another form.
    pub coerced: AtomicU64,
    pub delivered: AtomicU64,
    pub rejected: AtomicU64,
    pub dropped: AtomicU64,
    pub expired: AtomicU64,
    pub damaged: AtomicU64,
    pub refused: AtomicU64,
    /// Records in the spool that are not settled.
    pub pending: AtomicU64,
}

impl Counters {
    /// Returns how many records never reached the service.
    pub(crate) fn lost(&self) -> u64 {
        let ways = [&self.dropped, &self.expired, &self.damaged, &self.refused];
        ways.into_iter().map(|counter| counter.load(Ordering::Relaxed)).sum()
    }
}

/// The records of one folder, or of memory.
#[derive(Debug)]
pub(crate) struct Spool {
    pub(crate) place: Place,
    /// The folder that keeps rejected and lost records.
    pub(crate) kept: Place,
    pub(crate) producer: String,
    pub(crate) counters: Counters,
    pub(super) limits: Limits,
    pub(super) tail: Mutex<Tail>,
    age: Age,
    opened: Instant,
}

#[derive(Debug)]
pub(super) struct Tail {
    segments: VecDeque<Meta>,
    /// The number of the next record.
    next: u64,
    bytes: u64,
    /// The last segment takes no more records.
    sealed: bool,
    /// The last write failed for lack of space.
    starved: bool,
    /// Lost records that no `gap` reports yet.
    pub(super) losses: Losses,
    /// The last appended `gap` is below this number.
    pub(super) told: u64,
    /// The first refusal since the opening was reported.
    refusal_told: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Meta {
    pub first: u64,
    pub length: u64,
    pub segment: Arc<Segment>,
    /// The losses that this segment reports, if it replaces dropped segments.
    tells: Option<Losses>,
}

impl Spool {
    /// Opens the folder's records, cuts off a torn tail, and reads the delivery position.
    pub(crate) fn open(place: Place, producer: String, limits: Limits) -> io::Result<(Self, Head)> {
        let (ledger, progress) = Ledger::open(&place)?;
        let (tail, pending) = Tail::open(&place, &progress)?;
        let damaged = AtomicU64::new(tail.losses.records());
        let counters = Counters { pending: AtomicU64::new(pending), damaged, ..Counters::default() };
        let age = Age { most: limits.max_age, first: tail.next };
        let (tail, opened) = (Mutex::new(tail), Instant::now());
        let spool = Self { kept: place.clone(), place, producer, counters, limits, tail, age, opened };
        // Report what was cut off at once: the opener may append.
        spool.tell_losses();
        Ok((spool, Head::new(ledger, progress)))
    }

    /// Opens a spool in memory only.
    pub(crate) fn in_memory(producer: String, limits: Limits) -> io::Result<(Self, Head)> {
        Self::open(Place::Memory, producer, limits)
    }

    /// Appends one framed record. Once this returns, the end of the process does not lose the
    /// record.
    pub(crate) fn append(&self, frame: &[u8]) -> Result<u64, Error> {
        let mut tail = self.tail.lock();
        self.append_to(&mut tail, frame).inspect_err(|error| {
            self.refuse(&mut tail, frame);
            // Report the first refusal at once: a short process may end right after this. A
            // long-lived process reports later refusals together.
            if matches!(error, Error::SpoolFull { .. }) && !std::mem::replace(&mut tail.refusal_told, true) {
                self.tell_refusals(&mut tail);
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
        frames.iter().for_each(|frame| self.refuse(&mut tail, frame));
        self.tell_refusals(&mut tail);
    }

    fn refuse(&self, tail: &mut Tail, frame: &[u8]) {
        self.counters.refused.fetch_add(1, Ordering::Relaxed);
        tail.losses.add(session(frame), Reason::Refused, 1, time(frame));
    }

    /// Appends copies of records that are also in another spool, with one write, all or none. A
    /// failure loses no record.
    pub(crate) fn append_copies(&self, frames: &[&[u8]]) -> io::Result<()> {
        let count = frames.len() as u64;
        self.tail.lock().append(&self.place, &self.limits, &frames.concat(), count)?;
        self.counters.pending.fetch_add(count, Ordering::SeqCst);
        Ok(())
    }

    fn append_to(&self, tail: &mut Tail, frame: &[u8]) -> Result<u64, Error> {
        self.make_room(tail, frame.len() as u64)?;
        self.append_with_losses(tail, frame)
            .map_err(|source| Error::SpoolWrite { path: self.place.path().to_owned(), source })?;
        self.counters.accepted.fetch_add(1, Ordering::Relaxed);
        // Sequentially consistent: the delivery thread checks this once more before it goes to
        // sleep.
        self.counters.pending.fetch_add(1, Ordering::SeqCst);
        Ok(tail.next - 1)
    }

    /// Reports losses at once, up to an eighth beyond the limit: this room serves short processes
    /// that follow one another. Losses beyond that are only in `lost/`.
    fn tell_refusals(&self, tail: &mut Tail) {
        if self.has_room_to_tell(tail) {
            self.write_losses(tail);
        } else {
            self.note(&std::mem::take(&mut tail.losses));
        }
    }

    pub(super) fn has_room_to_tell(&self, tail: &Tail) -> bool {
        tail.bytes < self.limits.max_bytes + self.limits.max_bytes / 8
    }

    /// Drops the oldest segments, except the first: delivery may be working on it.
    fn make_room(&self, tail: &mut Tail, more: u64) -> Result<(), Error> {
        while tail.bytes + more > self.limits.max_bytes {
            let oldest = 1 + usize::from(tail.segments.get(1).is_some_and(|second| second.tells.is_some()));
            if self.limits.policy == FullPolicy::RejectNew || tail.segments.len() < oldest + 2 {
                return Err(Error::SpoolFull { path: self.path(), limit: self.limits.max_bytes });
            }
            self.drop_segment(tail, oldest);
        }
        Ok(())
    }

    /// Replaces a segment by the `gap` records that report its loss, merged with those that
    /// replaced earlier segments.
    fn drop_segment(&self, tail: &mut Tail, index: usize) {
        let Some(gone) = tail.segments.remove(index) else { return };
        let bytes = gone.segment.read(0, gone.length as usize).unwrap_or_default();
        let (dropped, told_before) = Losses::of_dropped(&bytes);
        self.counters.dropped.fetch_add(dropped.records(), Ordering::Relaxed);
        self.forget(dropped.records() + told_before.gaps());
        self.note(&dropped);
        tail.bytes -= gone.length;
        let before = if index > 1 { tail.segments.remove(1) } else { None };
        let mut told = before.as_ref().and_then(|before| before.tells.clone()).unwrap_or_default();
        let first = before.as_ref().map_or(gone.first, |before| before.first);
        if let Some(before) = before {
            tail.bytes -= before.length;
            self.forget(told.gaps());
        }
        told.merge(told_before);
        told.merge(dropped);
        self.replace_segment(tail, first, told);
        if first != gone.first {
            // A file that can't be removed is found again by the next opening, and delivered.
            let _ = self.place.remove(gone.first);
        }
    }

    /// Without disk space for the replacement, the loss is reported behind the pending records.
    fn replace_segment(&self, tail: &mut Tail, first: u64, told: Losses) {
        let bytes = told.frames().concat();
        let Ok(segment) = self.place.replace(first, &bytes) else {
            let _ = self.place.remove(first);
            return tail.losses.merge(told);
        };
        let length = bytes.len() as u64;
        tail.bytes += length;
        self.counters.pending.fetch_add(told.gaps(), Ordering::SeqCst);
        tail.segments.insert(1, Meta { first, length, segment, tells: Some(told) });
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
        self.place.path().to_owned()
    }

    /// Returns whether the record has been here for longer than the limit.
    pub(crate) fn is_too_old(&self, record: &Record) -> bool {
        self.age.is_past(record, now_millis(), self.opened.elapsed())
    }

    /// Returns whether more records may be held apart: they may take another half of the spool's
    /// limit.
    pub(crate) fn has_room_to_hold(&self, held: u64) -> bool {
        held < self.limits.max_bytes / 2
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
        let _ = self.counters.pending.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// Returns the segment that contains `at`, and the number of the first record after it.
    /// Segments before it are removed. On a full disk the last segment is removed too once it is
    /// settled: nothing else might ever make room.
    pub(super) fn locate(&self, at: &mut Position) -> Option<(Meta, u64)> {
        let mut tail = self.tail.lock();
        while tail.segments.len() > usize::from(!tail.starved) && tail.is_past_first(at) {
            let Some(done) = tail.segments.pop_front() else { break };
            tail.bytes -= done.length;
            let _ = self.place.remove(done.first);
            tail.starved &= !tail.segments.is_empty();
        }
        let first = tail.segments.front()?.clone();
        if first.first > at.segment || at.segment == 0 && at.record < first.first {
            *at = Position { segment: first.first, offset: 0, record: first.first };
        }
        let end = tail.segments.get(1).map_or(tail.next, |following| following.first);
        (at.offset < first.length).then_some((first, end))
    }

    /// Cuts off the records from this number on, which do not belong to the folder.
    pub(crate) fn cut(&self, from: u64) -> io::Result<()> {
        let mut tail = self.tail.lock();
        while tail.next > from {
            let next = tail.next;
            let Some(last) = tail.segments.back_mut() else { break };
            let whole = last.segment.read(0, last.length as usize)?;
            let kept = record_start(&whole, from.saturating_sub(last.first));
            last.segment.truncate(kept as u64)?;
            let (first, cut) = (last.first, last.length - kept as u64);
            last.length = kept as u64;
            tail.bytes -= cut;
            tail.next = first.max(from);
            self.forget(next - tail.next);
            if first > from {
                tail.segments.pop_back();
                self.place.remove(first)?;
            }
        }
        Ok(())
    }

    /// Stops appending to this segment: something in it cannot be read.
    pub(super) fn seal(&self, segment: u64) {
        let mut tail = self.tail.lock();
        if tail.segments.back().is_some_and(|last| last.first == segment) {
            tail.sealed = true;
        }
    }
}

impl Tail {
    fn open(place: &Place, progress: &Progress) -> io::Result<(Self, u64)> {
        let mut tail = Self {
            segments: VecDeque::new(),
            next: progress.cursor.record,
            bytes: 0,
            sealed: false,
            starved: false,
            losses: Losses::default(),
            told: 0,
            refusal_told: false,
        };
        let cursor = progress.cursor;
        for first in place.list()? {
            if first < cursor.segment {
                if_there(place.remove(first))?;
                continue;
            }
            let Some(segment) = if_there(place.open(first))? else { continue };
            let length = segment.length()?;
            tail.segments.push_back(Meta { first, length, segment, tells: None });
            tail.bytes += length;
        }
        let mut pending = 0;
        for index in 0..tail.segments.len() {
            pending += tail.measure(index, &cursor)?;
        }
        Ok((tail, pending))
    }

    /// Returns how many records of one segment are not settled. The last segment is counted by
    /// reading, and its torn tail is cut off. The first two are counted by reading too, because
    /// segments behind them may have been dropped.
    fn measure(&mut self, index: usize, cursor: &Position) -> io::Result<u64> {
        let last = index + 1 == self.segments.len();
        let meta = &mut self.segments[index];
        let (offset, record) =
            if meta.first == cursor.segment { (cursor.offset, cursor.record) } else { (0, meta.first) };
        if !last && index > 1 {
            return Ok(self.segments[index + 1].first - record);
        }
        let bytes = meta.segment.read(offset, meta.length as usize)?;
        let (count, end) = count_records(&bytes);
        if last {
            let whole = offset.min(meta.length) + end as u64;
            if whole < meta.length {
                meta.segment.truncate(whole)?;
                if !is_torn(&bytes[end..]) {
                    let session = nearest_session(&bytes, end);
                    self.losses.add(session, Reason::Damaged, 1, None);
                }
                self.bytes -= meta.length - whole;
                meta.length = whole;
            }
            self.next = record + count;
        }
        Ok(count)
    }

    /// Appends `count` framed records with one write.
    pub(super) fn append(
        &mut self,
        place: &Place,
        limits: &Limits,
        frames: &[u8],
        count: u64,
    ) -> io::Result<()> {
        let full = self.segments.back().is_none_or(|last| last.length >= limits.segment_bytes);
        if full || self.sealed {
            let segment = place.create(self.next).inspect_err(|_| self.starved = true)?;
            self.segments.push_back(Meta { first: self.next, length: 0, segment, tells: None });
            self.sealed = false;
        }
        let Some(last) = self.segments.back_mut() else { return Ok(()) };
        if let Err(error) = last.segment.append(frames, last.length) {
            self.sealed = last.segment.length().ok() != Some(last.length) && last.length > 0;
            self.starved = true;
            return Err(error);
        }
        self.starved = false;
        last.length += frames.len() as u64;
        self.bytes += frames.len() as u64;
        self.next += count;
        Ok(())
    }

    pub(super) fn next(&self) -> u64 {
        self.next
    }

    fn is_past_first(&self, at: &Position) -> bool {
        let first = &self.segments[0];
        first.first < at.segment || first.first == at.segment && at.offset >= first.length
    }
}
