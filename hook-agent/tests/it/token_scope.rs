//! Tests a service that accepts the token only for some sessions: their records are delivered; the
//! others wait until they are too old.

use std::path::Path;
use std::time::Duration;

use hook_agent::{Config, HookAgent};
use serde_json::Value;

use crate::command::command;
use crate::service::Fault;
use crate::setup::{DEADLINE, SESSION, Setup, config, freed, log, make_old, setup_with, until};

const OTHER: &str = "other";

fn locked(change: impl FnOnce(&mut Config)) -> Setup {
    let setup = setup_with(|config| {
        config.token = Some("a-token".into());
        change(config);
    });
    setup.service.lock().locked.insert(OTHER.to_owned());
    setup
}

/// Closes the agent, and returns its folder once that is free.
fn ended(agent: &HookAgent) -> String {
    let path = agent.stats().unwrap().spool.path.unwrap();
    agent.close(Duration::ZERO);
    freed(&path);
    path
}

/// Returns the `n` of a folder's kept rejected records.
fn rejected(path: &str) -> Vec<u64> {
    let kept = std::fs::read_to_string(format!("{path}/rejected/events.jsonl")).unwrap();
    let lines = kept
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .inspect(|line| {
            assert_eq!(line["code"], "not_let_in");
            assert_eq!(line["session"], OTHER);
        })
        .map(|line| line["event"]["data"]["n"].as_u64().unwrap())
        .collect()
}

/// Closes the agent and makes these records too old. Returns its folder, and an agent that
/// continues with it.
fn later(
    setup: &Setup,
    agent: &HookAgent,
    session: &str,
    too_old: &[usize],
) -> (String, HookAgent) {
    let path = ended(agent);
    let of = |n: &usize| format!("\"n\":{n}}}");
    make_old(Path::new(&path), &|record| {
        too_old.iter().any(|n| record.contains(&of(n)))
    });
    (path, HookAgent::new(config_with_token(setup, session)))
}

#[test]
fn records_that_the_token_never_covers_delay_no_other_and_are_rejected_in_the_end() {
    let setup = locked(|_| {});
    let first = HookAgent::new(config_with_token(&setup, OTHER));
    assert!(log(&first, OTHER, 0).wait(DEADLINE).unwrap().is_queued());
    // A separate window, behind one for which access is refused.
    assert!(!log(&first, SESSION, 1).wait(DEADLINE).unwrap().is_queued());
    assert_eq!(setup.service.numbers(SESSION), [1]);
    let stats = first.stats().unwrap();
    assert_eq!(stats.pending, 1, "{stats:?}");
    assert_eq!(stats.rejected, 0, "{stats:?}");
    assert!(stats.locked, "{stats:?}");

    let (path, agent) = later(&setup, &first, OTHER, &[0]);
    assert!(agent.flush_all(DEADLINE).unwrap());
    let stats = agent.stats().unwrap();
    assert_eq!(stats.rejected, 1, "{stats:?}");
    assert_eq!(stats.delivered, 0, "{stats:?}");
    assert_eq!(stats.expired, 0, "{stats:?}");
    assert_eq!(stats.pending, 0, "{stats:?}");
    setup.service.lock().locked.clear();
    assert!(!log(&agent, OTHER, 2).wait(DEADLINE).unwrap().is_queued());
    assert_eq!(setup.service.numbers(OTHER), [2]);
    ended(&agent);
    assert_eq!(rejected(&path), [0]);
}

#[test]
fn sessions_of_one_window_do_not_wait_for_each_other_and_only_what_is_too_old_goes() {
    let setup = locked(|_| {});
    let first = HookAgent::new(config_with_token(&setup, SESSION));
    // Records logged while a response is awaited are sent as one window.
    setup.service.lock().faults.push_back(Fault::Held);
    log(&first, SESSION, 0);
    setup.service.wait(|state| !state.requests.is_empty());
    log(&first, OTHER, 1);
    log(&first, OTHER, 2);
    log(&first, SESSION, 3);
    setup.service.release();
    // While records are moved to a held spool, they count in both places for a moment.
    let stats = until(&first, |stats| {
        stats.delivered == 2 && stats.locked && stats.pending == 2
    });
    assert_eq!(stats.rejected, 0, "{stats:?}");
    assert!(!stats.reachable, "{stats:?}");
    assert_eq!(setup.service.numbers(SESSION), [0, 3]);

    let (path, agent) = later(&setup, &first, OTHER, &[1]);
    assert!(!agent.flush_all(Duration::from_millis(100)).unwrap());
    until(&agent, |stats| stats.rejected == 1);
    setup.service.lock().locked.clear();
    assert!(agent.flush_all(DEADLINE).unwrap());
    let stats = agent.stats().unwrap();
    assert!(!stats.locked, "{stats:?}");
    assert_eq!(stats.delivered, 1, "{stats:?}");
    assert_eq!(stats.rejected, 1, "{stats:?}");
    assert_eq!(setup.service.numbers(OTHER), vec![2]);
    assert_eq!(setup.service.numbers(SESSION), vec![0, 3]);
    ended(&agent);
    assert_eq!(rejected(&path), [1]);
}

#[test]
fn a_batch_stored_before_its_answer_was_lost_takes_no_other_record_along_when_it_is_rejected() {
    let setup = locked(|_| {});
    let refusal = Fault::Answer(404, "", r#"{"error": "gone", "code": "session_not_found"}"#);
    let first = HookAgent::new(config_with_token(&setup, SESSION));
    setup.service.lock().faults.push_back(Fault::CloseStored);
    setup.service.lock().always = Some(refusal);
    log(&first, SESSION, 0);
    until(&first, |stats| stats.locked);

    let (_, agent) = later(&setup, &first, SESSION, &[0]);
    assert!(agent.flush_all(DEADLINE).unwrap());
    assert_eq!(agent.stats().unwrap().rejected, 1);
    setup.service.lock().always = None;
    assert!(!log(&agent, SESSION, 1).wait(DEADLINE).unwrap().is_queued());
    assert_eq!(setup.service.numbers(SESSION), [0, 1]);
}

#[test]
fn that_nothing_is_lost_is_said_of_a_spool_on_disk_alone() {
    let on_disk = locked(|_| {});
    let in_memory = locked(|config| config.spool_dirs = vec!["/dev/null/spool".into()]);
    for (setup, kind) in [(on_disk, "disk"), (in_memory, "memory")] {
        assert!(
            log(&setup.agent, OTHER, 0)
                .wait(DEADLINE)
                .unwrap()
                .is_queued()
        );
        let stats = setup.agent.stats().unwrap();
        let said = stats.last_error.clone().unwrap();
        assert!(
            stats.locked && stats.spool.kind == kind && said.contains("session `other`"),
            "{stats:?}"
        );
        assert_eq!(
            said.ends_with("; nothing is lost, records wait in the spool"),
            kind == "disk",
            "{said}"
        );
    }
}

/// Leaves a folder with these records behind, and returns it.
fn left_behind(setup: &Setup, records: &[(&str, usize)]) -> String {
    let agent = HookAgent::new(config_with_token(setup, SESSION));
    for (session, n) in records {
        log(&agent, session, *n);
    }
    let path = ended(&agent);
    // As if all records had been there at the first attempt.
    let _ = std::fs::remove_file(format!("{path}/state"));
    path
}

fn config_with_token(setup: &Setup, session: &str) -> Config {
    let session_id = Some(session.to_owned());
    Config {
        token: Some("a-token".into()),
        session_id,
        ..config(&setup.service.url(), setup.dir.path())
    }
}

#[test]
fn a_folder_with_other_sessions_in_its_first_window_belongs_to_no_session() {
    let setup = locked(|_| {});
    setup.service.down();
    let mixed = left_behind(&setup, &[(SESSION, 0), (OTHER, 1)]);
    setup.service.up();
    let agent = HookAgent::new(config_with_token(&setup, SESSION));
    assert!(!log(&agent, SESSION, 2).wait(DEADLINE).unwrap().is_queued());
    assert_ne!(agent.stats().unwrap().spool.path.unwrap(), mixed);
    assert!(
        !agent.flush_all(DEADLINE).unwrap(),
        "there is something left that is not for this token"
    );
    assert!(
        !log(&agent, SESSION, 3).wait(DEADLINE).unwrap().is_queued(),
        "its own go on"
    );
    // The order of the folders is not defined.
    let mut numbers = setup.service.numbers(SESSION);
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 2, 3]);
}

#[test]
fn a_flush_without_a_session_delivers_everything_that_the_token_is_good_for() {
    let setup = locked(|_| {});
    setup.service.down();
    let first = HookAgent::new(config_with_token(&setup, OTHER));
    log(&first, OTHER, 0);
    left_behind(&setup, &[(SESSION, 1), (SESSION, 2)]);
    ended(&first);
    setup.service.up();
    let mut flush = command(&setup, &["flush"]);
    let output = flush
        .env_remove("SESSION_ID")
        .env("SESSION_TOKEN", "a-token")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code() == Some(69) && said.contains("not for session `other`"),
        "{output:?}"
    );
    assert_eq!(setup.service.numbers(SESSION), [1, 2]);
}
