//! Brings the records of a session's logs into one order whose times do not decrease.
//!
//! Records arrive in the order in which they were stored. Their times are those of the sources'
//! clocks, so a late lane or an importer may bring an earlier time. A bounded heap of records
//! releases the earliest one, which sorts whatever is out of order by less than its bounds. A
//! record that comes later than that keeps its place and gets the time of the record before it; its
//! own time is kept. One record with a time in the future stays in the heap until the end, so that
//! it does not move the times of all that follow.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use session_model::timestamp::Timestamp;

/// The most records that the heap holds.
const MAX_RECORDS: usize = 1_024;
/// The most bytes of records that the heap holds.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// A record in its place, with the time that it has there.
#[derive(Clone, PartialEq, Debug)]
pub struct Timed<T> {
    /// The record.
    pub record: T,
    /// The time that does not decrease.
    pub at: Timestamp,
}

/// Sorts a stream of records by time.
#[derive(Debug)]
pub struct Timeline<T> {
    heap: BinaryHeap<Reverse<Entry<T>>>,
    bytes: usize,
    pushed: u64,
    last: Option<Timestamp>,
}

#[derive(Debug)]
struct Entry<T> {
    time: Timestamp,
    /// The place in the order of storing, which decides between equal times.
    place: u64,
    bytes: usize,
    record: T,
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.time, self.place).cmp(&(other.time, other.place))
    }
}

impl<T> Default for Timeline<T> {
    fn default() -> Self {
        Self {
            heap: BinaryHeap::new(),
            bytes: 0,
            pushed: 0,
            last: None,
        }
    }
}

impl<T> Timeline<T> {
    /// Adds the next record and the size of its line. Call [`Timeline::ready`] until it returns
    /// `None`.
    pub fn push(&mut self, time: Timestamp, bytes: usize, record: T) {
        self.bytes += bytes;
        let place = self.pushed;
        self.pushed += 1;
        self.heap.push(Reverse(Entry {
            time,
            place,
            bytes,
            record,
        }));
    }

    /// The next record of the order, once the heap is full.
    pub fn ready(&mut self) -> Option<Timed<T>> {
        let is_full =
            self.heap.len() > MAX_RECORDS || (self.bytes > MAX_BYTES && self.heap.len() > 1);
        if is_full { self.pop() } else { None }
    }

    /// The next record of the order, after the last one was added.
    pub fn pop(&mut self) -> Option<Timed<T>> {
        let Reverse(entry) = self.heap.pop()?;
        self.bytes -= entry.bytes;
        let at = self.last.map_or(entry.time, |last| last.max(entry.time));
        self.last = Some(at);
        Some(Timed {
            record: entry.record,
            at,
        })
    }
}
