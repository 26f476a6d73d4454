//! `claude-code`, `install claude-code` and `uninstall claude-code`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::args::Options;
use super::config::{config, place};
use super::exit::{Exit, Failure, print};
use crate::claude_code::{Done, Hook, SettingsFile, change, log_unreadable_call, program};
use crate::redaction::Redaction;
use crate::{Config, Error};

/// Records the hook on standard input. Always exits with 0, because Claude Code takes other codes
/// as a decision.
pub(super) fn hook(options: &Options) -> Exit {
    let started = Instant::now();
    match config(options) {
        Ok(config) => {
            let redaction = Redaction::of(&config);
            Hook {
                config,
                redaction,
                wait: options.wait,
                started,
            }
            .run();
        }
        Err(error) => note(place(options), &error.to_string()),
    }
    Exit::Done
}

/// Returns whether these arguments are for a hook, even if they can't be parsed: a hook must not
/// fail then either.
pub(super) fn is_hook(arguments: &[OsString]) -> bool {
    let mut words = arguments
        .iter()
        .filter(|word| !word.to_string_lossy().starts_with('-'));
    words.next().is_some_and(|word| word == "claude-code")
}

/// Logs that a hook was called with unknown arguments.
pub(super) fn unknown_call(what: &str) {
    note(Config::place_from_env(), what);
}

/// Logs an error of a hook that could not start, where its records would have gone, if that is
/// known.
fn note(place: Result<Config, Error>, what: &str) {
    if let Ok(config) = place.or_else(|_| Config::new("http://localhost:9000")) {
        log_unreadable_call(&config, what);
    }
}

/// Writes the settings, or with `dry` prints what they would be.
pub(super) fn install(file: SettingsFile, install: bool, dry: bool) -> Result<Exit, Failure> {
    let data = |message: String| Failure {
        exit: Exit::Data,
        message,
    };
    let program =
        if install {
            Some(program().map_err(|error| {
                data(format!("failed to find this program's own path: {error}"))
            })?)
        } else {
            None
        };
    let Done {
        path,
        changed,
        text,
    } = change(&folder(file)?, program.as_deref(), dry).map_err(|error| data(error.to_string()))?;
    if dry {
        return Ok(print(&text.unwrap_or_default()));
    }
    let done = match (changed, install, text) {
        (true, true, _) => "installed in",
        (true, false, Some(_)) => "uninstalled from",
        (true, false, None) => "uninstalled, and removed because nothing else was in it:",
        (false, true, _) => "already installed in",
        (false, false, _) => "not installed in",
    };
    let calls = match program {
        Some(program) if changed => calls(&program, file),
        _ => String::new(),
    };
    Ok(print(&format!("{done} {}\n{calls}", path.display())))
}

/// Returns what the hooks call, and a warning if others or a later run would not find it.
fn calls(program: &Path, file: SettingsFile) -> String {
    let shared = match file {
        SettingsFile::Project => {
            "; others who use this project's settings need it there too, or install it with `--user`"
        }
        SettingsFile::User => "",
    };
    let passing = if program.starts_with(std::env::temp_dir()) {
        "\nwarning: that is a temporary folder: install the program in a permanent one, and run this again"
    } else {
        ""
    };
    format!("its hooks call {}{shared}{passing}\n", program.display())
}

fn folder(file: SettingsFile) -> Result<PathBuf, Failure> {
    let variable = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    match file {
        SettingsFile::Project => Ok(PathBuf::from(".claude")),
        SettingsFile::User => variable("CLAUDE_CONFIG_DIR")
            .or_else(|| variable("HOME").map(|home| home.join(".claude")))
            .ok_or_else(|| {
                Failure::usage("`--user` finds no home folder: set `HOME` or `CLAUDE_CONFIG_DIR`")
            }),
    }
}
