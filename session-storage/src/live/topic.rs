//! In-memory events of one filter: a bounded ring, plus backlog pages that slow subscribers share.
//!
//! Invariants:
//! - Every matching event with an offset above `floor` and up to the hub's head is in the ring, in
//!   order. A cursor at or above the floor can be served from the ring alone; a cursor below it
//!   must catch up from disk.
//! - The ring is bounded by bytes, by count and by age. Dropping a block raises the floor. No event
//!   is lost, because everything at or below the floor is durable and readable through `History`.
//! - A topic never waits for its slowest subscriber. It tracks its subscribers' cursors only for
//!   the metrics.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::chunk::Chunk;
use super::figures::Lag;
use super::history::Filter;
use super::past::Past;

/// Limits of one ring.
#[derive(Clone, Copy, Debug)]
pub struct RingLimits {
    /// Maximum bytes, frames and marks together.
    pub bytes: usize,
    /// Maximum number of events.
    pub events: usize,
    /// Maximum age of a block.
    pub age: Duration,
}

/// Result of asking a topic for the events after a cursor.
#[derive(Debug)]
pub enum Taken {
    /// Events after the cursor.
    Chunk(Chunk),
    /// No events: everything published so far has been taken.
    Nothing,
    /// The cursor is below the ring's floor.
    Behind,
}

/// The shared stream of one filter.
#[derive(Debug)]
pub struct Topic {
    /// Number of the topic in the hub.
    pub id: u64,
    /// Filter that decides which events the topic holds.
    pub filter: Filter,
    /// Backlog pages read from disk for subscribers that fell behind.
    pub past: Past,
    ring: Mutex<Ring>,
    standing: Mutex<HashMap<usize, Arc<AtomicU64>>>,
}

#[derive(Debug)]
struct Ring {
    chunks: VecDeque<(Instant, Chunk)>,
    bytes: usize,
    events: usize,
    floor: u64,
}

impl Topic {
    /// Creates an empty topic that is complete for offsets above `floor`.
    pub fn new(id: u64, filter: Filter, floor: u64) -> Self {
        let ring = Ring { chunks: VecDeque::new(), bytes: 0, events: 0, floor };
        Self { id, filter, past: Past::default(), ring: Mutex::new(ring), standing: Mutex::default() }
    }

    /// Registers a subscriber by the shared cell to which the subscriber writes its cursor.
    pub fn enter(&self, cursor: &Arc<AtomicU64>) {
        self.standing.lock().insert(Arc::as_ptr(cursor) as usize, Arc::clone(cursor));
    }

    /// Unregisters a subscriber.
    pub fn leave(&self, cursor: &Arc<AtomicU64>) {
        self.standing.lock().remove(&(Arc::as_ptr(cursor) as usize));
    }

    /// Returns how far behind the topic's subscribers are.
    pub fn lag(&self) -> Lag {
        let ring = self.ring.lock();
        let (floor, last) = (ring.floor, ring.chunks.back().map_or(ring.floor, |(_, chunk)| chunk.last()));
        drop(ring);
        let mut lag = Lag::default();
        for cursor in self.standing.lock().values() {
            let cursor = cursor.load(Ordering::Relaxed);
            lag.lagging += usize::from(cursor < floor);
            lag.furthest = lag.furthest.max(last.saturating_sub(cursor));
        }
        lag
    }

    /// Returns the first block that has events after the cursor.
    pub fn take(&self, cursor: u64) -> Taken {
        let ring = self.ring.lock();
        if cursor < ring.floor {
            return Taken::Behind;
        }
        let next = ring.chunks.partition_point(|(_, chunk)| chunk.last() <= cursor);
        ring.chunks.get(next).map_or(Taken::Nothing, |(_, chunk)| Taken::Chunk(chunk.clone()))
    }

    /// Appends a published chunk and drops the oldest chunks until the ring is within its limits.
    pub fn push(&self, chunk: Chunk, now: Instant, limits: RingLimits) {
        let mut ring = self.ring.lock();
        ring.bytes += chunk.weight();
        ring.events += chunk.len();
        ring.chunks.push_back((now, chunk));
        while ring.bytes > limits.bytes || ring.events > limits.events {
            ring.drop_oldest();
        }
        drop(ring);
    }

    /// Drops blocks and pages older than the age limit. An empty ring keeps no memory.
    pub fn trim(&self, now: Instant, age: Duration) {
        let old = |at: Instant| now.saturating_duration_since(at) > age;
        let mut ring = self.ring.lock();
        while ring.chunks.front().is_some_and(|(at, _)| old(*at)) {
            ring.drop_oldest();
        }
        if ring.chunks.is_empty() {
            ring.chunks = VecDeque::new();
        }
        drop(ring);
        self.past.trim(old);
    }
}

impl Ring {
    fn drop_oldest(&mut self) {
        if let Some((_, chunk)) = self.chunks.pop_front() {
            self.bytes -= chunk.weight();
            self.events -= chunk.len();
            self.floor = self.floor.max(chunk.last());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::chunk::ChunkBuilder;

    const LIMITS: RingLimits = RingLimits { bytes: 1 << 20, events: 4, age: Duration::from_secs(10) };

    fn push(topic: &Topic, offsets: &[u64], limits: RingLimits) {
        let mut chunk = ChunkBuilder::default();
        for offset in offsets {
            chunk.push(*offset, b"{}");
        }
        topic.push(chunk.finish(), Instant::now(), limits);
    }

    fn taken(topic: &Topic, cursor: u64) -> Option<u64> {
        match topic.take(cursor) {
            Taken::Chunk(chunk) => Some(chunk.last()),
            Taken::Nothing => Some(cursor),
            Taken::Behind => None,
        }
    }

    #[test]
    fn a_cursor_walks_chunk_by_chunk_and_skips_what_it_has() {
        let topic = Topic::new(0, Filter::default(), 5);
        push(&topic, &[4, 6, 7], LIMITS);
        push(&topic, &[9], LIMITS);
        assert_eq!([4, 5, 6, 7, 9].map(|c| taken(&topic, c)), [None, Some(7), Some(7), Some(9), Some(9)]);
    }

    #[test]
    fn what_no_longer_fits_raises_the_floor() {
        let topic = Topic::new(0, Filter::default(), 0);
        push(&topic, &[1, 2], LIMITS);
        push(&topic, &[3, 4, 5], LIMITS);
        assert_eq!((taken(&topic, 1), taken(&topic, 2)), (None, Some(5)));
        push(&topic, &[6], RingLimits { bytes: 1, ..LIMITS });
        assert_eq!(
            (taken(&topic, 5), taken(&topic, 6)),
            (None, Some(6)),
            "too big for the ring: disk has it"
        );
    }

    #[test]
    fn who_left_the_ring_is_lagging_and_the_furthest_is_told() {
        let topic = Topic::new(0, Filter::default(), 5);
        let at = |offset| Arc::new(AtomicU64::new(offset));
        let (slow, quick) = (at(2), at(7));
        topic.enter(&slow);
        topic.enter(&quick);
        push(&topic, &[6, 9], LIMITS);
        assert_eq!(topic.lag(), Lag { lagging: 1, furthest: 7 });
        topic.leave(&slow);
        assert_eq!(topic.lag(), Lag { lagging: 0, furthest: 2 });
        quick.store(9, Ordering::Relaxed);
        assert_eq!(topic.lag(), Lag::default());
    }

    #[test]
    fn age_empties_an_idle_ring() {
        let topic = Topic::new(0, Filter::default(), 0);
        push(&topic, &[1], LIMITS);
        topic.trim(Instant::now(), LIMITS.age);
        assert_eq!(taken(&topic, 0), Some(1));
        topic.trim(Instant::now() + LIMITS.age * 2, LIMITS.age);
        assert_eq!((taken(&topic, 0), taken(&topic, 1)), (None, Some(1)));
    }
}
