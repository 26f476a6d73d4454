//! Turns running totals of tokens into what each event used.

/// The last value of a running total.
///
/// A total that falls belongs to a counter that began again, for example after the user went back;
/// it then is the whole difference.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct RunningTotal {
    last: u64,
}

impl RunningTotal {
    /// The difference to the total before.
    pub(super) fn next(&mut self, total: u64) -> u64 {
        let before = std::mem::replace(&mut self.last, total);
        total.checked_sub(before).unwrap_or(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_total_becomes_differences() {
        let mut total = RunningTotal::default();
        let used: Vec<u64> = [100, 250, 400, 400, 30, 50]
            .into_iter()
            .map(|now| total.next(now))
            .collect();
        assert_eq!(used, [100, 150, 150, 0, 30, 20]);
    }
}
