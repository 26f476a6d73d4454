//! Every setting once: its environment variable, its default and its bounds. No other module reads
//! these variables.

use std::path::PathBuf;
use std::time::Duration;

use crate::fallback_dir::fallback_dir;
use crate::rule_file::RuleFile;
use crate::transport::ServiceUrl;
use crate::{Error, Token};

/// The largest accepted event. The service limits a body to 10 MiB; this leaves room for the line
/// around the data.
pub const MAX_EVENT_BYTES: usize = 10 * 1024 * 1024 - 4096;
/// The largest action or response that is accepted while its long values are stored as blobs. What
/// is left of it without them has to be within [`MAX_EVENT_BYTES`].
pub const MAX_RECORD_BYTES: usize = 32 * 1024 * 1024;
/// The smallest and the default length of a text that is stored as a blob.
const MIN_BLOB_THRESHOLD: u64 = 1024;
const BLOB_THRESHOLD: u64 = 64 * 1024;
/// A batch stays under both limits, so that the service answers it quickly.
pub(crate) const MAX_BATCH_BYTES: usize = 1024 * 1024;
pub(crate) const MAX_BATCH_LINES: usize = 1000;

/// The variables that select the spool.
const PLACE: [&str; 4] = [
    "SESSION_SERVICE_URL",
    "HOOK_AGENT_SPOOL_DIR",
    "XDG_STATE_HOME",
    "HOME",
];

/// What happens to a new event when the spool is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FullPolicy {
    /// The oldest undelivered events are dropped to make room, and counted in `stats().dropped`.
    #[default]
    DropOldest,
    /// The call refuses the new event with `spool_full`.
    RejectNew,
}

/// Settings of a client: the service's URL, the spool, and the timeouts.
///
/// ```no_run
/// use hook_agent::{Config, HookAgent};
///
/// let mut config = Config::new("http://localhost:9000")?;
/// config.session_id = Some("demo".to_owned());
/// let agent = HookAgent::new(config);
/// # drop(agent);
/// # Ok::<(), hook_agent::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Config {
    /// `SESSION_SERVICE_URL`, default `http://localhost:9000`. `https://…` and `unix:///path` are
    /// accepted too.
    pub service: ServiceUrl,
    /// `SESSION_ID`: the session that calls write to, unless
    /// [`for_session`](crate::HookAgent::for_session) selects another.
    pub session_id: Option<String>,
    /// `SESSION_USER_ID`: the owner of sessions created by `create_session`; `unknown` when unset.
    pub user_id: Option<String>,
    /// `SESSION_TOKEN`: an API key or session token, sent as `Authorization: Bearer …`.
    pub token: Option<Token>,
    /// `HOOK_AGENT_SPOOL_DIR`: candidates for the spool directory; the first writable one is used.
    /// If the variable is set, its directory is the only candidate. If not, the candidates are
    /// `$XDG_STATE_HOME/hook-agent` or `~/.local/state/hook-agent`, then `hook-agent-<user>` in
    /// the system's temporary directory, unless other users can write to it.
    pub spool_dirs: Vec<PathBuf>,
    /// `HOOK_AGENT_SPOOL_MAX_BYTES`, default 256 MiB, at least 64 KiB. A spool in memory may hold
    /// a sixteenth of it.
    pub spool_max_bytes: u64,
    /// `HOOK_AGENT_SPOOL_MAX_AGE` in seconds, default 7 days.
    pub spool_max_age: Duration,
    /// `HOOK_AGENT_SPOOL_FULL`: `drop-oldest` (default) or `reject-new`.
    pub spool_full: FullPolicy,
    /// `HOOK_AGENT_REDACTION`: `on` (default) or `off`; whether secrets of known forms are
    /// replaced before records are spooled.
    pub redaction: bool,
    /// `HOOK_AGENT_REDACTION_RULES`: a file with additional secret patterns, TOML or JSON, in the
    /// same format as the service's.
    pub redaction_rules: Option<RuleFile>,
    /// `HOOK_AGENT_BLOBS`: `on` (default) or `off`; whether long texts, images and other Base64 in
    /// actions and responses are stored as blobs beside the record.
    pub blobs: bool,
    /// `HOOK_AGENT_BLOB_THRESHOLD`: a longer text is stored as a blob, in bytes, default 64 KiB, at
    /// least 1 KiB.
    pub blob_threshold: u64,
    /// `HOOK_AGENT_CONNECT_TIMEOUT_MS`, default 2000: name resolution and connecting together.
    pub connect_timeout: Duration,
    /// `HOOK_AGENT_ANSWER_TIMEOUT_MS`, default 5000: from the last byte of the request to the last
    /// byte of the response.
    pub answer_timeout: Duration,
    /// Longest pause between two attempts, default 30 s. A `Retry-After` header may ask for more,
    /// up to 10 minutes.
    pub max_backoff: Duration,
    /// How long records that no caller awaits may gather before they are sent, default 3 ms.
    pub linger: Duration,
    /// The largest response that is read, default 32 MiB.
    pub max_answer_bytes: usize,
}

impl Config {
    /// Returns the defaults for the service at `url`. Reads the environment only for the default
    /// spool directory.
    pub fn new(url: &str) -> Result<Self, Error> {
        Self::defaults(url, &Vars(&environment))
    }

    /// Returns the defaults, overridden by environment variables. An empty variable counts as
    /// unset.
    pub fn from_env() -> Result<Self, Error> {
        Self::from_vars(&environment)
    }

    /// Reads only the variables that select the spool. Used to report there that another variable
    /// is invalid.
    pub(crate) fn place_from_env() -> Result<Self, Error> {
        Self::place_from_vars(&environment)
    }

    fn place_from_vars(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, Error> {
        Self::from_vars(&|name| PLACE.contains(&name).then(|| lookup(name)).flatten())
    }

    /// Like [`from_env`](Self::from_env), with the caller's lookup function: a host language may
    /// have its own environment, as each Node.js worker thread does.
    pub fn from_vars(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let vars = Vars(lookup);
        let url = vars
            .text("SESSION_SERVICE_URL")
            .unwrap_or("http://localhost:9000".to_owned());
        let mut config = Self::defaults(&url, &vars)?;
        config.session_id = vars.text("SESSION_ID");
        config.user_id = vars.text("SESSION_USER_ID");
        config.token = vars.text("SESSION_TOKEN").map(Token::from);
        if let Some(dir) = vars.text("HOOK_AGENT_SPOOL_DIR") {
            config.spool_dirs = vec![PathBuf::from(dir)];
        }
        config.spool_max_bytes = vars
            .number("HOOK_AGENT_SPOOL_MAX_BYTES", 64 * 1024)?
            .unwrap_or(config.spool_max_bytes);
        config.spool_max_age = vars
            .seconds("HOOK_AGENT_SPOOL_MAX_AGE")?
            .unwrap_or(config.spool_max_age);
        config.spool_full = vars
            .policy("HOOK_AGENT_SPOOL_FULL")?
            .unwrap_or(config.spool_full);
        config.redaction = vars
            .switch("HOOK_AGENT_REDACTION")?
            .unwrap_or(config.redaction);
        config.redaction_rules = vars
            .text("HOOK_AGENT_REDACTION_RULES")
            .map(|path| RuleFile::read(path.into()))
            .transpose()?;
        config.blobs = vars.switch("HOOK_AGENT_BLOBS")?.unwrap_or(config.blobs);
        config.blob_threshold = vars
            .number("HOOK_AGENT_BLOB_THRESHOLD", MIN_BLOB_THRESHOLD)?
            .unwrap_or(config.blob_threshold);
        config.connect_timeout = vars
            .millis("HOOK_AGENT_CONNECT_TIMEOUT_MS")?
            .unwrap_or(config.connect_timeout);
        config.answer_timeout = vars
            .millis("HOOK_AGENT_ANSWER_TIMEOUT_MS")?
            .unwrap_or(config.answer_timeout);
        Ok(config)
    }

    /// Returns a string that is equal only for equal settings, the token included. It is a key for
    /// tables of agents and must not be shown.
    pub fn identity(&self) -> String {
        let token = self.token.as_ref().map_or("", Token::expose);
        format!("{self:?} {token}")
    }

    fn defaults(url: &str, vars: &Vars<'_>) -> Result<Self, Error> {
        Ok(Self {
            service: ServiceUrl::parse(url)?,
            session_id: None,
            user_id: None,
            token: None,
            spool_dirs: vars.default_spool_dirs(),
            spool_max_bytes: 256 * 1024 * 1024,
            spool_max_age: Duration::from_hours(7 * 24),
            spool_full: FullPolicy::DropOldest,
            redaction: true,
            redaction_rules: None,
            blobs: true,
            blob_threshold: BLOB_THRESHOLD,
            connect_timeout: Duration::from_secs(2),
            answer_timeout: Duration::from_secs(5),
            max_backoff: Duration::from_secs(30),
            linger: Duration::from_millis(3),
            max_answer_bytes: 32 * 1024 * 1024,
        })
    }
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Looks up environment variables and parses their values.
struct Vars<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Vars<'_> {
    fn text(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.is_empty())
    }

    fn number(&self, name: &'static str, least: u64) -> Result<Option<u64>, Error> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        match text.parse::<u64>() {
            Ok(value) if value >= least => Ok(Some(value)),
            Ok(_) => Err(Error::Config {
                name,
                reason: format!("`{text}` is too small: use {least} or more"),
            }),
            Err(error) => Err(Error::Config {
                name,
                reason: format!("`{text}`: {error}"),
            }),
        }
    }

    fn seconds(&self, name: &'static str) -> Result<Option<Duration>, Error> {
        Ok(self.number(name, 1)?.map(Duration::from_secs))
    }

    fn millis(&self, name: &'static str) -> Result<Option<Duration>, Error> {
        Ok(self.number(name, 1)?.map(Duration::from_millis))
    }

    fn switch(&self, name: &'static str) -> Result<Option<bool>, Error> {
        match self.text(name).as_deref() {
            None => Ok(None),
            Some("on") => Ok(Some(true)),
            Some("off") => Ok(Some(false)),
            Some(other) => Err(Error::Config {
                name,
                reason: format!("`{other}` is unknown: use `on` or `off`"),
            }),
        }
    }

    fn policy(&self, name: &'static str) -> Result<Option<FullPolicy>, Error> {
        match self.text(name).as_deref() {
            None => Ok(None),
            Some("drop-oldest") => Ok(Some(FullPolicy::DropOldest)),
            Some("reject-new") => Ok(Some(FullPolicy::RejectNew)),
            Some(other) => Err(Error::Config {
                name,
                reason: format!("`{other}` is unknown: use `drop-oldest` or `reject-new`"),
            }),
        }
    }

    fn default_spool_dirs(&self) -> Vec<PathBuf> {
        let state = self.text("XDG_STATE_HOME").map(PathBuf::from).or_else(|| {
            self.text("HOME")
                .map(|home| PathBuf::from(home).join(".local/state"))
        });
        state
            .map(|dir| dir.join("hook-agent"))
            .into_iter()
            .chain([fallback_dir()])
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_distinguished_by_a_token_that_they_do_not_show() {
        let with = |token: &str| Config {
            token: Some(token.into()),
            ..Config::new("http://x:1").unwrap()
        };
        assert_ne!(with("one-token").identity(), with("another").identity());
        assert_eq!(with("one-token").identity(), with("one-token").identity());
        assert!(!format!("{:?}", with("one-token")).contains("one-token"));
    }

    #[test]
    fn settings_come_from_the_callers_environment() {
        let given = |name: &str| match name {
            "SESSION_ID" => Some("s-1".to_owned()),
            "HOME" => Some("/home/x".to_owned()),
            "HOOK_AGENT_SPOOL_FULL" => Some("reject-new".to_owned()),
            _ => None,
        };
        let config = Config::from_vars(&given).unwrap();
        assert_eq!(config.session_id.as_deref(), Some("s-1"));
        assert_eq!(
            config.spool_dirs[0],
            PathBuf::from("/home/x/.local/state/hook-agent")
        );
        assert_eq!(config.spool_full, FullPolicy::RejectNew);
        assert!(config.redaction);
        let off = |name: &str| (name == "HOOK_AGENT_REDACTION").then(|| "off".to_owned());
        assert!(!Config::from_vars(&off).unwrap().redaction);
        let wrong = |name: &str| (name == "HOOK_AGENT_REDACTION").then(|| "perhaps".to_owned());
        assert_eq!(
            Config::from_vars(&wrong).unwrap_err().code(),
            "invalid_config"
        );
        let off = |name: &str| (name == "HOOK_AGENT_BLOBS").then(|| "off".to_owned());
        assert!(config.blobs && !Config::from_vars(&off).unwrap().blobs);
        let small = |name: &str| (name == "HOOK_AGENT_BLOB_THRESHOLD").then(|| "1023".to_owned());
        assert_eq!(
            Config::from_vars(&small).unwrap_err().code(),
            "invalid_config"
        );
        let wrong = |name: &str| (name != "SESSION_SERVICE_URL").then(|| "9".to_owned());
        assert_eq!(
            Config::place_from_vars(&wrong).unwrap().spool_dirs,
            [PathBuf::from("9")]
        );
        let wrong = |name: &str| (name == "HOOK_AGENT_SPOOL_MAX_BYTES").then(|| "9".to_owned());
        assert_eq!(
            Config::from_vars(&wrong).unwrap_err().code(),
            "invalid_config"
        );
    }
}
