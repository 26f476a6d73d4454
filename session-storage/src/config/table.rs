//! The table of options.

use clap::{Arg, Command};

/// One option.
#[derive(Clone, Copy, Debug)]
pub struct OptionSpec {
    /// Its flag, without the dashes.
    pub flag: &'static str,
    /// Its environment variable.
    pub env: &'static str,
    /// Another variable that is read where the first is not set.
    pub alias: Option<&'static str>,
    /// Its default; empty: off.
    pub default: &'static str,
    /// What it does.
    pub help: &'static str,
}

impl OptionSpec {
    /// Its key in the configuration file.
    pub fn key(&self) -> String {
        self.env.to_ascii_lowercase()
    }

    pub(super) fn default_value(&self) -> String {
        self.default.to_owned()
    }
}

const fn option(
    flag: &'static str,
    env: &'static str,
    default: &'static str,
    help: &'static str,
) -> OptionSpec {
    OptionSpec { flag, env, alias: None, default, help }
}

/// Every option, in the order of the help text.
pub const OPTIONS: &[OptionSpec] = &[
    option("port", "PORT", "9000", "TCP port; 0: any free one"),
    option("host", "HOST", "localhost", "IP address to listen on; `localhost`: 127.0.0.1 and ::1"),
    option(
        "socket-path",
        "SOCKET_PATH",
        "",
        "Unix socket to listen on too (mode 0660; a stale one is replaced)",
    ),
    OptionSpec {
        alias: Some("SESSIONS_DIR"),
        ..option(
            "storage-path",
            "STORAGE_PATH",
            "/var/claude-sessions",
            "storage directory (alias: SESSIONS_DIR)",
        )
    },
    option(
        "storage-sync",
        "STORAGE_SYNC",
        "always",
        "when a change is synced: `always` before it is answered, `everysec`, `no`",
    ),
    option("recent-limit", "RECENT_LIMIT", "10", "how many sessions `recent/` and /api/query/recent show"),
    option(
        "auto-create-sessions",
        "AUTO_CREATE_SESSIONS",
        "true",
        "whether a write to an unknown session creates it",
    ),
    option("rust-log", "RUST_LOG", "info", "log filter, e.g. `info` or `session_storage=debug`"),
    option("log-format", "LOG_FORMAT", "text", "`text` or `json`, on standard error"),
    option(
        "cors-allowed-origins",
        "CORS_ALLOWED_ORIGINS",
        "http://localhost:3000,http://127.0.0.1:3000",
        "origins whose pages may call the API, with commas; `*`: any",
    ),
    option("dashboard-path", "DASHBOARD_PATH", "", "folder of the built dashboard, served at /dashboard/"),
    option(
        "retention-max-sessions",
        "RETENTION_MAX_SESSIONS",
        "",
        "delete the oldest completed sessions beyond this number; off: delete nothing",
    ),
    option(
        "retention-max-age",
        "RETENTION_MAX_AGE",
        "",
        "delete completed sessions created longer ago, e.g. `30d`",
    ),
    option(
        "retention-max-bytes",
        "RETENTION_MAX_BYTES",
        "",
        "delete the oldest completed sessions beyond this size, e.g. `10GB`",
    ),
    option("workers", "WORKERS", "", "threads that serve requests; default: half the cores, at least 1"),
    option(
        "journal-max-bytes",
        "JOURNAL_MAX_BYTES",
        "256MiB",
        "length of the journal, which is how far /api/events reaches back",
    ),
    option("max-body-bytes", "MAX_BODY_BYTES", "10MiB", "largest request body"),
    option("body-timeout", "BODY_TIMEOUT", "30s", "longest pause while a body arrives"),
    option("request-timeout", "REQUEST_TIMEOUT", "10s", "longest time for a request's head to arrive"),
    option("keep-alive", "KEEP_ALIVE", "75s", "how long an idle connection is kept"),
    option("max-connections", "MAX_CONNECTIONS", "25000", "most connections at a time, of each worker"),
    option("ws-ping-interval", "WS_PING_INTERVAL", "25s", "how often a WebSocket is pinged"),
    option(
        "ws-idle-timeout",
        "WS_IDLE_TIMEOUT",
        "75s",
        "after how long without a sign of life a WebSocket is closed",
    ),
    option(
        "shutdown-timeout",
        "SHUTDOWN_TIMEOUT",
        "10s",
        "longest time that requests in flight may take at a stop",
    ),
];

/// Adds every option to a command line.
pub fn with_options(command: Command) -> Command {
    let file =
        Arg::new("config").long("config").value_name("FILE").env("SESSION_STORAGE_CONFIG").global(true);
    let command = command.arg(file.help("TOML file with any of these, keys as the variables in lower case"));
    OPTIONS.iter().fold(command, |command, spec| {
        let default = if spec.default.is_empty() { "off" } else { spec.default };
        let help = format!("{} [default: {default}]", spec.help);
        let arg =
            Arg::new(spec.flag).long(spec.flag).env(spec.env).value_name(spec.env).help(help).global(true);
        command.arg(arg.hide_env_values(true))
    })
}
