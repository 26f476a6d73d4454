//! Remembers which records were not stored, for callers that ask long after.
//!
//! Most records are stored, so only the others are remembered: rejected records, each with its
//! reason, and the ranges of dropped ones. When there are too many, the lowest numbers are
//! forgotten, and nothing is claimed about any record up to there.

use std::collections::BTreeMap;

use super::outcome::Outcome;

/// The number of ranges that are remembered.
const REMEMBERED: usize = 4096;

/// The records that were not stored.
#[derive(Debug)]
pub(super) struct Unstored {
    /// Maps the first record of a range to the range's end and outcome.
    stretches: BTreeMap<u64, (u64, Outcome)>,
    /// Nothing is known of records below this number.
    known_from: u64,
}

impl Unstored {
    /// Returns an empty table for records from this number on.
    pub(super) fn from(known_from: u64) -> Self {
        Self {
            stretches: BTreeMap::new(),
            known_from,
        }
    }

    /// Stores the outcome of the records from `first` to below `end`.
    pub(super) fn add(&mut self, first: u64, end: u64, outcome: Outcome) {
        self.stretches.insert(first, (end, outcome));
        if self.stretches.len() > REMEMBERED
            && let Some((_, (end, _))) = self.stretches.pop_first()
        {
            self.known_from = self.known_from.max(end);
        }
    }

    /// Returns the outcome of a settled record.
    pub(super) fn of(&self, record: u64) -> Outcome {
        if record < self.known_from {
            return Outcome::Forgotten;
        }
        match self.stretches.range(..=record).next_back() {
            Some((_, (end, outcome))) if record < *end => outcome.clone(),
            _ => Outcome::Stored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_its_bound_nothing_is_claimed() {
        let mut unstored = Unstored::from(5);
        unstored.add(10, 20, Outcome::Dropped);
        let of = |unstored: &Unstored| [4, 5, 9, 10, 19, 20].map(|record| unstored.of(record));
        let forgotten = Outcome::Forgotten;
        let stored = Outcome::Stored;
        let dropped = Outcome::Dropped;
        let outcomes =
            [&forgotten, &stored, &stored, &dropped, &dropped, &stored].map(Clone::clone);
        assert_eq!(of(&unstored), outcomes);
        for n in 0..REMEMBERED as u64 {
            unstored.add(100 + 2 * n, 101 + 2 * n, Outcome::Dropped);
        }
        let outcomes = [
            &forgotten, &forgotten, &forgotten, &forgotten, &forgotten, &stored,
        ]
        .map(Clone::clone);
        assert_eq!(of(&unstored), outcomes);
        assert_eq!(unstored.of(100), dropped);
        assert_eq!(unstored.of(101), stored);
    }
}
