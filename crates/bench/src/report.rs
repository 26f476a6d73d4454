//! What is printed: the table to stdout, progress to stderr, the outcome as an exit code.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the one place that talks"
)]

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::closed_loop::Window;
use crate::disk;
use crate::measurement::{Measurement, Nanos, Outcome};

/// The names that `run --only` takes.
pub(crate) fn row_names(rows: impl Iterator<Item = (&'static str, &'static str)>) -> ExitCode {
    for (name, about) in rows {
        println!("{name:<12} {about}");
    }
    ExitCode::SUCCESS
}

/// The disk's own figure.
pub(crate) fn fdatasync(dir: &Path, seconds: u64) -> Result<ExitCode> {
    let window = Window {
        warm_up: Duration::ZERO,
        measured: Duration::from_secs(seconds),
    };
    let run = disk::fdatasync(dir, window)?;
    let latency = run.latency.context("no sync ended in time")?;
    println!(
        "{:.0} a second, p50 {}, p99 {}",
        run.rate,
        Nanos(latency.p50),
        Nanos(latency.p99)
    );
    Ok(ExitCode::SUCCESS)
}

/// Says on stderr what is going on.
pub(crate) fn progress(message: &str) {
    eprintln!("{message}");
}

/// Begins the table.
pub(crate) fn header() {
    println!("| Work | Ours | Reference | Value | Must reach | Reached |");
    println!("|---|---|---|---|---|---|");
}

/// Adds a row's lines to the table at once, so that a run that is cut short has told what it knew.
pub(crate) fn lines(measurements: &[Measurement]) {
    for measurement in measurements {
        let Measurement {
            work,
            ours,
            reference,
            value,
            bound,
            outcome,
        } = measurement;
        println!(
            "| {work} | {ours} | {reference} | {value} | {bound} | {} |",
            verdict(outcome)
        );
    }
}

/// The worst outcome decides.
pub(crate) fn exit_code(measurements: &[Measurement]) -> ExitCode {
    let code = measurements
        .iter()
        .map(|measurement| match measurement.outcome {
            Outcome::Failed(_) => 1,
            Outcome::Missed => 3,
            Outcome::NotMeasured(_) => 4,
            Outcome::Reached | Outcome::Noted => u8::MAX,
        });
    match code.min() {
        Some(code) if code != u8::MAX => ExitCode::from(code),
        _ => ExitCode::SUCCESS,
    }
}

fn verdict(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Reached => "yes".to_owned(),
        Outcome::Missed => "**no**".to_owned(),
        Outcome::Noted => String::new(),
        Outcome::NotMeasured(why) => format!("not measured: {}", one_cell(why)),
        Outcome::Failed(why) => format!("**FAILED**: {}", one_cell(why)),
    }
}

fn one_cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}
