//! Configuration: every option once, with its flag, environment variable, default, range and meaning.
//!
//! Precedence: flag, environment, file (`--config`), default. An unknown key of the file or a malformed value
//! stops the start with its name.

mod parse;
mod table;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::ArgMatches;
use clap::parser::ValueSource;

pub use table::{OPTIONS, OptionSpec, with_options};

use crate::store::SyncPolicy;
use crate::store::retention::Policy;

/// Why the configuration is not one.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A value does not fit its option.
    #[error("{option} (from {origin}): `{value}` {problem}")]
    Malformed {
        /// The option's environment name.
        option: &'static str,
        /// Where the value comes from.
        origin: &'static str,
        /// The value.
        value: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The file has a key that is no option.
    #[error("configuration file `{path}`: unknown key `{key}`")]
    UnknownKey {
        /// The file.
        path: String,
        /// The key.
        key: String,
    },
    /// The file cannot be read, or is no TOML.
    #[error("configuration file `{path}`: {problem}")]
    File {
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// The service's configuration.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each field is documented once, in the table of options")]
pub struct Config {
    pub port: u16,
    pub host: String,
    pub socket_path: Option<PathBuf>,
    pub storage_path: PathBuf,
    pub storage_sync: SyncPolicy,
    pub recent_limit: usize,
    pub auto_create_sessions: bool,
    pub rust_log: String,
    pub log_format: LogFormat,
    pub cors_allowed_origins: Vec<String>,
    pub dashboard_path: Option<PathBuf>,
    pub retention: Policy,
    pub workers: usize,
    pub journal_max_bytes: u64,
    pub max_body_bytes: usize,
    pub body_timeout: Duration,
    pub request_timeout: Duration,
    pub keep_alive: Duration,
    pub max_connections: usize,
    pub ws_ping_interval: Duration,
    pub ws_idle_timeout: Duration,
    pub shutdown_timeout: Duration,
    /// Each option's value as text, and where it comes from.
    pub origins: BTreeMap<&'static str, (String, &'static str)>,
}

/// The values as text, before they are read.
struct Values(BTreeMap<&'static str, (String, &'static str)>);

impl Values {
    fn gather(matches: &ArgMatches) -> Result<Self, ConfigError> {
        let file =
            matches.get_one::<String>("config").map(|path| read_file(path)).transpose()?.unwrap_or_default();
        let mut values = BTreeMap::new();
        for spec in OPTIONS {
            let given = matches.get_one::<String>(spec.flag).cloned();
            let source = matches.value_source(spec.flag);
            let value = match (given, source) {
                (Some(value), Some(ValueSource::CommandLine)) => (value, "flag"),
                (Some(value), Some(ValueSource::EnvVariable)) => (value, "environment"),
                (_, _) => match (
                    spec.alias.and_then(|name| std::env::var(name).ok()),
                    file.get(spec.key().as_str()),
                ) {
                    (Some(value), _) => (value, "environment"),
                    (None, Some(value)) => (value.clone(), "file"),
                    (None, None) => (spec.default_value(), "default"),
                },
            };
            values.insert(spec.env, value);
        }
        Ok(Self(values))
    }

    fn parse<T>(
        &self,
        env: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, ConfigError> {
        let (value, origin) = self.0.get(env).cloned().unwrap_or_default();
        parse(&value).map_err(|problem| ConfigError::Malformed { option: env, origin, value, problem })
    }

    fn optional<T>(
        &self,
        env: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        self.parse(env, |text| if text.is_empty() { Ok(None) } else { parse(text).map(Some) })
    }
}

fn read_file(path: &str) -> Result<BTreeMap<String, String>, ConfigError> {
    let problem = |problem: String| ConfigError::File { path: path.to_owned(), problem };
    let text = std::fs::read_to_string(path).map_err(|e| problem(e.to_string()))?;
    let table: toml::Table = text.parse().map_err(|e: toml::de::Error| problem(e.message().to_owned()))?;
    let mut values = BTreeMap::new();
    for (key, value) in table {
        if !OPTIONS.iter().any(|spec| spec.key() == key) {
            return Err(ConfigError::UnknownKey { path: path.to_owned(), key });
        }
        let value = match value {
            toml::Value::String(text) => text,
            toml::Value::Array(items) => {
                items.iter().filter_map(toml::Value::as_str).collect::<Vec<_>>().join(",")
            }
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Boolean(truth) => truth.to_string(),
            toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => {
                return Err(problem(format!("key `{key}` has a value of the wrong kind")));
            }
        };
        values.insert(key, value);
    }
    Ok(values)
}

impl Config {
    /// Reads the configuration from the command line's matches, the environment and the file.
    pub fn load(matches: &ArgMatches) -> Result<Self, ConfigError> {
        let values = Values::gather(matches)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            port: values.parse("PORT", |t| parse::number(t, 0..=65535))? as u16,
            host: values.parse("HOST", parse::host)?,
            socket_path: values.optional("SOCKET_PATH", parse::path)?,
            storage_path: values.parse("STORAGE_PATH", parse::path)?,
            storage_sync: values.parse("STORAGE_SYNC", parse::sync_policy)?,
            recent_limit: values.parse("RECENT_LIMIT", |t| parse::number(t, 0..=10_000))? as usize,
            auto_create_sessions: values.parse("AUTO_CREATE_SESSIONS", parse::truth)?,
            rust_log: values.parse("RUST_LOG", parse::log_filter)?,
            log_format: values.parse("LOG_FORMAT", parse::log_format)?,
            cors_allowed_origins: values.parse("CORS_ALLOWED_ORIGINS", parse::origins)?,
            dashboard_path: values.optional("DASHBOARD_PATH", parse::path)?,
            retention: Policy {
                max_sessions: values
                    .optional("RETENTION_MAX_SESSIONS", |t| parse::number(t, 0..=u64::MAX))?,
                max_age: values.optional("RETENTION_MAX_AGE", parse::duration)?,
                max_bytes: values.optional("RETENTION_MAX_BYTES", parse::bytes)?,
            },
            workers: values
                .optional("WORKERS", |t| parse::number(t, 1..=1024))?
                .map_or((cores / 2).max(1), |n| n as usize),
            journal_max_bytes: values
                .parse("JOURNAL_MAX_BYTES", |t| parse::at_least(parse::bytes(t)?, 1 << 20))?,
            max_body_bytes: values.parse("MAX_BODY_BYTES", |t| parse::at_least(parse::bytes(t)?, 1024))?
                as usize,
            body_timeout: values.parse("BODY_TIMEOUT", parse::duration)?,
            request_timeout: values.parse("REQUEST_TIMEOUT", parse::duration)?,
            keep_alive: values.parse("KEEP_ALIVE", parse::duration)?,
            max_connections: values.parse("MAX_CONNECTIONS", |t| parse::number(t, 1..=1_000_000))? as usize,
            ws_ping_interval: values.parse("WS_PING_INTERVAL", parse::duration)?,
            ws_idle_timeout: values.parse("WS_IDLE_TIMEOUT", parse::duration)?,
            shutdown_timeout: values.parse("SHUTDOWN_TIMEOUT", parse::duration)?,
            origins: values.0,
        })
    }

    /// The addresses to listen on: `localhost` is both loopback addresses.
    pub fn addresses(&self) -> Vec<IpAddr> {
        match self.host.as_str() {
            "localhost" => vec![IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])],
            host => host.parse().into_iter().collect(),
        }
    }

    /// Every option with its value and where it comes from.
    pub fn print(&self) -> String {
        let mut out = String::new();
        for spec in OPTIONS {
            let (value, origin) = self.origins.get(spec.env).cloned().unwrap_or_default();
            let value = if spec.env == "WORKERS" { self.workers.to_string() } else { value };
            writeln!(out, "{:<24} {:<40} # {origin}", spec.env, value)
                .expect("writing to a String cannot fail");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(args: &[&str]) -> Result<Config, ConfigError> {
        let args = std::iter::once("session-storage").chain(args.iter().copied());
        Config::load(&table::with_options(clap::Command::new("session-storage")).get_matches_from(args))
    }

    #[test]
    fn a_flag_beats_the_file_and_the_file_beats_the_default() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("c.toml");
        std::fs::write(&file, "port = 9100\nretention_max_age = \"30d\"\nrecent_limit = 5\n").unwrap();
        let config = load(&["--config", file.to_str().unwrap(), "--recent-limit", "7"]).unwrap();
        assert_eq!((config.port, config.recent_limit), (9100, 7));
        assert_eq!(config.retention.max_age, Some(Duration::from_hours(720)));
        assert_eq!(config.journal_max_bytes, 256 << 20);
    }

    #[test]
    fn unknown_keys_and_malformed_values_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("c.toml");
        std::fs::write(&file, "prot = 1\n").unwrap();
        let error = load(&["--config", file.to_str().unwrap()]).unwrap_err().to_string();
        assert!(error.contains("unknown key `prot`"), "{error}");
        for (flag, value, name) in [
            ("--port", "70000", "PORT"),
            ("--storage-sync", "sometimes", "STORAGE_SYNC"),
            ("--retention-max-bytes", "10 parsecs", "RETENTION_MAX_BYTES"),
            ("--host", "not a host", "HOST"),
            ("--auto-create-sessions", "maybe", "AUTO_CREATE_SESSIONS"),
            ("--rust-log", "a=b=c", "RUST_LOG"),
        ] {
            let error = load(&[flag, value]).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(value), "{error}");
        }
    }
}
