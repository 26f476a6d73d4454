//! What the live feed counts, and how far behind its subscribers are.

use crate::meter::Counter;

/// The figures of one hub.
#[derive(Debug, Default)]
pub struct Figures {
    /// Events that somebody followed when they became durable.
    pub published: Counter,
    /// How often a subscriber fell out of the ring and went on from disk, or began in the past.
    pub catch_ups: Counter,
    /// Pages of the past that were read from disk.
    pub pages: Counter,
    /// How often a subscriber was told that something is no longer kept.
    pub gaps: Counter,
}

/// How far behind the subscribers are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Lag {
    /// How many have left the ring and read from disk.
    pub lagging: usize,
    /// How far behind the last one is, in offsets; events of other sessions count too.
    pub furthest: u64,
}
