//! This build of the service and another one, in turns: shows whether a change costs speed.
//!
//! Both run at the same time on storages of their own, and the one that is not measured is idle.

use anyhow::{Result, ensure};

use super::sessions;
use crate::bench::Bench;
use crate::caller::Caller;
use crate::closed_loop::ClosedLoop;
use crate::dialect::http;
use crate::measurement::{Bound, Measurement};
use crate::process::{Launch, Service, Sync};
use crate::sample::Summary;
use crate::side::{Side, interleave};
use crate::stream::Address;

/// The row's name. It is part of a run only if another build was named.
pub(crate) const NAME: &str = "against";

/// How many records the log holds whose pages are read.
const RECORDS: usize = 100_000;
/// How much worse a rate may be.
const BOUND: Bound = Bound::AtLeast(0.95);

type Load = fn(&Address) -> ClosedLoop;

/// The work, when it syncs, and its load.
const WORKS: [(&str, Sync, Load); 6] = [
    ("append, `always`, 1 connection", Sync::Always, |address| {
        sessions::appends(address, 1)
    }),
    (
        "append, `always`, 64 connections",
        Sync::Always,
        |address| sessions::appends(address, 64),
    ),
    (
        "append, `always`, 256 connections",
        Sync::Always,
        |address| sessions::appends(address, 256),
    ),
    ("append, `no`, 64 connections", Sync::No, |address| {
        sessions::appends(address, 64)
    }),
    (
        "batches of 100, `always`, 64 connections",
        Sync::Always,
        |address| sessions::batches(address, 64, 100),
    ),
    (
        "page of 100 of 100,000 records, 1 connection",
        Sync::No,
        |address| {
            let path = format!("/api/actions/long?after={}&limit=100", RECORDS / 2);
            sessions::one(address, http::get(&path))
        },
    ),
];

/// Measures each work with both builds.
pub(crate) fn measure(bench: &Bench) -> Result<Vec<Measurement>> {
    let Some(other) = &bench.against else {
        anyhow::bail!("name the other build's binary with `--against BINARY`");
    };
    ensure!(
        other.binary.is_file(),
        "no file at `{}`",
        other.binary.display()
    );
    let mut measurements = Vec::new();
    for (work, sync, load) in WORKS {
        let ours = filled(&bench.launch, "against-this", sync)?;
        let theirs = filled(other, "against-other", sync)?;
        let [ours, theirs]: [Summary; 2] = interleave(
            bench,
            [
                Side::load("this build", load(ours.address())),
                Side::load("the other", load(theirs.address())),
            ],
        )?;
        measurements.push(Measurement::rates(
            work,
            &ours,
            ("the other build", &theirs),
            BOUND,
        ));
    }
    Ok(measurements)
}

fn filled(launch: &Launch, name: &str, sync: Sync) -> Result<Service> {
    let service = launch.start(name, sync)?;
    sessions::create_all(service.address())?;
    let mut caller = Caller::connect(service.address(), http::answer)?;
    sessions::create(&mut caller, "long")?;
    sessions::fill(&mut caller, "long", RECORDS)?;
    Ok(service)
}
