//! The subcommands and their arguments.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, Error, value_parser};
use clap_complete::Shell;
use session_insight::hail::is_file_name;
use session_model::SessionId;

use super::Address;
use super::access_cli::{self, AccessRequest};
use super::arguments::{
    ARCHIVE, DIRECTORY, ENDPOINT, LOG, REDACTION, RETENTION, WRITING, subcommand,
};
use super::completions;

/// A command.
#[derive(Clone, Debug)]
pub enum Request {
    /// Run the service.
    Serve,
    /// Print the options.
    PrintConfig,
    /// Check the health of the running service.
    HealthCheck,
    /// Read a whole storage directory and report its faults.
    Check {
        /// Whether to repair what can be repaired.
        repair: bool,
    },
    /// Change or list the keys, or issue a token.
    Access(AccessRequest),
    /// List or delete the sessions beyond the retention limits.
    Retention {
        /// Whether only to list them.
        dry_run: bool,
    },
    /// Write sessions to a bundle.
    Export {
        /// The sessions; empty means all.
        ids: BTreeSet<SessionId>,
        /// Only sessions of this user.
        user: Option<String>,
        /// Whether to write HAIL files instead of a bundle.
        as_hail: bool,
        /// The target, and how to reach the service.
        output: Output,
    },
    /// Write the whole directory to a bundle.
    Backup(Output),
    /// Import sessions.
    Import {
        /// The bundle, directory or HAIL file.
        source: PathBuf,
        /// Whether to skip sessions if another session with the same id exists.
        skip_existing: bool,
        /// Whether to import such sessions under new ids.
        as_new: bool,
    },
    /// Use the archive.
    Archive(ArchiveRequest),
    /// Print completions for a shell.
    Completions(Shell),
    /// Restore a backup.
    Restore {
        /// The bundle.
        file: PathBuf,
    },
}

/// A command for the archive.
#[derive(Clone, Debug)]
pub enum ArchiveRequest {
    /// Archive completed sessions of the running service.
    Push {
        /// The sessions; empty means all.
        ids: BTreeSet<SessionId>,
        /// Only sessions of this user.
        user: Option<String>,
        /// How to reach the service.
        remote: Remote,
    },
    /// List the archived objects.
    List {
        /// Only those of this session.
        id: Option<SessionId>,
    },
    /// Fetch the newest bundle of a session.
    Fetch {
        /// The session.
        id: SessionId,
        /// The target.
        target: PathBuf,
    },
}

/// The target of a bundle.
#[derive(Clone, Debug)]
pub struct Output {
    /// The file, or the folder in which to create one.
    pub target: PathBuf,
    /// How to reach the service.
    pub remote: Remote,
}

/// How to reach a running service; complements the configuration of this machine.
#[derive(Clone, Debug, Default)]
pub struct Remote {
    /// The URL of the service; `None` means the service on this machine.
    pub address: Option<Address>,
    /// The file of trusted certificate authorities.
    pub authorities: Option<PathBuf>,
    /// The file of the key that is sent to the service.
    pub key_file: Option<PathBuf>,
}

fn path(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .value_name(value)
        .value_parser(value_parser!(PathBuf))
        .required(true)
        .help(help)
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .action(ArgAction::SetTrue)
        .help(help)
}

fn remote() -> [Arg; 3] {
    let file = |name: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
    };
    [
        Arg::new("url")
            .long("url")
            .value_name("URL")
            .value_parser(value_parser!(Address))
            .help(
                "URL of the running service, if it is not the configured one: https://host[:port]",
            ),
        file("ca")
            .help("PEM file of trusted certificate authorities, instead of those of this machine"),
        file("key-file").help(
            "File with a key of scope admin, if the service needs one [env: SESSION_STORAGE_KEY]",
        ),
    ]
}

fn selection() -> [Arg; 2] {
    let session = Arg::new("session")
        .long("session")
        .value_name("ID")
        .action(ArgAction::Append);
    let user = Arg::new("user").long("user").value_name("USER");
    [
        session.help("Only this session (repeatable)"),
        user.help("Only sessions of this user"),
    ]
}

fn id() -> Arg {
    Arg::new("session")
        .value_name("ID")
        .help("The session")
        .action(ArgAction::Append)
}

fn archive() -> Command {
    subcommand(
        "archive",
        "Archive completed sessions in S3-compatible storage or in a folder (ARCHIVE_URL)",
        &[],
        "session-storage archive list",
    )
    .subcommand_required(true)
    .subcommand(
        subcommand(
            "push",
            "Archive completed sessions of the running service, and verify each archived copy",
            &[ARCHIVE, DIRECTORY, WRITING, ENDPOINT],
            "session-storage archive push --user ann --archive-url s3://recordings/sessions",
        )
        .args(selection())
        .args(remote()),
    )
    .subcommand(
        subcommand(
            "list",
            "List the archived bundles, of one session or of all",
            &[ARCHIVE, LOG],
            "session-storage archive list --archive-url s3://recordings/sessions",
        )
        .arg(id()),
    )
    .subcommand(
        subcommand(
            "fetch",
            "Fetch the newest bundle of a session, to be imported",
            &[ARCHIVE, LOG],
            "session-storage archive fetch s-1 s-1.tar.zst --archive-url s3://recordings/sessions",
        )
        .arg(id().required(true))
        .arg(path(
            "target",
            "FILE.tar.zst|DIRECTORY",
            "Where to write the bundle",
        )),
    )
}

/// All subcommands.
pub(super) fn all() -> Vec<Command> {
    vec![
        subcommand(
            "healthcheck",
            "Check the health of the running service (for images without curl)",
            &[ENDPOINT],
            "session-storage healthcheck --port 9000",
        ),
        subcommand(
            "check",
            "Read the whole storage directory and report every fault with its file and position",
            &[DIRECTORY],
            "session-storage check --storage-path /var/lib/sessions",
        )
        .arg(flag(
            "repair",
            "Repair what can be repaired; no service may use the directory",
        )),
        subcommand(
            "retention",
            "Delete the completed sessions beyond the limits; no service may use the directory",
            &[RETENTION, DIRECTORY, WRITING, REDACTION, ENDPOINT],
            "session-storage retention --dry-run --retention-max-age 30d",
        )
        .arg(flag(
            "dry-run",
            "Only list them; a service may use the directory",
        )),
        subcommand(
            "export",
            "Write sessions to a bundle, each as of one moment; the service may be running",
            &[DIRECTORY, WRITING, ENDPOINT],
            "session-storage export sessions.tar.zst --session s-1",
        )
        .arg(path(
            "target",
            "FILE.tar.zst|FILE.hail.jsonl|DIRECTORY",
            "The bundle or HAIL file to write, or the directory for several HAIL files",
        ))
        .arg(
            Arg::new("format")
                .long("format")
                .value_name("FORMAT")
                .value_parser(["bundle", "hail"])
                .help(
                    "A bundle that can be imported as it is, or one HAIL file for each session that \
                     --session names; without it, what the target's name ends with",
                ),
        )
        .args(selection())
        .args(remote()),
        subcommand(
            "import",
            "Import sessions from a bundle, a HAIL file or a storage directory, also from one of the \
             older Node.js service; no service may use the directory",
            &[DIRECTORY, WRITING, REDACTION, ENDPOINT],
            "session-storage import sessions.tar.zst --skip-existing",
        )
        .arg(path(
            "source",
            "FILE.tar.zst|FILE.hail.jsonl|DIRECTORY",
            "The bundle, HAIL file or storage directory to read",
        ))
        .arg(flag(
            "skip-existing",
            "Skip a session if another one with its id exists",
        ))
        .arg(
            flag("as-new", "Import such a session under a new id").conflicts_with("skip-existing"),
        ),
        subcommand(
            "backup",
            "Write the whole storage directory to a bundle, as of one position; the service may be \
             running",
            &[DIRECTORY, WRITING, ENDPOINT],
            "session-storage backup /backups",
        )
        .arg(path(
            "target",
            "FILE.tar.zst|DIRECTORY",
            "The bundle to write, or the directory for a bundle that is named by its position",
        ))
        .args(remote()),
        archive(),
        subcommand(
            "restore",
            "Restore a backup into an empty storage directory",
            &[DIRECTORY, WRITING, ENDPOINT],
            "session-storage restore backup.tar.zst --storage-path /var/lib/restored",
        )
        .arg(path("file", "FILE.tar.zst", "The backup")),
        access_cli::key(),
        access_cli::token(),
        completions::command(),
    ]
}

fn path_of(matches: &ArgMatches, name: &str) -> PathBuf {
    matches
        .get_one::<PathBuf>(name)
        .cloned()
        .unwrap_or_default()
}

fn remote_of(matches: &ArgMatches) -> Remote {
    let file = |name| matches.get_one::<PathBuf>(name).cloned();
    Remote {
        address: matches.get_one("url").cloned(),
        authorities: file("ca"),
        key_file: file("key-file"),
    }
}

fn ids(matches: &ArgMatches) -> Result<BTreeSet<SessionId>, Error> {
    let given = matches.get_many::<String>("session").into_iter().flatten();
    given
        .map(|id| {
            SessionId::parse(id).map_err(|_| {
                Error::raw(
                    ErrorKind::ValueValidation,
                    format!("invalid session id `{id}`\n"),
                )
            })
        })
        .collect()
}

/// Parses the command; also returns the matches of the subcommand.
pub(super) fn request(matches: &ArgMatches) -> Result<(Request, &ArgMatches), Error> {
    let Some((name, inner)) = matches.subcommand() else {
        return Ok((Request::Serve, matches));
    };
    let output = || Output {
        target: path_of(inner, "target"),
        remote: remote_of(inner),
    };
    if let "key" | "token" = name
        && let Some((request, inner)) = access_cli::read(inner)
    {
        return Ok((Request::Access(request), inner));
    }
    let request = match name {
        "healthcheck" => Request::HealthCheck,
        "check" => Request::Check {
            repair: inner.get_flag("repair"),
        },
        "retention" => Request::Retention {
            dry_run: inner.get_flag("dry-run"),
        },
        "export" => Request::Export {
            ids: ids(inner)?,
            user: inner.get_one("user").cloned(),
            as_hail: match inner.get_one::<String>("format") {
                Some(format) => format == "hail",
                None => is_file_name(&path_of(inner, "target")),
            },
            output: output(),
        },
        "backup" => Request::Backup(output()),
        "import" => Request::Import {
            source: path_of(inner, "source"),
            skip_existing: inner.get_flag("skip-existing"),
            as_new: inner.get_flag("as-new"),
        },
        "archive" => return archive_request(inner),
        "restore" => Request::Restore {
            file: path_of(inner, "file"),
        },
        "completions" if let Some(shell) = completions::shell(inner) => Request::Completions(shell),
        other => {
            return Err(Error::raw(
                ErrorKind::InvalidSubcommand,
                format!("unknown command `{other}`\n"),
            ));
        }
    };
    Ok((request, inner))
}

fn archive_request(matches: &ArgMatches) -> Result<(Request, &ArgMatches), Error> {
    let Some((name, inner)) = matches.subcommand() else {
        return Err(Error::raw(
            ErrorKind::MissingSubcommand,
            "`archive` needs a subcommand: push, list or fetch\n",
        ));
    };
    let ids = ids(inner)?;
    let request = match (name, ids.first().cloned()) {
        ("push", _) => ArchiveRequest::Push {
            ids,
            user: inner.get_one("user").cloned(),
            remote: remote_of(inner),
        },
        ("fetch", Some(id)) => ArchiveRequest::Fetch {
            id,
            target: path_of(inner, "target"),
        },
        (_, id) => ArchiveRequest::List { id },
    };
    Ok((Request::Archive(request), inner))
}
