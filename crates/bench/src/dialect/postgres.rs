//! PostgreSQL: one prepared INSERT a commit, by the extended protocol.

use anyhow::{Result, bail};

use super::Dialect;
use crate::action;

/// The table that the INSERT fills; `json` is checked, not converted, which is what the service
/// does.
pub(crate) const TABLE: &str = "DROP TABLE IF EXISTS action; CREATE TABLE action (seq bigserial PRIMARY KEY, session text NOT NULL, body json NOT NULL)";
const INSERT: &str = "INSERT INTO action (session, body) VALUES ($1::text, $2::json)";
const READY: u8 = b'Z';

/// One row an action, spread over the sessions' names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Postgres {
    pub(crate) sessions: usize,
}

impl Dialect for Postgres {
    fn greeting(&self, _connection: usize) -> Vec<u8> {
        let mut bytes = startup();
        message(
            &mut bytes,
            b'P',
            &[b"s\0", INSERT.as_bytes(), b"\0", &0_u16.to_be_bytes()],
        );
        message(&mut bytes, b'S', &[]);
        bytes
    }

    fn greeted(&self, received: &[u8]) -> Result<Option<usize>> {
        // Once after the start, once after the statement is prepared.
        let Some(first) = ready(received)? else {
            return Ok(None);
        };
        Ok(ready(&received[first..])?.map(|second| first + second))
    }

    fn request(&self, connection: usize) -> Vec<u8> {
        let session = action::session(connection % self.sessions);
        let value = |text: &str| [&(text.len() as u32).to_be_bytes(), text.as_bytes()].concat();
        let two = 2_u16.to_be_bytes();
        let none = 0_u16.to_be_bytes();
        let mut bytes = Vec::new();
        message(
            &mut bytes,
            b'B',
            &[
                b"\0s\0",
                &none,
                &two,
                &value(&session),
                &value(&action::action()),
                &none,
            ],
        );
        message(&mut bytes, b'E', &[b"\0", &0_u32.to_be_bytes()]);
        message(&mut bytes, b'S', &[]);
        bytes
    }

    fn answer(&self, received: &[u8]) -> Result<Option<usize>> {
        ready(received)
    }
}

/// The first message of a connection.
pub(crate) fn startup() -> Vec<u8> {
    let body = [
        &196_608_u32.to_be_bytes()[..],
        b"user\0postgres\0database\0postgres\0\0",
    ]
    .concat();
    [&(body.len() as u32 + 4).to_be_bytes()[..], &body].concat()
}

/// A statement without parameters.
pub(crate) fn query(sql: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    message(&mut bytes, b'Q', &[sql.as_bytes(), b"\0"]);
    bytes
}

/// The end of the next ready-for-query message.
pub(crate) fn ready(received: &[u8]) -> Result<Option<usize>> {
    let mut at = 0;
    while let Some([kind, a, b, c, d]) = received.get(at..at + 5) {
        let end = at + 1 + u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let Some(body) = received.get(at + 5..end) else {
            return Ok(None);
        };
        match *kind {
            b'E' => bail!(
                "postgres answered {}",
                String::from_utf8_lossy(body).replace('\0', " ")
            ),
            READY => return Ok(Some(end)),
            _ => at = end,
        }
    }
    Ok(None)
}

fn message(bytes: &mut Vec<u8>, kind: u8, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    bytes.push(kind);
    bytes.extend_from_slice(&(length as u32 + 4).to_be_bytes());
    bytes.extend(parts.iter().copied().flatten());
}
