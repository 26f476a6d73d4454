//! What ends when a key is revoked: sockets, streams and long responses, of the key itself and of
//! everything issued with it.
//!
//! One second is enough by design. The service checks the key files every 200 ms
//! (`access::watch::EVERY`), reads them and replaces the keys as a whole; that alone ends every
//! later request. Then it wakes the subscribers of every worker (`Hub::wake_all`), and each checks
//! its access before it sends anything; a response in chunks checks before each chunk
//! (`routes::permit`). So the time from the change of the file to the end of a stream is one check,
//! one read of a small file and one turn of each worker. These tests wait for the event, however
//! long a busy machine takes, and print how long it took.

use std::time::Instant;

use futures_util::future::join_all;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::keys::{bearer, id_of, make_key, until_status};
use crate::server::{PATIENCE, Setup, TestServer};
use crate::socket::{Frame, Tail};

/// More data than the buffers of both ends hold: this many batches of a thousand records of
/// `RECORD` bytes.
const BATCHES: usize = 3;
const RECORD: usize = 8000;
/// The end of a chunked response.
const END: &[u8] = b"\r\n0\r\n\r\n";

/// Sends a GET request and reads the beginning of its response.
async fn begun(server: &TestServer, path: &str, shown: Option<&str>, accept: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();
    let mut stream = socket.connect(server.address).await.unwrap();
    let shown = shown
        .map(|shown| format!("authorization: Bearer {shown}\r\n"))
        .unwrap_or_default();
    let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: {accept}\r\n{shown}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    timeout(PATIENCE, stream.read_exact(&mut status))
        .await
        .expect("an answer")
        .unwrap();
    assert_eq!(&status, b"HTTP/1.1 200", "{path}");
    stream
}

/// Reads the rest, up to the end of the response or of the connection.
async fn rest(mut stream: TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    while !rest.ends_with(END) {
        match timeout(PATIENCE, stream.read_buf(&mut rest))
            .await
            .expect("more, or the end")
        {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    rest
}

/// Sends the first half of an action.
async fn half_sent(server: &TestServer, shown: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST /api/actions/s HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {shown}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
        .write_all(&body.as_bytes()[..body.len() / 2])
        .await
        .unwrap();
    stream
}

#[tokio::test]
async fn what_is_still_being_sent_when_its_key_is_revoked_is_not_stored() {
    let setup = Setup::new();
    let lost = make_key(&setup, &["--role", "admin"]);
    let good = make_key(&setup, &["--role", "admin"]);
    let server = setup.start();
    until_status(&server, &lost, 200).await;
    server
        .post_with("/api/actions/s", &bearer(&good), json!({"type": "first"}))
        .await
        .ok();
    let body = r#"{"type":"sent slowly"}"#;
    let mut sent = Vec::new();
    for shown in [&lost, &good] {
        sent.push(half_sent(&server, shown, body).await);
    }
    assert_eq!(
        server.setup.run(&["key", "revoke", id_of(&lost)]).code,
        Some(0)
    );
    until_status(&server, &lost, 401).await;
    for (mut stream, wanted) in sent
        .into_iter()
        .zip([&b"HTTP/1.1 401"[..], b"HTTP/1.1 200"])
    {
        stream
            .write_all(&body.as_bytes()[body.len() / 2..])
            .await
            .unwrap();
        let mut status = [0; 12];
        timeout(PATIENCE, stream.read_exact(&mut status))
            .await
            .expect("an answer")
            .unwrap();
        assert_eq!(status, wanted);
    }
    let stored = server
        .send(reqwest::Method::GET, "/api/actions/s", &bearer(&good), None)
        .await
        .ok();
    assert_eq!(stored.as_array().unwrap().len(), 2, "{stored}");
}

async fn fill(server: &TestServer, shown: &str) {
    let line = json!({"type": "action", "data": {"text": "x".repeat(RECORD)}}).to_string() + "\n";
    for _ in 0..BATCHES {
        let headers = [
            bearer(shown),
            vec![("content-type", "application/x-ndjson".to_owned())],
        ]
        .concat();
        let body = line.repeat(1000).into_bytes();
        server
            .send(
                reqwest::Method::POST,
                "/api/sessions/s/events",
                &headers,
                Some(body),
            )
            .await
            .ok();
    }
}

async fn until_closed(mut tail: Tail) {
    assert!(matches!(tail.frame().await, Frame::Closed(Some(4401))));
}

#[tokio::test]
async fn a_revocation_cuts_sockets_streams_and_long_answers_of_key_token_and_ticket() {
    let setup = Setup::new().allow("a copy was broken off");
    let key = make_key(&setup, &["--role", "admin"]);
    let server = setup.start();
    until_status(&server, &key, 200).await;
    fill(&server, &key).await;
    let wish = json!({"sessionId": "s", "scope": "read", "ttl": "1h"});
    let token = server
        .post_with("/api/tokens", &bearer(&key), wish)
        .await
        .ok();
    let token = token["token"].as_str().unwrap();
    let ticket = async |shown: &str| {
        let issued = server
            .post_with("/api/tickets", &bearer(shown), json!({}))
            .await
            .ok();
        format!("?ticket={}", issued["ticket"].as_str().unwrap())
    };
    let address = server.address.to_string();
    let mut sockets = Vec::new();
    let mut streams = Vec::new();
    let mut answers = Vec::new();
    for shown in [key.as_str(), token] {
        let header = format!("Bearer {shown}");
        sockets.push(
            Tail::with_headers(&address, "", &[("authorization", &header)])
                .await
                .unwrap(),
        );
        sockets.push(
            Tail::with_headers(&address, &ticket(shown).await, &[])
                .await
                .unwrap(),
        );
        let events = "/api/sessions/s/events";
        streams.push(begun(&server, events, Some(shown), "text/event-stream").await);
        let by_ticket = format!("{events}{}", ticket(shown).await);
        streams.push(begun(&server, &by_ticket, None, "text/event-stream").await);
        for path in ["/api/actions/s", "/api/sessions/s"] {
            answers.push((path, begun(&server, path, Some(shown), "*/*").await));
        }
    }
    answers.push((
        "/api/admin/backup",
        begun(&server, "/api/admin/backup", Some(&key), "*/*").await,
    ));
    let unused = ticket(&key).await;

    assert_eq!(
        server.setup.run(&["key", "revoke", id_of(&key)]).code,
        Some(0)
    );
    let revoked = Instant::now();
    let closed = join_all(sockets.into_iter().map(until_closed));
    let ended = join_all(streams.into_iter().map(rest));
    let (_, ended) = tokio::join!(closed, ended);
    println!(
        "sockets and streams were cut {:?} after the revocation",
        revoked.elapsed()
    );
    for said in ended {
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(
            said.contains("event: close") && said.contains("unauthorized"),
            "{said}"
        );
    }
    // Data that was already sent is read; nothing follows it, not even the end of the response.
    for (path, answer) in answers {
        let read = rest(answer).await;
        assert!(
            read.len() < BATCHES * 1000 * RECORD && !read.ends_with(END),
            "{path}: {}",
            read.len()
        );
    }
    println!(
        "the last long answer ended {:?} after the revocation",
        revoked.elapsed()
    );
    assert_eq!(
        Tail::with_headers(&address, &unused, &[]).await.err(),
        Some(401),
        "a ticket ends with its key"
    );
}
