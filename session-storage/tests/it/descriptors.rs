//! A process with a low limit of file descriptors, and more clients than that.

use std::fs;
use std::path::Path;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{array, texts};
use crate::server::{ANYTHING, Setup, TestServer, eventually};

/// The limit of the process.
const MOST: usize = 256;
/// More connections than the process has descriptors.
const FLOOD: usize = 320;
const SESSIONS: usize = 20;

fn name(n: usize) -> String {
    format!("cold-{n}")
}

/// A service with many sessions, none of which is open.
async fn cold(setup: Setup) -> TestServer {
    let server = setup.start();
    for n in 0..SESSIONS {
        server.action(&name(n), json!({"n": n})).await;
    }
    let text = "x".repeat(300_000);
    for _ in 0..4 {
        server.action("large", json!({"text": text})).await;
    }
    server.restart()
}

/// Opens connections that send a request, or nothing, and then neither read nor close.
async fn flood(server: &TestServer, request: &str) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for _ in 0..FLOOD {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        // The service may refuse the connection before the request is written.
        let _ = stream.write_all(request.as_bytes()).await;
        streams.push(stream);
    }
    streams
}

/// Checks that every session that is not open can be read and appended to, over a connection that
/// is not part of the flood.
async fn all_of_them_answer(operator: &reqwest::Client, server: &TestServer) {
    for n in 0..SESSIONS {
        let url = format!("http://localhost/api/actions/{}", name(n));
        let answer = operator.get(&url).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{n}: {}", server.log_text());
        assert_eq!(answer.json::<Value>().await.unwrap()[0]["n"], n);
        let answer = operator
            .post(&url)
            .json(&json!({"n": "more"}))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{n}: {}", server.log_text());
    }
    let list = operator
        .get("http://localhost/api/sessions?limit=1000")
        .send()
        .await
        .unwrap();
    let list = array(list.json::<Value>().await.unwrap()["sessions"].take());
    assert_eq!(texts(&list, "sessionId").len(), SESSIONS + 1);
    assert!(
        !server.storage().join("quarantine").exists(),
        "nothing was quarantined"
    );
    assert!(open_files(server.pid()) <= MOST);
}

fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

fn operator(socket: &Path) -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .unix_socket(socket)
        .build()
        .unwrap()
}

#[tokio::test]
async fn with_more_clients_than_descriptors_every_cold_session_is_still_served_and_written() {
    let large = "GET /api/sessions/large HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let upload = "POST /api/actions/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                  Content-Length: 9\r\n\r\n{";
    for request in ["", large, upload] {
        let setup = Setup::new();
        let socket = setup.outside().join("s.sock");
        let server = cold(setup.env("SOCKET_PATH", socket.display()).open_files(MOST)).await;
        let connections = flood(&server, request).await;
        let operator = operator(&socket);
        all_of_them_answer(&operator, &server).await;
        drop(connections);
        eventually("there is room again", async || {
            let answer = reqwest::get(server.url("/livez")).await.ok()?;
            (answer.status().as_u16() == 200).then_some(())
        })
        .await;
        let server = server.restart();
        all_of_them_answer(&self::operator(&socket), &server).await;
    }
}

#[test]
fn a_limit_too_low_for_max_connections_is_reported_with_both_numbers() {
    let run = Setup::new().open_files(64).run(&[]);
    assert_eq!(run.code, Some(2), "{}", run.said());
    assert!(
        run.stderr
            .contains("the limit of open files is 64, and at least"),
        "{}",
        run.said()
    );
    let setup = Setup::new()
        .open_files(MOST)
        .env("MAX_CONNECTIONS", 5000)
        .allow("MAX_CONNECTIONS");
    let server = setup.start();
    let log = server.log_text();
    let warned: Vec<&str> = log.lines().filter(|line| line.contains("WARN")).collect();
    assert_eq!(warned.len(), 1, "{log}");
    assert!(
        warned[0].contains("asked=5000") && warned[0].contains("limit=256"),
        "{}",
        warned[0]
    );
}

/// Sets the descriptor limit of a running process.
fn limit(pid: u32, current: u64) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap());
    let maximum = prlimit(
        pid,
        Resource::Nofile,
        Rlimit {
            current: Some(current),
            maximum: None,
        },
    );
    if maximum.is_err() {
        let limits =
            fs::read_to_string(format!("/proc/{}/limits", pid.unwrap().as_raw_nonzero())).unwrap();
        let row = limits
            .lines()
            .find(|line| line.starts_with("Max open files"))
            .unwrap();
        let hard = row.split_whitespace().nth(4).unwrap().parse().ok();
        prlimit(
            pid,
            Resource::Nofile,
            Rlimit {
                current: Some(current),
                maximum: hard,
            },
        )
        .unwrap();
    }
}

#[tokio::test]
async fn a_refused_accept_neither_spins_nor_stops_the_service() {
    let server = Setup::new()
        .allow("accepting connection")
        .allow(ANYTHING)
        .start();
    server.action("s", json!({})).await;
    let open = open_files(server.pid()) as u64;
    // All descriptors below this limit are in use.
    limit(server.pid(), 8);
    let mut waiting = TcpStream::connect(server.address).await.unwrap();
    waiting
        .write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let refused = || {
        server
            .log_text()
            .matches("Error accepting connection")
            .count()
    };
    eventually("accepting was refused more than once", async || {
        (refused() >= 3).then_some(())
    })
    .await;
    assert!(
        refused() < 20,
        "it waits between two attempts: {}",
        refused()
    );
    limit(server.pid(), open + 64);
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
