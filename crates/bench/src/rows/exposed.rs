//! Appends while the service is beset: ten thousand idle sockets, and clients that dawdle over
//! their requests.
//!
//! Both lanes put the same load on the same service. For one of them the crowd comes first, and is
//! gone again before the other's turn.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::sessions;
use crate::bench::Bench;
use crate::caller::Caller;
use crate::dialect::http;
use crate::live::audience::Audience;
use crate::live::slow_clients::SlowClients;
use crate::measurement::{Bound, Measurement};
use crate::process::Sync;
use crate::side::{Side, interleave};
use crate::stream::{Address, PATIENCE};

const CONNECTIONS: usize = 64;
const SOCKETS: usize = 10_000;
const SLOW_CLIENTS: usize = 500;
/// How often each of them sends a byte.
const PACE: Duration = Duration::from_millis(500);
const IDLE: &str = "idle";
/// What is to be left of the rate.
const LEAST: f64 = 0.8;

/// Measures both lanes in turns.
pub(crate) fn measure(bench: &Bench) -> Result<Vec<Measurement>> {
    let service = bench.launch.start("exposed", Sync::Always)?;
    let address = service.address();
    sessions::create_all(address)?;
    sessions::create(&mut Caller::connect(address, http::answer)?, IDLE)?;
    let load = sessions::appends(address, CONNECTIONS).watching(&service.process);
    let beset = |window| {
        let audience = Audience::connect(address, IDLE, SOCKETS)?;
        let slow_clients = SlowClients::connect(address, SLOW_CLIENTS, PACE)?;
        let run = load.run(window);
        let there = sockets(address);
        slow_clients.dismiss()?;
        audience.dismiss()?;
        gone(address)?;
        ensure!(there? >= SOCKETS, "some of the idle sockets went");
        run
    };
    let [alone, beset] = interleave(
        bench,
        [Side::load("alone", load.clone()), Side::new("beset", beset)],
    )?;
    let work = format!(
        "append, `always`, {CONNECTIONS} connections, beside {SOCKETS} idle sockets and {SLOW_CLIENTS} dawdlers"
    );
    let cost = format!("{work}: processor time");
    Ok(vec![
        Measurement::rates(work, &beset, ("alone", &alone), Bound::AtLeast(LEAST)),
        Measurement::costs(cost, &beset, ("alone", &alone), Bound::Open),
    ])
}

/// Waits until the service has let go of the crowd.
fn gone(address: &Address) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while sockets(address)? > 0 {
        ensure!(Instant::now() < deadline, "the sockets are still there");
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// How many the service says that it has.
fn sockets(address: &Address) -> Result<usize> {
    let answer = Caller::connect(address, http::answer)?.call(&http::get("/health"))?;
    let health: serde_json::Value = serde_json::from_slice(&http::body(&answer)?)?;
    Ok(health["websocket"]["totalConnections"]
        .as_u64()
        .unwrap_or(0) as usize)
}
