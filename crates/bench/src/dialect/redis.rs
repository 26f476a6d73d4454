//! Redis: one XADD of the action's bytes to a stream per session.

use anyhow::{Result, bail};

use super::Dialect;
use crate::action;

/// As many streams as there are sessions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Redis {
    pub(crate) sessions: usize,
}

impl Dialect for Redis {
    fn request(&self, connection: usize) -> Vec<u8> {
        let stream = action::session(connection % self.sessions);
        command(&["XADD", &stream, "*", "action", &action::action()])
    }

    fn answer(&self, received: &[u8]) -> Result<Option<usize>> {
        answer(received)
    }
}

/// A command as Redis reads it.
pub(crate) fn command(words: &[&str]) -> Vec<u8> {
    let words: Vec<String> = words
        .iter()
        .map(|word| format!("${}\r\n{word}\r\n", word.len()))
        .collect();
    format!("*{}\r\n{}", words.len(), words.concat()).into_bytes()
}

/// The end of a simple or a bulk string.
pub(crate) fn answer(received: &[u8]) -> Result<Option<usize>> {
    let Some(line) = memchr::memchr(b'\n', received) else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&received[..line]);
    let end = match received[0] {
        b'+' | b':' => line + 1,
        b'$' => line + 1 + text[1..].trim_end().parse::<usize>()? + 2,
        _ => bail!("redis answered {text}"),
    };
    Ok((received.len() >= end).then_some(end))
}
