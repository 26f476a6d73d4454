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
mod cli;
mod commands;
pub mod kinds;
mod layers;
pub mod measures;
pub mod names;
pub mod rates;

use std::path::PathBuf;
use std::time::Duration;

pub use access_cli::{AccessRequest, DEFAULT_TOKEN_LIFETIME, NewKey, TOKEN_LIFETIME};
pub use address::Address;
pub use cli::read_command_line;
pub use commands::{ArchiveRequest, Output, Remote, Request};
pub use layers::{ConfigError, Layers, Loaded, Source};
pub use rates::Rate;

use kinds::{Choice, Collector, Kind, Number, Off, Origins, Place, Share, Switch, Text, Threads};
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
    ($($(#[doc = $doc:literal])+ $key:ident $(| $alias:ident)*: $type:ty = $default:literal, $kind:expr;)+) => {
        /// The values of all options.
        #[derive(Clone, Debug)]
        pub struct Config { $($(#[doc = $doc])+ pub $key: $type,)+ }

        impl Config {
            /// The table of options.
            pub const OPTIONS: &'static [Spec] = &[$(Spec {
                key: stringify!($key),
                aliases: &[$(stringify!($alias)),*],
                default: $default,
                doc: concat!($($doc),+),
                accepts: || $kind.accepts(),
            },)+];

            /// Reads every option from the layers.
            fn read(layers: &Layers) -> Result<Self, ConfigError> {
                let mut specs = Self::OPTIONS.iter();
                Ok(Self { $($key: layers.value(specs.next(), &$kind)?,)+ })
            }

            /// Every option's value as text, in the order of the table.
            pub fn values(&self) -> Vec<String> {
                vec![$($kind.show(&self.$key)),+]
            }
        }
    };
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const DAY: u64 = 86_400;

options! {
    /// TCP port; 0 takes a free one
    port: u16 = "9000", Number { min: 0, max: u16::MAX };
    /// Address to listen on; localhost is both loopback addresses, 127.0.0.1 and ::1
    host: String = "localhost", Text;
    /// A Unix socket to listen on as well
    socket_path: Option<PathBuf> = "off", Off(Place);
    /// Whether requests over the Unix socket need a key too; else the mode of its file guards it
    socket_needs_key: bool = "false", Switch;
    /// Whether to start without any key on an address that other machines can reach
    allow_anonymous: bool = "false", Switch;
    /// Names that requests may be meant for, besides localhost, HOST and addresses in digits
    allowed_hosts: Vec<String> = "off", Hosts;
    /// Where the sessions are kept
    storage_path | sessions_dir: PathBuf = "/var/claude-sessions", Place;
    /// Who may read what is stored: the service's user alone, or its group too; never others
    storage_mode: StorageMode = "private",
        Choice(&[("private", StorageMode::Private), ("group", StorageMode::Group)]);
    /// When a commit is synced: before its answer, about once a second, or when the system sees fit
    storage_sync: StorageSync = "always",
        Choice(&[("always", StorageSync::Always), ("everysec", StorageSync::EverySec), ("no", StorageSync::No)]);
    /// How many links recent/ has, and the most that GET /api/query/recent answers
    recent_limit: usize = "10", Number { min: 0, max: 10_000 };
    /// Whether a write to an unknown session creates it
    auto_create_sessions: bool = "true", Switch;
    /// What is logged, in the syntax of tracing's filters
    rust_log: String = "info", Text;
    /// How the log is written
    log_format: LogFormat = "text", Choice(&[("text", LogFormat::Text), ("json", LogFormat::Json)]);
    /// Whether every request is logged, not only those that fail
    access_log: bool = "false", Switch;
    /// OpenTelemetry collector that traces are sent to (OTLP over HTTP, at /v1/traces below this)
    otel_exporter_otlp_endpoint: Option<String> = "off", Off(Collector);
    /// Share of the traces that begin here and are sent; those that a caller has begun follow the
    /// caller
    otel_traces_sampler_arg: f64 = "1", Share;
    /// Origins whose pages may call the service from a browser
    cors_allowed_origins: Vec<String> = "loopback", Origins;
    /// Whether secrets of known forms are replaced by tags before anything is stored
    redaction: bool = "on", Switch;
    /// A file with further forms of secrets, in TOML or JSON
    redaction_rules: Option<PathBuf> = "off", Off(Place);
    /// Whether a redaction key that is lost or damaged stops the start; else a new one is made,
    /// with other tags
    redaction_key_required: bool = "false", Switch;
    /// File of the TLS certificate and its chain (PEM); with it the TCP addresses speak HTTPS alone
    tls_cert: Option<PathBuf> = "off", Off(Place);
    /// File of the certificate's private key (PEM)
    tls_key: Option<PathBuf> = "off", Off(Place);
    /// Directory of the built dashboard, served at /dashboard/
    dashboard_path: Option<PathBuf> = "off", Off(Place);
    /// Delete the oldest completed sessions beyond this number
    retention_max_sessions: Option<u64> = "off", Off(Number { min: 0, max: u64::MAX });
    /// Delete completed sessions older than this
    retention_max_age: Option<Duration> = "off", Off(Span { min: secs(60), max: secs(36_500 * DAY) });
    /// Delete the oldest completed sessions beyond this size of all
    retention_max_bytes: Option<u64> = "off", Off(Bytes { min: 0, max: u64::MAX });
    /// Only log what the bounds of retention would delete
    retention_dry_run: bool = "false", Switch;
    /// Where retention archives a session before it deletes it, and `archive` looks:
    /// s3://bucket/prefix or file:///folder
    archive_url: Option<String> = "off", Off(Text);
    /// Threads that serve requests
    workers: usize = "auto", Threads;
    /// How long the journal may grow once it is checkpointed
    journal_max_bytes: u64 = "256MiB", Bytes { min: 1 << 20, max: 1 << 40 };
    /// The largest request body
    max_body_bytes: u64 = "10MiB", Bytes { min: 1 << 10, max: 10 << 20 };
    /// How long a request body may make no progress
    body_timeout: Duration = "30s", Span { min: secs(1), max: secs(3600) };
    /// How long the head of a request may take
    request_timeout: Duration = "10s", Span { min: secs(1), max: secs(3600) };
    /// How long an idle connection is kept
    keep_alive: Duration = "75s", Span { min: secs(1), max: secs(DAY) };
    /// The most connections at a time; further ones are told so and closed
    max_connections: usize = "25000", Number { min: 1, max: 1_000_000 };
    /// Requests of one key or token; more are 429
    rate_limit_per_key: Option<Rate> = "off", Off(Rates);
    /// Requests from one address, or one /64 network of IPv6; more are 429
    rate_limit_per_address: Option<Rate> = "off", Off(Rates);
    /// WebSockets and event streams of one key or token, or without keys from one address; more are
    /// 429
    max_streams_per_key: Option<usize> = "off", Off(Number { min: 1, max: 1_000_000 });
    /// Sessions of one user; more are 507
    max_sessions_per_user: Option<u64> = "off", Off(Number { min: 1, max: u64::MAX });
    /// Bytes that the sessions of one user may take; more are 507
    max_bytes_per_user: Option<u64> = "off", Off(Bytes { min: 1 << 10, max: u64::MAX });
    /// Whether it is written down who did what to which session; auto is on as soon as there is a
    /// key
    audit_log: AuditLog = "auto",
        Choice(&[("auto", AuditLog::Auto), ("on", AuditLog::On), ("off", AuditLog::Off)]);
    /// Directory of the audit log; off is audit/ in the storage directory
    audit_log_path: Option<PathBuf> = "off", Off(Place);
    /// The size at which a file of the audit log is put aside
    audit_log_max_bytes: u64 = "64MiB", Bytes { min: 1 << 10, max: 1 << 40 };
    /// How many files of the audit log are kept, the newest included
    audit_log_files: usize = "10", Number { min: 1, max: 10_000 };
    /// How often a WebSocket is pinged
    ws_ping_interval: Duration = "25s", Span { min: secs(1), max: secs(3600) };
    /// After how long without a sign of life a WebSocket is closed
    ws_idle_timeout: Duration = "75s", Span { min: secs(2), max: secs(DAY) };
    /// How long a stop waits for requests in flight
    shutdown_timeout: Duration = "10s", Span { min: secs(0), max: secs(3600) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let config = Layers::default().load().unwrap().config;
        assert_eq!((config.port, config.host.as_str()), (9000, "localhost"));
        assert_eq!(config.storage_path, PathBuf::from("/var/claude-sessions"));
        assert_eq!((config.storage_sync, config.recent_limit), (StorageSync::Always, 10));
        assert_eq!((config.auto_create_sessions, config.log_format), (true, LogFormat::Text));
        assert_eq!((config.max_body_bytes, config.journal_max_bytes), (10 << 20, 256 << 20));
        assert_eq!(config.retention_max_sessions, None, "nothing is deleted unless asked");
        assert_eq!((config.retention_max_age, config.retention_max_bytes), (None, None));
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
            assert!(spec.doc.trim().len() > 10 && !spec.doc.trim().ends_with('.'), "{}", spec.key);
            assert!(!(spec.accepts)().is_empty(), "{}", spec.key);
        }
    }

    #[test]
    fn the_readme_has_a_row_for_every_option_with_its_default() {
        let readme = include_str!("../../README.md");
        for spec in Config::OPTIONS {
            let (variable, flag) = (spec.variables().next().unwrap(), spec.flags().next().unwrap());
            let start = format!("| `{variable}` | `--{flag}` | ");
            let row = readme.lines().find_map(|line| line.strip_prefix(&start));
            let row = row.unwrap_or_else(|| panic!("the README has no row that begins with {start}"));
            let default = row.split(" | ").next().unwrap().trim_matches('`');
            assert!(default == spec.default || spec.default == "auto", "{variable}: {default}");
        }
    }
}
