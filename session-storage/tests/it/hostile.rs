//! Thousands of sockets that never finish their request, and bodies that are shorter than
//! announced.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::server::{Setup, TestServer, eventually};

const SOCKETS: usize = 3000;

/// Reads the resident memory of a process, in kilobytes.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn open_files(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .count()
}

fn allow_many_sockets() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(8192, |most| most.min(8192));
    if limit.current.is_some_and(|current| current < wanted) {
        setrlimit(
            Resource::Nofile,
            Rlimit {
                current: Some(wanted),
                maximum: limit.maximum,
            },
        )
        .unwrap();
    }
}

#[tokio::test]
async fn thousands_of_half_open_sockets_cost_little_and_delay_no_other() {
    allow_many_sockets();
    let server = TestServer::start();
    server.create("s", "u").await;
    let memory = resident(server.pid());
    let files = open_files(server.pid());
    let mut sockets = Vec::new();
    for n in 0..SOCKETS {
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        let start: &[u8] = match n % 3 {
            0 => b"POST /api/actions/s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9000000\r\n\r\n{",
            1 => b"GET /health HT",
            _ => b"",
        };
        let _ = socket.write_all(start).await;
        sockets.push(socket);
    }
    server.get("/health").await.ok();
    server.action("s", json!({"still": "here"})).await;
    let grown = resident(server.pid()).saturating_sub(memory);
    assert!(
        grown < 100 * 1024,
        "{SOCKETS} half-open sockets cost {grown} kB"
    );
    drop(sockets);
    eventually("the sockets are let go", async || {
        (open_files(server.pid()) < files + 50).then_some(())
    })
    .await;
    server.get("/health").await.ok();
    server.stop();
}

#[tokio::test]
async fn a_service_with_open_sockets_stops_all_the_same() {
    // Far longer than the test waits for the shutdown.
    let mut server = Setup::new().env("SHUTDOWN_TIMEOUT", "3600s").start();
    let mut sockets = Vec::new();
    for start in [
        &b"POST /api/actions/s HTTP/1.1\r\nContent-Length: 10\r\n\r\n{"[..],
        b"GET /he",
        b"",
    ] {
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        socket.write_all(start).await.unwrap();
        sockets.push(socket);
    }
    server.get("/health").await.ok();
    server.ask_to_stop();
    server.ended();
}

#[tokio::test]
async fn clients_that_go_away_in_the_middle_leave_nothing_half_done() {
    let server = TestServer::start();
    server.create("s", "u").await;
    let body = json!({"text": "x".repeat(200_000)}).to_string();
    let head = format!(
        "POST /api/actions/s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    for part in 1..20 {
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        socket.write_all(head.as_bytes()).await.unwrap();
        let _ = socket
            .write_all(&body.as_bytes()[..part * 10_000 - 1])
            .await;
    }
    let seq = server.action("s", json!({"n": "whole"})).await;
    assert_eq!(seq, 1, "no half body was stored");
    server.get("/health").await.ok();
}
