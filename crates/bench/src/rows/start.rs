//! Starting after a kill: how long until the service is healthy, and what it holds in memory.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use super::sessions;
use crate::bench::Bench;
use crate::caller::Caller;
use crate::dialect::http;
use crate::disk;
use crate::measurement::{Bound, Measurement, Nanos};
use crate::process::{Service, Sync};
use crate::stream::Address;

/// Some 100 kB on disk.
const RECORDS: usize = 270;
/// What is written again before each kill.
const TOUCHED: usize = 200;
const WRITERS: usize = 8;
const STORAGE: &str = "start";

/// Fills a storage through the API, then kills and starts the service again and again; the worst
/// start counts.
pub(crate) fn measure(bench: &Bench) -> Result<Vec<Measurement>> {
    let empty = bench.launch.start("empty", Sync::Always)?;
    let empty_kb = settled_kb(&empty)?;
    drop(empty);

    let count = bench.scale.stored_sessions;
    let mut service = bench.launch.start(STORAGE, Sync::Always)?;
    write(&service, count, RECORDS)?;
    let mut slowest = Duration::ZERO;
    let mut most_kb = 0;
    for repeat in 1..=bench.scale.starts {
        write(&service, TOUCHED.min(count), 1)?;
        let storage = service.storage().to_owned();
        service.abandon();
        let bytes = warm(&storage)?;
        service = bench.launch.start(STORAGE, Sync::Always)?;
        let took = service.process.started_in;
        slowest = slowest.max(took);
        most_kb = most_kb.max(settled_kb(&service)?);
        bench.progress(&format!(
            "  {repeat} start on {} MB: {took:?}, {most_kb} kB",
            bytes >> 20
        ));
        disk::settle(&bench.launch.dir)?;
    }
    let on = format!("{count} sessions of 100 kB, killed");
    let megabytes = |kb: u64| kb as f64 / 1024.0;
    let worst = format!(
        "slowest of {}: {}",
        bench.scale.starts,
        Nanos(slowest.as_nanos() as f64)
    );
    Ok(vec![
        Measurement::value(
            format!("start on {on}, until /health is 200"),
            slowest.as_secs_f64(),
            "s",
            Bound::AtMost(1.0),
        )
        .between(worst, "warm page cache"),
        Measurement::value(
            format!("resident memory after a start on {on}"),
            megabytes(most_kb),
            "MB",
            Bound::AtMost(60.0),
        ),
        Measurement::value(
            "resident memory of an empty service",
            megabytes(empty_kb),
            "MB",
            Bound::AtMost(15.0),
        ),
    ])
}

/// Writes to so many sessions over a few connections at once.
fn write(service: &Service, count: usize, records: usize) -> Result<()> {
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|first| scope.spawn(move || write_every(service.address(), first, count, records)))
            .collect();
        writers
            .into_iter()
            .try_for_each(|writer| writer.join().map_err(|_| anyhow!("a writer panicked"))?)
    })
}

fn write_every(address: &Address, first: usize, count: usize, records: usize) -> Result<()> {
    let mut caller = Caller::connect(address, http::answer)?;
    (first..count).step_by(WRITERS).try_for_each(|index| {
        let session = format!("stored-{index:05}");
        sessions::create(&mut caller, &session)?;
        sessions::fill(&mut caller, &session, records)
    })
}

/// What it holds once whatever it does after its start is done.
fn settled_kb(service: &Service) -> Result<u64> {
    let at_once = service.process.resident_kb()?;
    thread::sleep(Duration::from_secs(1));
    Ok(service.process.resident_kb()?.max(at_once))
}

/// Reads every file, so that the start finds it in the page cache; answers how many bytes there
/// are.
fn warm(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir).with_context(|| format!("failed to list `{}`", dir.display()))? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            bytes += warm(&entry.path())?;
        } else if kind.is_file() {
            bytes += io::copy(&mut File::open(entry.path())?, &mut io::sink())?;
        }
    }
    Ok(bytes)
}
