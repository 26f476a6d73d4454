//! The arguments of the commands `key` and `token`.

use std::time::Duration;

use clap::builder::TypedValueParser as _;
use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command};
use session_model::{Refusal, SessionId, UserId};

use super::arguments::{AUDIT, ENDPOINT, STORAGE, subcommand};
use super::kinds::Kind as _;
use super::measures::Span;
use crate::access::{Role, Scope, Scopes};

const DAY: u64 = 86_400;
const YEARS: Duration = Duration::from_secs(3650 * DAY);
const LIFETIME: Span = Span {
    min: Duration::from_secs(1),
    max: YEARS,
};
const GRACE: Span = Span {
    min: Duration::ZERO,
    max: Duration::from_secs(365 * DAY),
};
/// The accepted lifetimes of a session token.
pub const TOKEN_LIFETIME: Span = Span {
    min: Duration::from_secs(1),
    max: Duration::from_secs(31 * DAY),
};
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
    subcommand(
        "key",
        "Create, list, rotate and revoke keys; a running service applies changes within a second",
        &[],
        "session-storage key list",
    )
    .subcommand_required(true)
    .subcommand(create())
    .subcommand(
        subcommand(
            "list",
            "List every key with its limits and its last use, never with its secret",
            &[STORAGE],
            "session-storage key list --json",
        )
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("Print JSON"),
        ),
    )
    .subcommand(
        subcommand(
            "revoke",
            "Revoke a key; its open streams end within a second",
            &[STORAGE, AUDIT, ENDPOINT],
            "session-storage key revoke k3v9x2m4q7",
        )
        .arg(id()),
    )
    .subcommand(
        subcommand(
            "rotate",
            "Print a new secret for a key; the old secret stays valid for a while",
            &[STORAGE, AUDIT, ENDPOINT],
            "session-storage key rotate k3v9x2m4q7 --grace 12h",
        )
        .arg(id())
        .arg(span("grace", GRACE, "How long the old secret stays valid").default_value("24h")),
    )
}

fn create() -> Command {
    let scope =
        list("scope", "What the key permits: append, read, write, admin").value_delimiter(',');
    let role = Arg::new("role").long("role").value_name("ROLE");
    let role = role
        .value_parser(Role::ALL.map(Role::as_str))
        .help("The scopes of a role: viewer, editor or admin");
    subcommand(
        "create",
        "Create a key and print it, once",
        &[STORAGE, AUDIT, ENDPOINT],
        "session-storage key create --name ci --scope append,read --user ann\n\n\
         A key without --user, --prefix or --session may access every session; with several, every \
         session that any of them names.",
    )
    .arg(
        Arg::new("name")
            .long("name")
            .value_name("TEXT")
            .required(true)
            .help("Name of the key, for people"),
    )
    .arg(
        scope
            .value_parser(Scope::ALL.map(Scope::as_str))
            .hide_possible_values(true),
    )
    .arg(role.hide_possible_values(true))
    .group(ArgGroup::new("what").args(["scope", "role"]).required(true))
    .arg(list("user", "Only sessions of this user (repeatable)").value_parser(user))
    .arg(
        list(
            "prefix",
            "Only sessions whose id starts with this (repeatable)",
        )
        .value_parser(|text: &str| SessionId::parse(text)),
    )
    .arg(
        list("session", "Only this session (repeatable)")
            .value_parser(|text: &str| SessionId::parse(text)),
    )
    .arg(span("expires", LIFETIME, "How long the key is valid"))
    .arg(init())
}

fn user(text: &str) -> Result<String, Refusal> {
    UserId::parse(text).map(|user| user.as_str().to_owned())
}

pub(super) fn token() -> Command {
    let session = Arg::new("session")
        .long("session")
        .value_name("ID")
        .required(true);
    let scope = list("scope", "What the token permits: append, read, write").value_delimiter(',');
    subcommand(
        "token",
        "Issue short-lived tokens for one session, such as a container's SESSION_TOKEN",
        &[],
        "session-storage token issue --session s-1",
    )
    .subcommand_required(true)
    .subcommand(
        subcommand(
            "issue",
            "Print a token",
            &[STORAGE, AUDIT, ENDPOINT],
            "session-storage token issue --session s-1 --scope append,read --ttl 2h",
        )
        .arg(
            session
                .value_parser(|text: &str| SessionId::parse(text))
                .help("The session"),
        )
        .arg(
            scope
                .value_parser(["append", "read", "write"])
                .hide_possible_values(true)
                .default_value("append"),
        )
        .arg(
            span("ttl", TOKEN_LIFETIME, "How long the token is valid")
                .default_value(DEFAULT_TOKEN_LIFETIME),
        )
        .arg(init()),
    )
    .subcommand(subcommand(
        "end-all",
        "Invalidate every token that was issued so far",
        &[STORAGE, AUDIT, ENDPOINT],
        "session-storage token end-all",
    ))
}

fn init() -> Arg {
    let help = "Create the storage directory if it is missing, before the service's first start";
    Arg::new("init")
        .long("init")
        .action(ArgAction::SetTrue)
        .help(help)
}

fn id() -> Arg {
    Arg::new("id")
        .value_name("ID")
        .required(true)
        .help("The id of the key, as `key list` shows it")
}

fn list(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name(name.to_ascii_uppercase())
        .action(ArgAction::Append)
        .help(help)
}

fn span(name: &'static str, kind: Span, help: &str) -> Arg {
    let accepts = kind.accepts();
    let parser = clap::builder::StringValueParser::new().try_map(move |text| kind.parse(&text));
    Arg::new(name)
        .long(name)
        .value_name("TIME")
        .value_parser(parser)
        .help(format!("{help}: {accepts}"))
}

fn all<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, name: &str) -> Vec<T> {
    matches
        .get_many::<T>(name)
        .into_iter()
        .flatten()
        .cloned()
        .collect()
}

fn one<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, name: &str) -> Option<T> {
    matches.get_one::<T>(name).cloned()
}

fn scopes(matches: &ArgMatches) -> Scopes {
    Scopes::of(
        all::<String>(matches, "scope")
            .iter()
            .filter_map(|name| Scope::parse(name)),
    )
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
            prefixes: all::<SessionId>(inner, "prefix")
                .into_iter()
                .map(String::from)
                .collect(),
            sessions: all(inner, "session"),
            lifetime: one(inner, "expires"),
            init: inner.get_flag("init"),
        }),
        "list" => AccessRequest::ListKeys {
            json: inner.get_flag("json"),
        },
        "revoke" => AccessRequest::RevokeKey { id: id() },
        "rotate" => AccessRequest::RotateKey {
            id: id(),
            grace: one(inner, "grace").unwrap_or_default(),
        },
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
