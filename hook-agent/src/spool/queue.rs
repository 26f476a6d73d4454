//! The shared side of the spool: appending from any thread, bounds, and which segments there are.
//!
//! One short lock guards the tail; under it a call does one `write(2)`. The delivery thread takes it only to learn
//! how far it may read, so it never makes a call wait for the disk or the network.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Head;
use super::age::Age;
use super::place::{Place, Segment};
use super::progress::{Ledger, Position, Progress, now_millis};
use super::record::{MAX_HEAD_BYTES, Record, behind_damage, decode, frame_length, session};
use crate::config::FullPolicy;
use crate::sync::Mutex;
use crate::{Config, Error};

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

/// One folder's records, or memory's.
#[derive(Debug)]
pub(crate) struct Spool {
    pub(crate) place: Place,
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
}

#[derive(Debug, Clone)]
pub(super) struct Meta {
    pub first: u64,
    pub length: u64,
    pub segment: Arc<Segment>,
}

impl Spool {
    /// Opens what the folder holds, cuts a torn tail off, and finds how far delivery was.
    pub(crate) fn open(place: Place, producer: String, limits: Limits) -> io::Result<(Self, Head)> {
        let (ledger, progress) = Ledger::open(&place)?;
        let (tail, pending) = Tail::open(&place, &progress)?;
        let counters = Counters { pending: AtomicU64::new(pending), ..Counters::default() };
        let age = Age { most: limits.max_age, first: tail.next };
        let (tail, opened) = (Mutex::new(tail), Instant::now());
        let spool = Self { place, producer, counters, limits, tail, age, opened };
        Ok((spool, Head::new(ledger, progress)))
    }

    /// Memory alone.
    pub(crate) fn in_memory(producer: String, limits: Limits) -> io::Result<(Self, Head)> {
        Self::open(Place::Memory, producer, limits)
    }

    /// Appends one framed record; once this returns, the end of the process does not lose it.
    pub(crate) fn append(&self, frame: &[u8]) -> Result<u64, Error> {
        let mut tail = self.tail.lock();
        self.make_room(&mut tail, frame.len() as u64)?;
        tail.append(&self.place, &self.limits, frame).map_err(|source| {
            self.counters.refused.fetch_add(1, Ordering::Relaxed);
            Error::SpoolWrite { path: self.place.path().to_owned(), source }
        })?;
        self.counters.accepted.fetch_add(1, Ordering::Relaxed);
        // Sequentially consistent: the delivery thread looks at this once more before it goes to sleep.
        self.counters.pending.fetch_add(1, Ordering::SeqCst);
        Ok(tail.next - 1)
    }

    /// Lets the oldest segments go, except the first: delivery may be working on it.
    fn make_room(&self, tail: &mut Tail, more: u64) -> Result<(), Error> {
        while tail.bytes + more > self.limits.max_bytes {
            if self.limits.policy == FullPolicy::RejectNew || tail.segments.len() < 3 {
                self.counters.refused.fetch_add(1, Ordering::Relaxed);
                return Err(Error::SpoolFull { path: self.path(), limit: self.limits.max_bytes });
            }
            let count = tail.segments[2].first - tail.segments[1].first;
            let Some(gone) = tail.segments.remove(1) else { break };
            tail.bytes -= gone.length;
            self.counters.dropped.fetch_add(count, Ordering::Relaxed);
            self.counters.pending.fetch_sub(count, Ordering::Relaxed);
            // A file that can't be removed is met again, and delivered, by the next opening.
            let _ = self.place.remove(gone.first);
        }
        Ok(())
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
        };
        let cursor = progress.cursor;
        for first in place.list()? {
            if first < cursor.segment {
                if_there(place.remove(first))?;
                continue;
            }
            let Some(segment) = if_there(place.open(first))? else { continue };
            let length = segment.length()?;
            tail.segments.push_back(Meta { first, length, segment });
            tail.bytes += length;
        }
        let mut pending = 0;
        for index in 0..tail.segments.len() {
            pending += tail.measure(index, &cursor)?;
        }
        Ok((tail, pending))
    }

    /// Records of one segment that are not settled. The last one's are counted by reading, and its torn tail cut off;
    /// so are the first one's, behind which segments may have been dropped.
    fn measure(&mut self, index: usize, cursor: &Position) -> io::Result<u64> {
        let last = index + 1 == self.segments.len();
        let meta = &mut self.segments[index];
        let (offset, record) =
            if meta.first == cursor.segment { (cursor.offset, cursor.record) } else { (0, meta.first) };
        if !last && index > 0 {
            return Ok(self.segments[index + 1].first - record);
        }
        let (count, end) = count_records(&meta.segment.read(offset, meta.length as usize)?);
        if last {
            let whole = offset.min(meta.length) + end as u64;
            if whole < meta.length {
                meta.segment.truncate(whole)?;
                self.bytes -= meta.length - whole;
                meta.length = whole;
            }
            self.next = record + count;
        }
        Ok(count)
    }

    fn append(&mut self, place: &Place, limits: &Limits, frame: &[u8]) -> io::Result<()> {
        let full = self.segments.back().is_none_or(|last| last.length >= limits.segment_bytes);
        if full || self.sealed {
            let segment = place.create(self.next).inspect_err(|_| self.starved = true)?;
            self.segments.push_back(Meta { first: self.next, length: 0, segment });
            self.sealed = false;
        }
        let Some(last) = self.segments.back_mut() else { return Ok(()) };
        if let Err(error) = last.segment.append(frame, last.length) {
            self.sealed = last.segment.length().ok() != Some(last.length) && last.length > 0;
            self.starved = true;
            return Err(error);
        }
        self.starved = false;
        last.length += frame.len() as u64;
        self.bytes += frame.len() as u64;
        self.next += 1;
        Ok(())
    }

    fn is_past_first(&self, at: &Position) -> bool {
        let first = &self.segments[0];
        first.first < at.segment || first.first == at.segment && at.offset >= first.length
    }
}

/// In a shared folder another process may have delivered and removed the segment meanwhile.
fn if_there<T>(done: io::Result<T>) -> io::Result<Option<T>> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// How many records the bytes start with, damaged ones among them included, and where they end.
fn count_records(bytes: &[u8]) -> (u64, usize) {
    let (mut count, mut at) = (0, 0);
    while let Some(next) = decode(bytes, at, 0).map(|(_, next)| next).or_else(|| behind_damage(bytes, at)) {
        count += 1;
        at = next;
    }
    (count, at)
}

/// How many records a folder is to deliver, damaged ones among them included.
pub(super) fn count_waiting(folder: &Path) -> io::Result<u64> {
    let place = Place::Disk(folder.to_owned());
    let cursor = Ledger::look(&place)?.cursor;
    let mut waiting = 0;
    for first in place.list()?.into_iter().filter(|first| *first >= cursor.segment) {
        let offset = if first == cursor.segment { cursor.offset } else { 0 };
        let Some(segment) = if_there(place.open(first))? else { continue };
        let length = segment.length()?;
        waiting += count_records(&segment.read(offset, length.saturating_sub(offset) as usize)?).0;
    }
    Ok(waiting)
}

/// The session of the first record that a folder is to deliver, if there is one; for a folder that nobody has open, and
/// without opening it whole. A damaged record may name any.
pub(super) fn waiting(folder: &Path) -> io::Result<Option<Vec<u8>>> {
    let place = Place::Disk(folder.to_owned());
    let cursor = Ledger::look(&place)?.cursor;
    for first in place.list()? {
        let offset = if first == cursor.segment { cursor.offset } else { 0 };
        let Some(segment) = if_there(place.open(first))? else { continue };
        let head = segment.read(offset, MAX_HEAD_BYTES)?;
        if first >= cursor.segment && frame_length(&head, 0).is_some() {
            return Ok(Some(session(&head).to_vec()));
        }
    }
    Ok(None)
}
