//! Tests long values when something fails on the way: the service, the spool, the process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use hook_agent::{FullPolicy, HookAgent};
use serde_json::{Value, json};

use crate::blobs::{blob, paths, with_blobs};
use crate::command::command;
use crate::service::{Fault, State};
use crate::setup::{
    DEADLINE, SESSION, Setup, as_child, child, config, freed, numbered, setup, setup_with, until,
};

fn long(n: usize) -> Value {
    json!({"type": "tool_result", "n": n, "output": long_text(n)})
}

fn long_text(n: usize) -> String {
    format!("{n} {}", "text ".repeat(40_000))
}

/// Checks that record `n` refers to its whole text.
fn has_whole(setup: &Setup, n: usize) {
    let data = setup.service.data(SESSION);
    let record = data.iter().find(|data| data["n"] == n).unwrap();
    let whole = blob(setup, SESSION, &record["blobs"]["output"]);
    assert!(whole.bytes == long_text(n).as_bytes(), "{n}");
}

fn is_upload(request: &crate::service::Request) -> bool {
    request.method == "PUT"
}

#[test]
fn a_service_without_blobs_gets_the_records_whole() {
    let setup = setup();
    setup.agent.log_action(&long(0)).unwrap();
    setup.agent.log_action(&long(1)).unwrap();
    assert!(setup.agent.flush(DEADLINE).unwrap());
    let data = setup.service.data(SESSION);
    assert_eq!(data[0]["output"], long_text(0));
    assert_eq!(data[1]["output"], long_text(1));
    let uploads = paths(&setup)
        .iter()
        .filter(|path| *path == "PUT blob")
        .count();
    assert_eq!(uploads, 1, "it is not asked for each value");
    // What no event can carry is cut.
    let large = json!({"n": 2, "output": "text ".repeat(3 << 20)});
    setup.agent.log_action(&large).unwrap();
    assert!(setup.agent.flush(DEADLINE).unwrap());
    let data = &setup.service.data(SESSION)[2];
    assert_eq!(data["truncated"]["output"], 15 << 20);
    assert_eq!(data.get("blobs"), None);
    assert_eq!(setup.agent.stats().unwrap().shortened, 1);
    assert_eq!(setup.agent.stats().unwrap().blobs, 0);
}

#[test]
fn a_refused_blob_leaves_an_excerpt_without_a_reference() {
    for refusal in [
        (
            413,
            r#"{"error":"a blob may have 5 bytes","code":"payload_too_large"}"#,
        ),
        (413, "<html>too large</html>"),
        (
            507,
            r#"{"error":"the blobs may have 5 bytes","code":"quota_exceeded"}"#,
        ),
    ] {
        let setup = with_blobs();
        setup.service.lock().refuses_blobs = Some(refusal);
        setup.agent.log_action(&long(0)).unwrap();
        setup.agent.log_action(&numbered(1)).unwrap();
        assert!(setup.agent.flush(DEADLINE).unwrap());
        let data = setup.service.data(SESSION);
        assert_eq!(data[0]["truncated"]["output"], long_text(0).len());
        assert!(data[0]["output"].as_str().unwrap().starts_with("0 text "));
        assert_eq!(data[0].get("blobs"), None);
        assert_eq!(setup.service.numbers(SESSION), [0, 1]);
        assert_eq!(setup.agent.stats().unwrap().shortened, 1);
        let path = setup.agent.stats().unwrap().spool.path.unwrap();
        setup.agent.close(DEADLINE);
        freed(&path);
        let status = command(&setup, &["status"]).output().unwrap();
        let status = String::from_utf8(status.stdout).unwrap();
        assert!(
            status.contains("1 value recorded as an excerpt"),
            "{status}"
        );
        assert!(status.contains("`output` of 200002 bytes"), "{status}");
        let status = command(&setup, &["status", "--json"]).output().unwrap();
        let status: Value = serde_json::from_slice(&status.stdout).unwrap();
        assert_eq!(status["spools"][0]["folders"][0]["shortened"], 1);
    }
}

#[test]
fn uploads_that_fail_delay_a_record_but_not_forever() {
    let setup = setup_with(|config| config.spool_max_age = Duration::from_mins(2));
    let mut state = setup.service.lock();
    state.has_blobs = true;
    state.refuses_blobs = Some((503, "<html>busy</html>"));
    drop(state);
    setup.agent.log_action(&long(0)).unwrap();
    setup.agent.log_action(&numbered(1)).unwrap();
    assert!(setup.agent.flush(DEADLINE).unwrap());
    assert_eq!(setup.service.data(SESSION)[0]["output"], long_text(0));
    assert_eq!(setup.service.numbers(SESSION), [0, 1]);
    let uploads = setup
        .service
        .lock()
        .requests
        .iter()
        .filter(|one| is_upload(one))
        .count();
    assert_eq!(uploads, 20);
    setup.service.lock().refuses_blobs = None;
    setup.agent.log_action(&long(2)).unwrap();
    assert!(setup.agent.flush(DEADLINE).unwrap());
    has_whole(&setup, 2);
}

#[test]
fn records_and_blobs_wait_for_a_service_that_is_away() {
    let setup = with_blobs();
    setup.service.down();
    for n in 0..5 {
        setup.agent.log_action(&long(n)).unwrap();
        setup.agent.log_action(&numbered(n + 100)).unwrap();
    }
    until(&setup.agent, |stats| stats.retries > 0);
    setup.service.up();
    for fault in [
        Fault::Close,
        Fault::CloseStored,
        Fault::HalfAnswer,
        Fault::Garbage,
    ] {
        setup.service.lock().faults.push_back(fault);
    }
    assert!(setup.agent.flush(DEADLINE).unwrap());
    let numbers = [0, 100, 1, 101, 2, 102, 3, 103, 4, 104];
    assert_eq!(setup.service.numbers(SESSION), numbers);
    (0..5).for_each(|n| has_whole(&setup, n));
}

#[test]
fn a_blob_waits_for_its_session_and_its_token_as_its_record_does() {
    let setup = with_blobs();
    setup.service.lock().locked.insert(SESSION.to_owned());
    setup.agent.log_action(&long(0)).unwrap();
    let other = setup.agent.for_session("s-2").unwrap();
    other
        .log_action(&numbered(1))
        .unwrap()
        .wait(DEADLINE)
        .unwrap();
    setup
        .service
        .wait(|state| state.sessions.contains_key("s-2"));
    assert!(setup.service.numbers(SESSION).is_empty());
    setup.service.lock().locked.clear();
    assert!(setup.agent.flush(DEADLINE).unwrap());
    has_whole(&setup, 0);
    assert_eq!(setup.agent.stats().unwrap().blobs, 1);
}

#[test]
fn a_full_spool_takes_a_record_without_its_long_values() {
    for policy in [FullPolicy::RejectNew, FullPolicy::DropOldest] {
        let setup = setup_with(|config| {
            config.spool_max_bytes = 320 * 1024;
            config.spool_full = policy;
        });
        setup.service.lock().has_blobs = true;
        setup.service.down();
        (0..3).for_each(|n| drop(setup.agent.log_action(&long(n)).unwrap()));
        let huge = json!({"n": 3, "output": "text ".repeat(1 << 20)});
        setup.agent.log_action(&huge).unwrap();
        let stats = setup.agent.stats().unwrap();
        assert_eq!(stats.shortened, 3, "{stats:?}");
        assert_eq!(stats.lost, 0, "{stats:?}");
        setup.service.up();
        assert!(setup.agent.flush(DEADLINE).unwrap());
        assert_eq!(setup.service.numbers(SESSION), [0, 1, 2, 3]);
        has_whole(&setup, 0);
        let data = setup.service.data(SESSION);
        for (data, bytes) in data[1..].iter().zip([200_002, 200_002, 5 << 20]) {
            assert_eq!(data["truncated"]["output"], bytes);
            assert_eq!(data.get("blobs"), None);
        }
    }
}

#[test]
fn records_with_many_blobs_are_sent_a_few_at_a_time() {
    let setup = with_blobs();
    setup.service.down();
    for n in 0..30 {
        let record = json!({"n": n, "output": format!("{n} {}", "text ".repeat(14_000))});
        setup.agent.log_action(&record).unwrap();
    }
    for n in 30..40 {
        setup.agent.log_action(&numbered(n)).unwrap();
    }
    setup.service.up();
    assert!(setup.agent.flush(DEADLINE).unwrap());
    assert_eq!(
        setup.service.numbers(SESSION),
        (0..40).collect::<Vec<u64>>()
    );
    let paths = paths(&setup);
    let longest = paths
        .split(|path| path == "POST events")
        .map(<[String]>::len);
    assert_eq!(longest.max(), Some(8), "{paths:?}");
}

#[test]
fn a_request_that_an_earlier_version_sent_whole_is_not_stored_twice() {
    let setup = setup_with(|config| {
        config.blobs = false;
        config.linger = Duration::from_secs(2);
    });
    let first = setup.agent.log_action(&numbered(100)).unwrap();
    first.wait(DEADLINE).unwrap();
    setup.service.lock().always = Some(Fault::CloseStored);
    for n in 0..12 {
        let record = json!({"n": n, "output": "text ".repeat(14_000)});
        setup.agent.log_action(&record).unwrap();
    }
    let lines = |state: &State| state.sessions[SESSION].lines.len();
    setup.service.wait(|state| lines(state) == 13);
    let path = setup.agent.stats().unwrap().spool.path.unwrap();
    setup.agent.close(Duration::ZERO);
    freed(&path);
    setup.service.lock().always = None;
    setup.service.lock().has_blobs = true;
    let next = HookAgent::new(config(&setup.service.url(), setup.dir.path()));
    next.log_action(&numbered(12)).unwrap();
    assert!(next.flush_all(DEADLINE).unwrap());
    let numbers: Vec<u64> = std::iter::once(100).chain(0..13).collect();
    assert_eq!(setup.service.numbers(SESSION), numbers);
}

/// Child process: logs a record with a long value, and waits until it is killed.
#[test]
fn client_that_is_killed_with_a_blob() {
    let Some((agent, n)) = as_child() else {
        return;
    };
    let ticket = agent.log_action(&long(n.parse().unwrap())).unwrap();
    let _ = ticket.wait(DEADLINE);
    std::thread::sleep(DEADLINE);
}

fn kill_when(setup: &Setup, n: usize, what: impl Fn(&State) -> bool) {
    let role = "blob_faults::client_that_is_killed_with_a_blob";
    let mut child = child(role, &setup.service.url(), setup.dir.path(), &n.to_string());
    setup.service.wait(what);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_client_killed_at_any_step_leaves_a_record_with_its_blob() {
    let setup = with_blobs();
    let uploads = |state: &State| state.requests.iter().filter(|one| is_upload(one)).count();
    let events = |state: &State| state.requests.len() - uploads(state);
    // The record is in the spool, and nothing of it was sent.
    setup.service.lock().faults.push_back(Fault::Close);
    kill_when(&setup, 0, |state| uploads(state) == 1);
    // The blob is sent, and the client does not know whether it is stored.
    let before = uploads(&setup.service.lock());
    setup.service.lock().faults.push_back(Fault::Held);
    kill_when(&setup, 1, |state| uploads(state) > before);
    setup.service.release();
    // The record is sent, and the client does not know whether it is stored.
    let before = events(&setup.service.lock());
    setup.service.lock().always = Some(Fault::Held);
    std::thread::scope(|scope| {
        let service = &setup.service;
        scope.spawn(move || {
            // Uploads are answered; the request for the record is not.
            let mut seen = uploads(&service.lock());
            while events(&service.lock()) == before {
                let now = uploads(&service.lock());
                if now > seen {
                    seen = now;
                    service.release();
                }
                std::thread::yield_now();
            }
        });
        kill_when(&setup, 2, |state| events(state) > before);
    });
    setup.service.lock().always = None;
    setup.service.release();
    assert!(setup.agent.flush_all(DEADLINE).unwrap());
    let mut numbers = setup.service.numbers(SESSION);
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1, 2], "each once");
    (0..3).for_each(|n| has_whole(&setup, n));
    let path = setup.agent.stats().unwrap().spool.path.unwrap();
    setup.agent.close(DEADLINE);
    freed(&path);
    assert_eq!(files_with_records(setup.dir.path()), 0, "nothing is left");
}

/// Returns how many bytes of records the folders have behind what is delivered.
fn files_with_records(dir: &Path) -> u64 {
    let config = config("http://127.0.0.1:9", dir);
    let agent = HookAgent::new(config);
    let pending = agent.stats().unwrap().pending;
    agent.close(Duration::ZERO);
    pending
}

/// Answers an upload with 404 and closes, before it has read any of the body; takes everything else.
fn serve_early(stream: &TcpStream) {
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if reader.read_until(b'\n', &mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        if head.starts_with("put") {
            let refusal =
                "HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
            writer.write_all(refusal.as_bytes()).unwrap();
            return;
        }
        let length = head.split("content-length: ").nth(1).unwrap();
        let length = length.split('\r').next().unwrap().parse().unwrap();
        reader.read_exact(&mut vec![0; length]).unwrap();
        let body = r#"{"results":[{"success":true,"seq":1}],"offset":1}"#;
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        writer.write_all(answer.as_bytes()).unwrap();
    }
}

#[test]
fn a_service_that_refuses_an_upload_before_it_has_read_it_is_understood() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            serve_early(&stream.unwrap());
        }
    });
    let dir = tempfile::tempdir().unwrap();
    let agent = HookAgent::new(config(&url, dir.path()));
    let record = json!({"n": 0, "output": "text ".repeat(1_800_000)});
    agent.log_action(&record).unwrap().wait(DEADLINE).unwrap();
    assert_eq!(agent.stats().unwrap().retries, 0);
    assert_eq!(agent.stats().unwrap().delivered, 1);
}
