//! The command line, generated from the table of options.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::commands::{self, Request};
use super::{Config, Layers, Spec};

const EXIT_CODES: &str = "\
Every option can be given as a flag, as an environment variable, or as a key in the file given with --config
(`recent_limit = 20`), in that precedence. An empty variable counts as not set.

Exit codes:
  0  stopped as asked; healthy; nothing found
  1  failed; not healthy; `check` found faults; a bundle is refused
  2  the command line, a variable or the configuration file is wrong
  3  the storage directory is in use by another process
  4  the storage directory cannot be opened
  5  an address or the socket cannot be listened on";

/// Parses the command line. An error knows how to print itself and which exit code it has.
pub fn read_command_line(
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<(Request, Layers, Option<PathBuf>), clap::Error> {
    let matches = command().try_get_matches_from(arguments)?;
    let (request, inner) = commands::request(&matches)?;
    let request = if inner.get_flag("print-config") { Request::PrintConfig } else { request };
    let mut layers = Layers::default();
    layers.flags = flags(inner);
    Ok((request, layers, inner.get_one::<PathBuf>("config").cloned()))
}

fn flags(matches: &ArgMatches) -> std::collections::BTreeMap<&'static str, String> {
    let given = |spec: &Spec| matches.get_one::<String>(spec.key).map(|value| (spec.key, value.clone()));
    Config::OPTIONS.iter().filter_map(given).collect()
}

fn command() -> Command {
    Command::new("session-storage")
        .version(env!("CARGO_PKG_VERSION"))
        .about("The flight recorder's service: sessions as files behind one journal, over HTTP and WebSocket")
        .after_help(EXIT_CODES)
        .arg(
            Arg::new("config")
                .long("config")
                .value_name("FILE")
                .value_parser(clap::value_parser!(PathBuf))
                .global(true)
                .help("A TOML file with options"),
        )
        .arg(
            Arg::new("print-config")
                .long("print-config")
                .action(ArgAction::SetTrue)
                .global(true)
                .help("Print every option with its value and source, and stop"),
        )
        .args(Config::OPTIONS.iter().map(argument))
        .subcommands(commands::all())
}

fn argument(spec: &'static Spec) -> Arg {
    let variables: Vec<String> = spec.variables().collect();
    let mut flags = spec.flags();
    Arg::new(spec.key)
        .long(flags.next().unwrap_or_default())
        .visible_aliases(flags)
        .value_name("VALUE")
        .allow_hyphen_values(true)
        .global(true)
        .help(format!(
            "{}: {} [env: {}] [default: {}]",
            spec.doc.trim(),
            (spec.accepts)(),
            variables.join(", "),
            spec.default
        ))
}

#[cfg(test)]
mod tests {
    use super::super::AccessRequest;
    use super::*;

    fn read(arguments: &[&str]) -> Result<(Request, Layers, Option<PathBuf>), clap::Error> {
        read_command_line(std::iter::once("session-storage").chain(arguments.iter().copied()).map(Into::into))
    }

    #[test]
    fn the_command_is_well_formed_and_help_names_everything() {
        command().debug_assert();
        let help = command().render_help().to_string();
        for spec in Config::OPTIONS {
            for name in spec.variables() {
                assert!(help.contains(&name), "{name}");
            }
            assert!(help.contains(spec.default), "{}", spec.key);
        }
    }

    #[test]
    fn options_are_read_before_and_after_the_subcommand() {
        let (request, layers, config) =
            read(&["--port", "1", "check", "--repair", "--sessions-dir", "/s", "--config", "f"]).unwrap();
        assert!(matches!(request, Request::Check { repair: true }));
        assert_eq!(config, Some("f".into()));
        assert_eq!(layers.flags.get("port").map(String::as_str), Some("1"));
        assert_eq!(layers.flags.get("storage_path").map(String::as_str), Some("/s"));
        assert!(matches!(read(&["healthcheck"]).unwrap().0, Request::HealthCheck));
        assert!(matches!(read(&["--print-config"]).unwrap().0, Request::PrintConfig));
        assert!(matches!(read(&[]).unwrap().0, Request::Serve));
        let (request, layers, _) =
            read(&["key", "create", "--name", "ci", "--scope", "append,read", "--storage-path", "/s"])
                .unwrap();
        let Request::Access(AccessRequest::CreateKey(key)) = request else { unreachable!("{request:?}") };
        assert_eq!((key.name.as_str(), key.scopes.list().len(), key.lifetime), ("ci", 2, None));
        assert_eq!(layers.flags.get("storage_path").map(String::as_str), Some("/s"));
    }

    #[test]
    fn what_is_unknown_is_refused_by_its_name() {
        for (arguments, named) in [
            (&["--prot", "1"][..], "--prot"),
            (&["serve"], "serve"),
            (&["--port"], "--port"),
            (&["key"], "subcommand"),
            (&["key", "create", "--name", "x"], "--scope"),
            (&["key", "create", "--name", "x", "--scope", "all"], "all"),
            (&["key", "create", "--name", "x", "--role", "admin", "--prefix", "../"], "session id"),
            (&["key", "create", "--name", "x", "--role", "admin", "--expires", "soon"], "time"),
            (&["token", "issue", "--session", "a", "--scope", "admin"], "admin"),
            (&["export", "f", "--session", "../up"], "../up"),
            (&["import", "f", "--as-new", "--skip-existing"], "--as-new"),
            (&["restore"], "FILE"),
        ] {
            let error = read(arguments).unwrap_err();
            assert!(error.to_string().contains(named) && error.exit_code() == 2, "{error}");
        }
    }
}
