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
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Json => log.json().flatten_event(true).finish().try_init()?,
        LogFormat::Text if std::io::stderr().is_terminal() => log.finish().try_init()?,
        LogFormat::Text => log.with_ansi(false).finish().try_init()?,
    }
    Ok(())
}

/// The crates that the service is made of. A level set for `session_storage` is one for all of them.
const CRATES: [&str; 3] = ["session_store", "session_redact", "session_model"];

/// Returns the filter with each directive for the whole service repeated for its crates. They come
/// first, so that a directive of their own overrides them.
fn for_all_crates(text: &str) -> String {
    let mut whole = String::new();
    for directive in text.split(',') {
        let (target, level) = directive.split_once('=').unwrap_or((directive, "trace"));
        if target.trim() == "session_storage" {
            for name in CRATES {
                for part in [name, "=", level, ","] {
                    whole.push_str(part);
                }
            }
        }
    }
    whole + text
}

fn filter(text: &str) -> Result<EnvFilter, TelemetryError> {
    let malformed = |why: String| TelemetryError::Filter {
        filter: text.to_owned(),
        why,
    };
    EnvFilter::builder()
        .parse(text)
        .map_err(|error| malformed(error.to_string()))?;
    EnvFilter::builder()
        .parse(format!("{FRAMEWORK},{}", for_all_crates(text)))
        .map_err(|error| malformed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_for_the_service_is_one_for_its_crates() {
        assert_eq!(for_all_crates("info"), "info");
        assert_eq!(
            for_all_crates("info,session_storage=debug,session_store=warn"),
            "session_store=debug,session_redact=debug,session_model=debug,\
             info,session_storage=debug,session_store=warn"
        );
    }

    #[test]
    fn a_malformed_filter_is_named() {
        assert!(filter("info,session_storage=debug,actix_server=off").is_ok());
        for bad in ["=", "a=b=c", "session_storage=loud"] {
            let error = filter(bad).unwrap_err().to_string();
            assert!(
                error.starts_with("RUST_LOG") && error.contains(bad),
                "{error}"
            );
        }
    }
}
