//! A number keeps the digits that were sent, in every document.

use std::fs;

use reqwest::Method;
use serde_json::json;

use crate::client::Reply;
use crate::server::{Setup, TestServer};
use crate::transfer::{beside, text};

/// Numbers that JSON readers interpret differently.
const NUMBERS: &str = concat!(
    "[25000000000000000001,0.1000000000000000055511151231257827,1E5,1e+5,-0,1.0,1.10,1e400,",
    "123456789012345678901234567890.5]"
);

async fn send(server: &TestServer, method: Method, path: &str, kind: &str, body: String) -> Reply {
    let headers = [("Content-Type", kind.to_owned())];
    server
        .send(method, path, &headers, Some(body.into_bytes()))
        .await
}

async fn json_body(server: &TestServer, method: Method, path: &str, body: String) -> Reply {
    let reply = send(server, method, path, "application/json", body).await;
    reply.ok();
    reply
}

/// Creates one session that has the numbers in every document, through every route.
async fn fill(server: &TestServer) {
    let n = NUMBERS;
    let initial = format!(
        r#"{{"sessionId":"s","userId":"u","initial":{{"sandboxId":{n},"config":{{"n":{n}}},"n":{n}}}}}"#
    );
    json_body(server, Method::POST, "/api/sessions", initial).await;
    json_body(
        server,
        Method::POST,
        "/api/actions/s",
        format!(r#"{{"n":{n}}}"#),
    )
    .await;
    json_body(
        server,
        Method::PATCH,
        "/api/state/s",
        format!(r#"{{"merged":{n},"workspace":{{"n":{n}}}}}"#),
    )
    .await;
    let patch = format!(r#"{{"merge-patched":{n}}}"#);
    send(
        server,
        Method::PATCH,
        "/api/state/s",
        "application/merge-patch+json",
        patch,
    )
    .await
    .ok();
    let patch = format!(
        r#"[{{"op":"add","path":"/patched","value":{n}}},{{"op":"copy","from":"/patched","path":"/copied"}}]"#
    );
    send(
        server,
        Method::PATCH,
        "/api/state/s",
        "application/json-patch+json",
        patch,
    )
    .await
    .ok();
    for (path, body) in [
        ("/api/state/s/goals", format!(r#"{{"id":"g","n":{n}}}"#)),
        (
            "/api/state/s/agents",
            format!(r#"{{"type":"t","task":"x","agentId":"a","n":{n}}}"#),
        ),
    ] {
        let answer = json_body(server, Method::POST, path, body).await;
        assert!(
            answer.text.contains(&format!(r#""n":{n}"#)),
            "{}",
            answer.text
        );
    }
    json_body(
        server,
        Method::PATCH,
        "/api/state/s/goals/g",
        format!(r#"{{"status":"completed","m":{n}}}"#),
    )
    .await;
    json_body(
        server,
        Method::POST,
        "/api/state/s/agents/a/complete",
        format!(r#"{{"m":{n}}}"#),
    )
    .await;
    json_body(
        server,
        Method::PATCH,
        "/api/sessions/s/metadata",
        format!(r#"{{"own":{n},"tokenUsage.exact":{n}}}"#),
    )
    .await;
    let line = format!("{{\"type\":\"goal_add\",\"data\":{{\"id\":\"b\",\"n\":{n}}}}}\n");
    let batch = send(
        server,
        Method::POST,
        "/api/sessions/s/events",
        "application/x-ndjson",
        line,
    )
    .await;
    batch.ok();
    assert!(
        batch.text.contains(&format!(r#""n":{n}"#)),
        "{}",
        batch.text
    );
    for response in ["1", "2"] {
        let body =
            format!(r#"{{"status":{n},"outcome":{n},"response":{n},"n":{n},"m":{response}}}"#);
        json_body(server, Method::POST, "/api/sessions/s/finalize", body).await;
    }
}

/// Counts how often the numbers appear in a response, digit for digit.
async fn count(server: &TestServer, path: &str) -> usize {
    let reply = server.get(path).await;
    assert!(reply.status == 200, "{path}: {}", reply.text);
    reply.text.matches(NUMBERS).count()
}

#[tokio::test]
async fn numbers_keep_their_digits_in_every_document_and_on_every_way() {
    let server = TestServer::start();
    fill(&server).await;
    let whole = server.get("/api/sessions/s?logs=false").await.text;
    let events = server.get("/api/sessions/s/events?limit=100").await.text;
    assert_eq!(
        events.matches(NUMBERS).count(),
        1 + 2 + 1 + 1 + 1 + 1 + 1 + 1 + 2 + 1 + 8,
        "{events}"
    );
    assert_eq!(count(&server, "/api/state/s").await, 10);
    assert_eq!(
        count(&server, "/api/state/s?version=4").await,
        5,
        "computed from the log"
    );
    assert_eq!(count(&server, "/api/sessions?limit=5").await, 4);
    // Recovered from the journal first, then read from the files only.
    let server = server.crash();
    assert_eq!(server.get("/api/sessions/s?logs=false").await.text, whole);
    let server = server.restart();
    assert_eq!(server.get("/api/sessions/s?logs=false").await.text, whole);
    for (name, times) in [
        ("state.json", 10),
        ("metadata.json", 4),
        ("final.json", 6),
        ("final-1.json", 6),
        ("initial.json", 3),
    ] {
        let path = server.file("s", name);
        let flat: String = fs::read_to_string(&path)
            .unwrap()
            .split_whitespace()
            .collect();
        assert_eq!(flat.matches(NUMBERS).count(), times, "{name}: {flat}");
    }
    // After an export and import.
    let bundle = server.setup.outside().join("all.tar.zst");
    let run = beside(&server, &["export", text(&bundle)]).await;
    assert_eq!(run.code, Some(0), "{}", run.said());
    let other = Setup::new();
    let run = other.run(&["import", text(&bundle)]);
    assert_eq!(run.code, Some(0), "{}", run.said());
    assert_eq!(
        other.start().get("/api/sessions/s?logs=false").await.text,
        whole
    );
}

#[tokio::test]
async fn a_body_that_looks_like_a_parsers_own_mark_is_kept_as_it_is() {
    let server = TestServer::start();
    for (n, marked) in [
        r#"{"$serde_json::private::Number":"12"}"#,
        r#"{"$serde_json::private::Number":"none"}"#,
        r#"{"\u0024serde_json::private::RawValue":"[1]"}"#,
    ]
    .iter()
    .enumerate()
    {
        json_body(
            &server,
            Method::PATCH,
            "/api/state/s",
            format!(r#"{{"f{n}":{marked}}}"#),
        )
        .await;
    }
    let server = server.crash().restart();
    let text = server.get("/api/state/s").await.text;
    let kept = r#""f0":{"$serde_json::private::Number":"12"},"f1":{"$serde_json::private::Number":"none"},"f2":{"$serde_json::private::RawValue":"[1]"}"#;
    assert!(text.contains(kept), "{text}");
}

#[tokio::test]
async fn a_json_patch_tests_numbers_by_value() {
    let server = TestServer::start();
    json_body(
        &server,
        Method::PATCH,
        "/api/state/s",
        r#"{"n":25000000000000000001,"one":1}"#.to_owned(),
    )
    .await;
    for (path, value, holds) in [
        ("/n", "25000000000000000001", true),
        ("/n", "25000000000000000002", false),
        ("/n", "2.5e19", false),
        ("/one", "1.0", true),
    ] {
        let patch = format!(
            r#"[{{"op":"test","path":"{path}","value":{value}}},{{"op":"add","path":"/x","value":1}}]"#
        );
        let reply = send(
            &server,
            Method::PATCH,
            "/api/state/s",
            "application/json-patch+json",
            patch,
        )
        .await;
        assert_eq!(reply.status < 300, holds, "{path} {value}: {}", reply.text);
    }
}

#[tokio::test]
async fn a_finalize_with_another_number_is_another_finalize() {
    let server = TestServer::start();
    server.action("s", json!({})).await;
    for outcome in [
        "25000000000000000001",
        "25000000000000000002",
        "25000000000000000002",
    ] {
        json_body(
            &server,
            Method::POST,
            "/api/sessions/s/finalize",
            format!(r#"{{"outcome":{outcome}}}"#),
        )
        .await;
    }
    let events = server.events("/api/sessions/s/events").await;
    assert_eq!(
        events
            .iter()
            .filter(|event| event["type"] == "session_finalized")
            .count(),
        2
    );
}

#[tokio::test]
async fn metadata_counts_exactly_and_leaves_text_alone() {
    let server = TestServer::start();
    server.action("s", json!({})).await;
    let patch = async |body: &str| {
        send(
            &server,
            Method::PATCH,
            "/api/sessions/s/metadata",
            "application/json",
            body.to_owned(),
        )
        .await
    };
    patch(r#"{"tokenUsage.input":"12","phone":"+4366412345678","big":25000000000000000001}"#)
        .await
        .ok();
    patch(r#"{"tokenUsage.input":"+7","big":"+1"}"#).await.ok();
    let text = server.get("/api/sessions/s?logs=false").await.text;
    for kept in [
        r#""input":19"#,
        r#""phone":"+4366412345678""#,
        r#""big":25000000000000000002"#,
    ] {
        assert!(text.contains(kept), "{kept}: {text}");
    }
    patch(r#"{"tokenUsage.input":"many"}"#)
        .await
        .refused(400, "invalid_state");
    patch(r#"{"big":"+1e9999"}"#)
        .await
        .refused(400, "invalid_request");
}
