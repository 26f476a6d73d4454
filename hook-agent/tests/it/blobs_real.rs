//! Tests long values with the real service, if its binary is available.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use hook_agent::HookAgent;
use serde_json::{Value, json};

use crate::blobs::{base64, image};
use crate::real_service::{Running, binary, free_port, start, start_with};
use crate::setup::{DEADLINE, SESSION, config, until};

/// Returns the bytes of a blob, as the service serves them.
fn get(service: &Running, reference: &Value) -> Vec<u8> {
    let name = reference["$blob"]
        .as_str()
        .unwrap()
        .strip_prefix("sha256:")
        .unwrap();
    let address = service.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "GET /api/sessions/{SESSION}/blobs/{name} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(
        answer.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&answer[..200.min(answer.len())])
    );
    let body = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap()
        + 4;
    answer.split_off(body)
}

fn actions(agent: &HookAgent) -> Vec<Value> {
    let whole: Value = agent
        .restore(1000)
        .unwrap()
        .wait(DEADLINE)
        .unwrap()
        .parse()
        .unwrap();
    whole["actions"].as_array().unwrap().clone()
}

fn text(n: usize) -> String {
    format!("{n} {}", "some words of an output\n".repeat(40_000))
}

#[test]
fn the_service_stores_what_the_records_refer_to_even_if_it_is_killed() {
    let Some(binary) = binary() else { return };
    let dir = tempfile::tempdir().unwrap();
    let storage = dir.path().join("data");
    let port = free_port();
    let mut service = start(&binary, &storage, port);
    let agent = HookAgent::new(config(&service.url, &dir.path().join("spool")));
    let image = image(300_000);
    for round in 0..6 {
        for n in 0..5 {
            let n = round * 5 + n;
            let output = json!([{"type": "text", "text": text(n)}, {"data": base64(&image), "mimeType": "image/png"}]);
            let record = json!({"type": "tool_result", "n": n, "output": output});
            agent.log_action(&record).unwrap();
        }
        let blobs = agent.stats().unwrap().blobs;
        until(&agent, |stats| stats.blobs > blobs || stats.pending == 0);
        drop(service);
        service = start(&binary, &storage, port);
    }
    assert!(agent.flush(DEADLINE).unwrap(), "{:?}", agent.stats());
    let actions = actions(&agent);
    let numbers: Vec<u64> = actions
        .iter()
        .map(|one| one["n"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (0..30).collect::<Vec<u64>>());
    for (n, action) in actions.iter().enumerate() {
        assert!(get(&service, &action["blobs"]["output.0.text"]) == text(n).as_bytes());
        assert!(get(&service, &action["output"][1]["data"]) == image);
    }
    drop(agent);
    drop(service);
    let check = Command::new(&binary)
        .arg("check")
        .env("STORAGE_PATH", &storage)
        .output();
    let check = check.unwrap();
    assert!(check.status.success(), "{check:?}");
}

#[test]
fn many_processes_may_store_the_same_blob_at_once() {
    let Some(binary) = binary() else { return };
    let dir = tempfile::tempdir().unwrap();
    let service = start(&binary, &dir.path().join("data"), free_port());
    std::thread::scope(|scope| {
        for n in 0..6 {
            let (url, spool) = (&service.url, dir.path().join("spool"));
            scope.spawn(move || {
                let agent = HookAgent::new(config(url, &spool));
                agent
                    .log_action(&json!({"type": "tool_result", "n": n, "output": text(7)}))
                    .unwrap();
                assert!(agent.flush(DEADLINE).unwrap(), "{:?}", agent.stats());
            });
        }
    });
    let agent = HookAgent::new(config(&service.url, &dir.path().join("spool")));
    let actions = actions(&agent);
    assert_eq!(actions.len(), 6);
    for action in actions {
        assert!(get(&service, &action["blobs"]["output"]) == text(7).as_bytes());
    }
}

#[test]
fn a_session_whose_blobs_are_full_gets_excerpts() {
    let Some(binary) = binary() else { return };
    let dir = tempfile::tempdir().unwrap();
    let limits = [
        ("MAX_SESSION_BLOB_BYTES", "1500000"),
        ("MAX_BLOB_BYTES", "1200000"),
    ];
    let service = start_with(&binary, &dir.path().join("data"), free_port(), &limits);
    let agent = HookAgent::new(config(&service.url, &dir.path().join("spool")));
    for (n, text) in [text(0), text(1), text(2).repeat(2)]
        .into_iter()
        .enumerate()
    {
        agent
            .log_action(&json!({"type": "tool_result", "n": n, "output": text}))
            .unwrap();
    }
    assert!(agent.flush(DEADLINE).unwrap(), "{:?}", agent.stats());
    let stats = agent.stats().unwrap();
    assert_eq!(stats.blobs, 1);
    assert_eq!(stats.shortened, 2);
    let actions = actions(&agent);
    assert!(get(&service, &actions[0]["blobs"]["output"]) == text(0).as_bytes());
    for action in &actions[1..] {
        assert!(action["truncated"]["output"].as_u64().unwrap() > 900_000);
        assert_eq!(action.get("blobs"), None);
    }
}
