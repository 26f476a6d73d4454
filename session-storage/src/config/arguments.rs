//! The options of the service as arguments of the command line, and which of them the help of a
//! subcommand shows.
//!
//! Every subcommand accepts every option, because one set of flags is often shared by all of them.
//! Its help shows only the options that it reads, in short.

use clap::{Arg, Command};

use super::{Config, Spec};

/// Options of a command that opens the storage directory and logs.
pub(super) const DIRECTORY: &[&str] = &["storage_path", "storage_mode", "rust_log", "log_format"];
/// Options that say where the service of this machine listens.
pub(super) const ENDPOINT: &[&str] = &["host", "port", "socket_path", "tls_cert"];
/// Options of a command that writes to the storage directory as the service does.
pub(super) const WRITING: &[&str] = &["storage_sync", "journal_max_bytes", "recent_limit"];
/// Options of a command that opens the storage directory and does not log.
pub(super) const STORAGE: &[&str] = &["storage_path", "storage_mode"];
/// Options of the log.
pub(super) const LOG: &[&str] = &["rust_log", "log_format"];
/// Options of the redaction that the core is opened with.
pub(super) const REDACTION: &[&str] = &["redaction", "redaction_key_required"];
/// Options of the retention limits.
pub(super) const RETENTION: &[&str] = &[
    "retention_max_sessions",
    "retention_max_age",
    "retention_max_bytes",
    "retention_dry_run",
    "archive_url",
];
/// The option that names the archive.
pub(super) const ARCHIVE: &[&str] = &["archive_url"];
/// Options of a command that writes to the audit log.
pub(super) const AUDIT: &[&str] = &[
    "audit_log",
    "audit_log_path",
    "audit_log_max_bytes",
    "audit_log_files",
];

/// Where the help of a subcommand lists the options of the service.
const READ_BY_COMMAND: &str = "Options of the service that this command reads";
/// Sorts `--config` and `--print-config` behind a command's own arguments.
pub(super) const LAST: usize = 900;

/// The arguments of the service, in groups.
pub(super) fn of_service() -> impl Iterator<Item = Arg> {
    Config::OPTIONS.iter().map(|spec| {
        argument(spec).help_heading(spec.group).help(format!(
            "{}: {} {}",
            spec.doc.trim(),
            (spec.accepts)(),
            origin(spec)
        ))
    })
}

/// Adds all options of the service to a subcommand; its help shows those in `read` only.
pub(super) fn accept_all(command: Command, read: &[&[&str]]) -> Command {
    command.args(Config::OPTIONS.iter().map(|spec| {
        let doc = spec.doc.trim();
        let short = doc.split_once(';').map_or(doc, |(short, _)| short);
        argument(spec)
            .hide(!read.iter().any(|keys| keys.contains(&spec.key)))
            .help_heading(READ_BY_COMMAND)
            .help(format!("{short} {}", origin(spec)))
    }))
}

fn argument(spec: &'static Spec) -> Arg {
    let mut flags = spec.flags();
    Arg::new(spec.key)
        .long(flags.next().unwrap_or_default())
        .visible_aliases(flags)
        .value_name("VALUE")
        .allow_hyphen_values(true)
        .global(true)
}

/// Names the variables of an option and its default.
fn origin(spec: &Spec) -> String {
    let variables: Vec<String> = spec.variables().collect();
    let variables = variables.join(", ");
    format!("[env: {variables}] [default: {}]", spec.default)
}

/// Builds a subcommand with the options that it reads and an example of its use.
pub(super) fn subcommand(
    name: &'static str,
    about: &'static str,
    read: &[&[&str]],
    example: &str,
) -> Command {
    accept_all(Command::new(name).about(about), read).after_help(format!("Example:\n  {example}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_name_options_that_exist() {
        for key in [
            DIRECTORY, STORAGE, ENDPOINT, WRITING, LOG, REDACTION, RETENTION, ARCHIVE, AUDIT,
        ]
        .concat()
        {
            assert!(Config::OPTIONS.iter().any(|spec| spec.key == key), "{key}");
        }
    }
}
