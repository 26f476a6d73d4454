//! The command line: what is measured, with which service, beside which peers.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Measures the service beside bare handlers, a bare sync and its peers.
#[derive(Debug, Parser)]
#[command(name = "load")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// What `cargo bench` passes to every benchmark; changes nothing.
    #[arg(long, hide = true, global = true)]
    bench: bool,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Measure rows and print the table
    Run(RunOptions),
    /// List the rows that `run --only` knows
    Rows,
    /// Serve the reference of the append rows: parse the body, answer 40 bytes
    Baseline(BareOptions),
    /// Serve the reference of the live rows: broadcast each posted body to all subscribers
    WsBaseline(BareOptions),
    /// Append 300 bytes and sync, again and again
    Fdatasync {
        /// Folder on the disk to measure
        #[arg(long, default_value = ".")]
        dir: PathBuf,
        /// How long
        #[arg(long, default_value_t = 3)]
        seconds: u64,
    },
}

/// What `run` measures.
#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    /// Short durations, few repeats and a smaller start row: a check that all works, not a
    /// measurement
    #[arg(long)]
    pub(crate) quick: bool,
    /// Only this row (repeatable)
    #[arg(long, value_name = "ROW")]
    pub(crate) only: Vec<String>,
    /// The service's binary
    #[arg(
        long,
        env = "SESSION_STORAGE_BIN",
        default_value = "target/release/session-storage"
    )]
    pub(crate) service: PathBuf,
    /// The binary of another build, to measure in turns with this one
    #[arg(long, value_name = "BINARY")]
    pub(crate) against: Option<PathBuf>,
    /// Folder for all that is stored while measuring; decides which disk is measured
    #[arg(long, default_value = "target/bench/run")]
    pub(crate) dir: PathBuf,
    /// Worker threads of the service and of the bare handlers
    #[arg(long, default_value_t = 1)]
    pub(crate) workers: usize,
    /// Redis, empty, with `appendonly yes` and `appendfsync always`
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) redis: Option<SocketAddr>,
    /// PostgreSQL, user and database `postgres`, trusting this address
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) postgres: Option<SocketAddr>,
    /// NATS with JetStream
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) nats: Option<SocketAddr>,
}

/// How a bare handler serves.
#[derive(Debug, Args)]
pub(crate) struct BareOptions {
    /// Port on 127.0.0.1
    #[arg(long)]
    pub(crate) port: u16,
    /// Worker threads
    #[arg(long, default_value_t = 1)]
    pub(crate) workers: usize,
}
