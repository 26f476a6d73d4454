//! Counters and histograms with negligible cost for the counting code: relaxed atomics, fixed buckets, no lock, no
//! allocation.
//!
//! Each component owns its metrics; the service reads them on request.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A counter that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one; may be called from any thread.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Adds `n`; may be called from any thread.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Adds `n` if only one thread ever adds: a plain load and store instead of a locked
    /// instruction.
    pub fn add_alone(&self, n: u64) {
        self.0.store(
            self.0.load(Ordering::Relaxed).wrapping_add(n),
            Ordering::Relaxed,
        );
    }

    /// The current value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The buckets of a histogram: inclusive upper bounds in ascending order, and the factor between
/// the stored and the shown unit.
#[derive(Debug)]
pub struct Scale {
    /// The upper bounds.
    pub bounds: &'static [u64],
    /// How many stored units make one shown unit: 1e9 for nanoseconds shown as seconds.
    pub per_unit: f64,
}

const MICRO: u64 = 1_000;
const MILLI: u64 = 1_000_000;

/// Durations, stored in nanoseconds and shown in seconds: 50 µs to 10 s.
pub static SECONDS: Scale = Scale {
    bounds: &[
        50 * MICRO,
        100 * MICRO,
        250 * MICRO,
        500 * MICRO,
        MILLI,
        5 * MILLI / 2,
        5 * MILLI,
        10 * MILLI,
        25 * MILLI,
        50 * MILLI,
        100 * MILLI,
        250 * MILLI,
        500 * MILLI,
        1000 * MILLI,
        2500 * MILLI,
        10_000 * MILLI,
    ],
    per_unit: 1e9,
};

/// Sizes of groups: 1 to 10,000.
pub static COUNTS: Scale = Scale {
    bounds: &[1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000],
    per_unit: 1.0,
};

/// Sizes of single writes: 1 KiB to 16 MiB.
pub static BYTES: Scale = Scale {
    bounds: &[
        1 << 10,
        1 << 12,
        1 << 14,
        1 << 16,
        1 << 18,
        1 << 20,
        1 << 22,
        1 << 24,
    ],
    per_unit: 1.0,
};

/// A histogram.
#[derive(Debug)]
pub struct Histogram {
    scale: &'static Scale,
    /// One bucket per bound and one for values above the last bound.
    buckets: Box<[Counter]>,
    sum: Counter,
}

impl Histogram {
    /// Creates an empty histogram.
    pub fn new(scale: &'static Scale) -> Self {
        let buckets = (0..=scale.bounds.len())
            .map(|_| Counter::default())
            .collect();
        Self {
            scale,
            buckets,
            sum: Counter::default(),
        }
    }

    /// Records a value; only one thread may record.
    pub fn observe_alone(&self, value: u64) {
        self.buckets[self.scale.bounds.partition_point(|bound| *bound < value)].add_alone(1);
        self.sum.add_alone(value);
    }

    /// Records a duration; only one thread may record.
    pub fn time_alone(&self, time: Duration) {
        self.observe_alone(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Reads what was recorded so far.
    pub fn read(&self) -> Reading {
        Reading {
            scale: self.scale,
            buckets: self.buckets.iter().map(Counter::get).collect(),
            sum: self.sum.get(),
        }
    }
}

/// The values of a histogram at one moment; those of several threads can be added up.
#[derive(Clone, Debug)]
pub struct Reading {
    scale: &'static Scale,
    buckets: Vec<u64>,
    sum: u64,
}

impl Reading {
    /// Adds another reading of the same scale.
    pub fn add(&mut self, other: &Reading) {
        self.buckets
            .iter_mut()
            .zip(&other.buckets)
            .for_each(|(mine, other)| *mine += other);
        self.sum += other.sum;
    }

    /// Returns each bound, in the shown unit, with the number of values up to it. `+Inf` is not
    /// included: its number is [`Self::count`].
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = self
            .scale
            .bounds
            .iter()
            .map(|bound| *bound as f64 / self.scale.per_unit);
        let counts = self.buckets.iter().scan(0, |total, n| {
            *total += n;
            Some(*total)
        });
        bounds.zip(counts)
    }

    /// The number of values.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The sum of all values, in the shown unit.
    pub fn sum(&self) -> f64 {
        self.sum as f64 / self.scale.per_unit
    }
}

#[cfg(test)]
#[expect(
    clippy::float_cmp,
    reason = "a sum is a whole number, divided once: it rounds like the literal"
)]
mod tests {
    use super::*;

    #[test]
    fn a_value_falls_into_the_bucket_whose_bound_it_does_not_pass() {
        let histogram = Histogram::new(&COUNTS);
        for value in [0, 1, 2, 3, 10_000, 10_001] {
            histogram.observe_alone(value);
        }
        let reading = histogram.read();
        let counts: Vec<u64> = reading.cumulative().map(|(_, n)| n).collect();
        assert_eq!(counts[0], 2);
        assert_eq!(counts[1], 3);
        assert_eq!(counts[2], 4);
        assert_eq!(counts[12], 5);
        assert_eq!(reading.count(), 6);
        assert_eq!(reading.sum(), 20_007.0);
    }

    #[test]
    fn times_are_shown_in_seconds_and_add_up() {
        let one = Histogram::new(&SECONDS);
        let other = Histogram::new(&SECONDS);
        one.time_alone(Duration::from_millis(1));
        other.time_alone(Duration::from_secs(3));
        let mut both = one.read();
        both.add(&other.read());
        assert_eq!(both.count(), 2);
        assert_eq!(both.sum(), 3.001);
        let at = |bound: f64| {
            both.cumulative()
                .find(|(b, _)| (b - bound).abs() < 1e-9)
                .unwrap()
                .1
        };
        assert_eq!(at(0.0005), 0);
        assert_eq!(at(0.001), 1);
        assert_eq!(at(2.5), 1);
        assert_eq!(at(10.0), 2);
    }
}
