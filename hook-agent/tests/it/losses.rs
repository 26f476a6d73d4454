//! Tests that losses of the spool are reported once in the session's log, by `status`, and by the
//! exit code of `flush`.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use hook_agent::HookAgent;
use serde_json::{Value, json};

use crate::command::{command, output, run};
use crate::service::Fault;
use crate::setup::{
    DEADLINE, SESSION, Setup, config, freed, make_old, numbered, setup, setup_with,
};

/// Leaves `count` pending records in a folder without an owner.
fn left_behind(setup: &Setup, count: usize) -> PathBuf {
    setup.service.down();
    for n in 0..count {
        setup.agent.log_action(&numbered(n)).unwrap();
    }
    let path = setup.agent.stats().unwrap().spool.path.unwrap();
    setup.agent.close(Duration::ZERO);
    freed(&path);
    let _ = std::fs::remove_file(format!("{path}/state"));
    setup.service.up();
    PathBuf::from(path)
}

fn flush(setup: &Setup) -> Output {
    run(setup, &["flush", "--timeout", "30000"], "")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Overwrites the bytes right after the record with number `n`.
fn damage(folder: &Path, n: usize, bytes: &[u8]) {
    let segment = folder.join(format!("{:020}.seg", 0));
    let mut content = std::fs::read(&segment).unwrap();
    let text = format!("\"n\":{n}}}");
    let at = content
        .windows(text.len())
        .position(|found| found == text.as_bytes())
        .unwrap()
        + text.len()
        + 1;
    let end = content.len().min(at + bytes.len());
    content[at..end].copy_from_slice(&bytes[..end - at]);
    std::fs::write(segment, content).unwrap();
}

#[test]
fn zero_bytes_in_a_segment_cost_the_records_that_they_hit_and_the_session_gets_a_gap() {
    let setup = setup();
    let folder = left_behind(&setup, 5);
    // After the first record: the header of the second, so that nothing says where the third
    // begins.
    damage(&folder, 0, &[0; 60]);
    let output = flush(&setup);
    assert_eq!(output.status.code(), Some(74), "{output:?}");
    assert!(said(&output).contains("1 record lost"), "{output:?}");
    assert_eq!(setup.service.numbers(SESSION), [0, 2, 3, 4]);
    assert_eq!(setup.service.gaps(SESSION), [("damaged".to_owned(), 1)]);
    let gap = setup
        .service
        .data(SESSION)
        .into_iter()
        .find(|data| data["type"] == "gap")
        .unwrap();
    assert_eq!(gap["atLeast"], true);
    assert_eq!(flush(&setup).status.code(), Some(0), "it was told once");
    assert_eq!(setup.service.gaps(SESSION).len(), 1);
}

#[test]
fn a_damaged_last_record_is_no_torn_tail() {
    let setup = setup();
    let folder = left_behind(&setup, 5);
    damage(&folder, 3, &[0; 300]);
    assert_eq!(flush(&setup).status.code(), Some(74));
    assert_eq!(setup.service.numbers(SESSION), [0, 1, 2, 3]);
    assert_eq!(setup.service.gaps(SESSION), [("damaged".to_owned(), 1)]);
}

#[test]
fn each_session_gets_gaps_for_its_own_losses_with_their_times() {
    let setup = setup();
    setup.service.down();
    for n in 0..6 {
        let agent = setup.agent.for_session(["a", "b"][n % 2]).unwrap();
        agent.log_action(&numbered(n)).unwrap();
    }
    let path = setup.agent.stats().unwrap().spool.path.unwrap();
    setup.agent.close(Duration::ZERO);
    freed(&path);
    std::fs::remove_file(format!("{path}/state")).unwrap();
    make_old(Path::new(&path), &|record| {
        ["\"n\":0}", "\"n\":1}", "\"n\":2}"]
            .iter()
            .any(|n| record.contains(n))
    });
    setup.service.up();
    let next = HookAgent::new(config(&setup.service.url(), setup.dir.path()));
    assert!(next.flush_all(DEADLINE).unwrap());
    assert_eq!(setup.service.gaps("a"), [("expired".to_owned(), 2)]);
    assert_eq!(setup.service.gaps("b"), [("expired".to_owned(), 1)]);
    assert_eq!(setup.service.numbers("a"), vec![4]);
    assert_eq!(setup.service.numbers("b"), vec![3, 5]);
    let gap = setup
        .service
        .data("a")
        .into_iter()
        .find(|data| data["type"] == "gap")
        .unwrap();
    assert_eq!(gap["from"], "1970-01-01T00:00:00.001Z");
    assert_eq!(gap["to"], gap["from"]);
    assert_eq!(gap["message"], "2 records were too old to be delivered");
}

#[test]
fn exec_says_what_a_full_spool_lost_and_so_do_status_flush_and_the_session() {
    let setup = setup();
    // Closed, because it would deliver the program's records before `flush` does.
    setup.agent.close(Duration::ZERO);
    setup.service.down();
    let mut exec = command(&setup, &["exec", "--", "seq", "3000"]);
    let output = exec
        .env("HOOK_AGENT_SPOOL_MAX_BYTES", "65536")
        .output()
        .unwrap();
    assert!(
        said(&output).contains("records lost on the way to the service"),
        "{}",
        said(&output)
    );
    setup.service.up();
    let status = || -> Value {
        let output = run(&setup, &["status", "--json", "--wait", "20000"], "");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let lost = status()["spools"][0]["folders"][0]["lost"]
        .as_u64()
        .unwrap();
    assert!(lost > 1000, "{lost}");
    let output = flush(&setup);
    assert_eq!(output.status.code(), Some(74), "{output:?}");
    assert!(
        said(&output).contains(&format!("{lost} records lost, the last: ")),
        "{output:?}"
    );
    assert_eq!(setup.service.gaps(SESSION), [("dropped".to_owned(), lost)]);
    let data = setup.service.data(SESSION);
    // All lines, and the start and the exit of the program: any of them may be lost.
    let is_record = |data: &&Value| {
        ["system_message", "bash_exec", "tool_result"]
            .iter()
            .any(|kind| data["type"] == *kind)
    };
    let arrived = data.iter().filter(is_record).count() as u64;
    let kinds: Vec<&Value> = data
        .iter()
        .map(|data| &data["type"])
        .filter(|kind| *kind != "system_message")
        .collect();
    assert_eq!(arrived, 3002 - lost, "{kinds:?}");
    assert_eq!(
        status()["spools"][0]["folders"][0]["lost"],
        json!(lost),
        "`status` remembers it"
    );
    assert_eq!(flush(&setup).status.code(), Some(0));
}

#[test]
fn a_dropped_gap_is_counted_by_the_gap_that_replaces_it() {
    let setup = setup_with(|config| config.spool_max_bytes = 64 * 1024);
    setup.service.down();
    let mut last = 0;
    let mut log = |agent: &HookAgent, count: u64| {
        for _ in 0..count {
            agent.log_action(&numbered(last)).unwrap();
            last += 1;
        }
    };
    log(&setup.agent, 2000);
    let path = setup.agent.stats().unwrap().spool.path.unwrap();
    let first = setup.agent.stats().unwrap().dropped;
    setup.agent.close(Duration::ZERO);
    freed(&path);
    // Another process treats the `gap` as an ordinary record.
    let mut small = config(&setup.service.url(), setup.dir.path());
    small.spool_max_bytes = 64 * 1024;
    let next = HookAgent::new(small);
    assert_eq!(next.stats().unwrap().pending, 2000 - first + 1);
    log(&next, 2000);
    let second = next.stats().unwrap().dropped;
    setup.service.up();
    assert!(next.flush(DEADLINE).unwrap());
    assert_eq!(
        setup.service.gaps(SESSION),
        [("dropped".to_owned(), first + second)]
    );
    assert_eq!(
        setup.service.numbers(SESSION).len() as u64,
        4000 - first - second
    );
    assert_eq!(next.stats().unwrap().pending, 0);
}

/// Writes from a separate process into a spool of 64 KiB that rejects new records; the payload is
/// half of that.
fn write_into_a_small_spool(setup: &Setup) -> Output {
    let mut write = command(setup, &["action", "-", "--wait", "0"]);
    write
        .env("HOOK_AGENT_SPOOL_MAX_BYTES", "65536")
        .env("HOOK_AGENT_SPOOL_FULL", "reject-new");
    let payload = json!({"type": "note", "text": "x".repeat(30_000)}).to_string();
    output(write, &payload)
}

#[test]
fn a_short_process_gets_a_gap_for_what_a_full_spool_refused() {
    let setup = setup();
    setup.agent.close(Duration::ZERO);
    setup.service.down();
    for refused in [false, false, true, true] {
        let output = write_into_a_small_spool(&setup);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(said(&output).contains("is full"), refused, "{output:?}");
    }
    setup.service.up();
    assert_eq!(flush(&setup).status.code(), Some(74));
    assert_eq!(
        setup
            .service
            .data(SESSION)
            .iter()
            .filter(|data| data["type"] == "note")
            .count(),
        2
    );
    let reported = ("refused".to_owned(), 1);
    assert_eq!(setup.service.gaps(SESSION), [reported.clone(), reported]);
}

#[test]
fn short_processes_never_fill_a_full_spool_with_what_tells_of_its_losses() {
    let setup = setup();
    setup.agent.close(Duration::ZERO);
    setup.service.down();
    for _ in 0..60 {
        write_into_a_small_spool(&setup);
    }
    let folders = std::fs::read_dir(setup.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let folder = folders
        .filter(|path| path.join("service").exists())
        .last()
        .unwrap();
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "seg");
    let files = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let bytes: u64 = files
        .filter(is_segment)
        .map(|path| path.metadata().unwrap().len())
        .sum();
    assert!(bytes < 65_536 * 9 / 8 + 1024, "{bytes}");
    let output = run(&setup, &["flush", "--timeout", "100"], "");
    assert_eq!(output.status.code(), Some(69), "{output:?}");
    let listed = std::fs::read_to_string(folder.join("lost/events.jsonl")).unwrap();
    assert_eq!(
        listed.lines().count(),
        58,
        "each is listed, whether it is told in the log or not"
    );
}

#[test]
fn what_the_service_refuses_a_short_process_is_reported_in_the_session() {
    let setup = setup();
    setup.agent.close(Duration::ZERO);
    setup
        .service
        .lock()
        .faults
        .push_back(Fault::Answer(413, "", "<html>too large</html>"));
    run(&setup, &["action", "{\"n\":0}", "--wait", "20000"], "");
    flush(&setup);
    assert_eq!(setup.service.gaps(SESSION), [("rejected".to_owned(), 1)]);
}
