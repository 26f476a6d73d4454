//! Logging: fields, not prose, on standard error.

use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};

/// Starts logging; called once.
pub fn start(config: &Config) -> anyhow::Result<()> {
    // What a client sends wrongly is answered to it and is no error of the service.
    let filter =
        EnvFilter::builder().parse(format!("actix_http=off,actix_server=warn,{}", config.rust_log))?;
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let started = match config.log_format {
        LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("logging could not be started: {error}"))
}
