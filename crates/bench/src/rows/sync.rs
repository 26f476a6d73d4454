//! What syncing costs: the service that does beside the service that does not.

use anyhow::Result;

use super::sessions;
use crate::bench::Bench;
use crate::measurement::{Bound, Measurement};
use crate::process::Sync;
use crate::side::{Side, interleave};

/// Two services in turns, at this number of connections.
pub(crate) fn measure(bench: &Bench, connections: usize, least: f64) -> Result<Vec<Measurement>> {
    let always = bench.launch.start("sync-always", Sync::Always)?;
    let no = bench.launch.start("sync-no", Sync::No)?;
    sessions::create_all(always.address())?;
    sessions::create_all(no.address())?;
    let [always, no] = interleave(
        bench,
        [
            Side::load("always", sessions::appends(always.address(), connections)),
            Side::load("no", sessions::appends(no.address(), connections)),
        ],
    )?;
    let work = format!("append, `always` against `no`, {connections} connections");
    Ok(vec![Measurement::rates(
        work,
        &always,
        ("`no`", &no),
        Bound::AtLeast(least),
    )])
}
