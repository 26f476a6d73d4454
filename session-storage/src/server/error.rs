//! Why the service could not be started or run.

use super::tls::TlsError;
use crate::access::key_file::FileError;
use crate::archive::ArchiveError;
use crate::observability::traces::TracesError;
use crate::sessions::{PricesFileError, RulesError};
use session_store::error::OpenError;

/// Why the service failed.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The storage directory could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// An address cannot be listened on.
    #[error(
        "failed to listen on {address}: {source}; set HOST, PORT or SOCKET_PATH to another address"
    )]
    Listen {
        /// The address.
        address: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The archive cannot be used.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// Traces cannot be sent as configured.
    #[error(transparent)]
    Traces(#[from] TracesError),
    /// The file of redaction rules cannot be used.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// The file of prices cannot be used.
    #[error(transparent)]
    Prices(#[from] PricesFileError),
    /// The TLS certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Other machines could reach the service, and it would not require a key.
    #[error(
        "HOST is `{0}`, which other machines can reach, and there is no key: make one with `session-storage key create` \
         (with `--init` before the first start), or set ALLOW_ANONYMOUS=true to let everyone who can reach it read, write and delete everything"
    )]
    Unguarded(String),
    /// The clock is set to before 1970.
    #[error(transparent)]
    Clock(#[from] crate::clock::ClockError),
    /// The limit of open files is too low.
    #[error(
        "the limit of open files is {limit}, and at least {least} are needed: raise it (`ulimit -n`, or `LimitNOFILE=` of \
         a systemd unit)"
    )]
    TooFewFiles {
        /// The limit.
        limit: usize,
        /// The number needed.
        least: usize,
    },
    /// The keys could not be read.
    #[error(transparent)]
    Access(#[from] FileError),
    /// Another operation of the system failed, such as creating a thread or a signal handler.
    #[error("failed to run the server: {0}")]
    Io(#[from] std::io::Error),
}
