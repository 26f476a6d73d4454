//! Appends to a long log beside appends to a short one, in the same service.

use anyhow::Result;

use super::sessions;
use crate::bench::Bench;
use crate::caller::Caller;
use crate::dialect::http;
use crate::measurement::{Bound, Measurement};
use crate::process::Sync;
use crate::side::{Side, interleave};

/// How many records the long log holds, and the short one.
const LONG: usize = 1_000_000;
const SHORT: usize = 1_000;

/// One connection to each in turns. The short log grows while it is measured, to some ten
/// thousands.
pub(crate) fn measure(bench: &Bench) -> Result<Vec<Measurement>> {
    let service = bench.launch.start("long-log", Sync::Always)?;
    let mut caller = Caller::connect(service.address(), http::answer)?;
    for (session, records) in [("long", LONG), ("short", SHORT)] {
        sessions::create(&mut caller, session)?;
        sessions::fill(&mut caller, session, records)?;
    }
    let append = |session| sessions::one(service.address(), sessions::append_to(session));
    let [long, short] = interleave(
        bench,
        [
            Side::load("log of 1,000,000", append("long")),
            Side::load("log of 1,000", append("short")),
        ],
    )?;
    let work = "append to a log of 1,000,000 records, `always`, 1 connection";
    Ok(vec![Measurement::latencies(
        work,
        &long,
        ("log of 1,000", &short),
        Bound::AtMost(1.1),
    )])
}
