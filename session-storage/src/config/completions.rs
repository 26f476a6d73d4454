//! The command `completions`: prints what a shell needs to complete the command line.

use std::io::Write;

use clap::{Arg, ArgMatches, Command, value_parser};
use clap_complete::{Shell, generate};

use super::arguments::subcommand;

/// The subcommand.
pub(super) fn command() -> Command {
    subcommand(
        "completions",
        "Print completions for a shell, to be saved where it looks for them",
        &[],
        "session-storage completions bash",
    )
    .arg(
        Arg::new("shell")
            .value_name("SHELL")
            .value_parser(value_parser!(Shell))
            .required(true)
            .help("The shell"),
    )
}

/// Returns the shell that was asked for.
pub(super) fn shell(matches: &ArgMatches) -> Option<Shell> {
    matches.get_one("shell").copied()
}

/// Writes the completions of a command line. A closed pipe is success.
pub(super) fn print(shell: Shell, mut command: Command, out: &mut impl Write) {
    let mut script = Vec::new();
    generate(shell, &mut command, "session-storage", &mut script);
    let mut script = String::from_utf8(script).expect("a script of the names and texts above");
    if shell == Shell::Bash {
        // clap_complete takes the hyphen of the name for the start of a subcommand in half of the
        // labels, so that nothing was completed after a subcommand.
        script = script.replace("session__subcmd__storage", "session__storage");
    }
    let _ = out.write_all(script.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_gets_every_subcommand() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut script = Vec::new();
            print(shell, super::super::cli::command(), &mut script);
            let script = String::from_utf8(script).unwrap();
            for command in super::super::commands::all() {
                let name = command.get_name();
                assert!(script.contains(name), "{shell}: {name}");
            }
        }
    }

    /// What bash offers for the last of these words.
    fn offered(words: &[&str]) -> String {
        let mut script = Vec::new();
        print(Shell::Bash, super::super::cli::command(), &mut script);
        let last = words.len() - 1;
        let call = format!(
            "\nCOMP_WORDS=({})\nCOMP_CWORD={last}\n\
             _session__storage session-storage '{}' ''\necho \"${{COMPREPLY[*]}}\"\n",
            words.join(" "),
            words[last],
        );
        script.extend_from_slice(call.as_bytes());
        // A file: the script is longer than an argument may be.
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), script).unwrap();
        let run = std::process::Command::new("bash").arg(file.path()).output();
        String::from_utf8(run.unwrap().stdout).unwrap()
    }

    #[test]
    fn bash_completes_what_follows_a_subcommand() {
        assert!(offered(&["session-storage", "ke"]).contains("key"));
        assert!(offered(&["session-storage", "key", "rot"]).contains("rotate"));
        assert!(offered(&["session-storage", "check", "--re"]).contains("--repair"));
        assert!(offered(&["session-storage", "token", "issue", "--sc"]).contains("--scope"));
    }
}
