//! All errors that a caller can get. Each error has a stable [`code`](Error::code), which the
//! bindings expose as `.code`.
//!
//! A network failure is not an error of a write: the record is in the spool, and the answer says
//! `queued`.

use std::io;
use std::path::PathBuf;

/// The error of a call, or of the ticket that the call returned.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A session id that the service would refuse.
    #[error(
        "invalid session id `{id}`: use 1 to 128 of A-Z a-z 0-9 . _ - with a letter or digit first"
    )]
    InvalidSession {
        /// The session id as passed.
        id: String,
    },
    /// The argument is not a JSON object.
    #[error("`{call}` needs a JSON object: {reason}")]
    NotJson {
        /// The call's name on the wire.
        call: &'static str,
        /// Where and why parsing failed.
        reason: String,
    },
    /// One event is larger than the service accepts.
    #[error(
        "`{call}` has {bytes} bytes, more than the {limit} that the service accepts: record less of it"
    )]
    TooLarge {
        /// The call's name on the wire.
        call: &'static str,
        /// The size of the serialized event.
        bytes: usize,
        /// The largest accepted size.
        limit: usize,
    },
    /// The spool is full, and its policy is to reject new records.
    #[error(
        "spool `{path}` is full ({limit} bytes): deliver it with `hook-agent flush`, or raise `HOOK_AGENT_SPOOL_MAX_BYTES`"
    )]
    SpoolFull {
        /// The spool's folder.
        path: PathBuf,
        /// The spool's limit in bytes.
        limit: u64,
    },
    /// Writing the spool's file failed, most often because the disk is full. No part of the event
    /// is stored.
    #[error("failed to write spool `{path}`: {source}; free space or fix its permissions")]
    SpoolWrite {
        /// The spool's folder.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The background thread could not be started.
    #[error("failed to start the delivery thread: {source}; raise the limit of threads")]
    Thread {
        /// The operating system's error.
        source: io::Error,
    },
    /// The agent was closed before this call.
    #[error("the agent is closed: create another one")]
    Closed,
    /// The service rejected this event permanently; it is kept in `rejected/`.
    #[error("the service rejected `{call}`: {message}")]
    Rejected {
        /// The call's name on the wire.
        call: &'static str,
        /// The service's error code.
        code: String,
        /// The service's error message.
        message: String,
    },
    /// The spool dropped this event before delivery, because it reached its limit in bytes or age.
    #[error(
        "event dropped from spool `{path}` at its limit in bytes or age: raise `HOOK_AGENT_SPOOL_MAX_BYTES` or `HOOK_AGENT_SPOOL_MAX_AGE`"
    )]
    Dropped {
        /// The spool's folder.
        path: PathBuf,
    },
    /// The ticket was awaited too late: it is no longer known whether the event was stored.
    #[error(
        "awaited too late: it is no longer known whether the service stored the event; read its session"
    )]
    Forgotten,
    /// The service answered a read with an error.
    #[error("`{path}` failed with status {status}: {message}")]
    Refused {
        /// The requested path.
        path: String,
        /// The HTTP status.
        status: u16,
        /// The service's error code.
        code: String,
        /// The service's error message.
        message: String,
    },
    /// A read got no response.
    #[error("service `{url}` is unreachable: {reason}; check `SESSION_SERVICE_URL`")]
    Unreachable {
        /// The service's URL.
        url: String,
        /// What failed.
        reason: String,
    },
    /// No response arrived within the caller's timeout.
    #[error(
        "no response within {millis} ms: wait longer; a queued record is delivered in any case"
    )]
    Timeout {
        /// The timeout in milliseconds.
        millis: u128,
    },
    /// A setting that cannot be used.
    #[error("invalid setting `{name}`: {reason}")]
    Config {
        /// The environment variable or field.
        name: &'static str,
        /// What is wrong with the value.
        reason: String,
    },
}

impl Error {
    /// Returns the stable error code. For errors reported by the service, this is the service's own
    /// code.
    pub fn code(&self) -> &str {
        match self {
            Self::InvalidSession { .. } => "invalid_session_id",
            Self::NotJson { .. } => "invalid_json",
            Self::TooLarge { .. } => "event_too_large",
            Self::SpoolFull { .. } => "spool_full",
            Self::SpoolWrite { .. } => "spool_write_failed",
            Self::Thread { .. } => "thread_failed",
            Self::Closed => "agent_closed",
            Self::Rejected { code, .. } | Self::Refused { code, .. } => code,
            Self::Dropped { .. } => "event_dropped",
            Self::Forgotten => "event_forgotten",
            Self::Unreachable { .. } => "service_unreachable",
            Self::Timeout { .. } => "timeout",
            Self::Config { .. } => "invalid_config",
        }
    }
}
