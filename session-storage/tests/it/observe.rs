//! Observability: metrics, probes, log lines.
#![expect(clippy::float_cmp, reason = "counts are whole numbers")]

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::server::{Setup, TestServer, eventually};
use crate::socket::Tail;

/// Reads the samples of `/metrics` by name and labels.
async fn samples(server: &TestServer) -> HashMap<String, f64> {
    let reply = server.get("/metrics").await;
    assert_eq!(reply.status, 200);
    assert_eq!(
        reply.header("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (
            name.to_owned(),
            value.parse().unwrap_or_else(|e| panic!("{line}: {e}")),
        )
    };
    reply
        .text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(sample)
        .collect()
}

fn requests(route: &str, method: &str, status: &str) -> String {
    let labels = format!("route=\"{route}\",method=\"{method}\",status=\"{status}\"");
    format!("session_storage_http_request_duration_seconds_count{{{labels}}}")
}

#[tokio::test]
async fn what_was_asked_is_counted_by_route_method_status_and_code() {
    let server = TestServer::start();
    for n in 0..3 {
        server.action("s", json!({ "n": n })).await;
    }
    server
        .get("/api/sessions/none")
        .await
        .refused(404, "session_not_found");
    server.get("/nothing/here").await.refused(404, "not_found");
    server.get("/dashboard/").await;
    let lines = [
        json!({"type": "nonsense"}),
        json!({"type": "action", "data": {}}),
        json!({"type": "what"}),
        json!(
        {"type": "goal_update", "data": {"goalId": "none"}}),
    ];
    server.batch("s", &[], &lines).await.ok();
    let found = samples(&server).await;
    for (code, count) in [("invalid_request", 2.0), ("goal_not_found", 1.0)] {
        assert_eq!(
            found[&format!("session_storage_errors_total{{code=\"{code}\"}}")],
            count,
            "lines that are refused"
        );
    }
    assert_eq!(found[&requests("/api/actions/{id}", "POST", "2xx")], 3.0);
    assert_eq!(found[&requests("/api/sessions/{id}", "GET", "4xx")], 1.0);
    assert_eq!(found[&requests("unmatched", "GET", "4xx")], 1.0);
    assert_eq!(found[&requests("/dashboard/", "GET", "2xx")], 1.0);
    assert_eq!(
        found["session_storage_errors_total{code=\"session_not_found\"}"],
        1.0
    );
    assert_eq!(
        found["session_storage_errors_total{code=\"internal\"}"],
        0.0
    );
    assert!(
        found
            .keys()
            .all(|name| !name.contains("none") && !name.contains("nothing")),
        "no client's words"
    );
}

#[tokio::test]
async fn commits_and_sessions_are_counted() {
    let server = TestServer::start();
    let before = samples(&server).await;
    let lines: Vec<Value> = (0..5)
        .map(|n| json!({"type": "action", "data": {"n": n}}))
        .collect();
    server.batch("s", &[], &lines).await.ok();
    server.create("t", "u").await;
    server.finalize("t", json!({})).await.ok();
    let after = eventually("the commits are counted", async || {
        let found = samples(&server).await;
        (found["session_storage_commit_events_sum"] >= 8.0).then_some(found)
    })
    .await;
    let grown = |name: &str| after[name] - before[name];
    assert_eq!(
        grown("session_storage_commit_events_sum"),
        8.0,
        "five actions, two births, one end"
    );
    let commits = grown("session_storage_commit_events_count");
    assert!((1.0..=3.0).contains(&commits), "{commits}");
    for name in [
        "session_storage_commit_duration_seconds",
        "session_storage_commit_sync_duration_seconds",
        "session_storage_commit_wait_duration_seconds",
        "session_storage_commit_bytes",
    ] {
        assert_eq!(grown(&format!("{name}_count")), commits, "{name}");
        assert!(grown(&format!("{name}_sum")) > 0.0, "{name}");
    }
    assert!(grown("session_storage_log_written_bytes_total") > 500.0);
    assert!(
        grown("session_storage_journal_written_bytes_total")
            > grown("session_storage_log_written_bytes_total")
    );
    assert_eq!(after["session_storage_sessions{status=\"active\"}"], 1.0);
    assert_eq!(after["session_storage_sessions{status=\"completed\"}"], 1.0);
    assert_eq!(after["session_storage_sessions_loaded"], 2.0);
    assert_eq!(after["session_storage_offset"], 8.0);
    assert_eq!(after["session_storage_storage_failed"], 0.0);
    assert_eq!(after["session_storage_journal_segments"], 1.0);
    assert!(after["session_storage_disk_free_bytes"] > 0.0 && after["process_open_fds"] > 3.0);
    assert!(after["session_storage_http_connections"] >= 1.0);
}

#[tokio::test]
async fn subscribers_and_their_way_back_from_disk_are_counted() {
    let server = TestServer::start();
    for n in 0..10 {
        server.action("s", json!({ "n": n })).await;
    }
    let mut tail = Tail::connect(&server, "?session=s&since=0").await;
    tail.take(11).await;
    let found = samples(&server).await;
    assert_eq!(
        found["session_storage_subscribers{transport=\"websocket\"}"],
        1.0
    );
    assert_eq!(found["session_storage_live_catch_ups_total"], 1.0);
    assert!(found["session_storage_live_catch_up_pages_total"] >= 1.0);
    assert_eq!(found["session_storage_live_gaps_total"], 0.0);
    server.action("s", json!({})).await;
    tail.take(1).await;
    let found = samples(&server).await;
    // The event before it may have been published after its response, when the subscriber was
    // already there.
    let published = found["session_storage_live_events_published_total"];
    assert!(published == 1.0 || published == 2.0, "{published}");
    assert_eq!(found["session_storage_subscribers_lagging"], 0.0);
    assert_eq!(found["session_storage_subscriber_lag_max"], 0.0);
    drop(tail);
    eventually("the subscriber is gone", async || {
        (samples(&server).await["session_storage_subscribers{transport=\"websocket\"}"] == 0.0)
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_service_that_runs_is_alive_and_ready() {
    let server = TestServer::start();
    assert_eq!(server.get("/livez").await.ok(), json!({"status": "alive"}));
    let ready = server.get("/readyz").await.ok();
    let checks = json!({"journal": "ok", "disk": "ok", "accepting": "ok"});
    assert_eq!(ready, json!({"status": "ready", "checks": checks}));
    assert!(
        !server.storage().join(".probe").exists(),
        "the probe leaves nothing behind"
    );
}

#[tokio::test]
async fn a_disk_that_takes_no_file_is_not_ready_and_alive() {
    let server = TestServer::start();
    // A folder at the path of the file that the probe writes.
    std::fs::create_dir_all(server.storage().join("..probe.tmp")).unwrap();
    let body = server.get("/readyz").await;
    body.refused(503, "storage_unavailable");
    let body = body.json();
    assert_eq!(&body["status"], &json!("unready"));
    assert_eq!(&body["checks"]["journal"], &json!("ok"));
    assert_ne!(body["checks"]["disk"], "ok");
    assert!(!body.to_string().contains("vault-of-the-service"), "{body}");
    server.get("/livez").await.ok();
}

fn logged(server: &TestServer, request: &str) -> Option<Value> {
    let log = server.log_text();
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.into_iter().find(|line| line["requestId"] == request)
}

async fn line_of(server: &TestServer, request: &str) -> Value {
    eventually("the line is there", async || logged(server, request)).await
}

#[tokio::test]
async fn an_error_is_logged_with_all_that_finds_it_again() {
    let server = Setup::new()
        .env("LOG_FORMAT", "json")
        .env("RUST_LOG", "session_storage=debug")
        .start();
    let named = [("x-request-id", "mine-7".to_owned())];
    server
        .patch_with("/api/state/s/goals/g", &named, json!({}))
        .await
        .refused(404, "goal_not_found");
    let line = line_of(&server, "mine-7").await;
    for (field, value) in [
        ("level", json!("DEBUG")),
        ("message", json!("request refused")),
        ("method", json!("PATCH")),
        ("route", json!("/api/state/{id}/goals/{goal}")),
        ("path", json!("/api/state/s/goals/g")),
        ("session", json!("s")),
        ("status", json!(404)),
        ("code", json!("goal_not_found")),
    ] {
        assert_eq!(line[field], value, "{line}");
    }
    assert!(
        line["durationMs"].as_f64().is_some_and(|ms| ms >= 0.0),
        "{line}"
    );
    assert!(line["error"].as_str().unwrap().contains("`g`"), "{line}");
}

#[tokio::test]
async fn the_access_log_has_one_line_for_each_request_and_is_off_by_default() {
    let server = Setup::new()
        .env("LOG_FORMAT", "json")
        .env("ACCESS_LOG", "true")
        .start();
    let named = |name: &str| [("x-request-id", name.to_owned())];
    server
        .post_with("/api/actions/s", &named("a-1"), json!({}))
        .await
        .ok();
    server
        .post_with("/api/sessions", &named("a-2"), json!({}))
        .await
        .refused(400, "invalid_request");
    let first = line_of(&server, "a-1").await;
    let second = line_of(&server, "a-2").await;
    let of = |line: &Value| {
        (
            line["level"].clone(),
            line["route"].clone(),
            line["status"].clone(),
        )
    };
    assert_eq!(
        of(&first),
        (json!("INFO"), json!("/api/actions/{id}"), json!(200))
    );
    assert_eq!(
        of(&second),
        (json!("INFO"), json!("/api/sessions"), json!(400))
    );
    assert_eq!(&first["session"], &json!("s"));
    assert_eq!(&second["code"], &json!("invalid_request"));
    assert_eq!(server.log_text().matches("a-2").count(), 1);
    let quiet = Setup::new().env("LOG_FORMAT", "json").start();
    quiet
        .post_with("/api/actions/s", &named("a-3"), json!({}))
        .await
        .ok();
    quiet.ask_to_stop();
    let mut quiet = quiet;
    quiet.ended();
    assert!(logged(&quiet, "a-3").is_none());
}
