//! The same service by its two doors: the Unix socket and loopback TCP.

use anyhow::Result;

use super::sessions;
use crate::bench::Bench;
use crate::figure::{Bound, Figure};
use crate::lane::{Lane, interleave};
use crate::process::Sync;
use crate::stream::Address;

/// Both doors in turns: many connections, then one.
pub(crate) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let service = bench.launch.start("unix", Sync::Always)?;
    sessions::create_all(service.address())?;
    let socket = Address::Unix(service.socket.clone());
    let [unix, tcp, lone_unix, lone_tcp] = interleave(
        bench,
        [
            Lane::load("Unix socket", sessions::appends(&socket, 64)),
            Lane::load("TCP", sessions::appends(service.address(), 64)),
            Lane::load("Unix socket, 1 connection", sessions::appends(&socket, 1)),
            Lane::load("TCP, 1 connection", sessions::appends(service.address(), 1)),
        ],
    )?;
    let work = |connections| format!("append over the Unix socket, `always`, {connections}");
    Ok(vec![
        Figure::rates(work("64 connections"), &unix, ("TCP", &tcp), Bound::Open),
        Figure::latencies(work("1 connection"), &lone_unix, ("TCP", &lone_tcp), Bound::Open),
    ])
}
