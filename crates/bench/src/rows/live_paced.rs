//! A thousand subscribers of one session while thirty events a second happen in it.
//!
//! Three acts: without an audience, with it, without it again. In each the same two clients work,
//! on threads of their own: one posts the events, one appends to another session, each at a fixed
//! pace. A delivery's latency is counted from the moment the posting client has its answer until a
//! subscriber has read the event; one that comes before the answer counts as zero.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use super::sessions;
use crate::action;
use crate::bench::Bench;
use crate::caller::Caller;
use crate::dialect::http;
use crate::disk;
use crate::live::audience::Audience;
use crate::live::subscriber::Delivery;
use crate::measurement::{Bound, Measurement, Nanos};
use crate::process::Sync;
use crate::sample::Latency;
use crate::stream::{Address, PATIENCE};

const SUBSCRIBERS: usize = 1_000;
const EVENTS_A_SECOND: u32 = 30;
/// Appends to the other session; few, so that they measure and don't load.
const PROBES_A_SECOND: u32 = 100;
const STAGE: &str = "stage";
const OTHER: &str = "other";

/// When each event's answer came, and how long each append to the other session took.
struct Act {
    answered: Vec<Instant>,
    probes: Vec<u64>,
}

/// Plays the three acts.
pub(crate) fn measure(bench: &Bench) -> Result<Vec<Measurement>> {
    let service = bench.launch.start("live-paced", Sync::Always)?;
    let mut caller = Caller::connect(service.address(), http::answer)?;
    for session in [STAGE, OTHER] {
        sessions::create(&mut caller, session)?;
    }
    disk::settle(&bench.launch.dir)?;

    let mut without = play(service.address(), bench.scale.unattended)?.probes;
    let before_kb = service.process.resident_kb()?;
    let audience = Audience::connect(service.address(), STAGE, SUBSCRIBERS)?;
    let attended = play(service.address(), bench.scale.paced)?;
    let with_kb = service.process.resident_kb()?;
    let total = attended.answered.len() * SUBSCRIBERS;
    let deliveries = audience.wait_for(total, PATIENCE)?;
    without.append(&mut play(service.address(), bench.scale.unattended)?.probes);

    let delivery = latency(
        deliveries
            .iter()
            .map(|delivery| attended.late(delivery))
            .collect(),
    )?;
    let with = latency(attended.probes)?;
    let without = latency(without)?;
    let per_socket = with_kb.saturating_sub(before_kb) as f64 / SUBSCRIBERS as f64;
    let who = format!(
        "{SUBSCRIBERS} subscribers, {EVENTS_A_SECOND} events a second, {} s",
        bench.scale.paced.as_secs()
    );
    Ok(vec![
        Measurement::value(format!("{who}: lost"), 0.0, "", Bound::AtMost(0.0))
            .between(format!("{total} deliveries, each in order"), ""),
        Measurement::value(
            format!("{who}: p99 from answer to delivery"),
            delivery.p99 / 1e6,
            "ms",
            Bound::AtMost(30.0),
        )
        .between(
            format!("p50 {}, p99 {}", Nanos(delivery.p50), Nanos(delivery.p99)),
            "",
        ),
        Measurement::value(
            format!("{who}: memory a socket"),
            per_socket,
            "kB",
            Bound::AtMost(30.0),
        )
        .between(
            format!("{with_kb} kB resident"),
            format!("without: {before_kb} kB"),
        ),
        Measurement::value(
            format!("{who}: append to another session, p50"),
            with.p50 / without.p50,
            "",
            Bound::AtMost(1.3),
        )
        .between(
            Nanos(with.p50),
            format!("without subscribers: {}", Nanos(without.p50)),
        ),
    ])
}

impl Act {
    fn late(&self, delivery: &Delivery) -> u64 {
        delivery
            .at
            .saturating_duration_since(self.answered[delivery.mark])
            .as_nanos() as u64
    }
}

fn latency(mut samples: Vec<u64>) -> Result<Latency> {
    Latency::of(&mut samples).ok_or_else(|| anyhow!("nothing was sampled"))
}

/// Both clients for this long.
fn play(address: &Address, length: Duration) -> Result<Act> {
    thread::scope(|scope| {
        let probing = scope.spawn(|| {
            let mut caller = Caller::connect(address, http::answer)?;
            let request = sessions::append_to(OTHER);
            paced(PROBES_A_SECOND, length, |_| {
                let sent = Instant::now();
                caller.call(&request)?;
                Ok(sent.elapsed().as_nanos() as u64)
            })
        });
        let mut caller = Caller::connect(address, http::answer)?;
        let path = format!("/api/actions/{STAGE}");
        let answered = paced(EVENTS_A_SECOND, length, |mark| {
            caller.call(&http::post(&path, &action::marked(mark)))?;
            Ok(Instant::now())
        })?;
        let probes = probing
            .join()
            .map_err(|_| anyhow!("the probing thread panicked"))??;
        Ok(Act { answered, probes })
    })
}

/// Does something so many times a second; what is late is done at once, nothing is left out.
fn paced<T>(
    a_second: u32,
    length: Duration,
    mut act: impl FnMut(usize) -> Result<T>,
) -> Result<Vec<T>> {
    let start = Instant::now();
    let times = length.as_secs() as u32 * a_second;
    (0..times)
        .map(|index| {
            let due = start + Duration::from_secs(1) * index / a_second;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            act(index as usize)
        })
        .collect()
}
