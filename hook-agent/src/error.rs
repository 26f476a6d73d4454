//! Everything that can go wrong for a caller. Each error has a stable [`code`](Error::code), which the
//! bindings hand on as `.code`.
//!
//! Trouble with the network is no error of a write: the write is in the spool and its answer says `queued`.

use std::io;
use std::path::PathBuf;

/// What a call, or the ticket that it returned, failed with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A session id that the service would refuse.
    #[error("session id `{id}` is not valid: 1 to 128 of A-Z a-z 0-9 . _ - and a letter or digit first")]
    InvalidSession {
        /// The id as it was given.
        id: String,
    },
    /// What was handed over is not a JSON object.
    #[error("`{call}` needs a JSON object: {reason}")]
    NotJson {
        /// The call, by its name on the wire.
        call: &'static str,
        /// Where and why it does not parse.
        reason: String,
    },
    /// One event larger than the service takes.
    #[error("`{call}` of {bytes} bytes is larger than the {limit} bytes that the service takes")]
    TooLarge {
        /// The call, by its name on the wire.
        call: &'static str,
        /// Its size once written out.
        bytes: usize,
        /// The most that is accepted.
        limit: usize,
    },
    /// The spool holds as much as it may, and its policy is to reject what is new.
    #[error("spool `{path}` is full: it may hold {limit} bytes")]
    SpoolFull {
        /// The spool's folder.
        path: PathBuf,
        /// Its bound.
        limit: u64,
    },
    /// The spool's file could not be written: a full disk, most often. Nothing of the event is in it.
    #[error("failed to write spool `{path}`: {source}")]
    SpoolWrite {
        /// The spool's folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The background thread could not be started.
    #[error("failed to start the delivery thread: {source}")]
    Thread {
        /// What the system said.
        source: io::Error,
    },
    /// The agent was closed before this call.
    #[error("the agent is closed")]
    Closed,
    /// The service refused this event for good; it is kept in `rejected/`.
    #[error("the service rejected `{call}`: {message}")]
    Rejected {
        /// The call, by its name on the wire.
        call: &'static str,
        /// The service's code, as in its table.
        code: String,
        /// The service's sentence.
        message: String,
    },
    /// The spool had to let go of this event before the service had it: its bounds were reached.
    #[error("event dropped from spool `{path}`: its bounds in bytes or age were reached")]
    Dropped {
        /// The spool's folder.
        path: PathBuf,
    },
    /// A ticket that was taken up so late that it is no longer known whether the event was stored.
    #[error("waited for too late: it is no longer known whether the service took the event")]
    Forgotten,
    /// A read that the service answered with an error.
    #[error("`{path}` was answered with status {status}: {message}")]
    Refused {
        /// The path asked for.
        path: String,
        /// The HTTP status.
        status: u16,
        /// The service's code, as in its table.
        code: String,
        /// The service's sentence.
        message: String,
    },
    /// A read that got no answer.
    #[error("service `{url}` can't be reached: {reason}")]
    Unreachable {
        /// The service's address.
        url: String,
        /// What happened.
        reason: String,
    },
    /// No answer within the time that the caller gave.
    #[error("no answer within {millis} ms")]
    Timeout {
        /// The time given.
        millis: u128,
    },
    /// A setting that cannot be used.
    #[error("setting `{name}` is not usable: {reason}")]
    Config {
        /// The environment variable or field.
        name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    /// A stable word for programs; for what the service said, the service's own.
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
