//! Parses the response of a service: its head, and its body, chunked or not.

use std::io::{self, BufRead, Read};

use anyhow::{Context, ensure};

/// The maximum length of the head of a response.
pub(super) const MAX_HEAD: u64 = 64 << 10;

pub(super) fn read_head(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut limited = from.take(MAX_HEAD);
    while !head.ends_with(b"\r\n\r\n") {
        if limited.read_until(b'\n', &mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(head)
}

/// The head of a response.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    /// Whether the body is chunked.
    pub(super) is_chunked: bool,
    headers: Vec<(String, Vec<u8>)>,
}

impl Head {
    /// Returns the value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&[u8]> {
        let found = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_slice())
    }
}

pub(super) fn parse_head(head: &[u8]) -> anyhow::Result<Head> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response.parse(head).context(
        "the answer is no HTTP: is it `https://`, or does another program listen there?",
    )?;
    ensure!(
        parsed.is_complete(),
        "the answer is no HTTP: is it `https://`, or does another program listen there?"
    );
    let status = response.code.unwrap_or_default();
    let headers: Vec<_> = response
        .headers
        .iter()
        .map(|h| (h.name.to_owned(), h.value.to_owned()))
        .collect();
    let mut head = Head {
        status,
        is_chunked: false,
        headers,
    };
    head.is_chunked = head
        .header("transfer-encoding")
        .is_some_and(|v| v.eq_ignore_ascii_case(b"chunked"));
    Ok(head)
}

pub(super) enum Left {
    /// The body lasts until the connection ends.
    Unknown,
    /// This many bytes of the current chunk remain, and another chunk follows.
    Chunk(u64),
    /// The last chunk was read.
    Nothing,
}

/// A body, chunked or not. Reading one that was cut off ends with an error.
pub(super) struct Body<R> {
    pub(super) from: R,
    pub(super) left: Left,
}

impl<R: BufRead> Body<R> {
    /// Reads the size of the next chunk, after the line end of the previous chunk.
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
                    self.left = if len == 0 {
                        Left::Nothing
                    } else {
                        Left::Chunk(len)
                    };
                }
                Left::Chunk(left) => {
                    let want = buffer
                        .len()
                        .min(usize::try_from(left).unwrap_or(usize::MAX));
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
    use std::io::BufReader;

    fn body(bytes: &[u8]) -> io::Result<String> {
        let mut text = String::new();
        Body {
            from: BufReader::with_capacity(3, bytes),
            left: Left::Chunk(0),
        }
        .read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn chunks_are_joined_and_a_broken_stream_is_an_error() {
        assert_eq!(
            body(b"5\r\nhello\r\nA\r\n, world...\r\n0\r\n\r\n").unwrap(),
            "hello, world..."
        );
        assert_eq!(body(b"0\r\n\r\n").unwrap(), "");
        for broken in [
            &b"5\r\nhel"[..],
            b"5\r\nhello\r\n",
            b"",
            b"zz\r\n",
            b"5\r\nhello\r\n-1\r\n",
        ] {
            assert!(body(broken).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn a_head_tells_status_and_encoding() {
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(read_head(&mut &head[..]).unwrap(), head);
        let head = parse_head(head).unwrap();
        assert_eq!(head.status, 200);
        assert!(head.is_chunked);
        assert_eq!(head.header("TRANSFER-encoding"), Some(&b"chunked"[..]));
        let head = parse_head(b"HTTP/1.1 401 Unauthorized\r\n\r\n").unwrap();
        assert_eq!(head.status, 401);
        assert!(!head.is_chunked);
        assert_eq!(head.header("x"), None);
        assert!(parse_head(b"SSH-2.0-OpenSSH_9.2\r\n\r\n").is_err());
        assert!(read_head(&mut &b"HTTP/1.1 200 OK\r\n"[..]).is_err());
    }
}
