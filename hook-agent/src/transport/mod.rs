//! Sends one request to the service and reads its response, blocking, within a deadline.
//!
//! There are two transports. [`plain`] implements HTTP/1.1 over a TCP or Unix socket itself; it
//! starts in microseconds, which a hook process of two milliseconds needs. [`tls`] (feature
//! `https`) uses reqwest, for `https://` and proxies. Both keep their connection between requests,
//! cap the response, and know nothing of sessions or retries.

mod answer;
mod dial;
mod message;
mod plain;
#[cfg(feature = "https")]
mod tls;
mod url;

pub(crate) use message::{Producer, Request, Response, Transport, TransportError};
pub use url::ServiceUrl;
pub(crate) use url::{is_same_service, service_identity};

use crate::{Config, Error};

/// Returns the transport for the configured URL. Does not connect yet.
#[cfg_attr(
    not(feature = "https"),
    expect(clippy::unnecessary_wraps, reason = "TLS can fail to open")
)]
pub(crate) fn open(config: &Config) -> Result<Box<dyn Transport>, Error> {
    #[cfg(feature = "https")]
    if config.service.needs_reqwest() {
        return Ok(Box::new(tls::Tls::new(config)?));
    }
    Ok(Box::new(plain::Plain::new(config)))
}
