//! Reads one HTTP/1.1 response without ever holding more than the cap, whatever length the service
//! claims.

use std::io::Read;

use super::message::{Response, TransportError};

const MAX_HEAD: usize = 64 * 1024;

/// Reads the response, and returns whether the connection can be reused.
pub(super) fn read(stream: &mut impl Read, cap: usize) -> Result<(Response, bool), TransportError> {
    let mut source = Source {
        stream,
        buffer: Vec::with_capacity(4096),
        at: 0,
    };
    loop {
        let (mut response, framing) = head(&mut source)?;
        if response.status >= 200 {
            response.body = body(&mut source, framing.length, cap)?;
            return Ok((response, framing.keep && source.rest().is_empty()));
        }
    }
}

struct Framing {
    length: Length,
    keep: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Length {
    Known(usize),
    Chunked,
    UntilClose,
}

fn head(source: &mut Source<'_, impl Read>) -> Result<(Response, Framing), TransportError> {
    loop {
        if let Some(parsed) = parse_head(source)? {
            return Ok(parsed);
        }
        if source.rest().len() > MAX_HEAD {
            return Err(TransportError::Answer(format!(
                "its head is longer than {MAX_HEAD} bytes"
            )));
        }
        source.more()?;
    }
}

fn parse_head(
    source: &mut Source<'_, impl Read>,
) -> Result<Option<(Response, Framing)>, TransportError> {
    let mut headers = [httparse::EMPTY_HEADER; 96];
    let mut parsed = httparse::Response::new(&mut headers);
    let status = parsed
        .parse(source.rest())
        .map_err(|error| TransportError::Answer(error.to_string()))?;
    let httparse::Status::Complete(length) = status else {
        return Ok(None);
    };
    let mut response = Response {
        status: parsed.code.unwrap_or_default(),
        ..Response::default()
    };
    let mut framing = Framing {
        length: Length::UntilClose,
        keep: parsed.version == Some(1),
    };
    for header in parsed.headers.iter() {
        response.header(header.name, header.value);
        frame(&mut framing, header)?;
    }
    if matches!(response.status, 100..=199 | 204 | 304) {
        framing.length = Length::Known(0);
    }
    framing.keep &= framing.length != Length::UntilClose;
    source.at += length;
    Ok(Some((response, framing)))
}

fn frame(framing: &mut Framing, header: &httparse::Header<'_>) -> Result<(), TransportError> {
    let value = String::from_utf8_lossy(header.value);
    if header.name.eq_ignore_ascii_case("content-length") {
        let length = value.trim().parse();
        let length =
            length.map_err(|_| TransportError::Answer(format!("content-length `{value}`")))?;
        if framing.length != Length::Chunked {
            framing.length = Length::Known(length);
        }
    } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
        framing.length = Length::Chunked;
    } else if header.name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close")
    {
        framing.keep = false;
    }
    Ok(())
}

fn body(
    source: &mut Source<'_, impl Read>,
    length: Length,
    cap: usize,
) -> Result<Vec<u8>, TransportError> {
    let mut body = Vec::new();
    match length {
        Length::Known(length) => source.take(length, cap, &mut body)?,
        Length::UntilClose => source.take_all(cap, &mut body)?,
        Length::Chunked => loop {
            let line = source.line()?;
            let size = line.split(';').next().unwrap_or_default().trim().to_owned();
            let size = usize::from_str_radix(&size, 16)
                .map_err(|_| TransportError::Answer(format!("chunk size `{size}`")))?;
            source.take(size, cap, &mut body)?;
            if size == 0 {
                while !source.line()?.is_empty() {}
                break;
            }
            source.line()?;
        },
    }
    Ok(body)
}

/// A stream, and the bytes read from it but not used yet.
struct Source<'a, R> {
    stream: &'a mut R,
    buffer: Vec<u8>,
    at: usize,
}

impl<R: Read> Source<'_, R> {
    fn rest(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    fn more(&mut self) -> Result<(), TransportError> {
        if self.fill()? == 0 {
            return Err(TransportError::Closed(
                "before its answer was whole".to_owned(),
            ));
        }
        Ok(())
    }

    /// Reads once, after removing used bytes from the buffer.
    fn fill(&mut self) -> Result<usize, TransportError> {
        self.buffer.drain(..self.at);
        self.at = 0;
        let had = self.buffer.len();
        self.buffer.resize(had + 16 * 1024, 0);
        let read = loop {
            match self.stream.read(&mut self.buffer[had..]) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.buffer.truncate(had + *read.as_ref().unwrap_or(&0));
        read.map_err(TransportError::exchange)
    }

    fn take(
        &mut self,
        length: usize,
        cap: usize,
        into: &mut Vec<u8>,
    ) -> Result<(), TransportError> {
        if into.len().saturating_add(length) > cap {
            return Err(too_large(cap));
        }
        let end = into.len() + length;
        while into.len() < end {
            if self.rest().is_empty() {
                self.more()?;
            }
            let part = self.rest().len().min(end - into.len());
            into.extend_from_slice(&self.rest()[..part]);
            self.at += part;
        }
        Ok(())
    }

    fn take_all(&mut self, cap: usize, into: &mut Vec<u8>) -> Result<(), TransportError> {
        loop {
            into.extend_from_slice(self.rest());
            self.at = self.buffer.len();
            if into.len() > cap {
                return Err(too_large(cap));
            }
            if self.fill()? == 0 {
                return Ok(());
            }
        }
    }

    fn line(&mut self) -> Result<String, TransportError> {
        loop {
            if let Some(end) = self.rest().iter().position(|byte| *byte == b'\n') {
                let line = String::from_utf8_lossy(&self.rest()[..end])
                    .trim_end()
                    .to_owned();
                self.at += end + 1;
                return Ok(line);
            }
            if self.rest().len() > MAX_HEAD {
                return Err(TransportError::Answer(
                    "a chunk's head without an end".to_owned(),
                ));
            }
            self.more()?;
        }
    }
}

fn too_large(cap: usize) -> TransportError {
    TransportError::Answer(format!("it is larger than {cap} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_str(text: &str) -> Result<(Response, bool), TransportError> {
        read(&mut text.as_bytes(), 100)
    }

    #[test]
    fn an_answer_is_read_whichever_way_it_is_framed() {
        for text in [
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3;x\r\nllo\r\n0\r\n\r\n",
        ] {
            let (response, keep) = read_str(text).unwrap();
            assert_eq!(response.body.as_slice(), b"hello".as_slice());
            assert!(keep);
        }
        let (response, keep) = read_str("HTTP/1.0 200 OK\r\n\r\nhello").unwrap();
        assert_eq!(response.body.as_slice(), b"hello".as_slice());
        assert!(!keep);
    }

    #[test]
    fn an_answer_larger_than_the_cap_is_not_read() {
        let lied = read_str("HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n").unwrap_err();
        assert!(lied.to_string().contains("larger than 100 bytes"), "{lied}");
        let endless =
            std::io::Read::chain("HTTP/1.1 200 OK\r\n\r\n".as_bytes(), std::io::repeat(b'x'));
        let error = read(&mut std::io::BufReader::new(endless), 1_000_000).unwrap_err();
        assert!(error.to_string().contains("larger than"), "{error}");
    }

    #[test]
    fn half_an_answer_and_garbage_are_distinguished() {
        let half = read_str("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe").unwrap_err();
        assert!(matches!(half, TransportError::Closed(_)), "{half}");
        let garbage = read_str("\u{1}\u{2}garbage\r\n\r\n").unwrap_err();
        assert!(matches!(garbage, TransportError::Answer(_)), "{garbage}");
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let (response, _) =
            read_str("HTTP/1.1 429 x\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n").unwrap();
        assert_eq!(
            response.retry_after,
            Some(std::time::Duration::from_secs(7))
        );
        let past = "HTTP/1.1 429 x\r\nretry-after: Wed, 21 Oct 2015 07:28:00 GMT\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(
            read_str(past).unwrap().0.retry_after,
            Some(std::time::Duration::ZERO)
        );
    }
}
