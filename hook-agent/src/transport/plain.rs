//! HTTP/1.1 over one kept connection, for `http://` and `unix://`, without an HTTP library.
//!
//! A connection that the service closed while it was idle is replaced at once and does not count as
//! a failure: every request here may safely be repeated (batches carry the producer's numbers, the
//! others are idempotent).

use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::answer;
use super::dial::Dial;
use super::message::{Request, Response, Transport, TransportError};
use super::url::{ServiceUrl, Target};
use crate::Config;

/// The transport and its kept connection, if there is one.
pub(crate) struct Plain {
    service: ServiceUrl,
    authorization: String,
    connect_timeout: Duration,
    answer_timeout: Duration,
    max_answer_bytes: usize,
    dial: Dial,
    kept: Option<Stream>,
}

impl Plain {
    pub(crate) fn new(config: &Config) -> Self {
        let bearer = config.token.as_ref().filter(|token| token.fits_a_header());
        Self {
            service: config.service.clone(),
            authorization: bearer
                .map(|token| format!("authorization: Bearer {}\r\n", token.expose()))
                .unwrap_or_default(),
            connect_timeout: config.connect_timeout,
            answer_timeout: config.answer_timeout,
            max_answer_bytes: config.max_answer_bytes,
            dial: Dial::new(),
            kept: None,
        }
    }

    /// Sends one request and reads the response. The connection is kept if both sides allow it.
    fn exchange(
        &mut self,
        mut stream: Stream,
        head: &str,
        body: &[u8],
    ) -> Result<Response, TransportError> {
        stream.write_timeout(self.answer_timeout)?;
        let written = write_request(&mut stream, head, body);
        if let Err(
            error @ (TransportError::Connect(_)
            | TransportError::Exchange(_)
            | TransportError::Answer(_)),
        ) = written
        {
            return Err(error);
        }
        let deadline = Instant::now() + self.answer_timeout;
        let mut timed = Timed {
            stream: &mut stream,
            deadline,
        };
        let read = answer::read(&mut timed, self.max_answer_bytes);
        // A service that refuses a large request may answer and close before it has read all of it.
        if let Err(error) = written {
            return read.map(|(response, _)| response).map_err(|_| error);
        }
        let (response, keep) = read?;
        self.kept = keep.then_some(stream);
        Ok(response)
    }

    fn head(&self, request: &Request<'_>) -> String {
        let host = match &self.service.target {
            Target::Http { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Target::Http { host, port } => format!("{host}:{port}"),
            Target::Https | Target::Unix(_) => "localhost".to_owned(),
        };
        let Request {
            method,
            path,
            content_type,
            producer,
            body,
        } = request;
        let prefix = &self.service.prefix;
        let mut head = format!(
            "{method} {prefix}{path} HTTP/1.1\r\nhost: {host}\r\n{}",
            self.authorization
        );
        if *method != "GET" {
            let _ = write!(
                head,
                "content-type: {content_type}\r\ncontent-length: {}\r\n",
                body.len()
            );
        }
        if let Some(producer) = producer {
            let _ = write!(
                head,
                "producer-id: {}\r\nproducer-epoch: {}\r\nproducer-seq: {}\r\n",
                producer.id, producer.epoch, producer.seq
            );
        }
        head + "\r\n"
    }

    fn connect(&mut self) -> Result<Stream, TransportError> {
        match &self.service.target {
            Target::Unix(path) => connect_unix(path, self.connect_timeout)
                .map(Stream::Unix)
                .map_err(|error| TransportError::Connect(format!("`{}`: {error}", path.display()))),
            Target::Http { host, port } => {
                let stream = self.dial.connect(host, *port, self.connect_timeout)?;
                stream.set_nodelay(true).map_err(TransportError::exchange)?;
                Ok(Stream::Tcp(stream))
            }
            Target::Https => Err(TransportError::Connect(
                "`https` needs the feature of that name".to_owned(),
            )),
        }
    }
}

impl Transport for Plain {
    fn shows_token(&self) -> bool {
        !self.authorization.is_empty()
    }

    fn limit(&mut self, most: Duration) {
        self.connect_timeout = self.connect_timeout.min(most);
        self.answer_timeout = self.answer_timeout.min(most);
    }

    fn send(&mut self, request: &Request<'_>) -> Result<Response, TransportError> {
        let head = self.head(request);
        let mut repeated = false;
        if let Some(kept) = self.kept.take() {
            match self.exchange(kept, &head, request.body) {
                Err(TransportError::Closed(_)) => repeated = true,
                settled => return settled,
            }
        }
        let fresh = self.connect()?;
        Ok(Response {
            repeated,
            ..self.exchange(fresh, &head, request.body)?
        })
    }
}

/// Writes a request. A small request goes out in one write, so in one packet; a large body is not
/// copied.
fn write_request(stream: &mut Stream, head: &str, body: &[u8]) -> Result<(), TransportError> {
    if body.len() <= 64 * 1024 {
        return stream
            .write_all(&[head.as_bytes(), body].concat())
            .map_err(TransportError::exchange);
    }
    stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(body))
        .map_err(TransportError::exchange)
}

/// Connects with a timeout, which the standard library offers only for TCP. It is needed because a
/// hanging service leaves its backlog full.
fn connect_unix(path: &Path, timeout: Duration) -> std::io::Result<UnixStream> {
    let address = SocketAddrUnix::new(path)?;
    let socket = socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    set_socket_timeout(&socket, Timeout::Send, Some(timeout))?;
    connect(&socket, &address)?;
    Ok(UnixStream::from(socket))
}

/// A TCP or Unix socket.
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    fn write_timeout(&self, timeout: Duration) -> Result<(), TransportError> {
        match self {
            Self::Tcp(stream) => stream.set_write_timeout(Some(timeout)),
            Self::Unix(stream) => stream.set_write_timeout(Some(timeout)),
        }
        .map_err(TransportError::exchange)
    }

    fn read_timeout(&self, timeout: Duration) -> std::io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_read_timeout(Some(timeout)),
            Self::Unix(stream) => stream.set_read_timeout(Some(timeout)),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(buffer),
            Self::Unix(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Reads until a deadline, however slowly the bytes arrive.
struct Timed<'a> {
    stream: &'a mut Stream,
    deadline: Instant,
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        self.stream.read_timeout(left)?;
        self.stream.read(buffer)
    }
}
