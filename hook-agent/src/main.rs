//! The `hook-agent` command; `hook-agent --help` describes it.

use std::process::ExitCode;

fn main() -> ExitCode {
    hook_agent::cli::run(std::env::args_os().skip(1).collect())
}
