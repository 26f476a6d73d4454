//! The service's clock. If the clock is set back to before 1970 while the service runs, the time
//! counts as 1970. If it is set so at the start, the service refuses to start with an error that
//! names the clock, because HTTP cannot express such a date.

use std::time::{SystemTime, UNIX_EPOCH};

use session_model::Timestamp;

/// Checks that the clock is not set to before 1970.
pub(crate) fn check(now: SystemTime) -> Result<(), ClockError> {
    now.duration_since(UNIX_EPOCH)
        .map(drop)
        .map_err(|early| ClockError(early.duration().as_secs()))
}

/// The system's clock is set to before 1970.
#[derive(Debug, thiserror::Error)]
#[error("the system's clock is {0} s before 1970-01-01: set it, then start again")]
pub struct ClockError(u64);

/// Generates the id of a new session; ids are ordered by time.
pub(crate) fn new_id() -> String {
    let now = now().as_millis().unsigned_abs();
    let nanos = u32::try_from(now % 1000 * 1_000_000).unwrap_or_default();
    // Not `now_v7`: it panics before 1970.
    uuid::Uuid::new_v7(uuid::Timestamp::from_unix(
        uuid::NoContext,
        now / 1000,
        nanos,
    ))
    .to_string()
}

/// The current time.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_before_1970_is_refused_by_name() {
        assert!(check(SystemTime::now()).is_ok());
        let error = check(UNIX_EPOCH - Duration::from_secs(90)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the system's clock is 90 s before 1970-01-01: set it, then start again"
        );
    }
}
