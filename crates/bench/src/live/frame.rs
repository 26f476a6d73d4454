//! WebSocket frames as a client reads them, and the handshake's request.

use anyhow::{Result, ensure};

/// One unfragmented frame of a server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: Kind,
    pub(crate) payload: &'a [u8],
    /// Where the next frame starts.
    pub(crate) end: usize,
}

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text or binary.
    Data,
    Close,
    Ping,
    Pong,
}

/// The request that opens a socket for this session's events.
pub(crate) fn handshake(session: &str) -> String {
    format!(
        "GET /ws?session={session} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// The frame at the start of `received`, once it is complete.
pub(crate) fn read(received: &[u8]) -> Result<Option<Frame<'_>>> {
    let [head, size, rest @ ..] = received else {
        return Ok(None);
    };
    ensure!(
        head & 0x80 != 0 && size & 0x80 == 0,
        "a fragmented or masked frame"
    );
    let kind = match head & 0x0f {
        1 | 2 => Kind::Data,
        8 => Kind::Close,
        9 => Kind::Ping,
        10 => Kind::Pong,
        other => anyhow::bail!("a frame of unknown kind {other}"),
    };
    let (length, start) = match size {
        126 => (big_endian(rest.get(..2)), 4),
        127 => (big_endian(rest.get(..8)), 10),
        short => (Some(usize::from(*short)), 2),
    };
    let Some(length) = length else {
        return Ok(None);
    };
    let end = start + length;
    Ok(received
        .get(start..end)
        .map(|payload| Frame { kind, payload, end }))
}

/// The answer to a ping, masked with zeros.
pub(crate) fn pong(payload: &[u8]) -> Vec<u8> {
    [&[0x8a, 0x80 | payload.len() as u8, 0, 0, 0, 0], payload].concat()
}

fn big_endian(bytes: Option<&[u8]>) -> Option<usize> {
    bytes.map(|bytes| {
        bytes
            .iter()
            .fold(0, |number, byte| number << 8 | usize::from(*byte))
    })
}
