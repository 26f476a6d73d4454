//! In-memory events of one filter: a bounded ring, plus backlog pages that slow subscribers share.
//!
//! Invariants:
//! - Every matching event with an offset above `complete_after` and up to the hub's head is in the ring, in
//!   order. A cursor at or above the complete_after can be served from the ring alone; a cursor below it
//!   must catch up from disk.
//! - The ring is bounded by bytes, by count and by age. Dropping a batch raises the complete_after. No event
//!   is lost, because everything at or below the complete_after is durable and readable through the backlog.
//! - A topic never waits for its slowest subscriber. It tracks its subscribers' cursors only for
//!   the metrics.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::backlog::PageCache;
use super::event_batch::EventBatch;
use super::filter::Filter;

/// Limits of one ring.
#[derive(Clone, Copy, Debug)]
pub struct RingLimits {
    /// Maximum bytes, frames and marks together.
    pub bytes: usize,
    /// Maximum number of events.
    pub events: usize,
    /// Maximum age of a batch.
    pub age: Duration,
}

/// Result of asking a topic for the events after a cursor.
#[derive(Debug)]
pub enum Taken {
    /// Events after the cursor.
    Events(EventBatch),
    /// No events: everything published so far has been taken.
    Nothing,
    /// The cursor is below the ring's complete_after.
    Behind,
}

/// How far behind the subscribers are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Lag {
    /// Number of subscribers that have fallen out of the ring and read from disk.
    pub lagging: usize,
    /// Lag of the slowest subscriber, in offsets; events of other sessions count too.
    pub furthest: u64,
}

/// The shared stream of one filter.
#[derive(Debug)]
pub struct Topic {
    /// Number of the topic in the hub.
    pub id: u64,
    /// Filter that decides which events the topic holds.
    pub filter: Filter,
    /// Backlog pages read from disk for subscribers that fell behind.
    pub pages: PageCache,
    ring: Mutex<Ring>,
    cursors: Mutex<HashMap<usize, Arc<AtomicU64>>>,
}

#[derive(Debug)]
struct Ring {
    batches: VecDeque<(Instant, EventBatch)>,
    bytes: usize,
    events: usize,
    complete_after: u64,
}

impl Topic {
    /// Creates an empty topic that is complete for offsets above `complete_after`.
    pub fn new(id: u64, filter: Filter, complete_after: u64) -> Self {
        let ring = Ring {
            batches: VecDeque::new(),
            bytes: 0,
            events: 0,
            complete_after,
        };
        Self {
            id,
            filter,
            pages: PageCache::default(),
            ring: Mutex::new(ring),
            cursors: Mutex::default(),
        }
    }

    /// Registers a subscriber by the shared cell to which the subscriber writes its cursor.
    pub fn enter(&self, cursor: &Arc<AtomicU64>) {
        self.cursors
            .lock()
            .insert(Arc::as_ptr(cursor) as usize, Arc::clone(cursor));
    }

    /// Unregisters a subscriber.
    pub fn leave(&self, cursor: &Arc<AtomicU64>) {
        self.cursors.lock().remove(&(Arc::as_ptr(cursor) as usize));
    }

    /// Returns how far behind the topic's subscribers are.
    pub fn lag(&self) -> Lag {
        let ring = self.ring.lock();
        let complete_after = ring.complete_after;
        let last = ring
            .batches
            .back()
            .map_or(ring.complete_after, |(_, batch)| batch.last());
        drop(ring);
        let mut lag = Lag::default();
        for cursor in self.cursors.lock().values() {
            let cursor = cursor.load(Ordering::Relaxed);
            lag.lagging += usize::from(cursor < complete_after);
            lag.furthest = lag.furthest.max(last.saturating_sub(cursor));
        }
        lag
    }

    /// Returns the first batch that has events after the cursor.
    pub fn take(&self, cursor: u64) -> Taken {
        let ring = self.ring.lock();
        if cursor < ring.complete_after {
            return Taken::Behind;
        }
        let next = ring
            .batches
            .partition_point(|(_, batch)| batch.last() <= cursor);
        ring.batches
            .get(next)
            .map_or(Taken::Nothing, |(_, batch)| Taken::Events(batch.clone()))
    }

    /// Appends a published batch and drops the oldest batches until the ring is within its limits.
    pub fn push(&self, batch: EventBatch, now: Instant, limits: RingLimits) {
        let mut ring = self.ring.lock();
        ring.bytes += batch.weight();
        ring.events += batch.len();
        ring.batches.push_back((now, batch));
        while ring.bytes > limits.bytes || ring.events > limits.events {
            ring.drop_oldest();
        }
        drop(ring);
    }

    /// Drops batches and pages older than the age limit. An empty ring keeps no memory.
    pub fn trim(&self, now: Instant, age: Duration) {
        let old = |at: Instant| now.saturating_duration_since(at) > age;
        let mut ring = self.ring.lock();
        while ring.batches.front().is_some_and(|(at, _)| old(*at)) {
            ring.drop_oldest();
        }
        if ring.batches.is_empty() {
            ring.batches = VecDeque::new();
        }
        drop(ring);
        self.pages.trim(old);
    }
}

impl Ring {
    fn drop_oldest(&mut self) {
        if let Some((_, batch)) = self.batches.pop_front() {
            self.bytes -= batch.weight();
            self.events -= batch.len();
            self.complete_after = self.complete_after.max(batch.last());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::event_batch::EventBatchBuilder;

    const LIMITS: RingLimits = RingLimits {
        bytes: 1 << 20,
        events: 4,
        age: Duration::from_secs(10),
    };

    fn push(topic: &Topic, offsets: &[u64], limits: RingLimits) {
        let mut batch = EventBatchBuilder::default();
        for offset in offsets {
            batch.push(*offset, b"{}");
        }
        topic.push(batch.finish(), Instant::now(), limits);
    }

    fn taken(topic: &Topic, cursor: u64) -> Option<u64> {
        match topic.take(cursor) {
            Taken::Events(batch) => Some(batch.last()),
            Taken::Nothing => Some(cursor),
            Taken::Behind => None,
        }
    }

    #[test]
    fn a_cursor_walks_chunk_by_chunk_and_skips_what_it_has() {
        let topic = Topic::new(0, Filter::default(), 5);
        push(&topic, &[4, 6, 7], LIMITS);
        push(&topic, &[9], LIMITS);
        assert_eq!(
            [4, 5, 6, 7, 9].map(|c| taken(&topic, c)),
            [None, Some(7), Some(7), Some(9), Some(9)]
        );
    }

    #[test]
    fn a_batch_that_no_longer_fits_is_reported_as_missing() {
        let topic = Topic::new(0, Filter::default(), 0);
        push(&topic, &[1, 2], LIMITS);
        push(&topic, &[3, 4, 5], LIMITS);
        assert_eq!(taken(&topic, 1), None);
        assert_eq!(taken(&topic, 2), Some(5));
        push(&topic, &[6], RingLimits { bytes: 1, ..LIMITS });
        assert_eq!(taken(&topic, 5), None, "too big for the ring: disk has it");
        assert_eq!(
            taken(&topic, 6),
            Some(6),
            "too big for the ring: disk has it"
        );
    }

    #[test]
    fn the_lag_counts_cursors_below_the_floor_and_measures_the_furthest() {
        let topic = Topic::new(0, Filter::default(), 5);
        let at = |offset| Arc::new(AtomicU64::new(offset));
        let slow = at(2);
        let quick = at(7);
        topic.enter(&slow);
        topic.enter(&quick);
        push(&topic, &[6, 9], LIMITS);
        assert_eq!(
            topic.lag(),
            Lag {
                lagging: 1,
                furthest: 7
            }
        );
        topic.leave(&slow);
        assert_eq!(
            topic.lag(),
            Lag {
                lagging: 0,
                furthest: 2
            }
        );
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
        assert_eq!(taken(&topic, 0), None);
        assert_eq!(taken(&topic, 1), Some(1));
    }
}
