//! Reading a page from the middle of a long log beside reading it from the start.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::sessions;
use crate::bench::Bench;
use crate::caller::Caller;
use crate::dialect::http;
use crate::measurement::{Bound, Measurement};
use crate::process::Sync;
use crate::side::{Side, interleave};

const RECORDS: usize = 1_000_000;
const PAGE: usize = 100;

/// One connection, both pages in turns.
pub(crate) fn measure(bench: &Bench) -> Result<Vec<Measurement>> {
    let service = bench.launch.start("page", Sync::Always)?;
    let mut caller = Caller::connect(service.address(), http::answer)?;
    sessions::create(&mut caller, "long")?;
    sessions::fill(&mut caller, "long", RECORDS)?;
    for after in [0, RECORDS / 2] {
        check(&mut caller, after)?;
    }
    let read = |after| sessions::one(service.address(), page_after(after));
    let [middle, start] = interleave(
        bench,
        [
            Side::load("middle", read(RECORDS / 2)),
            Side::load("start", read(0)),
        ],
    )?;
    let work = "page of 100 in the middle of 1,000,000 records, 1 connection";
    Ok(vec![Measurement::latencies(
        work,
        &middle,
        ("page at the start", &start),
        Bound::AtMost(2.0),
    )])
}

fn page_after(seq: usize) -> Vec<u8> {
    http::get(&format!("/api/actions/long?after={seq}&limit={PAGE}"))
}

/// The page is the right one before it is measured.
fn check(caller: &mut Caller, after: usize) -> Result<()> {
    let body = http::body(&caller.call(&page_after(after))?)?;
    let records: Vec<Value> = serde_json::from_slice(&body)?;
    let first = records
        .first()
        .and_then(|record| record["seq"].as_u64())
        .context("a page without records")?;
    ensure!(
        records.len() == PAGE && first as usize == after + 1,
        "the page after {after} has {} records from {first} on",
        records.len()
    );
    Ok(())
}
