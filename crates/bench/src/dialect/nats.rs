//! NATS JetStream: one publish a subject and session, each waiting for the stream's
//! acknowledgement.

use anyhow::{Result, ensure};
use memchr::memmem;

use super::Dialect;
use crate::action;

const CONNECT: &str = "CONNECT {\"verbose\":false,\"pedantic\":false,\"echo\":true}\r\n";
const LAST: &[u8] = b"PONG\r\n";

/// As many subjects as there are sessions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nats {
    pub(crate) sessions: usize,
}

impl Dialect for Nats {
    fn greeting(&self, connection: usize) -> Vec<u8> {
        greeting(connection)
    }

    fn greeted(&self, received: &[u8]) -> Result<Option<usize>> {
        greeted(received)
    }

    fn request(&self, connection: usize) -> Vec<u8> {
        let subject = format!("action.{}", action::session(connection % self.sessions));
        publish(&subject, connection, &action::action())
    }

    fn answer(&self, received: &[u8]) -> Result<Option<usize>> {
        answer(received)
    }
}

/// Connects, subscribes to the connection's inbox, and asks for a sign that both are done.
pub(crate) fn greeting(connection: usize) -> Vec<u8> {
    format!("{CONNECT}SUB {} 1\r\nPING\r\n", inbox(connection)).into_bytes()
}

/// The end of the greeting's answer.
#[expect(clippy::unnecessary_wraps, reason = "the type of every grammar")]
pub(crate) fn greeted(received: &[u8]) -> Result<Option<usize>> {
    Ok(memmem::find(received, LAST).map(|at| at + LAST.len()))
}

/// Asks for the stream that stores what is published; the same again changes nothing.
pub(crate) fn create_stream() -> Vec<u8> {
    let config = r#"{"name":"actions","subjects":["action.*"],"storage":"file","retention":"limits","num_replicas":1}"#;
    publish("$JS.API.STREAM.CREATE.actions", 0, config)
}

/// Empties the stream.
pub(crate) fn purge_stream() -> Vec<u8> {
    publish("$JS.API.STREAM.PURGE.actions", 0, "")
}

/// A message that is answered to the connection's inbox.
pub(crate) fn publish(subject: &str, connection: usize, body: &str) -> Vec<u8> {
    format!(
        "PUB {subject} {} {}\r\n{body}\r\n",
        inbox(connection),
        body.len()
    )
    .into_bytes()
}

/// The end of the next message. The server's own pings are passed over: it gives up only after two
/// unanswered ones, minutes apart, and a connection lives for seconds.
pub(crate) fn answer(received: &[u8]) -> Result<Option<usize>> {
    let mut at = 0;
    loop {
        let Some(line) = memchr::memchr(b'\n', &received[at..]).map(|line| at + line) else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(&received[at..line]);
        at = line + 1;
        if text.starts_with("PING") {
            continue;
        }
        ensure!(text.starts_with("MSG "), "nats answered {text}");
        let length: usize = text
            .split_ascii_whitespace()
            .last()
            .unwrap_or_default()
            .parse()?;
        let Some(body) = received.get(at..at + length) else {
            return Ok(None);
        };
        let refused = memmem::find(body, br#""error""#).is_some();
        ensure!(!refused, "nats answered {}", String::from_utf8_lossy(body));
        let end = at + length + 2;
        return Ok((received.len() >= end).then_some(end));
    }
}

fn inbox(connection: usize) -> String {
    format!("_INBOX.load.{connection}")
}
