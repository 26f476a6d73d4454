//! The load and the audit of `scripts/torture.sh --power`.
//!
//! `torture load ADDRESS ACKS PAUSE_MS` writes until SIGTERM and notes each acknowledged write as a
//! line of the file ACKS. `torture verify ADDRESS ACKS LINES` holds another service, on a copy of
//! the disk, to the first LINES of them. Exit code 0: it kept its word; 1: it did not, each fault
//! is a line.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program of the tests: it fails by panicking and reports by printing"
)]

#[path = "../tests/it/audit.rs"]
mod audit;
#[path = "../tests/it/load.rs"]
mod load;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use audit::Audit;
use load::{Ack, AcknowledgedWrites, Load};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    // The client wants one even for plain HTTP; there is none by default. Another may have been
    // first: no matter.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["load", address, acks, pause] => write(address, acks, pause.parse()?).await,
        ["verify", address, acks, lines] => verify(address, acks, lines.parse()?).await,
        _ => bail!("usage: torture load ADDRESS ACKS PAUSE_MS | torture verify ADDRESS ACKS LINES"),
    }
}

async fn write(address: &str, acks: &str, pause: u64) -> anyhow::Result<ExitCode> {
    let side = std::fs::File::create(acks).with_context(|| format!("failed to create `{acks}`"))?;
    let acknowledged = Arc::new(AcknowledgedWrites::new(Some(side)));
    let (_kept, moved) = watch::channel(address.to_owned());
    let load = Load::start(&moved, &acknowledged, Duration::from_millis(pause));
    signal(SignalKind::terminate())?.recv().await;
    load.stop().await;
    println!("{} writes acknowledged", acknowledged.len());
    let mut faults = acknowledged.strange();
    faults.extend(Audit::run(address, &acknowledged.acks()).await);
    Ok(report(&faults))
}

async fn verify(address: &str, acks: &str, lines: usize) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(acks).with_context(|| format!("failed to read `{acks}`"))?;
    let noted: Vec<Ack> = text
        .lines()
        .take(lines)
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    if noted.len() != lines {
        bail!("`{acks}` has {} lines, not {lines}", noted.len());
    }
    Ok(report(&Audit::run(address, &noted).await))
}

fn report(faults: &[String]) -> ExitCode {
    for fault in faults {
        println!("{fault}");
    }
    if faults.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
