//! Asking the running service for a stream, over its Unix socket or TCP.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use crate::config::Config;

/// How long the service may be silent.
const SILENCE: Duration = Duration::from_mins(2);
/// The longest head of an answer.
const MAX_HEAD: u64 = 64 << 10;

/// How the running service is reached, and as whom.
#[derive(Clone, Debug)]
pub struct Door<'c> {
    /// Where it listens.
    pub config: &'c Config,
    /// The key that is shown.
    pub key: Option<String>,
}

trait Connection: Read + Write {}
impl<T: Read + Write> Connection for T {}

/// The connection, or `None` if nobody listens there.
fn connect(config: &Config) -> io::Result<Option<Box<dyn Connection>>> {
    let connected: io::Result<Box<dyn Connection>> = match &config.socket_path {
        Some(path) => UnixStream::connect(path).and_then(|stream| {
            stream.set_read_timeout(Some(SILENCE))?;
            Ok(Box::new(stream) as Box<dyn Connection>)
        }),
        None => tcp(config).and_then(|stream| {
            stream.set_read_timeout(Some(SILENCE))?;
            Ok(Box::new(stream) as Box<dyn Connection>)
        }),
    };
    match connected {
        Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => {
            Ok(None)
        }
        connected => connected.map(Some),
    }
}

/// Whoever listens everywhere is asked at home.
fn tcp(config: &Config) -> io::Result<TcpStream> {
    let host = match config.host.trim_start_matches('[').trim_end_matches(']') {
        "0.0.0.0" | "::" => "localhost",
        other => other,
    };
    let mut addresses: Vec<_> = (host, config.port).to_socket_addrs()?.collect();
    addresses.sort_by_key(std::net::SocketAddr::is_ipv6);
    TcpStream::connect(&addresses[..])
}

impl Door<'_> {
    /// The body of a GET; `None` if the service is not running.
    pub(super) fn get(&self, path: &str) -> anyhow::Result<Option<impl Read + use<>>> {
        let Some(mut stream) = connect(self.config).context("failed to reach the service")? else {
            return Ok(None);
        };
        let key =
            self.key.as_ref().map_or_else(String::new, |key| format!("Authorization: Bearer {key}\r\n"));
        let question = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{key}\r\n");
        stream.write_all(question.as_bytes()).context("failed to ask the service")?;
        let mut answer = BufReader::with_capacity(256 << 10, stream);
        let head = read_head(&mut answer).context("failed to read the service's answer")?;
        let (status, is_chunked) = parse_head(&head)?;
        let mut body = Body { from: answer, left: Left::Unknown };
        if is_chunked {
            body.left = Left::Chunk(0);
        }
        if status != 200 {
            let mut text = String::new();
            body.take(MAX_HEAD).read_to_string(&mut text).context("failed to read the service's refusal")?;
            bail!("the service refused with {status}: {}", text.trim());
        }
        Ok(Some(body))
    }
}

fn read_head(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut limited = from.take(MAX_HEAD);
    while !head.ends_with(b"\r\n\r\n") {
        if limited.read_until(b'\n', &mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(head)
}

/// The status, and whether the body comes in chunks.
fn parse_head(head: &[u8]) -> anyhow::Result<(u16, bool)> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response.parse(head).context("the answer is no HTTP: does another program listen there?")?;
    ensure!(parsed.is_complete(), "the answer is no HTTP: does another program listen there?");
    let chunked = response.headers.iter().any(|header| {
        header.name.eq_ignore_ascii_case("transfer-encoding") && header.value.eq_ignore_ascii_case(b"chunked")
    });
    Ok((response.code.unwrap_or_default(), chunked))
}

enum Left {
    /// Until the connection ends.
    Unknown,
    /// So much of this chunk, then the next.
    Chunk(u64),
    /// The last chunk was read.
    Nothing,
}

/// A body, in chunks or not. One that is broken off ends with an error.
struct Body<R> {
    from: R,
    left: Left,
}

impl<R: BufRead> Body<R> {
    /// Reads the size of the next chunk, behind the end of the one before.
    fn next_chunk(&mut self) -> io::Result<u64> {
        let malformed = || io::Error::new(io::ErrorKind::InvalidData, "malformed chunk");
        let mut line = Vec::new();
        loop {
            line.clear();
            if (&mut self.from).take(64).read_until(b'\n', &mut line)? == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the service broke the stream off; its log says why",
                ));
            }
            let text = std::str::from_utf8(&line).map_err(|_| malformed())?.trim();
            if !text.is_empty() {
                return u64::from_str_radix(text, 16).map_err(|_| malformed());
            }
        }
    }
}

impl<R: BufRead> Read for Body<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.left {
                Left::Unknown => return self.from.read(buffer),
                Left::Nothing => return Ok(0),
                Left::Chunk(0) => {
                    let len = self.next_chunk()?;
                    self.left = if len == 0 { Left::Nothing } else { Left::Chunk(len) };
                }
                Left::Chunk(left) => {
                    let want = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    let n = self.from.read(&mut buffer[..want])?;
                    if n == 0 && want > 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    self.left = Left::Chunk(left - n as u64);
                    return Ok(n);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(bytes: &[u8]) -> io::Result<String> {
        let mut text = String::new();
        Body { from: BufReader::with_capacity(3, bytes), left: Left::Chunk(0) }.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn chunks_are_joined_and_a_broken_stream_is_an_error() {
        assert_eq!(body(b"5\r\nhello\r\nA\r\n, world...\r\n0\r\n\r\n").unwrap(), "hello, world...");
        assert_eq!(body(b"0\r\n\r\n").unwrap(), "");
        for broken in [&b"5\r\nhel"[..], b"5\r\nhello\r\n", b"", b"zz\r\n", b"5\r\nhello\r\n-1\r\n"] {
            assert!(body(broken).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn a_head_tells_status_and_encoding() {
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(read_head(&mut &head[..]).unwrap(), head);
        assert_eq!(parse_head(head).unwrap(), (200, true));
        assert_eq!(parse_head(b"HTTP/1.1 401 Unauthorized\r\n\r\n").unwrap(), (401, false));
        assert!(parse_head(b"SSH-2.0-OpenSSH_9.2\r\n\r\n").is_err());
        assert!(read_head(&mut &b"HTTP/1.1 200 OK\r\n"[..]).is_err());
    }
}
