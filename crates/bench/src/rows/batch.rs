//! Batches: records a second when a client sends a hundred at once.

use anyhow::Result;

use super::sessions;
use crate::bench::{Bench, SESSIONS};
use crate::measurement::{Bound, Measurement, Outcome};
use crate::peers::Peer;
use crate::process::Sync;
use crate::sample::Run;
use crate::side::{Side, interleave};

const RECORDS: usize = 100;
const CONNECTIONS: usize = 64;

/// Batches, single appends and Redis in turns.
pub(crate) fn measure(bench: &Bench) -> Result<Vec<Measurement>> {
    let service = bench.launch.start("batch", Sync::Always)?;
    sessions::create_all(service.address())?;
    let batches = sessions::batches(service.address(), CONNECTIONS, RECORDS);
    let redis = bench.peer(Peer::Redis);
    let [batched, single, peer] = interleave(
        bench,
        [
            Side::new("records in batches", |window| {
                batches.run(window).map(|run| Run {
                    rate: run.rate * RECORDS as f64,
                    ..run
                })
            }),
            Side::load(
                "single appends",
                sessions::appends(service.address(), CONNECTIONS),
            ),
            Side::new(Peer::Redis.name(), |window| match redis {
                Some(address) => Peer::Redis.run(address, SESSIONS, CONNECTIONS, window),
                None => Ok(Run {
                    rate: f64::NAN,
                    latency: None,
                    cpu: None,
                }),
            }),
        ],
    )?;
    let work = format!("records in batches of {RECORDS}, `always`, {CONNECTIONS} connections");
    Ok(vec![
        Measurement::rates(
            &work,
            &batched,
            ("single appends", &single),
            Bound::AtLeast(10.0),
        ),
        match redis {
            Some(_) => Measurement::rates(
                work,
                &batched,
                (Peer::Redis.name(), &peer),
                Bound::AtLeast(5.0),
            ),
            None => Measurement::absent(
                work,
                Outcome::NotMeasured(format!("{} is absent", Peer::Redis.name())),
            ),
        },
    ])
}
