//! A connection stream for the framework: passes everything through, but replaces the framework's
//! empty error responses with JSON.
//!
//! A request that the framework cannot parse (a malformed head, one that is too large or does not
//! arrive) never reaches the application: the framework itself sends a bare status. The
//! application's own errors always have a body. So an empty 4xx response is the framework's, and
//! the service's error is written in its place.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use session_model::{Code, Refusal};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::http::app::connections::{Activity, OpenConnection};
use crate::http::app::request_id;
use crate::http::error;
use crate::observability::metrics::Requests;

/// The first bytes of an error response of the framework.
const REFUSAL: &[u8] = b"HTTP/1.1 4";
/// The maximum length of the head of such a response.
const LONGEST: usize = 256;

/// A connection stream.
pub(super) struct ConnectionStream<T> {
    io: T,
    /// The response that is being written in place of the framework's.
    instead: Option<Instead>,
    /// Set on an HTTP/2 connection; once this future completes, nothing more is read.
    http2: Option<End>,
    requests: Arc<Requests>,
    counted: OpenConnection,
}

struct Instead {
    bytes: Vec<u8>,
    written: usize,
    /// The number of bytes of the framework's response that it replaces.
    replaces: usize,
}

/// A future that ends a connection which the framework would not close by itself.
type End = Pin<Box<dyn Future<Output = ()>>>;

impl<T> ConnectionStream<T> {
    /// Wraps a socket, which counts as a connection until it is dropped.
    pub(super) fn new(io: T, counted: OpenConnection, requests: Arc<Requests>) -> Self {
        Self {
            io,
            instead: None,
            http2: None,
            requests,
            counted,
        }
    }
}

impl<T> ConnectionStream<T> {
    /// The activity of the connection.
    pub(super) fn activity(&self) -> &Arc<Activity> {
        self.counted.activity()
    }

    /// Turns this into an HTTP/2 connection, whose frames pass unchanged. When `end` completes,
    /// the framework sees the end of the stream.
    pub(super) fn http2(mut self, end: impl Future<Output = ()> + 'static) -> Self {
        self.http2 = Some(Box::pin(end));
        self
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for ConnectionStream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self
            .http2
            .as_mut()
            .is_some_and(|end| end.as_mut().poll(context).is_ready())
        {
            return Poll::Ready(Ok(()));
        }
        // An error rather than the end of the stream, so that no request read before it is started
        // any more.
        if self.counted.activity().is_to_end(context) {
            return Poll::Ready(Err(io::Error::other(
                "closed to make room for another connection",
            )));
        }
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for ConnectionStream<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let ConnectionStream {
            io,
            instead,
            http2,
            requests,
            ..
        } = &mut *self;
        if http2.is_some() {
            return Pin::new(io).poll_write(context, bytes);
        }
        if instead.is_none() {
            match refusal_at(bytes) {
                Some(0) => *instead = Some(Instead::of(bytes, requests)),
                before => {
                    return Pin::new(io)
                        .poll_write(context, &bytes[..before.unwrap_or(bytes.len())]);
                }
            }
        }
        match instead.as_mut() {
            Some(error) => ready!(error.poll_write(Pin::new(io), context))?,
            None => return Poll::Ready(Ok(0)),
        }
        Poll::Ready(Ok(instead.take().map_or(0, |error| error.replaces)))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_flush(context))?;
        if !self.counted.activity().has_said_all() {
            return Poll::Ready(Ok(()));
        }
        // The framework would first wait for the other end to close, which in turn waits for this
        // end (RFC 6455, 7.1.1).
        match ready!(Pin::new(&mut self.io).poll_shutdown(context)) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            shut => Poll::Ready(shut),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

impl Instead {
    fn of(refusal: &[u8], requests: &Requests) -> Self {
        Self {
            bytes: answer(refusal, requests),
            written: 0,
            replaces: refusal.len(),
        }
    }

    fn poll_write(
        &mut self,
        mut io: Pin<&mut impl AsyncWrite>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.written < self.bytes.len() {
            match ready!(io.as_mut().poll_write(context, &self.bytes[self.written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => self.written += n,
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Returns where an empty error response starts that these bytes end with.
fn refusal_at(bytes: &[u8]) -> Option<usize> {
    if !bytes.ends_with(b"\r\n\r\n") {
        return None;
    }
    let from = bytes.len().saturating_sub(LONGEST);
    let at = from + memchr::memmem::rfind(&bytes[from..], REFUSAL)?;
    memchr::memmem::find(&bytes[at..], b"\r\ncontent-length: 0\r\n").map(|_| at)
}

/// Builds the service's own response in place of the framework's.
fn answer(refusal: &[u8], requests: &Requests) -> Vec<u8> {
    let refusal = match refusal.get(REFUSAL.len() - 1..REFUSAL.len() + 2) {
        Some(b"408") => Refusal::new(Code::RequestTimeout, "the request did not arrive in time"),
        Some(b"431") => Refusal::new(Code::InvalidRequest, "the request's head is too large"),
        _ => Refusal::new(Code::InvalidRequest, "the request is malformed"),
    };
    final_response(refusal, "", requests)
}

/// Builds the last response of a connection, to a request that the application never sees.
/// `headers` holds additional headers, each with its line end.
pub(super) fn final_response(refusal: Refusal, headers: &str, requests: &Requests) -> Vec<u8> {
    let id = request_id::fresh();
    let id = id.to_str().unwrap_or_default();
    let (status, reason) = error::status_of(refusal.code);
    requests.errors.count(refusal.code);
    tracing::debug!(requestId = id, status, code = %refusal.code, error = refusal.message, "request refused");
    let body = error::body(&refusal.into(), id);
    let head = format!(
        "HTTP/1.1 {status} {reason}\r\ncontent-type: application/json\r\nx-content-type-options: nosniff\r\nx-request-id: {id}\r\n\
         {headers}connection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), &body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::app::connections::Connections;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const EMPTY: &str = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\ndate: now\r\n\r\n";
    const FULL: &str = "HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}";

    async fn sent(parts: &[&str]) -> String {
        // Three bytes at a time, so that no write completes at once.
        let (near, mut far) = tokio::io::duplex(3);
        let mut wire = ConnectionStream::new(
            near,
            Connections::new(0).enter(),
            Arc::new(Requests::new(Vec::new())),
        );
        let writing = async {
            for part in parts {
                wire.write_all(part.as_bytes()).await.unwrap();
            }
            drop(wire);
        };
        let mut read = String::new();
        let ((), end) = futures_util::join!(writing, far.read_to_string(&mut read));
        end.unwrap();
        read
    }

    #[actix_web::test]
    async fn an_empty_refusal_gets_a_body_and_keeps_what_came_before() {
        let whole = sent(&[&format!("{FULL}{EMPTY}")]).await;
        let (before, refusal) = whole.split_at(FULL.len());
        assert_eq!(before, FULL);
        let (head, body) = refusal.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{head}");
        assert!(
            head.contains(&format!("content-length: {}", body.len())),
            "{head}"
        );
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["code"], "invalid_request");
        assert!(head.contains(&format!(
            "x-request-id: {}",
            body["requestId"].as_str().unwrap()
        )));
    }

    #[actix_web::test]
    async fn the_other_end_sees_the_end_as_soon_as_nothing_more_is_written() {
        let (near, mut far) = tokio::io::duplex(64);
        let mut wire = ConnectionStream::new(
            near,
            Connections::new(0).enter(),
            Arc::new(Requests::new(Vec::new())),
        );
        wire.write_all(b"last").await.unwrap();
        wire.activity().say_no_more();
        wire.flush().await.unwrap();
        let mut read = String::new();
        far.read_to_string(&mut read).await.unwrap();
        assert_eq!(read, "last", "though this end is still there to read");
        wire.flush().await.unwrap();
    }

    #[actix_web::test]
    async fn a_timeout_is_distinguished() {
        let refusal = sent(&[&EMPTY.replace("400 Bad Request", "408 Request Timeout")]).await;
        assert!(
            refusal.starts_with("HTTP/1.1 408 Request Timeout\r\n"),
            "{refusal}"
        );
        assert!(refusal.contains("request_timeout"), "{refusal}");
        let refusal = sent(&[&EMPTY.replace("400 Bad Request", "431 Too Large")]).await;
        assert!(refusal.contains("head is too large"), "{refusal}");
    }

    #[actix_web::test]
    async fn everything_else_passes() {
        let head = "HTTP/1.1 404 Not Found\r\ncontent-length: 120\r\n\r\n";
        let ok = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(
            sent(&[FULL, head, ok, FULL]).await,
            [FULL, head, ok, FULL].concat()
        );
    }
}
