//! The queries of a dashboard: recent, active, stats, a user's sessions, pages.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::client::{array, texts};
use crate::server::{Setup, TestServer, eventually};

async fn with_sessions(setup: Setup, n: usize) -> TestServer {
    let server = setup.start();
    for i in 1..=n {
        server
            .create(&format!("s{i:02}"), if i % 2 == 0 { "even" } else { "odd" })
            .await;
    }
    server
}

#[tokio::test]
async fn recent_is_newest_first_and_bounded() {
    let server = with_sessions(Setup::new(), 12).await;
    let expected: Vec<String> = (3..=12).rev().map(|i| format!("s{i:02}")).collect();
    let recent = array(server.get("/api/query/recent").await.ok());
    assert_eq!(texts(&recent, "sessionId"), expected);
    assert_eq!(recent[0]["$schema"], "session-metadata-v1");
    server.action("s01", json!({})).await;
    let server = server.crash();
    assert_eq!(
        texts(
            &array(server.get("/api/query/recent").await.ok()),
            "sessionId"
        ),
        expected,
        "after a crash"
    );
    let three = with_sessions(Setup::new().env("RECENT_LIMIT", 3), 5).await;
    assert_eq!(
        texts(
            &array(three.get("/api/query/recent").await.ok()),
            "sessionId"
        ),
        ["s05", "s04", "s03"]
    );
}

#[tokio::test]
async fn more_than_fifty_sessions_are_all_kept() {
    let server = with_sessions(Setup::new(), 60).await;
    for i in 1..=60 {
        server.finalize(&format!("s{i:02}"), json!({})).await.ok();
    }
    let server = server.restart();
    assert_eq!(server.get("/api/query/stats").await.ok()["total"], 60);
    assert_eq!(server.metadata("s01").await["status"], "completed");
}

#[tokio::test]
async fn active_and_stats_tell_who_is_done() {
    let server = with_sessions(Setup::new(), 15).await;
    for i in 1..=12 {
        server.finalize(&format!("s{i:02}"), json!({})).await.ok();
    }
    let active = array(server.get("/api/query/active").await.ok());
    let names: BTreeSet<&str> = texts(&active, "sessionId").into_iter().collect();
    assert_eq!(names, BTreeSet::from(["s13", "s14", "s15"]));
    assert!(active.iter().all(|m| m["status"] == "active"));
    let stats = server.get("/api/query/stats").await.ok();
    assert_eq!(&stats["total"], &json!(15));
    assert_eq!(&stats["active"], &json!(3));
    assert_eq!(&stats["completed"], &json!(12));
    assert_eq!(stats["activeSessions"].as_array().unwrap().len(), 3);
    let last = stats["completedSessions"].to_string();
    assert_eq!(stats["completedSessions"].as_array().unwrap().len(), 10);
    assert!(
        last.contains("s12") && last.contains("s03") && !last.contains("s02"),
        "the last ten: {last}"
    );
    server.reopen("s05").await.ok();
    let server = server.crash();
    let stats = server.get("/api/query/stats").await.ok();
    assert_eq!(&stats["active"], &json!(4));
    assert_eq!(&stats["completed"], &json!(11));
}

#[tokio::test]
async fn the_sessions_of_a_user_are_listed() {
    let server = with_sessions(Setup::new(), 4).await;
    server.create("z", "Zoë <zoe@example.org>").await;
    let mut rows = array(server.get("/api/sessions/user/even").await.ok());
    rows.sort_by_key(|row| row["sessionId"].to_string());
    assert_eq!(texts(&rows, "sessionId"), ["s02", "s04"]);
    assert_eq!(rows[0]["userId"], "even");
    assert_eq!(rows[0]["created"], server.metadata("s02").await["created"]);
    let zoe = server
        .get("/api/sessions/user/Zo%C3%AB%20%3Czoe%40example.org%3E")
        .await
        .ok();
    assert_eq!(zoe[0]["sessionId"], "z");
    assert_eq!(
        server.get("/api/sessions/user/nobody").await.ok(),
        json!([])
    );
}

async fn all_pages(server: &TestServer, query: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    for _ in 0..50 {
        let page = server
            .get(&format!("/api/sessions?{query}{cursor}"))
            .await
            .ok();
        found.extend(
            page["sessions"]
                .as_array()
                .unwrap()
                .iter()
                .map(|m| m["sessionId"].as_str().unwrap().to_owned()),
        );
        match &page["next"] {
            Value::Null => return found,
            next => cursor = format!("&cursor={}", crate::client::position(next)),
        }
    }
    panic!("the pages of {query} do not end");
}

#[tokio::test]
async fn pages_show_every_session_once() {
    let server = with_sessions(Setup::new(), 23).await;
    let mut found = all_pages(&server, "limit=5").await;
    assert_eq!(found.len(), 23);
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 23);
    let page = server.get("/api/sessions?limit=5").await.ok();
    assert_eq!(page["sessions"].as_array().unwrap().len(), 5);
    assert_eq!(page["sessions"][0]["$schema"], "session-metadata-v1");
    server
        .get("/api/sessions?limit=many")
        .await
        .refused(400, "invalid_parameter");
    server
        .get("/api/sessions?cursor=%00nonsense")
        .await
        .refused(400, "invalid_parameter");
}

#[tokio::test]
async fn filters_pick_by_user_status_tag_and_text() {
    let server = with_sessions(Setup::new(), 12).await;
    server
        .patch_metadata("s03", json!({"tags": ["release", "night"]}))
        .await
        .ok();
    server
        .patch_metadata("s04", json!({"tags": ["release"]}))
        .await
        .ok();
    server.finalize("s04", json!({})).await.ok();
    let sorted = async |query: &str| {
        let mut found = all_pages(&server, query).await;
        found.sort();
        found
    };
    assert_eq!(
        sorted("user=even&limit=4").await,
        ["s02", "s04", "s06", "s08", "s10", "s12"]
    );
    assert_eq!(sorted("status=completed").await, ["s04"]);
    assert_eq!(sorted("tag=release").await, ["s03", "s04"]);
    assert_eq!(sorted("tag=release&status=active&user=odd").await, ["s03"]);
    assert_eq!(sorted("q=s1").await, ["s10", "s11", "s12"]);
    assert_eq!(sorted("q=zzz").await, Vec::<String>::new());
    assert_eq!(sorted("status=active&limit=100").await.len(), 11);
}

#[tokio::test]
async fn health_and_root_say_who_answers() {
    let server = TestServer::start();
    let health = server.get("/health").await.ok();
    assert_eq!(health["status"], "ok");
    assert!(
        health["uptime"].is_number() && health["storage"].is_object(),
        "{health}"
    );
    for field in ["totalConnections", "users", "sessions"] {
        assert_eq!(health["websocket"][field], 0, "{field}: {health}");
    }
    let tail = crate::socket::Tail::connect(&server, "?session=s&user=u").await;
    let health = server.get("/health").await.ok();
    let expected = json!({"totalConnections": 1, "users": 1, "sessions": 1});
    for (field, count) in expected.as_object().unwrap() {
        assert_eq!(&health["websocket"][field], count, "{field}: {health}");
    }
    drop(tail);
    let root = server.get("/").await;
    if root.header("content-type").starts_with("application/json") {
        let root = root.ok();
        assert!(
            root["service"].is_string() && root["version"].is_string(),
            "{root}"
        );
        assert!(
            root["endpoints"].is_object() || root["endpoints"].is_array(),
            "{root}"
        );
    }
}

/// The writer and the reader are different clients on different connections, and the reader may be
/// answered first.
#[tokio::test]
async fn what_a_read_shows_the_lists_show_too() {
    let server = TestServer::start();
    let lists = [
        "/api/sessions?limit=1",
        "/api/query/recent",
        "/api/query/active",
        "/api/sessions/user/unknown",
    ];
    let listed = async |id: &str, list: &str| {
        let reply = server.get(list).await;
        assert_eq!(reply.status, 200, "{list}");
        reply.text.contains(&format!("\"{id}\""))
    };
    for n in 0..150 {
        let id = format!("quick-{n}");
        let action = server.url(&format!("/api/actions/{id}"));
        let end = server.url(&format!("/api/sessions/{id}/finalize"));
        let post = |url: String| {
            let request = server
                .http
                .post(url)
                .header("Content-Type", "application/json")
                .body("{}");
            tokio::spawn(async move { request.send().await.unwrap().status() })
        };
        let list = lists[n % lists.len()];
        let write = post(action);
        eventually("it can be read", async || {
            (server.get(&format!("/api/state/{id}")).await.status == 200).then_some(())
        })
        .await;
        assert!(listed(&id, list).await, "{id} is read and not in {list}");
        assert_eq!(write.await.unwrap(), 200);
        let write = post(end);
        eventually("it is completed", async || {
            (server.metadata(&id).await["status"] == "completed").then_some(())
        })
        .await;
        assert!(
            !listed(&id, "/api/query/active").await,
            "{id} is completed and active"
        );
        assert_eq!(write.await.unwrap(), 200);
        server.delete(&format!("/api/sessions/{id}")).await.ok();
        assert!(
            !listed(&id, "/api/sessions?limit=1").await,
            "{id} is deleted and listed"
        );
    }
}

/// A closed connection cancels its request at any point; a session that was stored is listed all
/// the same.
#[tokio::test]
async fn a_session_whose_first_writer_left_at_once_is_listed() {
    let server = TestServer::start();
    let address = server
        .url("")
        .trim_start_matches("http://")
        .trim_end_matches('/')
        .to_owned();
    for n in 0..200 {
        let mut socket = tokio::net::TcpStream::connect(&address).await.unwrap();
        let head = format!("POST /api/actions/gone-{n} HTTP/1.1\r\nHost: {address}\r\n");
        let body = "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
        socket
            .write_all(format!("{head}{body}").as_bytes())
            .await
            .unwrap();
        socket.set_zero_linger().unwrap();
        // Closes the connection at a different moment each time.
        (0..n * 200).for_each(|_| std::hint::spin_loop());
    }
    eventually("every session that can be read is listed", async || {
        let listed = array(server.get("/api/sessions?limit=1000").await.ok()["sessions"].clone());
        let mut there = 0;
        for n in 0..200 {
            there += usize::from(server.get(&format!("/api/state/gone-{n}")).await.status == 200);
        }
        (listed.len() == there && there > 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn long_lists_are_answered_whole_or_in_pages() {
    let server = with_sessions(Setup::new(), 7).await;
    server.finalize("s03", json!({})).await.ok();
    let newest = ["s07", "s06", "s05", "s04", "s02", "s01"];
    for (path, expected) in [
        ("/api/query/active", &newest[..]),
        ("/api/sessions/user/odd", &["s01", "s03", "s05", "s07"]),
    ] {
        let all = server.get(path).await;
        assert_eq!(
            all.header("next-cursor"),
            "",
            "without a limit there is no page"
        );
        let all = array(all.ok());
        assert_eq!(texts(&all, "sessionId"), expected);
        for limit in 1..=8 {
            let mut pages = Vec::new();
            let mut query = format!("limit={limit}");
            loop {
                let page = server.get(&format!("{path}?{query}")).await;
                let rows = array(page.ok());
                assert!(rows.len() <= limit);
                pages.extend(rows);
                let next = page.header("next-cursor");
                if next.is_empty() {
                    break;
                }
                query = format!("limit={limit}&cursor={next}");
            }
            assert_eq!(pages, all, "{path} by {limit}");
        }
        for bad in [
            "limit=-1",
            "limit=1001",
            "limit=x",
            "cursor=x",
            "cursor=1~2~..",
            "limit=1&limit=2",
        ] {
            server
                .get(&format!("{path}?{bad}"))
                .await
                .refused(400, "invalid_parameter");
        }
    }
}

#[tokio::test]
async fn lists_that_are_longer_than_a_piece_are_whole() {
    let server = Setup::new().start();
    let note = "n".repeat(3000);
    for n in 0..150 {
        let id = format!("s{n:03}");
        server.create(&id, "u").await;
        server.patch_metadata(&id, json!({"note": note})).await.ok();
    }
    let expected: Vec<String> = (0..150).rev().map(|n| format!("s{n:03}")).collect();
    let active = array(server.get("/api/query/active").await.ok());
    assert_eq!(texts(&active, "sessionId"), expected);
    assert!(
        active
            .iter()
            .all(|metadata| metadata["note"] == note.as_str())
    );
    let page = server.get("/api/sessions?limit=149").await.ok();
    assert_eq!(
        texts(&array(page["sessions"].clone()), "sessionId"),
        expected[..149]
    );
    assert!(page["next"].is_string());
    let stats = server.get("/api/query/stats").await.ok();
    assert_eq!(stats["activeSessions"], json!(expected));
    assert_eq!(
        server
            .get("/api/sessions/user/u")
            .await
            .ok()
            .as_array()
            .map(Vec::len),
        Some(150)
    );
}
