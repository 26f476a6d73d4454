//! Deliveries a second when events come as fast as a thousand subscribers take them.
//!
//! One client posts; it waits while the subscribers together have more than [`AHEAD`] events each
//! to come. So the load is as much as is taken, for the service and for the bare broadcast alike,
//! and nothing may be lost.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::sessions;
use crate::action;
use crate::bench::Bench;
use crate::caller::Caller;
use crate::closed_loop::Window;
use crate::dialect::http;
use crate::live::audience::Audience;
use crate::measurement::{Bound, Measurement};
use crate::process::Sync;
use crate::sample::Run;
use crate::side::{Side, interleave};
use crate::stream::{Address, PATIENCE};

const SUBSCRIBERS: usize = 1_000;
/// Events that the mean subscriber may be behind.
const AHEAD: usize = 64;

/// The service and the bare broadcast in turns.
pub(crate) fn measure(bench: &Bench) -> Result<Vec<Measurement>> {
    let service = bench.launch.start("live-full", Sync::Always)?;
    let bare = bench.launch.bare("ws-baseline")?;
    let mut acts = 0;
    let bench = bench.at_full_speed();
    let [ours, bare] = interleave(
        &bench,
        [
            Side::new("deliveries", |window| {
                acts += 1;
                let session = format!("stage-{acts}");
                sessions::create(
                    &mut Caller::connect(service.address(), http::answer)?,
                    &session,
                )?;
                deliveries(service.address(), &session, window)
            }),
            Side::new("bare broadcast", |window| {
                deliveries(&bare.address, "stage", window)
            }),
        ],
    )?;
    let work = format!("{SUBSCRIBERS} subscribers, full speed, none lost: deliveries a second");
    Ok(vec![Measurement::rates(
        work,
        &ours,
        ("bare actix-ws broadcast", &bare),
        Bound::AtLeast(0.8),
    )])
}

fn deliveries(address: &Address, session: &str, window: Window) -> Result<Run> {
    let audience = Audience::connect(address, session, SUBSCRIBERS)?;
    let mut caller = Caller::connect(address, http::answer)?;
    let path = format!("/api/actions/{session}");
    let begin = Instant::now() + window.warm_up;
    let mut posted = 0;
    let mut counted = None;
    while begin.elapsed() < window.measured && !audience.has_failed() {
        if Instant::now() >= begin {
            counted.get_or_insert((audience.deliveries(), Instant::now()));
        }
        if posted * SUBSCRIBERS < audience.deliveries() + AHEAD * SUBSCRIBERS {
            caller.call(&http::post(&path, &action::marked(posted)))?;
            posted += 1;
        } else {
            thread::sleep(Duration::from_micros(200));
        }
    }
    let (before, since) = counted.unwrap_or((0, begin));
    let rate = (audience.deliveries() - before) as f64 / since.elapsed().as_secs_f64();
    let seen = audience.wait_for(posted * SUBSCRIBERS, PATIENCE)?;
    ensure!(!seen.is_empty(), "nothing was delivered");
    Ok(Run {
        rate,
        latency: None,
        cpu: None,
    })
}
