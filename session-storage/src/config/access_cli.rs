//! The arguments of the commands `key` and `token`.

use std::time::Duration;

use clap::builder::TypedValueParser as _;
use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command};
use session_model::{Refusal, SessionId, UserId};

use super::kinds::Kind as _;
use super::measures::Span;
use crate::access::{Role, Scope, Scopes};

const DAY: u64 = 86_400;
const YEARS: Duration = Duration::from_secs(3650 * DAY);
const LIFETIME: Span = Span { min: Duration::from_secs(1), max: YEARS };
const GRACE: Span = Span { min: Duration::ZERO, max: Duration::from_secs(365 * DAY) };
/// The accepted lifetimes of a session token.
pub const TOKEN_LIFETIME: Span = Span { min: Duration::from_secs(1), max: Duration::from_secs(31 * DAY) };
/// The lifetime of a session token by default.
pub const DEFAULT_TOKEN_LIFETIME: &str = "1h";

/// A command for keys or tokens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AccessRequest {
    /// Create a key.
    CreateKey(NewKey),
    /// List the keys.
    ListKeys {
        /// Whether to print JSON.
        json: bool,
    },
    /// Revoke a key.
    RevokeKey {
        /// The id of the key.
        id: String,
    },
    /// Give a key a new secret.
    RotateKey {
        /// The id of the key.
        id: String,
        /// How long the old secret remains valid.
        grace: Duration,
    },
    /// Issue a session token.
    IssueToken {
        /// The session.
        session: SessionId,
        /// The permitted scopes.
        scopes: Scopes,
        /// How long the token is valid.
        lifetime: Duration,
        /// Whether the storage directory may be created.
        init: bool,
    },
    /// Invalidate every token that was issued.
    EndTokens,
}

/// The properties of a key that is to be created.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewKey {
    /// The human-readable name.
    pub name: String,
    /// The permitted scopes.
    pub scopes: Scopes,
    /// Users whose sessions it may access.
    pub users: Vec<String>,
    /// Prefixes of the ids of sessions that it may access.
    pub prefixes: Vec<String>,
    /// Ids of single sessions that it may access.
    pub sessions: Vec<SessionId>,
    /// How long the key is valid; `None` means without end.
    pub lifetime: Option<Duration>,
    /// Whether the storage directory may be created.
    pub init: bool,
}

pub(super) fn key() -> Command {
    Command::new("key")
        .about("Make, show and take back the keys of those who may use the service; it sees changes at once")
        .subcommand_required(true)
        .subcommand(create())
        .subcommand(
            Command::new("list")
                .about("Show every key, its limits, and when it was last used; never a secret")
                .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("As JSON")),
        )
        .subcommand(
            Command::new("revoke").about("Take a key back; its open streams end within a second").arg(id()),
        )
        .subcommand(
            Command::new("rotate")
                .about("Print a new secret for a key; the old one is good for a while")
                .arg(id())
                .arg(span("grace", GRACE, "How long the old secret is good").default_value("24h")),
        )
}

fn create() -> Command {
    let scope = list("scope", "What it may do: append, read, write, admin").value_delimiter(',');
    let role = Arg::new("role").long("role").value_name("ROLE");
    let role = role.value_parser(Role::ALL.map(Role::as_str)).help("The scopes of a viewer, editor or admin");
    Command::new("create")
        .about("Make a key and print it, this once")
        .arg(Arg::new("name").long("name").value_name("TEXT").required(true).help("What to call it"))
        .arg(scope.value_parser(Scope::ALL.map(Scope::as_str)))
        .arg(role)
        .group(ArgGroup::new("what").args(["scope", "role"]).required(true))
        .arg(list("user", "Only sessions of this user").value_parser(user))
        .arg(list("prefix", "Only sessions whose id begins so").value_parser(|text: &str| SessionId::parse(text)))
        .arg(list("session", "Only this session").value_parser(|text: &str| SessionId::parse(text)))
        .arg(span("expires", LIFETIME, "After how long it ends"))
        .arg(init())
        .after_help("Without --user, --prefix or --session it may touch every session; with several, what any of them names.")
}

fn user(text: &str) -> Result<String, Refusal> {
    UserId::parse(text).map(|user| user.as_str().to_owned())
}

pub(super) fn token() -> Command {
    let session = Arg::new("session").long("session").value_name("ID").required(true);
    let scope = list("scope", "What it may do: append, read, write").value_delimiter(',');
    Command::new("token")
        .about("Session tokens: short-lived, for one session, such as a container's SESSION_TOKEN")
        .subcommand_required(true)
        .subcommand(
            Command::new("issue")
                .about("Print a token")
                .arg(session.value_parser(|text: &str| SessionId::parse(text)).help("The session"))
                .arg(scope.value_parser(["append", "read", "write"]).default_value("append"))
                .arg(span("ttl", TOKEN_LIFETIME, "How long it is good").default_value(DEFAULT_TOKEN_LIFETIME))
                .arg(init()),
        )
        .subcommand(Command::new("end-all").about("End every token that was issued so far"))
}

fn init() -> Arg {
    let help = "Make the storage directory if it is not there: before the service's first start";
    Arg::new("init").long("init").action(ArgAction::SetTrue).help(help)
}

fn id() -> Arg {
    Arg::new("id").value_name("ID").required(true).help("The key's id, as `key list` shows it")
}

fn list(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(name.to_ascii_uppercase()).action(ArgAction::Append).help(help)
}

fn span(name: &'static str, kind: Span, help: &str) -> Arg {
    let accepts = kind.accepts();
    let parser = clap::builder::StringValueParser::new().try_map(move |text| kind.parse(&text));
    Arg::new(name).long(name).value_name("TIME").value_parser(parser).help(format!("{help}: {accepts}"))
}

fn all<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, name: &str) -> Vec<T> {
    matches.get_many::<T>(name).into_iter().flatten().cloned().collect()
}

fn one<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, name: &str) -> Option<T> {
    matches.get_one::<T>(name).cloned()
}

fn scopes(matches: &ArgMatches) -> Scopes {
    Scopes::of(all::<String>(matches, "scope").iter().filter_map(|name| Scope::parse(name)))
}

/// Parses the arguments of `key` or `token`; also returns the matches that hold the options.
pub(super) fn read(matches: &ArgMatches) -> Option<(AccessRequest, &ArgMatches)> {
    let (command, inner) = matches.subcommand()?;
    let id = || one::<String>(inner, "id").unwrap_or_default();
    let request = match command {
        "create" => AccessRequest::CreateKey(NewKey {
            name: one(inner, "name").unwrap_or_default(),
            scopes: match one::<String>(inner, "role").and_then(|role| Role::parse(&role)) {
                Some(role) => role.scopes(),
                None => scopes(inner),
            },
            users: all(inner, "user"),
            prefixes: all::<SessionId>(inner, "prefix").into_iter().map(String::from).collect(),
            sessions: all(inner, "session"),
            lifetime: one(inner, "expires"),
            init: inner.get_flag("init"),
        }),
        "list" => AccessRequest::ListKeys { json: inner.get_flag("json") },
        "revoke" => AccessRequest::RevokeKey { id: id() },
        "rotate" => AccessRequest::RotateKey { id: id(), grace: one(inner, "grace").unwrap_or_default() },
        "issue" => AccessRequest::IssueToken {
            session: one(inner, "session")?,
            scopes: scopes(inner),
            lifetime: one(inner, "ttl").unwrap_or_default(),
            init: inner.get_flag("init"),
        },
        _ => AccessRequest::EndTokens,
    };
    Some((request, inner))
}
