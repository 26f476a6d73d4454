//! Figures: one line of the table each, with what must be reached.

use std::fmt::{self, Display, Formatter};

use crate::sample::Summary;

/// What a value must reach.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
    /// For information.
    Open,
}

/// How a figure came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Reached,
    Missed,
    /// Nothing was asked of it.
    Noted,
    /// What it needs isn't there.
    NotMeasured(String),
    /// Measuring it went wrong.
    Failed(String),
}

/// One line of the table.
#[derive(Debug, Clone)]
pub(crate) struct Measurement {
    pub(crate) work: String,
    pub(crate) ours: String,
    pub(crate) reference: String,
    pub(crate) value: String,
    pub(crate) bound: String,
    pub(crate) outcome: Outcome,
}

impl Measurement {
    /// A value with its unit (`""` for a ratio), held against its bound.
    pub(crate) fn value(work: impl Into<String>, value: f64, unit: &str, bound: Bound) -> Self {
        let reached = match bound {
            Bound::AtLeast(least) => value >= least,
            Bound::AtMost(most) => value <= most,
            Bound::Open => true,
        };
        let outcome = match (bound, reached) {
            (Bound::Open, _) => Outcome::Noted,
            (_, true) => Outcome::Reached,
            (_, false) => Outcome::Missed,
        };
        Self {
            work: work.into(),
            ours: String::new(),
            reference: String::new(),
            value: with_unit(value, unit),
            bound: match bound {
                Bound::AtLeast(least) => format!("≥ {}", with_unit(least, unit)),
                Bound::AtMost(most) => format!("≤ {}", with_unit(most, unit)),
                Bound::Open => String::new(),
            },
            outcome,
        }
    }

    /// Adds the two measurements that the value was made of.
    #[must_use]
    pub(crate) fn between(mut self, ours: impl Display, reference: impl Display) -> Self {
        self.ours = ours.to_string();
        self.reference = reference.to_string();
        self
    }

    /// Our rate over a reference's.
    pub(crate) fn rates(
        work: impl Into<String>,
        ours: &Summary,
        reference: (&str, &Summary),
        bound: Bound,
    ) -> Self {
        let (name, reference) = reference;
        Self::value(work, ours.rate / reference.rate, "", bound)
            .between(ours, format_args!("{name}: {reference}"))
    }

    /// Our median latency over a reference's.
    pub(crate) fn latencies(
        work: impl Into<String>,
        ours: &Summary,
        reference: (&str, &Summary),
        bound: Bound,
    ) -> Self {
        let shown = |summary: &Summary| format!("p50 {}", Nanos(summary.p50()));
        Self::compared(work, ours, reference, bound, Summary::p50, shown)
    }

    /// Our processor time for one over a reference's.
    pub(crate) fn costs(
        work: impl Into<String>,
        ours: &Summary,
        reference: (&str, &Summary),
        bound: Bound,
    ) -> Self {
        let cpu = |summary: &Summary| summary.cpu.unwrap_or(f64::NAN) * 1e6;
        let shown = |summary: &Summary| format!("{:.2} µs CPU", cpu(summary));
        Self::compared(work, ours, reference, bound, cpu, shown)
    }

    fn compared(
        work: impl Into<String>,
        ours: &Summary,
        (name, reference): (&str, &Summary),
        bound: Bound,
        measure: impl Fn(&Summary) -> f64,
        shown: impl Fn(&Summary) -> String,
    ) -> Self {
        Self::value(work, measure(ours) / measure(reference), "", bound)
            .between(shown(ours), format_args!("{name}: {}", shown(reference)))
    }

    /// A line without measurements.
    pub(crate) fn absent(work: impl Into<String>, outcome: Outcome) -> Self {
        let mut measurement = Self::value(work, f64::NAN, "", Bound::Open);
        measurement.value.clear();
        measurement.outcome = outcome;
        measurement
    }
}

impl Display for Summary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let k = |rate: f64| rate / 1000.0;
        write!(
            f,
            "{:.1} k/s ({:.1}–{:.1})",
            k(self.rate),
            k(self.slowest),
            k(self.fastest)
        )?;
        if let Some(latency) = self.latency {
            write!(
                f,
                ", p50 {}, p99 {}",
                Nanos(latency.p50),
                Nanos(latency.p99)
            )?;
        }
        match self.cpu {
            Some(cpu) => write!(f, ", {:.2} µs CPU each", cpu * 1e6),
            None => Ok(()),
        }
    }
}

/// Nanoseconds, shown in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nanos(pub(crate) f64);

impl Display for Nanos {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} ms", self.0 / 1e6)
    }
}

fn with_unit(value: f64, unit: &str) -> String {
    let separator = if unit.is_empty() { "" } else { " " };
    let digits = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$}{separator}{unit}")
}
