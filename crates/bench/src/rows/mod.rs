//! The rows: what is measured, in the order of the table. Each is a file of its own.

pub(crate) mod against;
mod append;
mod batch;
mod exposed;
mod keys;
mod live_full;
mod live_paced;
mod long_log;
mod page;
mod record_keys;
mod run;
mod sessions;
mod single;
mod start;
mod sync;
mod unix;

pub(crate) use run::run;

use anyhow::Result;

use crate::bench::Bench;
use crate::measurement::Measurement;

/// One row: it starts what it needs, measures, and yields a line a figure.
pub(crate) struct Row {
    /// What `--only` takes.
    pub(crate) name: &'static str,
    /// The work, as the table says it.
    pub(crate) about: &'static str,
    /// Measures it.
    pub(crate) measure: fn(&Bench) -> Result<Vec<Measurement>>,
}

/// All rows. The one that stores ten thousand sessions comes last: deleting them slows a file
/// system down.
pub(crate) const TABLE: &[Row] = &[
    Row {
        name: against::NAME,
        about: "this build against another, with `--against BINARY`",
        measure: against::measure,
    },
    Row {
        name: "append-64",
        about: "append, `always`, 64 connections",
        measure: |bench| append::measure(bench, 64),
    },
    Row {
        name: "append-256",
        about: "append, `always`, 256 connections",
        measure: |bench| append::measure(bench, 256),
    },
    Row {
        name: "single",
        about: "append, `always`, 1 connection",
        measure: single::measure,
    },
    Row {
        name: "sync-64",
        about: "append, `always` against `no`, 64 connections",
        measure: |bench| sync::measure(bench, 64, 0.55),
    },
    Row {
        name: "sync-256",
        about: "append, `always` against `no`, 256 connections",
        measure: |bench| sync::measure(bench, 256, 0.7),
    },
    Row {
        name: "batch",
        about: "batches of 100, `always`",
        measure: batch::measure,
    },
    Row {
        name: "long-log",
        about: "append to a log of 1,000,000 records",
        measure: long_log::measure,
    },
    Row {
        name: "page",
        about: "page of 100 in the middle of 1,000,000 records",
        measure: page::measure,
    },
    Row {
        name: "keys",
        about: "append with a key or token against none",
        measure: keys::measure,
    },
    Row {
        name: "record-keys",
        about: "append with record keys against none, and to 1,000,000 of them",
        measure: record_keys::measure,
    },
    Row {
        name: "exposed",
        about: "append beside 10,000 idle sockets and 500 dawdling clients",
        measure: exposed::measure,
    },
    Row {
        name: "unix",
        about: "append over the Unix socket, 64 connections",
        measure: unix::measure,
    },
    Row {
        name: "live-paced",
        about: "1,000 subscribers, 30 events a second",
        measure: live_paced::measure,
    },
    Row {
        name: "live-full",
        about: "1,000 subscribers, full speed",
        measure: live_full::measure,
    },
    Row {
        name: "start",
        about: "start on many sessions after a kill",
        measure: start::measure,
    },
];
