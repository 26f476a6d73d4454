//! Measurement of processor time.

use std::time::Duration;

/// The processor time of `work` on this thread: other load on the machine is not included.
pub(crate) fn cost_of(work: impl FnOnce()) -> Duration {
    let began = processor_time();
    work();
    processor_time().saturating_sub(began)
}

/// Asserts that eight times the work costs about eight times as much. A busy machine may spoil
/// single measurements, but not all of them.
pub(crate) fn assert_linear(what: &str, mut measure: impl FnMut() -> (Duration, Duration)) {
    let spoilt: Vec<_> = (0..10)
        .map(|_| measure())
        .take_while(|(few, many)| *many >= 24 * *few)
        .collect();
    assert!(
        spoilt.len() < 10,
        "{what}: the costs of so much and of eight times that: {spoilt:?}"
    );
}

fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.cast_unsigned(),
        u32::try_from(time.tv_nsec).unwrap(),
    )
}
