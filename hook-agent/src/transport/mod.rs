//! Carries one request to the service and its answer back, blocking, within a deadline.
//!
//! Two ways: [`plain`] speaks HTTP/1.1 over a TCP or Unix socket by itself, which starts in microseconds and is what
//! a hook process of two milliseconds needs; [`tls`] (feature `https`) is reqwest, for `https://` and proxies.
//! Both keep their connection between requests, cap the answer, and know nothing of sessions or retries.

mod answer;
mod dial;
mod plain;
#[cfg(feature = "https")]
mod tls;
mod url;

use std::io::ErrorKind;
use std::time::Duration;

pub use url::ServiceUrl;
pub(crate) use url::{is_same_service, service_identity};

use crate::{Config, Error};

/// One request, ready to send.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request<'a> {
    pub method: &'static str,
    /// Path and query, as they go on the wire.
    pub path: String,
    pub content_type: &'static str,
    /// The producer's numbers, when it is a batch.
    pub producer: Option<Producer<'a>>,
    pub body: &'a [u8],
}

/// The idempotent-producer headers of one batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Producer<'a> {
    pub id: &'a str,
    pub epoch: u64,
    pub seq: u64,
}

/// The answer, with the few headers that matter here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Response {
    pub status: u16,
    pub retry_after: Option<Duration>,
    pub producer_epoch: Option<u64>,
    pub expected_seq: Option<u64>,
    /// It had been sent before, to no answer, and may be stored from then.
    pub repeated: bool,
    /// The service says that it had these numbers before.
    pub duplicate: bool,
    pub body: Vec<u8>,
}

impl Response {
    /// Takes note of a header, if it is one of the few.
    pub(crate) fn header(&mut self, name: &str, value: &[u8]) {
        let Ok(value) = std::str::from_utf8(value) else { return };
        let number = value.trim().parse::<u64>().ok();
        if name.eq_ignore_ascii_case("retry-after") {
            self.retry_after = number.map(Duration::from_secs).or_else(|| until(value.trim()));
        } else if name.eq_ignore_ascii_case("producer-epoch") {
            self.producer_epoch = number;
        } else if name.eq_ignore_ascii_case("producer-expected-seq") {
            self.expected_seq = number;
        } else if name.eq_ignore_ascii_case("producer-duplicate") {
            self.duplicate = value.trim() == "true";
        }
    }
}

/// The other form of `Retry-After`: a date.
fn until(date: &str) -> Option<Duration> {
    let then = jiff::fmt::rfc2822::parse(date).ok()?.timestamp();
    Some(Duration::try_from(then.duration_since(jiff::Timestamp::now())).unwrap_or_default())
}

/// Why there is no answer. All of these are worth another attempt.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransportError {
    /// No connection: refused, unreachable, name unknown, or not within the connect timeout.
    #[error("connect: {0}")]
    Connect(String),
    /// The connection broke, or stalled past the answer timeout. The service may have taken the request.
    #[error("exchange: {0}")]
    Exchange(String),
    /// The service closed the connection before its answer was whole.
    #[error("closed by the service: {0}")]
    Closed(String),
    /// What came back is no HTTP answer, or is larger than `max_answer_bytes`.
    #[error("answer: {0}")]
    Answer(String),
}

impl TransportError {
    /// Of a connection that was open.
    #[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
    fn exchange(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Self::Exchange("no answer in time".to_owned()),
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof => {
                Self::Closed(error.to_string())
            }
            _ => Self::Exchange(error.to_string()),
        }
    }
}

/// One way to the service.
pub(crate) trait Transport: Send {
    /// Whether its requests bear a token.
    fn shows_token(&self) -> bool;

    /// Sends the request and reads the whole answer.
    fn send(&mut self, request: &Request<'_>) -> Result<Response, TransportError>;
}

/// The way that the configured address asks for. Connects to nothing yet.
#[cfg_attr(not(feature = "https"), expect(clippy::unnecessary_wraps, reason = "TLS can fail to open"))]
pub(crate) fn open(config: &Config) -> Result<Box<dyn Transport>, Error> {
    #[cfg(feature = "https")]
    if config.service.needs_reqwest() {
        return Ok(Box::new(tls::Tls::new(config)?));
    }
    Ok(Box::new(plain::Plain::new(config)))
}
