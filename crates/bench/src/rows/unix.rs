//! The same service by its two doors: the Unix socket and loopback TCP.

use anyhow::Result;

use super::sessions;
use crate::bench::Bench;
use crate::measurement::{Bound, Measurement};
use crate::process::Sync;
use crate::side::{Side, interleave};
use crate::stream::Address;

/// Both doors in turns: many connections, then one.
pub(crate) fn measure(bench: &Bench) -> Result<Vec<Measurement>> {
    let service = bench.launch.start("unix", Sync::Always)?;
    sessions::create_all(service.address())?;
    let socket = Address::Unix(service.socket.clone());
    let [unix, tcp, lone_unix, lone_tcp] = interleave(
        bench,
        [
            Side::load("Unix socket", sessions::appends(&socket, 64)),
            Side::load("TCP", sessions::appends(service.address(), 64)),
            Side::load("Unix socket, 1 connection", sessions::appends(&socket, 1)),
            Side::load("TCP, 1 connection", sessions::appends(service.address(), 1)),
        ],
    )?;
    let work = |connections| format!("append over the Unix socket, `always`, {connections}");
    Ok(vec![
        Measurement::rates(work("64 connections"), &unix, ("TCP", &tcp), Bound::Open),
        Measurement::latencies(
            work("1 connection"),
            &lone_unix,
            ("TCP", &lone_tcp),
            Bound::Open,
        ),
    ])
}
