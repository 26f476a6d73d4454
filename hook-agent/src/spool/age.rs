//! Decides when a record is too old to be delivered. Pure, so that a test can set the clock.
//!
//! A record carries the wall-clock time, which can be changed: one step forward would make all
//! pending records too old at once. A record appended since the spool was opened cannot be older
//! than that opening, so for such records the time since the opening, measured monotonically,
//! counts too.

use std::time::Duration;

use super::record::Record;

/// The age limit of records.
#[derive(Debug, Clone, Copy)]
pub(super) struct Age {
    pub most: Duration,
    /// The number of the first record appended since the spool was opened.
    pub first: u64,
}

impl Age {
    /// Returns whether the record is too old. `now` is in Unix milliseconds; `open` is how long the
    /// spool has been open.
    pub(super) fn is_past(&self, record: &Record, now: u64, open: Duration) -> bool {
        let by_the_clock = record.time < now.saturating_sub(self.most.as_millis() as u64);
        by_the_clock && (record.number < self.first || open >= self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Kind;

    #[test]
    fn a_clock_that_is_set_forward_makes_nothing_too_old_that_was_just_recorded() {
        let age = Age {
            most: Duration::from_secs(10),
            first: 5,
        };
        let of = |number| Record {
            number,
            kind: Kind::Line(session_model::BatchLine::Action),
            time: 1_000,
            session: 0..0,
            line: 0..0,
        };
        let minute = Duration::from_mins(1);
        let second = Duration::from_secs(1);
        for (number, now, open, past) in [
            (5, 2_000, second, false),
            (5, 3_600_000, second, false),
            (5, 3_600_000, minute, true),
            (5, 2_000, minute, false),
            (4, 3_600_000, second, true),
            (4, 2_000, second, false),
        ] {
            assert_eq!(
                age.is_past(&of(number), now, open),
                past,
                "{number} {now} {open:?}"
            );
        }
    }
}
