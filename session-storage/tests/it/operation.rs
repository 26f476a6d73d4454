//! Start, shutdown, the lock on the directory, the health check, the Unix socket.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::sync::Arc;

use serde_json::json;

use crate::client::texts;
use crate::server::{Setup, TestServer};

#[tokio::test]
async fn a_second_process_on_the_directory_is_refused() {
    let server = TestServer::start();
    let run = Setup::on(server.storage()).run(&[]);
    assert_ne!(run.code, Some(0), "{}", run.said());
    let said = run.said();
    assert!(
        said.contains(&*server.storage().to_string_lossy()),
        "it names the directory: {said}"
    );
    assert!(
        said.contains(&server.pid().to_string()),
        "it names the holder: {said}"
    );
    server.action("s", json!({})).await;
    let server = server.crash();
    assert_eq!(
        server.actions("s", "").await.len(),
        1,
        "a killed holder holds nothing"
    );
}

#[tokio::test]
async fn a_storage_path_that_cannot_be_is_named() {
    let setup = Setup::new();
    let file = setup.outside().join("file");
    fs::write(&file, "").unwrap();
    let run = Setup::on(file.join("below")).run(&[]);
    assert_ne!(run.code, Some(0));
    assert!(run.said().contains("below"), "{}", run.said());
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let server = TestServer::start();
    let port = server.address.port();
    let run = Setup::new().env("PORT", port).run(&[]);
    assert_ne!(run.code, Some(0));
    assert!(run.said().contains(&port.to_string()), "{}", run.said());
}

#[tokio::test]
async fn the_health_check_tells_by_its_exit_code() {
    let server = TestServer::start();
    let setup = Setup::new().env("PORT", server.address.port());
    let up = setup.run(&["healthcheck"]);
    assert_eq!(up.code, Some(0), "{}", up.said());
    server.stop();
    let down = setup.run(&["healthcheck"]);
    assert!(down.code.is_some_and(|code| code != 0), "{}", down.said());
    assert!(
        !setup.storage().exists(),
        "a health check makes no directory"
    );
}

fn over_socket(path: &std::path::Path) -> reqwest::Client {
    reqwest::Client::builder()
        .unix_socket(path)
        .build()
        .unwrap()
}

#[tokio::test]
async fn the_unix_socket_speaks_the_same_api() {
    let setup = Setup::new();
    let path = setup.outside().join("s.sock");
    let server = setup.env("SOCKET_PATH", path.display()).start();
    let kind = fs::symlink_metadata(&path).unwrap();
    assert!(kind.file_type().is_socket());
    assert_eq!(kind.permissions().mode() & 0o777, 0o660);
    let client = over_socket(&path);
    let body = json!({"type": "tool_call"}).to_string();
    let request = client
        .post("http://localhost/api/actions/s")
        .header("Content-Type", "application/json")
        .body(body);
    let answer: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["seq"], 1);
    assert_eq!(server.actions("s", "").await.len(), 1);
    let up = Setup::new()
        .env("PORT", 1)
        .env("SOCKET_PATH", path.display())
        .run(&["healthcheck"]);
    assert_eq!(
        up.code,
        Some(0),
        "the health check uses the socket where there is one: {}",
        up.said()
    );
    server.stop();
    assert!(!path.exists(), "a stop removes the socket");
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
    let setup = Setup::new();
    let path = setup.outside().join("s.sock");
    let server = setup.env("SOCKET_PATH", path.display()).start();
    let other = Setup::new().env("SOCKET_PATH", path.display()).run(&[]);
    assert_ne!(other.code, Some(0), "a socket in use is not taken away");
    let server = server.crash();
    assert_eq!(
        over_socket(&path)
            .get("http://localhost/health")
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    drop(server);
    let file = Setup::new();
    let plain = file.outside().join("precious.txt");
    fs::write(&plain, "keep me").unwrap();
    let run = file.clone().env("SOCKET_PATH", plain.display()).run(&[]);
    assert_ne!(run.code, Some(0));
    assert_eq!(
        fs::read_to_string(&plain).unwrap(),
        "keep me",
        "what is no socket is not removed"
    );
}

#[tokio::test]
async fn sigterm_under_load_loses_nothing_that_was_acknowledged() {
    let server = Arc::new(TestServer::start());
    server.create("s", "u").await;
    let writers: Vec<_> = (0..8)
        .map(|w| {
            let http = server.http.clone();
            let url = server.url("/api/actions/s");
            tokio::spawn(async move {
                let mut kept = Vec::new();
                for n in 0.. {
                    let mark = format!("{w}-{n}");
                    let body = json!({"mark": mark}).to_string();
                    let sent = http
                        .post(&url)
                        .header("Content-Type", "application/json")
                        .body(body)
                        .send()
                        .await;
                    match sent {
                        Ok(response) if response.status() == 200 => {
                            if response.bytes().await.is_ok() {
                                kept.push(mark);
                            }
                        }
                        Ok(response) => {
                            assert_eq!(response.status(), 503, "draining");
                            return kept;
                        }
                        Err(_) => return kept,
                    }
                }
                kept
            })
        })
        .collect();
    crate::server::eventually("there is load", async || {
        (server.actions("s", "?limit=100000").await.len() > 200).then_some(())
    })
    .await;
    server.ask_to_stop();
    let mut kept = Vec::new();
    for writer in writers {
        kept.extend(writer.await.unwrap());
    }
    let mut server = Arc::into_inner(server).unwrap();
    let server = server.ended().start();
    let records = server.actions("s", "").await;
    let stored: std::collections::HashSet<&str> = texts(&records, "mark").into_iter().collect();
    assert_eq!(stored.len(), records.len(), "nothing is doubled");
    for mark in &kept {
        assert!(
            stored.contains(mark.as_str()),
            "{mark} was acknowledged and is gone"
        );
    }
    assert!(kept.len() >= 200);
}

#[tokio::test]
async fn a_clean_stop_and_start_is_silent_and_keeps_everything() {
    let mut server = TestServer::start();
    let mut expected = 0;
    for round in 0..5 {
        server.action("s", json!({"round": round})).await;
        server
            .finalize(&format!("done-{round}"), json!({}))
            .await
            .ok();
        expected += 1;
        server = server.restart();
        assert_eq!(server.actions("s", "").await.len(), expected);
    }
    assert_eq!(server.get("/api/query/stats").await.ok()["total"], 6);
}
