//! The shared side of the spool: appending from any thread, bounds, and which segments there are.
//!
//! One short lock guards the tail; under it a call does one `write(2)`. The delivery thread takes it only to learn
//! how far it may read, so it never makes a call wait for the disk or the network.

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

/// Records wait for their session for this part of the time that they are kept for: with seven days for five minutes.
const SESSION_WAIT: u32 = 2000;

/// How much the spool may hold, for how long, and what gives way.
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

/// What went through, since this process opened the spool.
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
    /// Records that never got to the service.
    pub(crate) fn lost(&self) -> u64 {
        let ways = [&self.dropped, &self.expired, &self.damaged, &self.refused];
        ways.into_iter().map(|counter| counter.load(Ordering::Relaxed)).sum()
    }
}

/// One folder's records, or memory's.
#[derive(Debug)]
pub(crate) struct Spool {
    pub(crate) place: Place,
    /// The folder that keeps what is rejected or lost.
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
    /// The last write found no room.
    starved: bool,
    /// Lost records that no `gap` tells yet.
    pub(super) losses: Losses,
    /// The last `gap` that was appended is below this number.
    pub(super) told: u64,
    /// What this opening refused first is told.
    refusal_told: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Meta {
    pub first: u64,
    pub length: u64,
    pub segment: Arc<Segment>,
    /// It stands for dropped segments, and tells what was in them.
    tells: Option<Losses>,
}

impl Spool {
    /// Opens what the folder holds, cuts a torn tail off, and finds how far delivery was.
    pub(crate) fn open(place: Place, producer: String, limits: Limits) -> io::Result<(Self, Head)> {
        let (ledger, progress) = Ledger::open(&place)?;
        let (tail, pending) = Tail::open(&place, &progress)?;
        let damaged = AtomicU64::new(tail.losses.records());
        let counters = Counters { pending: AtomicU64::new(pending), damaged, ..Counters::default() };
        let age = Age { most: limits.max_age, first: tail.next };
        let (tail, opened) = (Mutex::new(tail), Instant::now());
        let spool = Self { kept: place.clone(), place, producer, counters, limits, tail, age, opened };
        // What was cut off is told at once: an opening may append.
        spool.tell_losses();
        Ok((spool, Head::new(ledger, progress)))
    }

    /// Memory alone.
    pub(crate) fn in_memory(producer: String, limits: Limits) -> io::Result<(Self, Head)> {
        Self::open(Place::Memory, producer, limits)
    }

    /// Appends one framed record; once this returns, the end of the process does not lose it.
    pub(crate) fn append(&self, frame: &[u8]) -> Result<u64, Error> {
        let mut tail = self.tail.lock();
        self.append_to(&mut tail, frame).inspect_err(|error| {
            self.refuse(&mut tail, frame);
            // A short process may end right behind this; those of a long one are told together.
            if matches!(error, Error::SpoolFull { .. }) && !std::mem::replace(&mut tail.refusal_told, true) {
                self.tell_refusals(&mut tail);
            }
        })
    }

    /// The same for a caller who has another way to the service: what is not taken is no loss yet.
    pub(crate) fn try_append(&self, frame: &[u8]) -> Result<u64, Error> {
        let mut tail = self.tail.lock();
        self.append_to(&mut tail, frame)
    }

    /// Tells that these records are lost: they were not taken, and no other way was open.
    pub(crate) fn lose_all(&self, frames: &[Vec<u8>]) {
        let mut tail = self.tail.lock();
        frames.iter().for_each(|frame| self.refuse(&mut tail, frame));
        self.tell_refusals(&mut tail);
    }

    fn refuse(&self, tail: &mut Tail, frame: &[u8]) {
        self.counters.refused.fetch_add(1, Ordering::Relaxed);
        tail.losses.add(session(frame), Reason::Refused, 1, time(frame));
    }

    /// Appends records that stand in another spool, too, with one write: all of them or none. None is lost if that fails.
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
        // Sequentially consistent: the delivery thread looks at this once more before it goes to sleep.
        self.counters.pending.fetch_add(1, Ordering::SeqCst);
        Ok(tail.next - 1)
    }

    /// Tells losses at once, beyond the bound: an eighth of it is for short processes that come one after the other. What is
    /// lost beyond that is in `lost/` alone.
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

    /// Lets the oldest segments go, except the first: delivery may be working on it.
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

    /// Puts what tells of its records into the place of a segment, together with what stands there for those before it.
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
            // A file that can't be removed is met again, and delivered, by the next opening.
            let _ = self.place.remove(gone.first);
        }
    }

    /// Without room for it on the disk, the loss is told behind what waits.
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

    /// The number that the next record will have.
    pub(crate) fn next(&self) -> u64 {
        self.tail.lock().next
    }

    /// Bytes in the segments.
    pub(crate) fn bytes(&self) -> u64 {
        self.tail.lock().bytes
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.place.path().to_owned()
    }

    /// Whether it has been here for longer than the limit.
    pub(crate) fn is_too_old(&self, record: &Record) -> bool {
        self.age.is_past(record, now_millis(), self.opened.elapsed())
    }

    /// Whether more records may be put aside: they may take as much again as half of what the spool may hold.
    pub(crate) fn has_room_to_hold(&self, held: u64) -> bool {
        held < self.limits.max_bytes / 2
    }

    /// How long a record waits for its session to be created.
    pub(crate) fn session_wait(&self) -> Duration {
        self.limits.max_age / SESSION_WAIT
    }

    /// Whether anything is left to deliver.
    pub(crate) fn pending(&self) -> u64 {
        self.counters.pending.load(Ordering::SeqCst)
    }

    /// So many records are settled, one way or another.
    pub(crate) fn forget(&self, records: u64) {
        let less = |pending: u64| Some(pending.saturating_sub(records));
        let _ = self.counters.pending.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// The segment that `at` is in, how far it may be read, and whether another follows. Segments before it go, and
    /// on a full disk the last one too once it is settled: nothing else might ever make room.
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

    /// Cuts the records from this number on off, which are not the folder's.
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

    /// No more records go to this segment: something in it cannot be read.
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

    /// Records of one segment that are not settled. The last one's are counted by reading, and its torn tail cut off;
    /// so are those of the first two, behind which segments may have been dropped.
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

    /// Appends so many framed records with one write.
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
