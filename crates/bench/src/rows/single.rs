//! One client alone: what an append costs over the one sync that it waits for.

use anyhow::Result;

use super::sessions;
use crate::bench::Bench;
use crate::disk;
use crate::measurement::{Bound, Measurement};
use crate::process::Sync;
use crate::side::{Side, interleave};

/// The service and the bare sync in turns.
pub(crate) fn measure(bench: &Bench) -> Result<Vec<Measurement>> {
    let service = bench.launch.start("single", Sync::Always)?;
    sessions::create_all(service.address())?;
    let [ours, sync] = interleave(
        bench,
        [
            Side::load("append", sessions::appends(service.address(), 1)),
            Side::new("fdatasync", |window| {
                disk::fdatasync(&bench.launch.dir, window)
            }),
        ],
    )?;
    Ok(vec![Measurement::latencies(
        "append, `always`, 1 connection",
        &ours,
        ("fdatasync of 300 bytes", &sync),
        Bound::AtMost(2.5),
    )])
}
