//! One client alone: what an append costs over the one sync that it waits for.

use anyhow::Result;

use super::sessions;
use crate::bench::Bench;
use crate::disk;
use crate::figure::{Bound, Figure};
use crate::lane::{Lane, interleave};
use crate::process::Sync;

/// The service and the bare sync in turns.
pub(crate) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let service = bench.launch.start("single", Sync::Always)?;
    sessions::create_all(service.address())?;
    let [ours, sync] = interleave(
        bench,
        [
            Lane::load("append", sessions::appends(service.address(), 1)),
            Lane::new("fdatasync", |window| disk::fdatasync(&bench.launch.dir, window)),
        ],
    )?;
    Ok(vec![Figure::latencies(
        "append, `always`, 1 connection",
        &ours,
        ("fdatasync of 300 bytes", &sync),
        Bound::AtMost(2.5),
    )])
}
