//! The starts and stops of one subagent.
//!
//! The hooks of a start and of a stop may be recorded in either order, and a second copy of the
//! hooks reports each of them once more. A subagent may also be resumed after it stopped. So each
//! start and stop gets a number, the same for every copy of the hooks.

use serde::{Deserialize, Serialize};

use super::read_position::ReadPosition;

/// A start that comes this long after a stop, in milliseconds, is not the one before that stop.
const LATE: i64 = 10_000;

/// What is known of a subagent.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct AgentRun {
    pub id: String,
    pub starts: usize,
    pub stops: usize,
    /// The digest of the last stop's payload.
    pub stop: u64,
    /// When it stopped, in milliseconds since 1970.
    pub stopped: i64,
    /// Up to where its transcript was read.
    #[serde(skip_serializing_if = "ReadPosition::is_start")]
    pub read: ReadPosition,
}

/// The number of a start or stop, and whether it is a new one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub n: usize,
    pub is_new: bool,
}

impl AgentRun {
    pub(super) fn is_running(&self) -> bool {
        self.starts > self.stops
    }

    /// Notes a start.
    pub(super) fn start(&mut self, now: i64) -> Turn {
        if self.is_running() {
            return Turn {
                n: self.starts,
                is_new: false,
            };
        }
        let is_late = self.starts < self.stops && now - self.stopped < LATE;
        self.starts = if is_late { self.stops } else { self.stops + 1 };
        Turn {
            n: self.starts,
            is_new: !is_late,
        }
    }

    /// Notes a stop whose payload has this digest.
    pub(super) fn stop(&mut self, now: i64, digest: u64) -> Turn {
        if !self.is_running() && self.stops > 0 && self.stop == digest {
            return Turn {
                n: self.stops,
                is_new: false,
            };
        }
        self.stops = self.starts.max(self.stops + 1);
        self.stop = digest;
        self.stopped = now;
        Turn {
            n: self.stops,
            is_new: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the numbers of these starts and stops (`+` and `-`), with `!` for new ones.
    fn numbers(hooks: &[(&str, i64, u64)]) -> String {
        let mut agent = AgentRun::default();
        let mut all = Vec::new();
        for (what, at, digest) in hooks {
            let turn = match *what {
                "+" => agent.start(*at),
                _ => agent.stop(*at, *digest),
            };
            let mark = if turn.is_new { "!" } else { "" };
            all.push(format!("{what}{}{mark}", turn.n));
        }
        all.join(" ")
    }

    #[test]
    fn starts_and_stops_have_the_same_numbers_in_whatever_order_they_come() {
        for (hooks, wanted) in [
            (&[("+", 0, 0), ("-", 5, 1)][..], "+1! -1!"),
            // Each reported twice.
            (
                &[("+", 0, 0), ("+", 1, 0), ("-", 5, 1), ("-", 6, 1)],
                "+1! +1 -1! -1",
            ),
            // The stop is recorded first.
            (&[("-", 5, 1), ("+", 6, 0)], "-1! +1"),
            // Resumed.
            (
                &[("+", 0, 0), ("-", 5, 1), ("+", 9, 0), ("-", 20, 2)],
                "+1! -1! +2! -2!",
            ),
            // Resumed, the second stop before its start.
            (
                &[("+", 0, 0), ("-", 5, 1), ("-", 20, 2), ("+", 21, 0)],
                "+1! -1! -2! +2",
            ),
            // The first start was never recorded.
            (
                &[("-", 5, 1), ("+", 60_000, 0), ("-", 70_000, 2)],
                "-1! +2! -2!",
            ),
        ] {
            assert_eq!(numbers(hooks), wanted);
        }
    }
}
