//! The command `completions`: prints what a shell needs to complete the command line. Commands and
//! options are those of `--help`.

mod bash;
mod fish;
mod prefixes;
mod zsh;

use super::shell::Shell;

/// Returns the script of a shell.
pub(super) fn script(shell: Shell) -> String {
    match shell {
        Shell::Bash => bash::script(),
        Shell::Zsh => zsh::script(),
        Shell::Fish => fish::script(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::help::offered;
    use super::prefixes::prefixes;
    use super::*;

    #[test]
    fn every_shell_gets_every_command_and_option() {
        for shell in Shell::ALL {
            let script = script(shell);
            for command in offered() {
                for word in command.words.split(' ') {
                    assert!(script.contains(word), "{shell:?}: {word}");
                }
                for option in command.options {
                    let name = option.flag.trim_start_matches('-');
                    assert!(script.contains(name), "{shell:?}: {name}");
                }
            }
        }
    }

    #[test]
    fn a_switch_of_one_command_is_not_offered_to_another() {
        let prefixes = prefixes();
        let flush = prefixes
            .iter()
            .find(|prefix| prefix.words == "flush")
            .unwrap();
        let names: Vec<&str> = flush.options.iter().map(|option| option.flag).collect();
        assert!(names.contains(&"--redirect"));
        assert!(!names.contains(&"--strict"));
        assert!(!names.contains(&"--dry-run"));
    }

    #[test]
    fn an_unknown_shell_is_refused_with_the_known_ones() {
        for name in [None, Some("tcsh")] {
            let failure = Shell::parse(name).unwrap_err();
            assert!(failure.message.contains("bash, zsh, fish"));
        }
    }
}
