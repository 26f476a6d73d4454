//! `/api/events` and `/api/sessions/{id}/events` over real connections.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::double::EPOCH;
use super::server::{TestServer, soon};
use crate::live::LiveConfig;

const STREAM: &str = "accept: text/event-stream\r\n";

/// Reads until the text has arrived. Returns everything since the last call.
async fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut heard = Vec::new();
    while !String::from_utf8_lossy(&heard).contains(text) {
        assert_ne!(
            soon(stream.read_buf(&mut heard)).await.unwrap(),
            0,
            "ended before {text:?}"
        );
    }
    String::from_utf8(heard).unwrap()
}

fn ids(heard: &str) -> Vec<u64> {
    let events = heard
        .split("\n\n")
        .filter(|event| event.contains("data: {\"offset\""));
    let id = |event: &str| {
        event
            .split("id: 7f3a9c-")
            .nth(1)
            .and_then(|id| id.lines().next()?.parse().ok())
    };
    events.map(|event| id(event).unwrap()).collect()
}

#[actix_web::test]
async fn a_stream_begins_with_its_position_and_bears_one_with_every_event() {
    let server = TestServer::start();
    server.backlog.tell(&server.hub, "a", "ann", 2);
    let mut stream = server.get("/api/sessions/a/events", STREAM).await;
    let head = read_until(&mut stream, "id: 7f3a9c-2\n").await;
    assert!(
        head.starts_with("HTTP/1.1 200") && head.contains("content-type: text/event-stream"),
        "{head}"
    );
    assert!(head.contains("retry: "));
    server.backlog.tell(&server.hub, "b", "ann", 1);
    server.backlog.tell(&server.hub, "a", "ann", 1);
    let event = read_until(&mut stream, "\"}\n\n").await;
    assert!(
        event.contains("id: 7f3a9c-4\ndata: {\"offset\":4,\"type\":\"action\",\"sessionId\":\"a\""),
        "{event}"
    );
    drop(stream);
    server.wait_for(0).await;
    server.stop().await;
}

#[actix_web::test]
async fn last_event_id_resumes_and_wins_over_the_address() {
    let server = TestServer::start();
    server.backlog.tell(&server.hub, "a", "ann", 300);
    for (path, header, first) in [
        ("/api/events?after=5", String::new(), 6),
        ("/api/events?since=5", String::new(), 6),
        (
            "/api/events?after=5",
            format!("last-event-id: {EPOCH}-200\r\n"),
            201,
        ),
    ] {
        let mut stream = server.get(path, &format!("{STREAM}{header}")).await;
        let heard = read_until(&mut stream, "\"offset\":300,").await;
        assert!(
            ids(&heard).into_iter().eq(first..=300),
            "{path} {:?}",
            ids(&heard)
        );
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_gap_is_an_event_with_the_position_behind_it() {
    let server = TestServer::start();
    server.backlog.tell(&server.hub, "a", "ann", 9);
    server.backlog.forget(6);
    let mut stream = server.get("/api/events?after=other-1", STREAM).await;
    let heard = read_until(&mut stream, "\"offset\":9,").await;
    let gap = "id: 7f3a9c-6\nevent: gap\ndata: {\"from\":1,\"to\":6}\n\n";
    assert!(heard.contains(gap), "{heard}");
    assert_eq!(ids(&heard), [7, 8, 9]);
    server.stop().await;
}

#[actix_web::test]
async fn heartbeats_carry_the_position_on_and_stop_ends_the_stream() {
    let ping_interval = Duration::from_millis(40);
    let server = TestServer::with(LiveConfig {
        ping_interval,
        ..LiveConfig::default()
    });
    let mut stream = server.get("/api/sessions/a/events", STREAM).await;
    read_until(&mut stream, ": \nid: 7f3a9c-0\n\n").await;
    server.backlog.tell(&server.hub, "b", "ben", 5);
    read_until(&mut stream, ": \nid: 7f3a9c-5\n\n").await;
    server.hub.close_all();
    let mut rest = Vec::new();
    soon(stream.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.ends_with(b"0\r\n\r\n"), "the body ends cleanly");
    server.stop().await;
}

#[actix_web::test]
async fn pages_follow_each_other_by_next() {
    let server = TestServer::start();
    server.backlog.tell(&server.hub, "a", "ann", 250);
    server.backlog.tell(&server.hub, "b", "ann", 1);
    let mut after = "0".to_owned();
    let mut seen = Vec::new();
    for expected in [100, 100, 50, 0] {
        let (status, page) = server
            .json(&format!("/api/sessions/a/events?after={after}"), "")
            .await;
        assert_eq!(status, 200);
        assert_eq!(&page["gap"], &Value::Null);
        let events = page["events"].as_array().unwrap();
        assert_eq!(events.len(), expected);
        seen.extend(events.iter().map(|event| event["offset"].as_u64().unwrap()));
        page["next"].as_str().unwrap().clone_into(&mut after);
    }
    assert!(seen.into_iter().eq(1..=250));
    assert_eq!(after, format!("{EPOCH}-251"));
    let (_, page) = server.json("/api/events?limit=2", "").await;
    assert_eq!(page["events"].as_array().unwrap().len(), 2);
    assert_eq!(&page["next"], &json!("7f3a9c-2"));
    server.backlog.forget(248);
    let (_, page) = server.json("/api/events?after=3", "").await;
    assert_eq!(&page["gap"], &json!({"from": 3, "to": 248}));
    assert_eq!(page["events"].as_array().unwrap().len(), 3);
    server.stop().await;
}

#[actix_web::test]
async fn an_invalid_request_is_refused_by_name() {
    let server = TestServer::start();
    for (path, headers, status, code) in [
        (
            "/api/sessions/unheard-of/events",
            "",
            404,
            "session_not_found",
        ),
        (
            "/api/sessions/unheard-of/events",
            STREAM,
            404,
            "session_not_found",
        ),
        ("/api/sessions/-a/events", "", 400, "invalid_session_id"),
        ("/api/events?after=x", "", 400, "invalid_parameter"),
        ("/api/events?limit=-1", "", 400, "invalid_parameter"),
        ("/api/events?limit=1001", "", 400, "invalid_parameter"),
        (
            "/api/events",
            "last-event-id: now\r\n",
            400,
            "invalid_parameter",
        ),
    ] {
        let (answered, body) = server.json(path, headers).await;
        assert_eq!(answered, status, "{path}");
        assert_eq!(&body["code"], &json!(code), "{path}");
    }
    server.stop().await;
}
