//! The load generator: it measures the service beside what it can be compared with.
//!
//! `load run` starts the service on fresh directories, the bare handlers beside it, and talks to
//! the peers that it is given; each row of [`rows::TABLE`] is measured in turns (A B A B …) and
//! ends as lines of one Markdown table on stdout. Progress goes to stderr. `scripts/bench.sh` is
//! the command that people run: it builds, starts the peers, and says what the machine is.
//!
//! What the figures mean: every rate is **closed loop** (a connection sends its next request when
//! the previous one is answered, so a slow answer lowers the rate instead of queueing); the
//! generator runs on the same cores as what it measures, which draws all ratios towards 1; a
//! request that isn't answered with success fails its row.
//!
//! Exit codes: 0 all measured and reached, 1 a row failed or an argument is wrong, 3 a figure isn't
//! reached, 4 something isn't measured (a peer is absent).

mod action;
mod bare;
mod bench;
mod caller;
mod cli;
mod closed_loop;
mod dialect;
mod disk;
mod live;
mod measurement;
mod peers;
mod process;
mod report;
mod rows;
mod sample;
mod side;
mod stream;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::cli::{Cli, Command};

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Some(Command::Run(options)) => rows::run(&options),
        Some(Command::Rows) => {
            let rows = rows::TABLE.iter().map(|row| (row.name, row.about));
            Ok(report::row_names(rows))
        }
        Some(Command::Baseline(options)) => {
            bare::append::serve(&options).map(|()| ExitCode::SUCCESS)
        }
        Some(Command::WsBaseline(options)) => {
            bare::broadcast::serve(&options).map(|()| ExitCode::SUCCESS)
        }
        Some(Command::Fdatasync { dir, seconds }) => report::fdatasync(&dir, seconds),
        None => Cli::command()
            .print_help()
            .map(|()| ExitCode::SUCCESS)
            .map_err(Into::into),
    }
}
