//! The same events as server-sent events and as pages.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::{position, texts};
use crate::server::{PATIENCE, TestServer};
use crate::socket::{Sse, Tail};

/// The upgrade headers of a WebSocket client.
const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

async fn with_history() -> TestServer {
    let server = TestServer::start();
    server.create("s", "u").await;
    for n in 1..=5 {
        server.action("s", json!({"n": n})).await;
        server.action("other", json!({"n": n})).await;
    }
    server
}

#[tokio::test]
async fn a_stream_resumes_after_its_last_id() {
    let server = with_history().await;
    let mut first = Sse::connect(&server, "/api/sessions/s/events", Some("0")).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(first.next().await);
    }
    assert_eq!(seen[0].data["type"], "session_created");
    let last = seen[2].id.clone();
    assert!(
        last.ends_with(&seen[2].data["offset"].to_string()),
        "`id` is the position: {last}"
    );
    drop(first);
    let mut again = Sse::connect(&server, "/api/sessions/s/events", Some(&last)).await;
    for n in 3..=5 {
        assert_eq!(again.next().await.data["data"]["n"], n);
    }
    server.action("other", json!({})).await;
    server.action("s", json!({"n": 6})).await;
    assert_eq!(again.next().await.data["data"]["n"], 6);
    let server = server.crash();
    let mut later = Sse::connect(&server, "/api/sessions/s/events", Some(&last)).await;
    assert_eq!(later.next().await.data["data"]["n"], 3);
}

#[tokio::test]
async fn the_firehose_streams_every_session() {
    let server = with_history().await;
    let mut all = Sse::connect(&server, "/api/events", Some("0")).await;
    let mut names = Vec::new();
    for _ in 0..12 {
        names.push(
            all.next().await.data["sessionId"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    assert_eq!(names.iter().filter(|n| *n == "s").count(), 6);
    server.action("third", json!({})).await;
    assert_eq!(all.next().await.data["sessionId"], "third");
}

#[tokio::test]
async fn pages_and_socket_show_the_same_events() {
    let server = with_history().await;
    let pages = server.events("/api/sessions/s/events").await;
    let mut tail = Tail::connect(&server, "?session=s&since=0").await;
    assert_eq!(tail.take(pages.len()).await, pages);
    assert_eq!(
        texts(&pages, "type"),
        [
            "session_created",
            "action",
            "action",
            "action",
            "action",
            "action"
        ]
    );
    assert_eq!(server.events("/api/events").await.len(), 12);
}

#[tokio::test]
async fn a_page_ends_where_the_next_begins() {
    let server = with_history().await;
    let first = server.get("/api/sessions/s/events?limit=2").await.ok();
    assert_eq!(first["events"].as_array().unwrap().len(), 2);
    let next = position(&first["next"]);
    let second = server
        .get(&format!("/api/sessions/s/events?after={next}&limit=100"))
        .await
        .ok();
    let numbers: Vec<&Value> = second["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| &e["data"]["n"])
        .collect();
    assert_eq!(numbers, [2, 3, 4, 5]);
    let end = position(&second["next"]);
    assert_eq!(
        server
            .get(&format!("/api/sessions/s/events?after={end}"))
            .await
            .ok()["events"],
        json!([])
    );
    for query in ["after=x", "limit=x", "after=%ff", "limit=1&limit=2"] {
        server
            .get(&format!("/api/events?{query}"))
            .await
            .refused(400, "invalid_parameter");
    }
}

#[tokio::test]
async fn a_page_begins_at_any_event_of_a_session() {
    let server = with_history().await;
    for n in 1..=300 {
        match n % 3 {
            0 => {
                _ = server
                    .response("s", json!({"n": n, "filler": "x".repeat(n)}))
                    .await;
            }
            1 => _ = server.action("s", json!({"n": n})).await,
            _ => _ = server.patch_state("s", json!({"n": n})).await,
        }
        server.action("other", json!({})).await;
    }
    let server = server.restart();
    let all = server.events("/api/sessions/s/events").await;
    for at in [0, 1, 5, 6, 7, 150, 304, 305, 306, 400] {
        let page = server
            .get(&format!("/api/sessions/s/events?at={at}&limit=7"))
            .await
            .ok();
        let start = at.min(306);
        assert_eq!(&page["at"], &json!(start));
        assert_eq!(&page["total"], &json!(306));
        assert_eq!(
            page["events"].as_array().unwrap()[..],
            all[start..all.len().min(start + 7)],
            "{at}"
        );
    }
    for (from_end, start) in [(1, 305), (100, 206), (306, 0), (999, 0)] {
        let page = server
            .get(&format!("/api/sessions/s/events?at=-{from_end}&limit=1"))
            .await
            .ok();
        assert_eq!(&page["at"], &json!(start));
        assert_eq!(&page["events"][0], &all[start]);
    }
    server
        .get("/api/sessions/s/events?at=x")
        .await
        .refused(400, "invalid_parameter");
    server
        .get("/api/sessions/gone/events?at=0")
        .await
        .refused(404, "session_not_found");
}

#[tokio::test]
async fn a_sessions_whole_history_outlives_restarts() {
    let server = with_history().await;
    let before = server.events("/api/sessions/s/events").await;
    let server = server.restart().restart().crash();
    assert_eq!(server.events("/api/sessions/s/events").await, before);
}

#[tokio::test]
async fn a_head_of_a_stream_is_answered_and_frees_its_connection() {
    let server = with_history().await;
    for path in ["/api/events", "/api/sessions/s/events"] {
        let answers = answers_to_head(&server, path, "Accept: text/event-stream\r\n").await;
        let (first, second) = answers.split_once("\r\n\r\n").unwrap();
        assert!(
            first.starts_with("HTTP/1.1 200 ") && first.contains("text/event-stream"),
            "{answers}"
        );
        assert!(
            second.starts_with("HTTP/1.1 200 ") && second.contains("\"status\":\"ok\""),
            "{answers}"
        );
    }
    let socket = answers_to_head(&server, "/ws", UPGRADE).await;
    assert!(socket.starts_with("HTTP/1.1 400 "), "{socket}");
}

/// Sends a HEAD request and then `GET /health` on one connection; returns everything received.
async fn answers_to_head(server: &TestServer, path: &str, headers: &str) -> String {
    let asked = format!(
        "HEAD {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n\
         GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    );
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(asked.as_bytes()).await.unwrap();
    let mut answers = String::new();
    let read = timeout(PATIENCE, stream.read_to_string(&mut answers)).await;
    assert!(read.is_ok(), "HEAD {path} holds its connection");
    answers
}

#[tokio::test]
async fn stopping_ends_the_streams() {
    let mut server = with_history().await;
    let mut stream = Sse::connect(&server, "/api/events", Some("0")).await;
    stream.next().await;
    server.ask_to_stop();
    server.ended();
}
