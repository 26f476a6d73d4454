//! Tests records of a session that does not exist yet, with a service that does not create sessions
//! by itself: they wait for a while, and block no other session's records.

use std::time::Duration;

use hook_agent::HookAgent;
use serde_json::json;

use crate::setup::{DEADLINE, SESSION, Setup, config, freed, log, setup, setup_with, until};

const LATE: &str = "late";

/// Makes a session missing: without a token, a `locked` session looks as if it did not exist.
fn missing(setup: &Setup) {
    setup.service.lock().locked.insert(LATE.to_owned());
}

fn created(setup: &Setup) {
    setup.service.lock().locked.clear();
}

#[test]
fn what_is_sent_before_its_session_exists_waits_for_it_and_keeps_its_order() {
    let setup = setup();
    missing(&setup);
    for n in 0..3 {
        assert!(
            log(&setup.agent, LATE, n)
                .wait(DEADLINE)
                .unwrap()
                .is_queued()
        );
        assert!(
            !log(&setup.agent, SESSION, n)
                .wait(DEADLINE)
                .unwrap()
                .is_queued(),
            "others go on"
        );
    }
    let stats = setup.agent.stats().unwrap();
    assert_eq!(stats.rejected, 0, "{stats:?}");
    assert_eq!(stats.pending, 3, "{stats:?}");
    assert_eq!(stats.delivered, 3, "{stats:?}");
    assert!(
        stats
            .last_error
            .unwrap()
            .contains("wait for session `late`")
    );
    assert!(!stats.locked, "no token would help");
    assert!(!setup.agent.flush(Duration::from_millis(50)).unwrap());
    created(&setup);
    log(&setup.agent, LATE, 3);
    assert!(setup.agent.flush(DEADLINE).unwrap());
    assert_eq!(setup.service.numbers(LATE), [0, 1, 2, 3]);
    let stats = setup.agent.stats().unwrap();
    assert_eq!(stats.rejected, 0, "{stats:?}");
    assert_eq!(stats.pending, 0, "{stats:?}");
    assert_eq!(stats.delivered, 7, "{stats:?}");
}

#[test]
fn a_session_that_is_never_created_is_waited_for_no_longer_than_so() {
    // Records wait for their session for a 2000th of the spool's age limit.
    let setup = setup_with(|config| config.spool_max_age = Duration::from_secs(400));
    missing(&setup);
    log(&setup.agent, LATE, 0);
    log(&setup.agent, SESSION, 1);
    let stats = until(&setup.agent, |stats| {
        stats.rejected == 1 && stats.pending == 0
    });
    assert_eq!(stats.delivered, 1, "{stats:?}");
    assert_eq!(stats.pending, 0, "{stats:?}");
    assert_eq!(stats.lost, 0, "{stats:?}");
    assert!(setup.agent.flush(DEADLINE).unwrap());
    assert_eq!(setup.service.numbers(SESSION), [1]);
    let path = stats.spool.path.unwrap();
    setup.agent.close(DEADLINE);
    freed(&path);
    let held = std::fs::read_dir(format!("{path}/held")).unwrap().count();
    assert_eq!(held, 0, "no held record is left");
}

#[test]
fn a_creation_overtakes_the_records_that_wait_for_it() {
    let setup = setup();
    missing(&setup);
    log(&setup.agent, LATE, 0);
    let late = setup.agent.for_session(LATE).unwrap();
    assert!(
        !late
            .create_session(&json!({}))
            .unwrap()
            .wait(DEADLINE)
            .unwrap()
            .is_queued()
    );
    created(&setup);
    assert!(setup.agent.flush(DEADLINE).unwrap());
    assert_eq!(setup.service.numbers(LATE), [0]);
}

#[test]
fn held_records_survive_the_process_and_are_delivered_once_by_the_next() {
    let setup = setup();
    missing(&setup);
    for n in 0..20 {
        log(&setup.agent, LATE, n);
        log(&setup.agent, SESSION, n);
    }
    let stats = until(&setup.agent, |stats| stats.delivered == 20);
    let path = stats.spool.path.unwrap();
    setup.agent.close(Duration::ZERO);
    freed(&path);
    created(&setup);
    let next = HookAgent::new(config(&setup.service.url(), setup.dir.path()));
    log(&next, LATE, 20);
    assert!(next.flush_all(DEADLINE).unwrap());
    assert_eq!(setup.service.numbers(LATE), (0..=20).collect::<Vec<u64>>());
    assert_eq!(next.stats().unwrap().pending, 0);
}

/// Returns three records that wait for their session, in the folder of a process that has ended.
fn three_held_records() -> (Setup, String) {
    let setup = setup();
    missing(&setup);
    for n in 0..3 {
        assert!(
            log(&setup.agent, LATE, n)
                .wait(DEADLINE)
                .unwrap()
                .is_queued()
        );
    }
    let path = setup.agent.stats().unwrap().spool.path.unwrap();
    setup.agent.close(Duration::ZERO);
    freed(&path);
    (setup, path)
}

#[test]
fn what_a_crash_leaves_in_both_places_is_delivered_once() {
    let (setup, path) = three_held_records();
    // As if the same records had been held a second time, and the process had been killed before it
    // wrote the state.
    let segment = format!("{path}/held/0/{:020}.seg", 0);
    let bytes = std::fs::read(&segment).unwrap();
    std::fs::write(&segment, [&*bytes, &bytes].concat()).unwrap();
    created(&setup);
    let next = HookAgent::new(config(&setup.service.url(), setup.dir.path()));
    assert!(next.flush_all(DEADLINE).unwrap());
    assert_eq!(setup.service.numbers(LATE), [0, 1, 2]);
    assert_eq!(next.stats().unwrap().pending, 0);
}

/// Rewrites the state as written by a version that holds no records apart, and does not know of
/// held ones.
fn written_by_an_earlier_version(state: &str) {
    let text = std::fs::read_to_string(state).unwrap();
    let slots = text.split_inclusive('\n').map(|slot| {
        let (_, json) = slot.trim_end().split_once(' ').unwrap();
        let mut progress: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(json).unwrap();
        progress.remove("held");
        let json = serde_json::to_string(&progress).unwrap();
        let printed = format!("{:08x} {json}", crc32c::crc32c(json.as_bytes()));
        format!("{printed:<width$}\n", width = slot.len() - 1)
    });
    std::fs::write(state, slots.collect::<String>()).unwrap();
}

#[test]
fn what_waits_survives_a_delivery_by_an_earlier_version() {
    let (setup, path) = three_held_records();
    written_by_an_earlier_version(&format!("{path}/state"));
    created(&setup);
    let next = HookAgent::new(config(&setup.service.url(), setup.dir.path()));
    assert!(next.flush_all(DEADLINE).unwrap());
    assert_eq!(setup.service.numbers(LATE), [0, 1, 2]);
}
