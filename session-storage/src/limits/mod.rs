//! Limits on how much of the service one client or user may take: requests per period, streams,
//! sessions, bytes.
//!
//! Every limit is off unless it is configured. A request beyond a limit is refused before any of it
//! is stored, with an error that names the limit and its value. A limit counts only what it can see
//! without slowing the write path; each limit documents how exact it is.

mod quota;
mod rate;
mod session_slots;
mod streams;

pub use quota::{MEASURE_EVERY, Quota};
pub use rate::{Budget, RateLimit};
pub use session_slots::SessionSlot;
pub use streams::{StreamSlot, Streams};

use crate::config::Config;

/// All limits.
pub struct Limits {
    /// Requests per key or token.
    pub of_key: RateLimit<std::sync::Arc<str>>,
    /// Requests per address.
    pub of_address: RateLimit<std::net::IpAddr>,
    /// Streams per key or token.
    pub streams: Streams,
    /// Sessions and bytes per user.
    pub quota: Quota,
}

impl Limits {
    /// Creates the configured limits.
    pub fn new(config: &Config) -> Self {
        Self {
            of_key: RateLimit::new(config.rate_limit_per_key),
            of_address: RateLimit::new(config.rate_limit_per_address),
            streams: Streams::new(config.max_streams_per_key),
            quota: Quota::new(config.max_sessions_per_user, config.max_bytes_per_user),
        }
    }

    /// Whether any limit applies to every request.
    pub fn any(&self) -> bool {
        self.of_key.is_on() || self.of_address.is_on() || self.quota.is_on()
    }
}
