//! HTTP/1.1 with keep-alive: requests as bytes, answers by length or by chunks.

use anyhow::{Context, Result, bail, ensure};
use memchr::memmem;

use super::Dialect;
use crate::action;

/// Each connection repeats one of these requests: the first the first, and round again.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    pub(crate) requests: Vec<Vec<u8>>,
}

impl Dialect for Http {
    fn request(&self, connection: usize) -> Vec<u8> {
        self.requests[connection % self.requests.len()].clone()
    }

    fn answer(&self, received: &[u8]) -> Result<Option<usize>> {
        answer(received)
    }
}

/// Requests that contain a number each, a new one before each is sent.
#[derive(Debug, Clone)]
pub(crate) struct Numbered(pub(crate) Http);

impl Dialect for Numbered {
    fn request(&self, connection: usize) -> Vec<u8> {
        self.0.request(connection)
    }

    fn renew(&self, request: &mut [u8]) {
        action::renumber(request);
    }

    fn answer(&self, received: &[u8]) -> Result<Option<usize>> {
        answer(received)
    }
}

/// A GET request.
pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

/// A POST request with a JSON body.
pub(crate) fn post(path: &str, body: &str) -> Vec<u8> {
    post_as("application/json", path, body)
}

/// A POST request with a body of this type.
pub(crate) fn post_as(content_type: &str, path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// A POST request with a JSON body and further lines of its head.
pub(crate) fn post_with(head: &str, path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\n{head}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// The length of the complete answer at the start of `received`; an error unless it is a success
/// throughout.
pub(crate) fn answer(received: &[u8]) -> Result<Option<usize>> {
    let Some((head, body)) = split(received) else {
        return Ok(None);
    };
    let status = head.get(9..12).unwrap_or_default();
    let end = match framing(head)? {
        Framing::Length(length) => (body.len() >= length).then_some(length),
        Framing::Chunks => chunks_end(body)?,
    };
    let Some(end) = end else { return Ok(None) };
    let body = &body[..end];
    // A batch answers 200 and reports per line.
    let refused = memmem::find(body, br#""error""#).is_some();
    ensure!(
        status.starts_with(b"2") && !refused,
        "answered {}: {}",
        String::from_utf8_lossy(status),
        String::from_utf8_lossy(&body[..body.len().min(500)])
    );
    Ok(Some(head.len() + end))
}

/// The head and all after it, once the head is complete.
pub(crate) fn split(received: &[u8]) -> Option<(&[u8], &[u8])> {
    let head = memmem::find(received, b"\r\n\r\n")? + 4;
    Some(received.split_at(head))
}

/// An answer's body, its chunks joined.
pub(crate) fn body(answer: &[u8]) -> Result<Vec<u8>> {
    let (head, body) = split(answer).context("an answer without a head")?;
    let Framing::Chunks = framing(head)? else {
        return Ok(body.to_vec());
    };
    let mut rest = body;
    let mut joined = Vec::new();
    while let Some((size, start)) = chunk(rest)?.filter(|(size, _)| *size > 0) {
        joined.extend_from_slice(&rest[start..start + size]);
        rest = &rest[start + size + 2..];
    }
    Ok(joined)
}

enum Framing {
    Length(usize),
    Chunks,
}

fn framing(head: &[u8]) -> Result<Framing> {
    for line in head.split(|byte| *byte == b'\n').skip(1) {
        let Some(colon) = memchr::memchr(b':', line) else {
            continue;
        };
        let name = &line[..colon];
        let value = line[colon + 1..].trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") {
            return Ok(Framing::Length(std::str::from_utf8(value)?.parse()?));
        }
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            return Ok(Framing::Chunks);
        }
    }
    bail!(
        "an answer that doesn't say where it ends: {}",
        String::from_utf8_lossy(head)
    )
}

/// The size of the chunk at the start of `rest`, and where its bytes begin.
fn chunk(rest: &[u8]) -> Result<Option<(usize, usize)>> {
    let Some(line) = memmem::find(rest, b"\r\n") else {
        return Ok(None);
    };
    Ok(Some((
        usize::from_str_radix(std::str::from_utf8(&rest[..line])?, 16)?,
        line + 2,
    )))
}

fn chunks_end(body: &[u8]) -> Result<Option<usize>> {
    let mut at = 0;
    while let Some((size, start)) = chunk(&body[at..])? {
        at += start + size + 2;
        if at > body.len() {
            return Ok(None);
        }
        if size == 0 {
            return Ok(Some(at));
        }
    }
    Ok(None)
}
