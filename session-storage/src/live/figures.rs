//! Metrics of the live feed, and the lag of its subscribers.

use crate::meter::Counter;

/// Counters of one hub.
#[derive(Debug, Default)]
pub struct Figures {
    /// Events that matched at least one subscription when they became durable.
    pub published: Counter,
    /// How often a subscriber fell out of the ring and continued from disk, or started from an old
    /// position.
    pub catch_ups: Counter,
    /// Backlog pages that were read from disk.
    pub pages: Counter,
    /// Gaps reported to subscribers, because events were no longer retained.
    pub gaps: Counter,
}

/// How far behind the subscribers are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Lag {
    /// Number of subscribers that have fallen out of the ring and read from disk.
    pub lagging: usize,
    /// Lag of the slowest subscriber, in offsets; events of other sessions count too.
    pub furthest: u64,
}
