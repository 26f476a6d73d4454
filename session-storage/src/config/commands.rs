//! The subcommands and their arguments.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, Error, value_parser};
use session_model::SessionId;

use super::Address;
use super::access_cli::{self, AccessRequest};

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
        /// The target, and how to reach the service.
        output: Output,
    },
    /// Write the whole directory to a bundle.
    Backup(Output),
    /// Import sessions.
    Import {
        /// The bundle or directory.
        source: PathBuf,
        /// Whether to skip sessions if another session with the same id exists.
        skip_existing: bool,
        /// Whether to import such sessions under new ids.
        as_new: bool,
    },
    /// Use the archive.
    Archive(ArchiveRequest),
    /// Restore a back-up.
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
    Arg::new(name).value_name(value).value_parser(value_parser!(PathBuf)).required(true).help(help)
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

fn remote() -> [Arg; 3] {
    let file = |name: &'static str| {
        Arg::new(name).long(name).value_name("FILE").value_parser(value_parser!(PathBuf))
    };
    [
        Arg::new("url").long("url").value_name("URL").value_parser(value_parser!(Address)).help(
            "The running service, if it is not the one of this machine's configuration: https://host[:port]",
        ),
        file("ca")
            .help("File with the certificates of the authorities to trust (PEM), instead of this machine's"),
        file("key-file")
            .help("File with a key of scope admin, where the service asks for one; or SESSION_STORAGE_KEY"),
    ]
}

fn selection() -> [Arg; 2] {
    let session = Arg::new("session").long("session").value_name("ID").action(ArgAction::Append);
    let user = Arg::new("user").long("user").value_name("USER");
    [session.help("This session (repeatable); without it all"), user.help("The sessions of this user")]
}

fn id() -> Arg {
    Arg::new("session").value_name("ID").help("The session").action(ArgAction::Append)
}

fn archive() -> Command {
    Command::new("archive")
        .about("Completed sessions in S3-compatible storage or a folder (ARCHIVE_URL)")
        .subcommand_required(true)
        .subcommand(
            Command::new("push")
                .about("Archive completed sessions of the running service, and prove what was archived")
                .args(selection())
                .args(remote()),
        )
        .subcommand(Command::new("list").about("List what is there, of one session or of all").arg(id()))
        .subcommand(
            Command::new("fetch")
                .about("Fetch a session's newest bundle, to be imported")
                .arg(id().required(true))
                .arg(path("target", "FILE.tar.zst|DIRECTORY", "Where to")),
        )
}

/// All subcommands.
pub(super) fn all() -> Vec<Command> {
    vec![
        Command::new("healthcheck")
            .about("Ask the running service whether it is well (for images without curl)"),
        Command::new("check")
            .about("Read the whole storage directory and name every fault with its file and place")
            .arg(flag("repair", "Mend what can be mended")),
        Command::new("retention")
            .about("Delete the completed sessions beyond the bounds, in a directory that is not in use")
            .arg(flag("dry-run", "Only list them; the service may be running")),
        Command::new("export")
            .about("Write sessions to a bundle, each as of one moment; the service may be running")
            .arg(path("target", "FILE.tar.zst", "The bundle to write"))
            .args(selection())
            .args(remote()),
        Command::new("import")
            .about("Import the sessions of a bundle, or of a directory, also of the Node.js service's, into a directory that is not in use")
            .arg(path("source", "FILE.tar.zst|DIRECTORY", "The bundle or storage directory to read"))
            .arg(flag("skip-existing", "Leave out sessions of whose name another is there already"))
            .arg(flag("as-new", "Import such sessions under a name of their own").conflicts_with("skip-existing")),
        Command::new("backup")
            .about("Write the whole storage directory to a bundle, as of one position; the service may be running")
            .arg(path("target", "FILE.tar.zst|DIRECTORY", "The bundle to write, or the directory for one named by its position"))
            .args(remote()),
        archive(),
        Command::new("restore")
            .about("Restore a back-up into an empty storage directory")
            .arg(path("file", "FILE.tar.zst", "The back-up")),
        access_cli::key(),
        access_cli::token(),
    ]
}

fn path_of(matches: &ArgMatches, name: &str) -> PathBuf {
    matches.get_one::<PathBuf>(name).cloned().unwrap_or_default()
}

fn remote_of(matches: &ArgMatches) -> Remote {
    let file = |name| matches.get_one::<PathBuf>(name).cloned();
    Remote { address: matches.get_one("url").cloned(), authorities: file("ca"), key_file: file("key-file") }
}

fn ids(matches: &ArgMatches) -> Result<BTreeSet<SessionId>, Error> {
    let given = matches.get_many::<String>("session").into_iter().flatten();
    given
        .map(|id| {
            SessionId::parse(id).map_err(|_| {
                Error::raw(ErrorKind::ValueValidation, format!("`--session {id}` is no session id\n"))
            })
        })
        .collect()
}

/// Parses the command; also returns the matches of the subcommand.
pub(super) fn request(matches: &ArgMatches) -> Result<(Request, &ArgMatches), Error> {
    let Some((name, inner)) = matches.subcommand() else { return Ok((Request::Serve, matches)) };
    let output = || Output { target: path_of(inner, "target"), remote: remote_of(inner) };
    if let "key" | "token" = name
        && let Some((request, inner)) = access_cli::read(inner)
    {
        return Ok((Request::Access(request), inner));
    }
    let request = match name {
        "healthcheck" => Request::HealthCheck,
        "check" => Request::Check { repair: inner.get_flag("repair") },
        "retention" => Request::Retention { dry_run: inner.get_flag("dry-run") },
        "export" => {
            Request::Export { ids: ids(inner)?, user: inner.get_one("user").cloned(), output: output() }
        }
        "backup" => Request::Backup(output()),
        "import" => Request::Import {
            source: path_of(inner, "source"),
            skip_existing: inner.get_flag("skip-existing"),
            as_new: inner.get_flag("as-new"),
        },
        "archive" => return archive_request(inner),
        "restore" => Request::Restore { file: path_of(inner, "file") },
        other => {
            return Err(Error::raw(ErrorKind::InvalidSubcommand, format!("unknown command `{other}`\n")));
        }
    };
    Ok((request, inner))
}

fn archive_request(matches: &ArgMatches) -> Result<(Request, &ArgMatches), Error> {
    let Some((name, inner)) = matches.subcommand() else {
        return Err(Error::raw(ErrorKind::MissingSubcommand, "what of the archive?\n"));
    };
    let ids = ids(inner)?;
    let request = match (name, ids.first().cloned()) {
        ("push", _) => {
            ArchiveRequest::Push { ids, user: inner.get_one("user").cloned(), remote: remote_of(inner) }
        }
        ("fetch", Some(id)) => ArchiveRequest::Fetch { id, target: path_of(inner, "target") },
        (_, id) => ArchiveRequest::List { id },
    };
    Ok((Request::Archive(request), inner))
}
