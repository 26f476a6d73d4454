//! More connections than the limit permits.

use futures_util::future::join_all;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::keys::make_key;
use crate::server::{PATIENCE, Setup, TestServer, eventually};
use crate::socket::Tail;

const MOST: usize = 4;
const ATTEMPTS: usize = 32;

/// A connection that stays open, with the head and body of its first response; the status is 0 if
/// there was no response.
struct HeldConnection {
    stream: TcpStream,
    answer: String,
}

impl HeldConnection {
    async fn open(server: &TestServer, request: &str) -> Self {
        let mut connection = Self {
            stream: TcpStream::connect(server.address).await.unwrap(),
            answer: String::new(),
        };
        connection.send(request).await;
        connection.receive().await;
        connection
    }

    async fn send(&mut self, text: &str) {
        // The service may refuse the connection before the request is written.
        let _ = self.stream.write_all(text.as_bytes()).await;
    }

    async fn receive(&mut self) {
        let mut buffer = [0; 4096];
        while !self.answer.ends_with('}') {
            match timeout(PATIENCE, self.stream.read(&mut buffer))
                .await
                .expect("an answer")
            {
                Ok(0) | Err(_) => return,
                Ok(n) => self
                    .answer
                    .push_str(std::str::from_utf8(&buffer[..n]).unwrap()),
            }
        }
    }

    fn status(&self) -> u16 {
        self.answer
            .get(9..12)
            .and_then(|status| status.parse().ok())
            .unwrap_or(0)
    }
}

const LIVEZ: &str = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn append(body: &str, length: usize) -> String {
    format!(
        "POST /api/actions/s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// Opens a connection whose request is in progress until [`finish`].
async fn begin(server: &TestServer) -> HeldConnection {
    let mut connection = HeldConnection {
        stream: TcpStream::connect(server.address).await.unwrap(),
        answer: String::new(),
    };
    connection.send(&append("{\"type\":", 12)).await;
    connection
}

async fn finish(connection: &mut HeldConnection) {
    connection.send("\"x\"}").await;
    connection.receive().await;
}

#[tokio::test]
async fn of_many_simultaneous_connections_the_maximum_is_accepted_and_the_others_are_refused() {
    let server = Setup::new()
        .env("MAX_CONNECTIONS", MOST)
        .env("WORKERS", 2)
        .start();
    let mut connections = join_all((0..ATTEMPTS).map(|_| begin(&server))).await;
    eventually("the others are refused", async || {
        let mut byte = [0; 1];
        let refused = connections.iter().filter(|connection| {
            let mut peeked = tokio::io::ReadBuf::new(&mut byte);
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            connection
                .stream
                .poll_peek(&mut context, &mut peeked)
                .is_ready()
        });
        (refused.count() >= ATTEMPTS - MOST).then_some(())
    })
    .await;
    join_all(connections.iter_mut().map(finish)).await;
    let with = |status| {
        connections
            .iter()
            .filter(move |connection| connection.status() == status)
    };
    let answers: Vec<&str> = connections
        .iter()
        .map(|connection| connection.answer.as_str())
        .collect();
    assert_eq!(with(200).count(), MOST, "{answers:#?}");
    assert_eq!(with(429).count(), ATTEMPTS - MOST, "{answers:#?}");
    for refused in with(429) {
        let head = refused.answer.to_ascii_lowercase();
        assert!(
            head.contains("retry-after: 1\r\n") && head.contains("connection: close\r\n"),
            "{head}"
        );
        assert!(
            head.contains("\"rate_limited\"")
                && head.contains(&format!("at most {MOST} at a time")),
            "{head}"
        );
    }
    drop(connections);
    eventually("a connection is free again", async || {
        (HeldConnection::open(&server, LIVEZ).await.status() == 200).then_some(())
    })
    .await;
    let refused = format!(
        "session_storage_errors_total{{code=\"rate_limited\"}} {}",
        ATTEMPTS - MOST
    );
    eventually("they are counted", async || {
        let answer = server
            .http
            .get(server.url("/metrics"))
            .send()
            .await
            .ok()?
            .text()
            .await
            .ok()?;
        let count = answer
            .lines()
            .find_map(|line| line.strip_prefix(refused.rsplit_once(' ')?.0));
        count
            .and_then(|count| count.trim().parse::<usize>().ok())
            .filter(|n| *n >= ATTEMPTS - MOST)
    })
    .await;
}

#[tokio::test]
async fn those_who_are_in_are_not_harmed_by_those_who_are_turned_away() {
    let setup = Setup::new();
    let socket = setup.outside().join("s.sock");
    let server = setup
        .env("MAX_CONNECTIONS", 3)
        .env("SOCKET_PATH", socket.display())
        .start();
    let mut tail = Tail::connect(&server, "").await;
    let mut busy = begin(&server).await;
    let mut busier = begin(&server).await;
    // The three connections fill the service as soon as it has accepted the last one.
    eventually("it is full", async || {
        (HeldConnection::open(&server, LIVEZ).await.status() == 429).then_some(())
    })
    .await;
    let turned_away = join_all((0..ATTEMPTS).map(|_| HeldConnection::open(&server, LIVEZ))).await;
    assert!(
        turned_away
            .iter()
            .all(|connection| connection.status() == 429)
    );
    let operator = reqwest::Client::builder()
        .no_proxy()
        .unix_socket(socket)
        .build()
        .unwrap();
    let health = operator
        .get("http://localhost/health")
        .send()
        .await
        .unwrap();
    assert_eq!(
        health.status().as_u16(),
        200,
        "the socket of the operator accepts connections"
    );
    finish(&mut busy).await;
    assert_eq!(busy.status(), 200, "{}", busy.answer);
    assert_eq!(tail.take(2).await[1]["data"]["type"], json!("x"));
    finish(&mut busier).await;
    assert_eq!(busier.status(), 200, "{}", busier.answer);
    drop(tail);
    eventually("its place is another's", async || {
        (HeldConnection::open(&server, LIVEZ).await.status() == 200).then_some(())
    })
    .await;
}

/// Reads the value of a metric without labels, as soon as the service accepts the connection.
async fn metric(server: &TestServer, key: &str, name: &str) -> u64 {
    let value = eventually("the metrics are answered", async || {
        let request = server.http.get(server.url("/metrics")).bearer_auth(key);
        let page = request.send().await.ok()?.text().await.ok()?;
        page.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
            .map(str::to_owned)
    });
    value.await.parse().unwrap()
}

#[tokio::test]
async fn idle_connections_are_closed_for_new_ones_and_those_without_a_key_first() {
    let setup = Setup::new();
    let key = make_key(&setup, &["--role", "admin"]);
    let server = setup.env("MAX_CONNECTIONS", MOST).env("WORKERS", 2).start();
    let shown = format!(
        "GET /api/query/stats HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n"
    );
    let mut agent = HeldConnection::open(&server, &shown).await;
    assert_eq!(agent.status(), 200, "{}", agent.answer);
    // Each connection stays open and is idle, so sooner or later one is closed in favour of
    // another.
    let mut strangers = Vec::new();
    eventually("many were let in, one after the other", async || {
        let connection = HeldConnection::open(&server, LIVEZ).await;
        if connection.status() == 200 {
            strangers.push(connection);
        }
        (strangers.len() > MOST * 2).then_some(())
    })
    .await;
    agent.answer.clear();
    agent.send(&shown).await;
    agent.receive().await;
    assert_eq!(
        agent.status(),
        200,
        "whoever has shown a key stays while strangers are idle"
    );
    let mut oldest = strangers.swap_remove(0);
    assert_eq!(
        oldest.stream.read(&mut [0; 1]).await.unwrap_or(0),
        0,
        "the connection was ended"
    );
    drop(strangers);
    assert!(
        metric(
            &server,
            &key,
            "session_storage_http_connections_ended_total"
        )
        .await
            >= MOST as u64
    );
    assert_eq!(
        metric(&server, &key, "session_storage_http_connections_max").await,
        MOST as u64
    );
}
