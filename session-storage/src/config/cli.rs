//! The command line, generated from the table of options.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::arguments;
use super::commands::{self, Request};
use super::completions;
use super::{Config, Layers, Spec};

const AFTER_HELP: &str = "\
Every option can be given as a flag, as an environment variable, or as a key in the file given with --config
(`recent_limit = 20`), in that precedence. An empty variable counts as not set.

Example:
  session-storage --storage-path /var/lib/sessions --port 9000

Exit codes:
  0  success: the service was stopped by a signal, is healthy, or has no faults
  1  failure: the service is not healthy, `check` found faults, or a bundle was refused
  2  an argument, a variable or the configuration file is invalid
  3  the storage directory is in use by another process
  4  the storage directory cannot be opened
  5  an address or the socket cannot be listened on";

/// Parses the command line. An error knows how to print itself and which exit code it has.
pub fn read_command_line(
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<(Request, Layers, Option<PathBuf>), clap::Error> {
    let matches = command().try_get_matches_from(arguments)?;
    let (request, inner) = commands::request(&matches)?;
    let request = if inner.get_flag("print-config") {
        Request::PrintConfig
    } else {
        request
    };
    let mut layers = Layers::default();
    layers.flags = flags(inner);
    Ok((request, layers, inner.get_one::<PathBuf>("config").cloned()))
}

fn flags(matches: &ArgMatches) -> std::collections::BTreeMap<&'static str, String> {
    let given = |spec: &Spec| {
        matches
            .get_one::<String>(spec.key)
            .map(|value| (spec.key, value.clone()))
    };
    Config::OPTIONS.iter().filter_map(given).collect()
}

pub(super) fn command() -> Command {
    Command::new("session-storage")
        .version(env!("CARGO_PKG_VERSION"))
        .about("The flight recorder's service: sessions as files behind one journal, over HTTP and WebSocket")
        .after_help(AFTER_HELP)
        .arg(
            Arg::new("config")
                .long("config")
                .value_name("FILE")
                .value_parser(clap::value_parser!(PathBuf))
                .global(true)
                .display_order(arguments::LAST)
                .help("A TOML file with options"),
        )
        .arg(
            Arg::new("print-config")
                .long("print-config")
                .action(ArgAction::SetTrue)
                .global(true)
                .display_order(arguments::LAST)
                .help("Print every option with its value and source, and exit"),
        )
        .args(arguments::of_service())
        .subcommands(commands::all())
}

/// Writes the completions of the whole command line. A closed pipe is success.
pub fn print_completions(shell: clap_complete::Shell, out: &mut impl std::io::Write) {
    completions::print(shell, command(), out);
}

#[cfg(test)]
mod tests {
    use super::super::AccessRequest;
    use super::*;

    fn read(arguments: &[&str]) -> Result<(Request, Layers, Option<PathBuf>), clap::Error> {
        read_command_line(
            std::iter::once("session-storage")
                .chain(arguments.iter().copied())
                .map(Into::into),
        )
    }

    #[test]
    fn the_command_is_well_formed_and_help_names_everything() {
        command().debug_assert();
        let help = command().render_help().to_string();
        for spec in Config::OPTIONS {
            assert!(
                help.contains(&format!("\n{}:\n", spec.group)),
                "{}",
                spec.group
            );
            for name in spec.variables() {
                assert!(help.contains(&name), "{name}");
            }
            assert!(help.contains(spec.default), "{}", spec.key);
        }
    }

    /// Calls `check` with each subcommand, at any depth, and its words on the command line.
    fn each_subcommand(
        parent: &mut Command,
        words: &[&str],
        check: &mut dyn FnMut(&mut Command, &[&str]),
    ) {
        for child in parent.get_subcommands_mut() {
            let name = child.get_name().to_owned();
            if name == "help" {
                continue;
            }
            let words = [words, &[name.as_str()]].concat();
            check(child, &words);
            each_subcommand(child, &words, check);
        }
    }

    #[test]
    fn the_help_of_a_subcommand_fits_a_screen_and_has_an_example_that_is_accepted() {
        let mut root = command().term_width(100);
        root.build();
        let mut count = 0;
        each_subcommand(&mut root, &[], &mut |subcommand, words| {
            count += 1;
            let help = subcommand.render_help().to_string();
            let lines = help.lines().count();
            assert!(lines <= 50, "{words:?} has {lines} lines:\n{help}");
            let example = help.split("Example:\n  ").nth(1).expect("an example");
            let example = example.lines().next().unwrap();
            let words: Vec<&str> = std::iter::once("session-storage")
                .chain(words.iter().copied())
                .collect();
            assert!(example.starts_with(&words.join(" ")), "{example}");
            if let Err(error) = command().try_get_matches_from(example.split(' ')) {
                panic!("{example}: {error}");
            }
        });
        assert_eq!(count, 20);
    }

    #[test]
    fn the_help_of_a_subcommand_shows_the_options_that_it_reads() {
        let mut root = command();
        root.build();
        let help = |name: &str| {
            let mut root = root.clone();
            let subcommand = root.find_subcommand_mut(name).unwrap();
            subcommand.render_help().to_string()
        };
        assert!(help("check").contains("--storage-path"));
        assert!(!help("check").contains("--port"));
        assert!(help("healthcheck").contains("--port"));
        assert!(!help("healthcheck").contains("--storage-path"));
        assert!(help("retention").contains("--retention-max-age"));
    }

    #[test]
    fn options_are_read_before_and_after_the_subcommand() {
        let (request, layers, config) = read(&[
            "--port",
            "1",
            "check",
            "--repair",
            "--sessions-dir",
            "/s",
            "--config",
            "f",
        ])
        .unwrap();
        assert!(matches!(request, Request::Check { repair: true }));
        assert_eq!(config, Some("f".into()));
        assert_eq!(layers.flags.get("port").map(String::as_str), Some("1"));
        assert_eq!(
            layers.flags.get("storage_path").map(String::as_str),
            Some("/s")
        );
        assert!(matches!(
            read(&["healthcheck"]).unwrap().0,
            Request::HealthCheck
        ));
        assert!(matches!(
            read(&["--print-config"]).unwrap().0,
            Request::PrintConfig
        ));
        assert!(matches!(read(&[]).unwrap().0, Request::Serve));
        let (request, layers, _) = read(&[
            "key",
            "create",
            "--name",
            "ci",
            "--scope",
            "append,read",
            "--storage-path",
            "/s",
        ])
        .unwrap();
        let Request::Access(AccessRequest::CreateKey(key)) = request else {
            unreachable!("{request:?}")
        };
        assert_eq!(key.name.as_str(), "ci");
        assert_eq!(key.scopes.list().len(), 2);
        assert_eq!(key.lifetime, None);
        assert_eq!(
            layers.flags.get("storage_path").map(String::as_str),
            Some("/s")
        );
    }

    #[test]
    fn unknown_arguments_are_refused_by_name() {
        for (arguments, named) in [
            (&["--prot", "1"][..], "--prot"),
            (&["serve"], "serve"),
            (&["--port"], "--port"),
            (&["key"], "subcommand"),
            (&["key", "create", "--name", "x"], "--scope"),
            (&["key", "create", "--name", "x", "--scope", "all"], "all"),
            (
                &[
                    "key", "create", "--name", "x", "--role", "admin", "--prefix", "../",
                ],
                "session id",
            ),
            (
                &[
                    "key",
                    "create",
                    "--name",
                    "x",
                    "--role",
                    "admin",
                    "--expires",
                    "soon",
                ],
                "time",
            ),
            (
                &["token", "issue", "--session", "a", "--scope", "admin"],
                "admin",
            ),
            (&["export", "f", "--session", "../up"], "../up"),
            (&["import", "f", "--as-new", "--skip-existing"], "--as-new"),
            (&["restore"], "FILE"),
        ] {
            let error = read(arguments).unwrap_err();
            assert!(
                error.to_string().contains(named) && error.exit_code() == 2,
                "{error}"
            );
        }
    }
}
