//! The beginnings of command lines that can be completed.

use super::super::help::{Offered, OfferedOption, offered};
use super::super::shell::Shell;

/// The options that stand without a command.
const ALONE: [OfferedOption; 2] = [
    OfferedOption {
        flag: "--help",
        value: "",
        about: "print the help",
    },
    OfferedOption {
        flag: "--version",
        value: "",
        about: "print the version",
    },
];

/// The beginning of a command line: the words so far, and what may follow them.
pub(super) struct Prefix {
    pub(super) words: String,
    /// The next words of commands, with their descriptions.
    pub(super) next: Vec<(&'static str, &'static str)>,
    pub(super) options: Vec<OfferedOption>,
}

/// Returns every beginning of a command line that can be completed.
pub(super) fn prefixes() -> Vec<Prefix> {
    let commands = offered();
    let mut words = vec![""];
    for command in &commands {
        let first = command.words.split(' ').next().unwrap_or_default();
        for prefix in [first, command.words] {
            if !words.contains(&prefix) {
                words.push(prefix);
            }
        }
    }
    words
        .into_iter()
        .map(|words| Prefix {
            words: words.to_owned(),
            next: next_words(&commands, words),
            options: options_of(&commands, words),
        })
        .collect()
}

/// Returns the options that the commands beginning with these words read, each once.
fn options_of(commands: &[Offered], words: &str) -> Vec<OfferedOption> {
    let mut options: Vec<OfferedOption> = Vec::new();
    for command in commands
        .iter()
        .filter(|command| begins(command.words, words))
    {
        for option in &command.options {
            if options.iter().all(|known| known.flag != option.flag) {
                options.push(*option);
            }
        }
    }
    let alone = if words.is_empty() { 2 } else { 1 };
    options.extend_from_slice(&ALONE[..alone]);
    options
}

/// Returns whether a command begins with these words.
fn begins(command: &str, words: &str) -> bool {
    let rest = command.strip_prefix(words);
    rest.is_some_and(|rest| words.is_empty() || rest.is_empty() || rest.starts_with(' '))
}

/// Returns the words that can follow these words, each once.
fn next_words(commands: &[Offered], words: &str) -> Vec<(&'static str, &'static str)> {
    if words == "completions" {
        return Shell::ALL.map(|shell| (shell.name(), "")).to_vec();
    }
    let mut next: Vec<(&str, &str)> = Vec::new();
    for command in commands
        .iter()
        .filter(|command| begins(command.words, words))
    {
        let rest = command.words[words.len()..].trim_start();
        let (word, about) = match rest.split_once(' ') {
            Some((group, _)) => (group, group_about(group)),
            None => (rest, command.about),
        };
        if !word.is_empty() && next.iter().all(|(known, _)| *known != word) {
            next.push((word, about));
        }
    }
    next
}

fn group_about(group: &str) -> &'static str {
    match group {
        "goal" => "add or change a goal",
        "agent" => "record a sub-agent's start or end",
        "log" => "record a call, a message, usage or a change",
        "install" => "set an agent's hooks",
        _ => "remove an agent's hooks",
    }
}

/// Returns the words after which another word of the command follows.
pub(super) fn groups() -> Vec<&'static str> {
    let mut groups = vec!["completions"];
    for command in offered() {
        if let Some((group, _)) = command.words.split_once(' ')
            && !groups.contains(&group)
        {
            groups.push(group);
        }
    }
    groups
}

/// Returns the options whose value is wanted.
pub(super) fn with_value(wanted: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let mut flags: Vec<&str> = Vec::new();
    for option in offered().iter().flat_map(|command| &command.options) {
        if !option.value.is_empty() && wanted(option.value) && !flags.contains(&option.flag) {
            flags.push(option.flag);
        }
    }
    flags
}

/// Returns whether the value is a folder, which shells can complete.
pub(super) fn is_folder(value: &str) -> bool {
    value == "DIR"
}
