//! A request, its response, and the trait of those that carry them.

use std::io::ErrorKind;
use std::time::Duration;

/// One request, ready to send.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request<'a> {
    pub method: &'static str,
    /// The path and query, as sent.
    pub path: String,
    pub content_type: &'a str,
    /// The producer's numbers, if the request is a batch.
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

/// A response, with the few headers that are used here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Response {
    pub status: u16,
    pub retry_after: Option<Duration>,
    pub producer_epoch: Option<u64>,
    pub expected_seq: Option<u64>,
    /// The request was sent before without a response, and may be stored from that attempt.
    pub repeated: bool,
    /// The service reports that it has seen these numbers before.
    pub duplicate: bool,
    pub body: Vec<u8>,
}

impl Response {
    /// Stores a header, if it is one of those used here.
    pub(crate) fn header(&mut self, name: &str, value: &[u8]) {
        let Ok(value) = std::str::from_utf8(value) else {
            return;
        };
        let number = value.trim().parse::<u64>().ok();
        if name.eq_ignore_ascii_case("retry-after") {
            self.retry_after = number
                .map(Duration::from_secs)
                .or_else(|| until(value.trim()));
        } else if name.eq_ignore_ascii_case("producer-epoch") {
            self.producer_epoch = number;
        } else if name.eq_ignore_ascii_case("producer-expected-seq") {
            self.expected_seq = number;
        } else if name.eq_ignore_ascii_case("producer-duplicate") {
            self.duplicate = value.trim() == "true";
        }
    }
}

/// Parses the date form of `Retry-After`.
fn until(date: &str) -> Option<Duration> {
    let then = jiff::fmt::rfc2822::parse(date).ok()?.timestamp();
    Some(Duration::try_from(then.duration_since(jiff::Timestamp::now())).unwrap_or_default())
}

/// Why there is no response. After each of these, another attempt makes sense.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransportError {
    /// No connection: refused, unreachable, name unknown, or not within the connect timeout.
    #[error("connecting failed: {0}")]
    Connect(String),
    /// The connection broke, or stalled beyond the answer timeout. The service may have accepted
    /// the request.
    #[error("the request failed: {0}")]
    Exchange(String),
    /// The service closed the connection before its response was complete.
    #[error("the service closed the connection: {0}")]
    Closed(String),
    /// The response is not HTTP, or is larger than `max_answer_bytes`.
    #[error("unusable response: {0}")]
    Answer(String),
}

impl TransportError {
    /// Converts an error of an open connection.
    #[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
    pub(super) fn exchange(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                Self::Exchange("no response in time".to_owned())
            }
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof => {
                Self::Closed(error.to_string())
            }
            _ => Self::Exchange(error.to_string()),
        }
    }
}

/// A transport to the service.
pub(crate) trait Transport: Send {
    /// Returns whether its requests carry a token.
    fn shows_token(&self) -> bool;

    /// Limits the time of each request from now on.
    fn limit(&mut self, most: Duration);

    /// Sends the request and reads the whole response.
    fn send(&mut self, request: &Request<'_>) -> Result<Response, TransportError>;
}
