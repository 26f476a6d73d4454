//! The pause before the next attempt: pure arithmetic, so that it is tested without a clock.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
const MAX_RETRY_AFTER: Duration = Duration::from_mins(10);

/// Returns the pause after `failures` failures in a row: a random part (`luck`, 0 to 1) of a bound
/// that doubles up to `most`, but no shorter than what the service asked for.
pub(crate) fn pause(failures: u32, most: Duration, asked: Option<Duration>, luck: f64) -> Duration {
    let bound = FIRST
        .saturating_mul(1 << failures.saturating_sub(1).min(20))
        .min(most);
    let jittered = bound.mul_f64(luck).max(FIRST.min(most) / 5);
    asked.map_or(jittered, |asked| asked.min(MAX_RETRY_AFTER).max(jittered))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_bound() {
        let most = Duration::from_secs(30);
        let pauses: Vec<u128> = [1, 2, 3, 10, 11, 4_000_000]
            .map(|n| pause(n, most, None, 1.0).as_millis())
            .to_vec();
        assert_eq!(pauses, [50, 100, 200, 25_600, 30_000, 30_000]);
    }

    #[test]
    fn jitter_spreads_a_pause_over_its_whole_range() {
        let most = Duration::from_secs(30);
        assert_eq!(pause(5, most, None, 0.5).as_millis(), 400);
        assert_eq!(pause(5, most, None, 0.0).as_millis(), 10);
    }

    #[test]
    fn retry_after_is_honoured_within_reason() {
        let most = Duration::from_secs(30);
        assert_eq!(
            pause(1, most, Some(Duration::from_secs(90)), 1.0).as_secs(),
            90
        );
        assert_eq!(
            pause(1, most, Some(Duration::from_hours(9000)), 1.0).as_secs(),
            600
        );
    }
}
