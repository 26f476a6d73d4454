//! Single appends, synced: beside a handler that stores nothing, and beside the peers.

use anyhow::Result;

use super::sessions;
use crate::bench::{Bench, SESSIONS};
use crate::measurement::{Bound, Measurement, Outcome};
use crate::peers::Peer;
use crate::process::Sync;
use crate::side::{Side, interleave_all};

const PEERS: [(Peer, Bound); 3] = [
    (Peer::Redis, Bound::AtLeast(0.8)),
    (Peer::Postgres, Bound::AtLeast(2.0)),
    (Peer::Nats, Bound::Open),
];

/// All lanes at this number of connections.
pub(crate) fn measure(bench: &Bench, connections: usize) -> Result<Vec<Measurement>> {
    let service = bench.launch.start("append", Sync::Always)?;
    sessions::create_all(service.address())?;
    let bare = bench.launch.bare("baseline")?;
    let mut lanes = vec![
        Side::load("append", sessions::appends(service.address(), connections)),
        Side::load(
            "bare handler",
            sessions::appends(&bare.address, connections),
        ),
    ];
    for (peer, _) in PEERS {
        if let Some(address) = bench.peer(peer) {
            lanes.push(Side::new(peer.name(), move |window| {
                peer.run(address, SESSIONS, connections, window)
            }));
        }
    }
    let mut summaries = interleave_all(bench, lanes)?.into_iter();
    let mut next = || {
        summaries
            .next()
            .ok_or_else(|| anyhow::anyhow!("a lane without a summary"))
    };
    let ours = next()?;
    let bare = next()?;
    let work = format!("append, `always`, {connections} connections, {SESSIONS} sessions");
    let mut measurements = vec![Measurement::rates(
        &work,
        &ours,
        ("bare handler", &bare),
        Bound::AtLeast(0.45),
    )];
    for (peer, bound) in PEERS {
        measurements.push(if bench.peer(peer).is_some() {
            Measurement::rates(&work, &ours, (peer.name(), &next()?), bound)
        } else {
            Measurement::absent(
                &work,
                Outcome::NotMeasured(format!("{} is absent", peer.name())),
            )
        });
    }
    Ok(measurements)
}
