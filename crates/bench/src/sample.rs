//! Statistics: percentiles of latencies, medians of repeats.

/// Two points of a distribution, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Latency {
    /// Sorts the samples; `None` when there are none.
    pub(crate) fn of(samples: &mut [u64]) -> Option<Self> {
        samples.sort_unstable();
        Some(Self {
            p50: percentile(samples, 0.50)?,
            p99: percentile(samples, 0.99)?,
        })
    }
}

/// What one measurement yields.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    /// Things done a second.
    pub(crate) rate: f64,
    /// How long one took, where that is measured.
    pub(crate) latency: Option<Latency>,
    /// How many seconds of processor time the server spent on one, where that is measured.
    pub(crate) cpu: Option<f64>,
}

/// Repeats of one measurement: each figure is the median of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Summary {
    pub(crate) rate: f64,
    pub(crate) slowest: f64,
    pub(crate) fastest: f64,
    pub(crate) latency: Option<Latency>,
    pub(crate) cpu: Option<f64>,
}

impl Summary {
    /// Condenses the repeats, of which there is at least one.
    pub(crate) fn of(runs: &[Run]) -> Self {
        let rates = || runs.iter().map(|run| run.rate);
        let point =
            |pick: fn(Latency) -> f64| median(runs.iter().filter_map(|run| run.latency.map(pick)));
        Self {
            rate: median(rates()).unwrap_or(0.0),
            slowest: rates().fold(f64::INFINITY, f64::min),
            fastest: rates().fold(0.0, f64::max),
            latency: point(|latency| latency.p50)
                .zip(point(|latency| latency.p99))
                .map(|(p50, p99)| Latency { p50, p99 }),
            cpu: median(runs.iter().filter_map(|run| run.cpu)),
        }
    }

    /// The median latency in nanoseconds; not a number where none was measured.
    pub(crate) fn p50(&self) -> f64 {
        self.latency.map_or(f64::NAN, |latency| latency.p50)
    }
}

/// The middle value; the mean of the middle two when they are even in number.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    let upper = values.get(values.len() / 2)?;
    let lower = values.get((values.len() - 1) / 2)?;
    Some(f64::midpoint(*upper, *lower))
}

#[expect(
    clippy::cast_sign_loss,
    reason = "a length times a fraction between 0 and 1"
)]
fn percentile(sorted: &[u64], fraction: f64) -> Option<f64> {
    let rank = (sorted.len() as f64 * fraction) as usize;
    sorted
        .get(rank.min(sorted.len().checked_sub(1)?))
        .map(|value| *value as f64)
}
