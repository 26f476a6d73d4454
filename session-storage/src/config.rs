//! All configuration options, each defined once: its key, environment variables, default, accepted
//! values and meaning.
//!
//! A value comes from the flag, else from the environment, else from the file given with
//! `--config`, else from the table below. The key `max_body_bytes` is the flag `--max-body-bytes`,
//! the variable `MAX_BODY_BYTES` and the key of the same name in the file. Nothing else in the
//! service reads the environment, with two exceptions: the credentials of [`crate::archive`], which
//! come from the variables that all S3 tools read, and the key that a command sends to the running
//! service (`SESSION_STORAGE_KEY`), which must not be an option because options can be given as
//! flags.

mod access_cli;
mod address;
mod arguments;
mod cli;
mod commands;
mod completions;
pub mod kinds;
mod layers;
pub mod measures;
pub mod names;
pub mod rates;

use std::path::PathBuf;
use std::time::Duration;

pub use access_cli::{AccessRequest, DEFAULT_TOKEN_LIFETIME, NewKey, TOKEN_LIFETIME};
pub use address::Address;
pub use cli::{print_completions, read_command_line};
pub use commands::{ArchiveRequest, Output, Remote, Request};
pub use layers::{ConfigError, Layers, LoadedConfig, Source};
pub use rates::Rate;

use kinds::{
    Choice, Collector, FilePath, Kind, Number, Off, Origins, Share, Switch, Text, Threads,
};
use measures::{Bytes, Span};
use names::Hosts;
use rates::Rates;

/// When a commit is synced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StorageSync {
    /// Before it is acknowledged.
    Always,
    /// About once a second.
    EverySec,
    /// Whenever the operating system decides to.
    No,
}

/// The format of the service's log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// Text for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Whether the audit log is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuditLog {
    /// Written as soon as there is a key.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// Who may read the stored files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StorageMode {
    /// Only the service's user.
    Private,
    /// The group of the service's user too.
    Group,
}

/// A row of the table of options.
#[derive(Debug)]
pub struct Spec {
    /// The group under which the help lists the option.
    pub group: &'static str,
    /// The key in the file; flag and variable are derived from it.
    pub key: &'static str,
    /// Other keys with the same meaning.
    pub aliases: &'static [&'static str],
    /// The default value.
    pub default: &'static str,
    /// The meaning of the option.
    pub doc: &'static str,
    /// Returns a description of the accepted values.
    pub accepts: fn() -> String,
}

impl Spec {
    /// The environment variables, the preferred one first.
    pub fn variables(&self) -> impl Iterator<Item = String> {
        self.keys().map(str::to_ascii_uppercase)
    }

    /// The keys in the file, the preferred one first.
    pub fn keys(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.key).chain(self.aliases.iter().copied())
    }

    /// The flags without their dashes, the preferred one first.
    pub fn flags(&self) -> impl Iterator<Item = String> {
        self.keys().map(|key| key.replace('_', "-"))
    }
}

macro_rules! options {
    ($($group:literal {
        $($(#[doc = $doc:literal])+ $key:ident $(| $alias:ident)*: $type:ty = $default:literal, $kind:expr;)+
    })+) => {
        /// The values of all options.
        #[derive(Clone, Debug)]
        pub struct Config { $($($(#[doc = $doc])+ pub $key: $type,)+)+ }

        impl Config {
            /// The table of options.
            pub const OPTIONS: &'static [Spec] = &[$($(Spec {
                group: $group,
                key: stringify!($key),
                aliases: &[$(stringify!($alias)),*],
                default: $default,
                doc: concat!($($doc),+),
                accepts: || $kind.accepts(),
            },)+)+];

            /// Reads every option from the layers.
            fn read(layers: &Layers) -> Result<Self, ConfigError> {
                let mut specs = Self::OPTIONS.iter();
                Ok(Self { $($($key: layers.value(specs.next(), &$kind)?,)+)+ })
            }

            /// Every option's value as text, in the order of the table.
            pub fn values(&self) -> Vec<String> {
                vec![$($($kind.show(&self.$key)),+),+]
            }
        }
    };
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const DAY: u64 = 86_400;

options! {
    "Addresses" {
        /// TCP port to listen on; 0 takes a free one
        port: u16 = "9000", Number { min: 0, max: u16::MAX };
        /// Address to listen on; localhost means both loopback addresses, 127.0.0.1 and ::1
        host: String = "localhost", Text;
        /// Unix socket to listen on as well
        socket_path: Option<PathBuf> = "off", Off(FilePath);
        /// PEM file of the TLS certificate and its chain; with it, the TCP addresses accept only HTTPS
        tls_cert: Option<PathBuf> = "off", Off(FilePath);
        /// PEM file of the certificate's private key
        tls_key: Option<PathBuf> = "off", Off(FilePath);
        /// Directory of the built dashboard; served at /dashboard/
        dashboard_path: Option<PathBuf> = "off", Off(FilePath);
    }
    "Access" {
        /// Whether requests over the Unix socket need a key; without, the mode of its file protects it
        socket_needs_key: bool = "false", Switch;
        /// Whether to start without any key on an address that other machines can reach
        allow_anonymous: bool = "false", Switch;
        /// Names that requests may use as Host; localhost, HOST and IP addresses are always allowed
        allowed_hosts: Vec<String> = "off", Hosts;
        /// Origins whose pages may call the service from a browser
        cors_allowed_origins: Vec<String> = "loopback", Origins;
    }
    "Storage" {
        /// Directory of the stored sessions
        storage_path | sessions_dir: PathBuf = "/var/claude-sessions", FilePath;
        /// Who may read the stored files; only the service's user, or its group too, but never others
        storage_mode: StorageMode = "private",
            Choice(&[("private", StorageMode::Private), ("group", StorageMode::Group)]);
        /// When a commit is synced; before its response, about once a second, or when the system decides
        storage_sync: StorageSync = "always",
            Choice(&[("always", StorageSync::Always), ("everysec", StorageSync::EverySec), ("no", StorageSync::No)]);
        /// Size that the journal may have once it is checkpointed
        journal_max_bytes: u64 = "256MiB", Bytes { min: 1 << 20, max: 1 << 40 };
        /// Maximum number of links in recent/; also of sessions in a response of GET /api/query/recent
        recent_limit: usize = "10", Number { min: 0, max: 10_000 };
        /// Whether a write to an unknown session creates it
        auto_create_sessions: bool = "true", Switch;
    }
    "Redaction" {
        /// Whether secrets of known formats are replaced by placeholders before anything is stored
        redaction: bool = "on", Switch;
        /// TOML or JSON file with further formats of secrets
        redaction_rules: Option<PathBuf> = "off", Off(FilePath);
        /// Whether a lost or damaged redaction key prevents the start; if not, a new key is created,
        /// which makes other placeholders
        redaction_key_required: bool = "false", Switch;
    }
    "Usage" {
        /// JSON file with prices of models, which come before those of the built-in table
        prices_file: Option<PathBuf> = "off", Off(FilePath);
    }
    "Retention and archive" {
        /// Delete the oldest completed sessions beyond this number
        retention_max_sessions: Option<u64> = "off", Off(Number { min: 0, max: u64::MAX });
        /// Delete completed sessions older than this
        retention_max_age: Option<Duration> = "off", Off(Span { min: secs(60), max: secs(36_500 * DAY) });
        /// Delete the oldest completed sessions while all sessions take more bytes than this
        retention_max_bytes: Option<u64> = "off", Off(Bytes { min: 0, max: u64::MAX });
        /// Whether to only report what retention would delete
        retention_dry_run: bool = "false", Switch;
        /// Archive of completed sessions, s3://bucket/prefix or file:///folder; retention archives a
        /// session there before it deletes it
        archive_url: Option<String> = "off", Off(Text);
    }
    "Log and traces" {
        /// Filter of the log, in the syntax of the tracing crate
        rust_log: String = "info", Text;
        /// Format of the log
        log_format: LogFormat = "text", Choice(&[("text", LogFormat::Text), ("json", LogFormat::Json)]);
        /// Whether every request is logged, not only those that fail
        access_log: bool = "false", Switch;
        /// OpenTelemetry collector that traces are sent to (OTLP over HTTP, at /v1/traces below this URL)
        otel_exporter_otlp_endpoint: Option<String> = "off", Off(Collector);
        /// Share of the traces started here that are sent; traces started by a caller follow the
        /// caller's decision
        otel_traces_sampler_arg: f64 = "1", Share;
    }
    "Audit log" {
        /// Whether the audit log is written; auto writes it as soon as there is a key
        audit_log: AuditLog = "auto",
            Choice(&[("auto", AuditLog::Auto), ("on", AuditLog::On), ("off", AuditLog::Off)]);
        /// Directory of the audit log; off means audit/ in the storage directory
        audit_log_path: Option<PathBuf> = "off", Off(FilePath);
        /// Size at which a file of the audit log is rotated
        audit_log_max_bytes: u64 = "64MiB", Bytes { min: 1 << 10, max: 1 << 40 };
        /// Number of files of the audit log that are kept, including the newest
        audit_log_files: usize = "10", Number { min: 1, max: 10_000 };
    }
    "Limits" {
        /// Maximum size of a request body
        max_body_bytes: u64 = "10MiB", Bytes { min: 1 << 10, max: 10 << 20 };
        /// Maximum size of a blob; more receive 413
        max_blob_bytes: u64 = "1GiB", Bytes { min: 1 << 10, max: 1 << 40 };
        /// Maximum size of all blobs of a session; more receive 507
        max_session_blob_bytes: Option<u64> = "off", Off(Bytes { min: 1 << 10, max: u64::MAX });
        /// Maximum number of connections; further ones receive 429 and are closed
        max_connections: usize = "25000", Number { min: 1, max: 1_000_000 };
        /// Maximum rate of requests per key or token; more receive 429
        rate_limit_per_key: Option<Rate> = "off", Off(Rates);
        /// Maximum rate of requests per address, or per /64 network of IPv6; more receive 429
        rate_limit_per_address: Option<Rate> = "off", Off(Rates);
        /// Maximum number of WebSockets and event streams per key or token, or per address where no
        /// key is needed; more receive 429
        max_streams_per_key: Option<usize> = "off", Off(Number { min: 1, max: 1_000_000 });
        /// Maximum number of sessions per user; more receive 507
        max_sessions_per_user: Option<u64> = "off", Off(Number { min: 1, max: u64::MAX });
        /// Maximum size of all sessions of a user; more receive 507
        max_bytes_per_user: Option<u64> = "off", Off(Bytes { min: 1 << 10, max: u64::MAX });
    }
    "Timeouts and threads" {
        /// Number of threads that serve requests
        workers: usize = "auto", Threads;
        /// How long the head of a request may take
        request_timeout: Duration = "10s", Span { min: secs(1), max: secs(3600) };
        /// How long a request body may make no progress
        body_timeout: Duration = "30s", Span { min: secs(1), max: secs(3600) };
        /// How long an idle connection is kept
        keep_alive: Duration = "75s", Span { min: secs(1), max: secs(DAY) };
        /// Interval between two pings of a WebSocket
        ws_ping_interval: Duration = "25s", Span { min: secs(1), max: secs(3600) };
        /// How long a WebSocket may be silent before it is closed
        ws_idle_timeout: Duration = "75s", Span { min: secs(2), max: secs(DAY) };
        /// How long a shutdown waits for requests in flight
        shutdown_timeout: Duration = "10s", Span { min: secs(0), max: secs(3600) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let config = Layers::default().load().unwrap().config;
        assert_eq!(config.port, 9000);
        assert_eq!(config.host.as_str(), "localhost");
        assert_eq!(config.storage_path, PathBuf::from("/var/claude-sessions"));
        assert_eq!(config.storage_sync, StorageSync::Always);
        assert_eq!(config.recent_limit, 10);
        assert!(config.auto_create_sessions);
        assert_eq!(config.log_format, LogFormat::Text);
        assert_eq!(config.max_body_bytes, 10 << 20);
        assert_eq!(config.journal_max_bytes, 256 << 20);
        assert_eq!(
            config.retention_max_sessions, None,
            "nothing is deleted unless asked"
        );
        assert_eq!(config.retention_max_age, None);
        assert_eq!(config.retention_max_bytes, None);
        assert_eq!(config.cors_allowed_origins, ["loopback"]);
    }

    #[test]
    fn every_option_has_a_doc_and_its_own_key() {
        let mut keys: Vec<_> = Config::OPTIONS.iter().flat_map(Spec::keys).collect();
        keys.sort_unstable();
        let count = keys.len();
        keys.dedup();
        assert_eq!(keys.len(), count);
        for spec in Config::OPTIONS {
            assert!(
                spec.doc.trim().len() > 10 && !spec.doc.trim().ends_with('.'),
                "{}",
                spec.key
            );
            assert!(!(spec.accepts)().is_empty(), "{}", spec.key);
        }
    }

    #[test]
    fn the_readme_has_a_row_for_every_option_with_its_default() {
        let readme = include_str!("../../README.md");
        for spec in Config::OPTIONS {
            let variable = spec.variables().next().unwrap();
            let flag = spec.flags().next().unwrap();
            let start = format!("| `{variable}` | `--{flag}` | ");
            let row = readme.lines().find_map(|line| line.strip_prefix(&start));
            let row =
                row.unwrap_or_else(|| panic!("the README has no row that begins with {start}"));
            let default = row.split(" | ").next().unwrap().trim_matches('`');
            assert!(
                default == spec.default || spec.default == "auto",
                "{variable}: {default}"
            );
        }
    }
}
