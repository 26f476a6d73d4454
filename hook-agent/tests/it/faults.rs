//! Tests failures on the way: the program is never blocked, nothing is lost, nothing is stored
//! twice.

use std::time::{Duration, Instant};

use crate::service::Fault;
use crate::setup::{DEADLINE, SESSION, Setup, numbered, setup_with};

fn impatient() -> Setup {
    setup_with(|config| {
        config.answer_timeout = Duration::from_millis(200);
        config.connect_timeout = Duration::from_millis(200);
        config.max_answer_bytes = 1024 * 1024;
        config.max_backoff = Duration::from_millis(20);
    })
}

/// Makes calls during a fault: an awaited call answers `queued` or succeeds, and afterwards each
/// record is stored once.
fn survives(faults: &[Fault]) {
    for fault in faults {
        let setup = impatient();
        setup
            .service
            .lock()
            .faults
            .extend([fault.clone(), fault.clone(), fault.clone()]);
        for n in 0..20 {
            let ticket = setup.agent.log_action(&numbered(n)).unwrap();
            if n % 5 == 0 {
                ticket
                    .wait(DEADLINE)
                    .unwrap_or_else(|error| panic!("{fault:?}: {error}"));
            }
        }
        assert!(setup.agent.flush(DEADLINE).unwrap(), "{fault:?}");
        assert_eq!(
            setup.service.numbers(SESSION),
            (0..20).collect::<Vec<u64>>(),
            "{fault:?}"
        );
        let stats = setup.agent.stats().unwrap();
        assert_eq!(stats.delivered, 20, "{fault:?}");
        assert_eq!(stats.rejected, 0, "{fault:?}");
        assert_eq!(stats.pending, 0, "{fault:?}");
        assert!(
            stats.retries >= 1 || matches!(fault, Fault::Close | Fault::CloseStored),
            "{fault:?}: {stats:?}"
        );
        assert!(
            stats.last_error.is_some() || stats.retries == 0,
            "{fault:?}"
        );
    }
}

#[test]
fn a_service_that_breaks_off_gets_everything_once() {
    survives(&[
        Fault::Close,
        Fault::CloseStored,
        Fault::HalfAnswer,
        Fault::Garbage,
    ]);
}

#[test]
fn a_service_that_stalls_gets_everything_once() {
    survives(&[Fault::Hang, Fault::Held, Fault::Endless]);
}

#[test]
fn a_call_waits_for_no_answer() {
    for fault in [Fault::Hang, Fault::Held] {
        let setup = setup_with(|_| {});
        setup.service.lock().always = Some(fault.clone());
        for n in 0..20 {
            setup.agent.log_action(&numbered(n)).unwrap();
        }
        setup.service.wait(|state| !state.requests.is_empty());
        // The agent still awaits the first response, for up to DEADLINE.
        assert_eq!(
            setup.service.lock().requests.len(),
            1,
            "{fault:?} blocked a call"
        );
        assert_eq!(setup.agent.stats().unwrap().pending, 20, "{fault:?}");
        setup.service.lock().always = None;
        setup.service.release();
        setup.service.down();
        setup.service.up();
        assert!(setup.agent.flush(DEADLINE).unwrap(), "{fault:?}");
        assert_eq!(
            setup.service.numbers(SESSION),
            (0..20).collect::<Vec<u64>>(),
            "{fault:?}"
        );
    }
}

#[test]
fn a_service_that_is_overloaded_or_broken_gets_everything_once() {
    survives(&[
        Fault::Answer(500, "", r#"{"error":"oops","code":"internal"}"#),
        Fault::Answer(
            503,
            "",
            r#"{"error":"draining","code":"storage_unavailable"}"#,
        ),
        Fault::Answer(507, "", r#"{"error":"full","code":"storage_full"}"#),
        Fault::Answer(
            429,
            "retry-after: 0\r\n",
            r#"{"error":"slower","code":"rate_limited"}"#,
        ),
        Fault::Answer(401, "", r#"{"error":"who","code":"unauthorized"}"#),
        Fault::Answer(200, "", "<html>log in to the network</html>"),
        Fault::Answer(302, "location: /login\r\n", ""),
        Fault::Answer(404, "", "<html>not here</html>"),
    ]);
}

#[test]
fn retry_after_is_waited_for() {
    let setup = setup_with(|config| config.max_backoff = Duration::from_millis(20));
    let busy = Fault::Answer(
        429,
        "retry-after: 1\r\n",
        r#"{"error":"slower","code":"rate_limited"}"#,
    );
    setup.service.lock().faults.push_back(busy);
    let began = Instant::now();
    assert!(
        setup
            .agent
            .log_action(&numbered(0))
            .unwrap()
            .wait(DEADLINE)
            .unwrap()
            .is_queued()
    );
    assert!(setup.agent.flush(DEADLINE).unwrap());
    assert!(
        began.elapsed() >= Duration::from_secs(1),
        "sent again after {:?}",
        began.elapsed()
    );
    assert_eq!(setup.service.lock().requests.len(), 2);
}

#[test]
fn a_service_that_is_away_is_reported_at_once_and_gets_its_records_later() {
    let setup = impatient();
    setup.service.down();
    for n in 0..3000 {
        setup.agent.log_action(&numbered(n)).unwrap();
    }
    let began = Instant::now();
    let answer = setup
        .agent
        .log_action(&numbered(3000))
        .unwrap()
        .wait(10 * DEADLINE)
        .unwrap();
    assert!(answer.is_queued() && answer.json() == r#"{"success":true,"queued":true}"#);
    assert!(
        began.elapsed() < DEADLINE,
        "it was told when the time was over"
    );
    assert!(
        !setup.agent.flush(Duration::from_millis(50)).unwrap(),
        "flush kept its time-out and said no"
    );
    assert!(!setup.agent.stats().unwrap().reachable);
    setup.service.up();
    assert!(setup.agent.flush(DEADLINE).unwrap());
    assert_eq!(
        setup.service.numbers(SESSION),
        (0..=3000).collect::<Vec<u64>>()
    );
    assert!(setup.agent.stats().unwrap().reachable);
}

#[test]
#[ignore = "takes a minute"]
fn a_minute_without_the_service_under_load_loses_nothing_and_holds_no_memory() {
    let setup = impatient();
    setup
        .agent
        .log_action(&numbered(0))
        .unwrap()
        .wait(DEADLINE)
        .unwrap();
    setup.service.down();
    let before = resident_kib();
    let began = Instant::now();
    let mut calls = vec![0_u64; 4];
    std::thread::scope(|scope| {
        for (thread, count) in calls.iter_mut().enumerate() {
            let agent = setup.agent.for_session(&format!("load-{thread}")).unwrap();
            scope.spawn(move || {
                while began.elapsed() < Duration::from_mins(1) {
                    for _ in 0..5 {
                        agent
                            .log_action(&serde_json::json!({"n": count, "text": "x".repeat(250)}))
                            .unwrap();
                        *count += 1;
                    }
                    std::thread::sleep(Duration::from_millis(5));
                }
            });
        }
    });
    let grown = resident_kib().saturating_sub(before);
    eprintln!(
        "{} calls in a minute, {grown} KiB grown, {:?}",
        calls.iter().sum::<u64>(),
        setup.agent.stats()
    );
    assert!(grown < 16 * 1024, "{grown} KiB");
    setup.service.up();
    assert!(setup.agent.flush(DEADLINE).unwrap());
    for (thread, count) in calls.into_iter().enumerate() {
        assert_eq!(
            setup.service.numbers(&format!("load-{thread}")),
            (0..count).collect::<Vec<u64>>()
        );
    }
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn flush_and_close_keep_their_time_out_against_a_service_that_hangs() {
    let setup = setup_with(|config| config.answer_timeout = 10 * DEADLINE);
    setup.service.lock().always = Some(Fault::Hang);
    setup.agent.log_action(&numbered(0)).unwrap();
    let began = Instant::now();
    assert!(!setup.agent.flush(Duration::from_millis(100)).unwrap());
    assert!(!setup.agent.close(Duration::from_millis(100)));
    assert!(began.elapsed() < DEADLINE);
}

#[test]
fn a_batch_that_keeps_breaking_the_service_does_not_hold_the_rest_back_for_ever() {
    let setup = setup_with(|config| config.max_backoff = Duration::from_millis(2));
    let broken = Fault::Answer(500, "", r#"{"error":"oops","code":"internal"}"#);
    setup
        .service
        .lock()
        .faults
        .extend(std::iter::repeat_n(broken, 20));
    setup.agent.log_action(&numbered(0)).unwrap();
    setup.service.wait(|state| state.requests.len() >= 20);
    setup.agent.log_action(&numbered(1)).unwrap();
    assert!(setup.agent.flush(DEADLINE).unwrap());
    assert_eq!(setup.service.numbers(SESSION), [1]);
    assert_eq!(setup.agent.stats().unwrap().rejected, 1);
    assert_eq!(setup.service.gaps(SESSION), [("rejected".to_owned(), 1)]);
}

#[test]
fn random_faults_by_the_hundred_double_nothing() {
    let setup = impatient();
    let all = [
        Fault::Close,
        Fault::CloseStored,
        Fault::HalfAnswer,
        Fault::Garbage,
    ];
    let faults = (0..100).map(|n| all[n * 7 % all.len()].clone());
    setup.service.lock().faults.extend(faults);
    for n in 0..5000 {
        setup.agent.log_action(&numbered(n)).unwrap();
    }
    assert!(setup.agent.flush(DEADLINE).unwrap());
    assert_eq!(
        setup.service.numbers(SESSION),
        (0..5000).collect::<Vec<u64>>()
    );
}
