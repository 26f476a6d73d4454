//! Clients that disconnect as soon as their request is sent: whatever happened to the request, all
//! derived data agrees with the events.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::{array, texts};
use crate::disk;
use crate::server::{Setup, TestServer, eventually};
use crate::socket::Tail;

const ROUNDS: usize = 24;

/// Sends a request and disconnects, immediately or while the request is being answered.
async fn cut(server: &TestServer, method: &str, path: &str, body: &Value, after: Duration) {
    let text = if method == "DELETE" {
        String::new()
    } else {
        body.to_string()
    };
    let kind = if path.ends_with("/events") {
        "application/x-ndjson"
    } else {
        "application/json"
    };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{text}",
        text.len()
    );
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    if !after.is_zero() {
        let _ = timeout(after, stream.read(&mut [0; 1])).await;
    }
}

/// Every route that writes to a session, in an order in which each one has an effect.
fn writes(id: &str) -> Vec<(&'static str, String, Value)> {
    let creation = json!({"sessionId": id, "userId": "u", "initial": {"input": id}, "parentSession": "mother"});
    vec![
        ("POST", "/api/sessions".into(), creation),
        (
            "POST",
            format!("/api/actions/{id}"),
            json!({"type": "bash_exec"}),
        ),
        (
            "POST",
            format!("/api/actions/{id}/responses"),
            json!({"text": "done"}),
        ),
        (
            "PATCH",
            format!("/api/state/{id}"),
            json!({"phase": "coding"}),
        ),
        ("POST", format!("/api/state/{id}/goals"), json!({"id": "g"})),
        (
            "PATCH",
            format!("/api/state/{id}/goals/g"),
            json!({"status": "done"}),
        ),
        (
            "POST",
            format!("/api/state/{id}/agents"),
            json!({"agentId": "a", "type": "t", "task": "x"}),
        ),
        (
            "POST",
            format!("/api/state/{id}/agents/a/complete"),
            json!({"result": "ok"}),
        ),
        (
            "POST",
            format!("/api/sessions/{id}/events"),
            json!({"type": "state_update", "data": {"phase": "batch"}}),
        ),
        (
            "PATCH",
            format!("/api/sessions/{id}/metadata"),
            json!({"tags": [id]}),
        ),
        (
            "POST",
            format!("/api/sessions/{id}/finalize"),
            json!({"outcome": id}),
        ),
        ("POST", format!("/api/sessions/{id}/reopen"), json!({})),
        (
            "POST",
            format!("/api/sessions/{id}/finalize"),
            json!({"outcome": "again"}),
        ),
        ("DELETE", format!("/api/sessions/{id}"), json!({})),
    ]
}

/// Returns the sessions according to the events, oldest first, with whether each is completed.
fn sessions_in(events: &[Value]) -> Vec<(String, bool)> {
    let mut sessions: Vec<(String, bool)> = Vec::new();
    for event in events {
        let id = event["sessionId"].as_str().unwrap();
        let known = sessions.iter().position(|s| s.0 == id);
        match (event["type"].as_str().unwrap(), known) {
            ("session_created", None) => sessions.push((id.to_owned(), false)),
            ("session_finalized", Some(n)) => sessions[n].1 = true,
            ("session_reopened", Some(n)) => sessions[n].1 = false,
            ("session_deleted", Some(n)) => drop(sessions.remove(n)),
            // A repeated creation is a claim.
            _ => {}
        }
    }
    sessions
}

/// Reads a JSON file; null if it does not exist yet.
fn read(path: &Path) -> Value {
    fs::read_to_string(path).map_or(Value::Null, |text| serde_json::from_str(&text).unwrap())
}

/// Compares all derived data with the events.
async fn disagreements(server: &TestServer) -> Vec<String> {
    let sessions = sessions_in(&server.events("/api/events").await);
    let ids: BTreeSet<String> = sessions.iter().map(|(id, _)| id.clone()).collect();
    let completed = sessions.iter().filter(|(_, completed)| *completed).count();
    let newest: Vec<&str> = sessions.iter().rev().map(|(id, _)| id.as_str()).collect();
    let mut faults = Vec::new();
    let mut same = |what: &str, found: Value, expected: Value| {
        if found != expected {
            faults.push(format!("{what}: {found} instead of {expected}"));
        }
    };
    let page = array(server.get("/api/sessions?limit=1000").await.ok()["sessions"].take());
    same("the list", json!(texts(&page, "sessionId")), json!(newest));
    let done = page.iter().filter(|s| s["status"] == "completed").count();
    same("completed in the list", json!(done), json!(completed));
    let stats = server.get("/api/query/stats").await.ok();
    same(
        "stats",
        json!([stats["total"], stats["completed"]]),
        json!([ids.len(), completed]),
    );
    let recent = array(server.get("/api/query/recent").await.ok());
    let most = newest.len().min(10);
    same(
        "recent",
        json!(texts(&recent, "sessionId")),
        json!(newest[..most]),
    );
    let links: Vec<String> = disk::names(&server.storage().join("recent"));
    let links: Vec<&str> = links.iter().map(|name| &name[3..]).collect();
    same("recent/", json!(links), json!(newest[..most]));
    same(
        "sessions/",
        json!(disk::names(&server.storage().join("sessions"))),
        json!(ids),
    );
    let index = read(&server.storage().join("index.json"));
    let rows: BTreeMap<&String, bool> = index
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(id, _)| !id.starts_with('$'))
        .map(|(id, row)| (id, row["status"] == "completed"))
        .collect();
    same(
        "index.json",
        json!(rows),
        json!(sessions.iter().cloned().collect::<BTreeMap<_, _>>()),
    );
    let mut children = BTreeSet::new();
    for id in &ids {
        let whole = server.session(id).await;
        let named = |name: &str| read(&server.file(id, name));
        let metadata = disk::public(whole["metadata"].clone());
        same(
            &format!("{id}/metadata.json"),
            disk::public(named("metadata.json")),
            metadata,
        );
        same(
            &format!("{id}/state.json"),
            named("state.json"),
            whole["state"].clone(),
        );
        same(
            &format!("{id}/initial.json"),
            named("initial.json"),
            whole["initial"].clone(),
        );
        if whole["metadata"]["parentSession"] == "mother" {
            children.insert(id.clone());
        }
    }
    let listed = array(server.metadata("mother").await["subsessions"].take());
    let listed: BTreeSet<&str> = listed.iter().map(|child| child.as_str().unwrap()).collect();
    same("the mother's children", json!(listed), json!(children));
    let folder = server.file("mother", "subsessions");
    let links = if folder.is_dir() {
        disk::names(&folder)
    } else {
        Vec::new()
    };
    same("the mother's links", json!(links), json!(children));
    faults
}

async fn all_agree(server: &TestServer, when: &str) {
    let mut last = Vec::new();
    let agreed = timeout(Duration::from_secs(20), async {
        eventually("all agree", async || {
            last = disagreements(server).await;
            last.is_empty().then_some(())
        })
        .await;
    });
    assert!(agreed.await.is_ok(), "{when}: {last:#?}");
}

/// Checks that each event that only one route causes has a line in the audit log.
fn audited(server: &Setup, events: &[Value]) {
    let folder = server.storage().join("audit");
    let text: String = disk::files_below(&folder)
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for event in events {
        let (method, route) = match event["type"].as_str().unwrap() {
            "action" => ("POST", "/api/actions/{id}"),
            "response" => ("POST", "/api/actions/{id}/responses"),
            "session_deleted" => ("DELETE", "/api/sessions/{id}"),
            "session_finalized" => ("POST", "/api/sessions/{id}/finalize"),
            _ => continue,
        };
        let written = lines.iter().any(|line| {
            line["method"] == method
                && line["route"] == route
                && line["session"] == event["sessionId"]
        });
        assert!(written, "not in the audit log: {event}");
    }
    assert!(
        lines.iter().all(|line| line["route"] != "/health"),
        "what is open to all is not noted"
    );
    let gone = lines.iter().filter(|line| line["status"] == 499).count();
    println!(
        "{} events, {} lines of the audit log, {gone} of them unanswered",
        events.len(),
        lines.len()
    );
}

#[tokio::test]
async fn derived_data_agrees_with_the_events_after_any_aborted_request() {
    let server = Setup::new().env("AUDIT_LOG", "on").start();
    server.create("mother", "u").await;
    let mut tail = Tail::connect(&server, "?since=0").await;
    for round in 0..ROUNDS {
        let id = format!("c{round:02}");
        for (step, (method, path, body)) in writes(&id).iter().enumerate() {
            if *method == "DELETE" && round % 3 == 0 {
                continue;
            }
            let after = Duration::from_micros(((round * 14 + step) * 131 % 2600) as u64 / 8 * 8);
            cut(
                &server,
                method,
                path,
                body,
                if round % 4 == 0 {
                    Duration::ZERO
                } else {
                    after
                },
            )
            .await;
        }
    }
    server.action("mother", json!({"last": true})).await;
    all_agree(&server, "while it runs").await;
    let events = server.events("/api/events").await;
    let mut live = Vec::new();
    while live.len() < events.len() {
        live.push(tail.next().await);
    }
    assert_eq!(live, events, "what was followed is what is stored");
    let server = server.crash();
    all_agree(&server, "after a crash").await;
    let setup = server.stop();
    let check = setup.run(&["check"]);
    assert_eq!(check.code, Some(0), "{}", check.said());
    let server = setup.start();
    all_agree(&server, "after a stop").await;
    assert_eq!(
        server.events("/api/events").await[..events.len()],
        events[..]
    );
}

#[tokio::test]
async fn a_write_whose_client_has_gone_stands_in_the_audit_log() {
    let server = Setup::new().env("AUDIT_LOG", "on").start();
    for round in 0..8 {
        for (method, path, body) in writes(&format!("c{round}")) {
            cut(
                &server,
                method,
                &path,
                &body,
                Duration::from_micros(round * 90),
            )
            .await;
        }
    }
    server.action("last", json!({})).await;
    until_quiet(&server).await;
    let events = server.events("/api/events").await;
    audited(&server.stop(), &events);
}

/// Waits until no request is in flight any more.
async fn until_quiet(server: &TestServer) {
    let mut before = Vec::new();
    eventually("no more events come", async || {
        let now = server.events("/api/events").await;
        let still = now == before && server.get("/health").await.status == 200;
        before = now;
        still.then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_session_whose_deletion_was_aborted_by_its_client_is_in_no_list() {
    let server = TestServer::start();
    server.create("lister", "u").await;
    for n in 0..ROUNDS {
        let child = format!("child-{n}");
        server.create(&child, "u").await;
        let agent = json!({"agentId": child, "type": "t", "task": "x", "subsession": child});
        server.spawn_agent("lister", agent).await.ok();
    }
    for n in 0..ROUNDS {
        let path = format!("/api/sessions/child-{n}");
        cut(
            &server,
            "DELETE",
            &path,
            &json!({}),
            Duration::from_micros(50 * n as u64),
        )
        .await;
    }
    eventually("none is listed", async || {
        (server.metadata("lister").await["subsessions"] == json!([])).then_some(())
    })
    .await;
    assert_eq!(disk::names(&server.storage().join("sessions")), ["lister"]);
}
