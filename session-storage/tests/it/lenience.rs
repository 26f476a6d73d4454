//! Requests that are accepted although they are not quite correct, because many different programs
//! send them.

use std::fs;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Setup, TestServer};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packing = GzEncoder::new(Vec::new(), Compression::default());
    packing.write_all(bytes).unwrap();
    packing.finish().unwrap()
}

#[tokio::test]
async fn a_body_may_be_compressed_and_is_bounded_after_it_is_unpacked() {
    let server = TestServer::start();
    let headers = |kind: &str| {
        [
            ("Content-Type", kind.to_owned()),
            ("Content-Encoding", "gzip".to_owned()),
        ]
    };
    let post = async |path: &str, kind: &str, body: &[u8]| {
        server
            .send(Method::POST, path, &headers(kind), Some(gzip(body)))
            .await
    };
    let action = br#"{"type":"tool_call","n":1}"#;
    assert_eq!(
        post("/api/actions/s", "application/json", action)
            .await
            .ok()["seq"],
        1
    );
    let lines =
        b"{\"type\":\"action\",\"data\":{\"n\":2}}\n{\"type\":\"action\",\"data\":{\"n\":3}}\n";
    let results = post("/api/sessions/s/events", "application/x-ndjson", lines)
        .await
        .ok();
    assert_eq!(results["results"][1]["seq"], 3);
    let huge = format!("{{\"pad\":\"{}\"}}", "x".repeat(11 << 20));
    post("/api/actions/s", "application/json", huge.as_bytes())
        .await
        .refused(413, "payload_too_large");
    let plain = Some(action.to_vec());
    let plain = server
        .send(
            Method::POST,
            "/api/actions/s",
            &headers("application/json"),
            plain,
        )
        .await;
    plain.refused(400, "invalid_request");
    let numbers: Vec<Value> = server
        .actions("s", "")
        .await
        .iter()
        .map(|record| record["n"].clone())
        .collect();
    assert_eq!(numbers, [1, 2, 3]);
}

#[tokio::test]
async fn compression_is_no_way_around_the_bytes_that_a_user_has() {
    let server = Setup::new().env("MAX_BYTES_PER_USER", "64KiB").start();
    let body = gzip(format!("{{\"pad\":\"{}\"}}", "x".repeat(100_000)).as_bytes());
    let headers = [
        ("Content-Type", "application/json".to_owned()),
        ("Content-Encoding", "gzip".to_owned()),
    ];
    server
        .send(Method::POST, "/api/actions/s", &headers, Some(body))
        .await
        .refused(507, "quota_exceeded");
}

#[tokio::test]
async fn a_byte_order_mark_and_a_slash_at_the_end_are_passed_over() {
    let server = TestServer::start();
    let kind = [("Content-Type", "application/json".to_owned())];
    let marked = "\u{feff}{\"n\":1}".as_bytes().to_vec();
    server
        .send(Method::POST, "/api/actions/s/", &kind, Some(marked))
        .await
        .ok();
    assert_eq!(server.get("/api/actions/s/?limit=5").await.ok()[0]["n"], 1);
    assert_eq!(
        server.get("/api/sessions//?limit=5").await.ok()["sessions"][0]["sessionId"],
        "s"
    );
    assert_eq!(server.get("/health/").await.ok()["status"], "ok");
    server
        .get("/api/actions//s")
        .await
        .refused(404, "not_found");
}

#[tokio::test]
async fn a_page_of_nothing_is_an_empty_page() {
    let server = TestServer::start();
    server.action("s", json!({"n": 1})).await;
    assert_eq!(
        server.get("/api/sessions?limit=0").await.ok(),
        json!({"sessions": [], "next": null})
    );
    for path in [
        "/api/actions/s",
        "/api/query/active",
        "/api/sessions/user/unknown",
    ] {
        assert_eq!(
            server.get(&format!("{path}?limit=0")).await.ok(),
            json!([]),
            "{path}"
        );
    }
    let page = server.get("/api/sessions/s/events?limit=0").await.ok();
    assert_eq!(page["events"], json!([]));
    let next = page["next"].as_str().unwrap();
    assert_eq!(server.events("/api/sessions/s/events").await.len(), 2);
    let rest = server
        .get(&format!("/api/sessions/s/events?after={next}"))
        .await
        .ok();
    assert_eq!(
        rest["events"].as_array().unwrap().len(),
        2,
        "nothing was passed over"
    );
}

#[tokio::test]
async fn an_empty_folder_below_sessions_is_no_session_until_one_is_made_in_it() {
    let setup = Setup::new();
    fs::create_dir_all(setup.storage().join("sessions/empty/subsessions")).unwrap();
    let checked = setup.run(&["check"]);
    assert!(
        checked.stdout.contains("0 sessions checked, 0 faults"),
        "{}",
        checked.said()
    );
    let server = setup.start();
    server
        .get("/api/sessions/empty")
        .await
        .refused(404, "session_not_found");
    assert_eq!(
        server.get("/api/sessions").await.ok()["sessions"],
        json!([])
    );
    assert_eq!(server.create("empty", "u").await.get("existing"), None);
    assert_eq!(server.action("empty", json!({"n": 1})).await, 1);
    let stranger = server.storage().join("sessions/theirs");
    fs::create_dir_all(&stranger).unwrap();
    fs::write(stranger.join("readme.md"), "theirs").unwrap();
    server
        .post("/api/actions/theirs", json!({}))
        .await
        .refused(404, "session_not_found");
    server
        .delete("/api/sessions/theirs")
        .await
        .refused(404, "session_not_found");
    assert!(
        stranger.join("readme.md").is_file(),
        "what is not ours is not deleted"
    );
    let server = server.crash();
    assert_eq!(server.metadata("empty").await["userId"], "u");
    assert_eq!(server.actions("empty", "").await.len(), 1);
}
