//! Logging to stderr, as text or JSON, filtered by `RUST_LOG`.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

use crate::config::{Config, LogFormat};

/// Why logging could not be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `RUST_LOG` is not a valid filter.
    #[error(
        "RUST_LOG must be a filter such as `info` or `info,session_storage=debug`, not `{filter}`: {why}"
    )]
    Filter {
        /// The given filter.
        filter: String,
        /// What is wrong.
        why: String,
    },
    /// Logging was already started.
    #[error("failed to set up the log: {0}")]
    Init(#[from] TryInitError),
}

/// The default filter for the framework. A malformed request is answered with an error and is no
/// error of the service, whatever level the framework logs it at. `RUST_LOG` is applied after this
/// filter and may override it.
const FRAMEWORK: &str = "actix_http=off,actix_server=warn";

/// Starts logging in this process.
pub fn init(config: &Config) -> Result<(), TelemetryError> {
    let filter = filter(&config.rust_log)?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Json => log.json().flatten_event(true).finish().try_init()?,
        LogFormat::Text if std::io::stderr().is_terminal() => log.finish().try_init()?,
        LogFormat::Text => log.with_ansi(false).finish().try_init()?,
    }
    Ok(())
}

fn filter(text: &str) -> Result<EnvFilter, TelemetryError> {
    let malformed = |why: String| TelemetryError::Filter { filter: text.to_owned(), why };
    EnvFilter::builder().parse(text).map_err(|error| malformed(error.to_string()))?;
    EnvFilter::builder().parse(format!("{FRAMEWORK},{text}")).map_err(|error| malformed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_filter_is_named() {
        assert!(filter("info,session_storage=debug,actix_server=off").is_ok());
        for bad in ["=", "a=b=c", "session_storage=loud"] {
            let error = filter(bad).unwrap_err().to_string();
            assert!(error.starts_with("RUST_LOG") && error.contains(bad), "{error}");
        }
    }
}
