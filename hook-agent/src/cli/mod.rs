//! The command, called by shell scripts and by agents' hooks.
//!
//! A write goes to the spool and gets a limited time for its delivery (`--wait`). Whatever the
//! service does, the exit code is 0 and nothing is printed, because agents take both as a decision
//! about what they were going to do.

mod args;
mod claude_code;
mod commands;
mod completions;
mod config;
mod exec;
mod exec_records;
mod exit;
mod flush;
mod help;
mod lines;
mod shell;
mod status;

use std::ffi::OsString;
use std::process::ExitCode;

pub use exit::Exit;

/// Runs the command with these arguments (without the program's name).
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    let is_hook = claude_code::is_hook(&arguments);
    let exit = match args::parse(arguments) {
        Ok(args::Asked::Help(text)) => exit::print(&text),
        Ok(args::Asked::Version) => {
            exit::print(concat!("hook-agent ", env!("CARGO_PKG_VERSION"), "\n"))
        }
        Ok(args::Asked::Run(options, command)) => commands::run(&options, command),
        Err(failure) if is_hook => {
            claude_code::unknown_call(&failure.message);
            Exit::Done
        }
        Err(failure) => failure.report(),
    };
    ExitCode::from(exit.code())
}
