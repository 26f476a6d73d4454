//! How much of the service one of its users may take: requests at a time, streams, sessions, bytes.
//!
//! Every limit is off unless it is set. What is refused is refused before anything of it is stored, by name and with
//! the number; a limit counts what it can see without slowing the path of the writes, and each says how exactly.

mod places;
mod quota;
mod rate;
mod streams;

pub use places::Place;
pub use quota::{MEASURE_EVERY, Quota};
pub use rate::{Budget, RateLimit};
pub use streams::{Seat, Streams};

use crate::config::Config;

/// All of them.
pub struct Limits {
    /// Requests of one key or token.
    pub of_key: RateLimit<std::sync::Arc<str>>,
    /// Requests from one address.
    pub of_address: RateLimit<std::net::IpAddr>,
    /// Streams of one key or token.
    pub streams: Streams,
    /// Sessions and bytes of one user.
    pub quota: Quota,
}

impl Limits {
    /// As configured.
    pub fn new(config: &Config) -> Self {
        Self {
            of_key: RateLimit::new(config.rate_limit_per_key),
            of_address: RateLimit::new(config.rate_limit_per_address),
            streams: Streams::new(config.max_streams_per_key),
            quota: Quota::new(config.max_sessions_per_user, config.max_bytes_per_user),
        }
    }

    /// Whether any of them concerns every request.
    pub fn any(&self) -> bool {
        self.of_key.is_on() || self.of_address.is_on() || self.quota.is_on()
    }
}
