//! Clients that request a lot of data and do not read it.

use std::fs;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::server::{Setup, TestServer, eventually};

/// The length of a record.
const LONG: usize = 9_000_000;
/// The number of readers per route.
const READERS: u64 = 16;

/// Reads the memory usage of a process, in bytes.
fn resident(server: &TestServer) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim()
        .strip_suffix(" kB")
        .unwrap()
        .parse::<u64>()
        .unwrap()
        * 1024
}

/// Opens a connection that sends a request and reads nothing of the response.
async fn stalled(server: &TestServer, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())
        .await
        .unwrap();
    stream
}

async fn has_begun(stream: &TcpStream) {
    let mut byte = [0; 12];
    eventually("the answer begins", async || {
        let peeked = stream.peek(&mut byte).await.unwrap();
        (peeked == byte.len()).then_some(())
    })
    .await;
    assert_eq!(&byte, b"HTTP/1.1 200");
}

#[tokio::test]
async fn a_reader_that_takes_nothing_costs_the_same_however_long_the_records_are() {
    let server = Setup::new().start();
    let text = "x".repeat(LONG);
    for _ in 0..2 {
        server
            .action("s", json!({"type": "long", "text": text}))
            .await;
        server
            .response("s", json!({"type": "long", "text": text}))
            .await;
    }
    let server = server.restart();
    let paths = [
        "/api/actions/s",
        "/api/actions/s?order=desc",
        "/api/actions/s?type=long",
        "/api/actions/s/responses",
        "/api/sessions/s",
    ];
    for path in paths {
        has_begun(&stalled(&server, path).await).await;
        let before = resident(&server);
        let mut readers = Vec::new();
        for _ in 0..READERS {
            readers.push(stalled(&server, path).await);
        }
        for reader in &readers {
            has_begun(reader).await;
        }
        let grown = resident(&server).saturating_sub(before);
        assert!(
            grown < READERS << 20,
            "{path}: {READERS} readers took {grown} bytes"
        );
    }
}

#[tokio::test]
async fn records_that_are_longer_than_a_piece_are_answered_byte_for_byte() {
    let server = Setup::new().start();
    let lengths = [10, 70_000, 20, 300_000, 65_400, 65_536, 30, 1_000_000];
    for (n, length) in lengths.into_iter().enumerate() {
        let kind = if n % 2 == 0 { "even" } else { "odd" };
        server
            .action("s", json!({"type": kind, "text": "y".repeat(length)}))
            .await;
    }
    let stored = fs::read_to_string(server.file("s", "actions.jsonl")).unwrap();
    let stored: Vec<&str> = stored.lines().collect();
    assert_eq!(stored.len(), lengths.len());
    let ask = async |query: &str| {
        server
            .get(&format!("/api/actions/s{query}"))
            .await
            .raw_items()
    };
    assert_eq!(ask("").await, stored);
    let backwards: Vec<&str> = stored.iter().copied().rev().collect();
    assert_eq!(ask("?order=desc").await, backwards);
    for limit in 1..=lengths.len() {
        assert_eq!(ask(&format!("?limit={limit}")).await, stored[..limit]);
        assert_eq!(
            ask(&format!("?order=desc&limit={limit}")).await,
            backwards[..limit]
        );
        assert_eq!(ask(&format!("?after={limit}")).await, stored[limit..]);
    }
    let odd: Vec<&str> = stored.iter().copied().skip(1).step_by(2).collect();
    assert_eq!(ask("?type=odd").await, odd);
    let whole = server.session("s").await;
    assert_eq!(whole["actions"].as_array().unwrap().len(), lengths.len());
}

#[tokio::test]
async fn a_damaged_long_record_is_an_error_where_it_comes_first_and_ends_the_connection_where_it_does_not()
 {
    let server = Setup::new().start();
    for length in [200_000, 10, 200_000] {
        server
            .action("s", json!({"text": "z".repeat(length)}))
            .await;
    }
    let path = server.file("s", "actions.jsonl");
    let setup = server.stop();
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.len();
    bytes[end - 100_000] = b'q';
    fs::write(&path, &bytes).unwrap();
    let setup = setup
        .allow("a stored record is damaged")
        .allow("an answer was broken off");
    let server = setup.allow("request failed").start();
    let newest = server.get("/api/actions/s?order=desc").await;
    newest.refused(500, "record_damaged");
    let answer = server
        .http
        .get(server.url("/api/actions/s"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    assert!(
        answer.text().await.is_err(),
        "the answer does not end as if it were whole"
    );
    assert_eq!(
        server
            .get("/api/actions/s?limit=2")
            .await
            .ok()
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    let _: Value = server.metadata("s").await;
}
