//! The closed loop: so many connections, each sending its next request when the last is answered.
//!
//! All run on the caller's thread. Work counts when its answer arrives within the measured window.

use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::{JoinSet, LocalSet};

use crate::dialect::Dialect;
use crate::process::{Cpu, Process};
use crate::sample::{Latency, Run};
use crate::stream::{Address, Duplex, PATIENCE};

/// How long to run before measuring, and how long to measure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

/// A load that can be put on a server again and again.
#[derive(Clone)]
pub(crate) struct ClosedLoop {
    pub(crate) dialect: Rc<dyn Dialect>,
    pub(crate) address: Address,
    pub(crate) connections: usize,
    /// The server whose processor time is read, if it is.
    pub(crate) watched: Option<Cpu>,
}

impl ClosedLoop {
    /// With the processor time of this server.
    pub(crate) fn watching(self, server: &Process) -> Self {
        Self {
            watched: Some(server.cpu()),
            ..self
        }
    }

    /// Runs once and reports requests a second and how long they took.
    pub(crate) fn run(&self, window: Window) -> Result<Run> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        LocalSet::new().block_on(&runtime, self.drive(window))
    }

    async fn drive(&self, window: Window) -> Result<Run> {
        let mut connections = Vec::new();
        for index in 0..self.connections {
            connections.push(Connection::open(self, index).await?);
        }
        let begin = Instant::now() + window.warm_up;
        let end = begin + window.measured;
        let mut tasks = JoinSet::new();
        for connection in connections {
            tasks.spawn_local(connection.repeat(begin, end));
        }
        let all = tokio::time::timeout(window.warm_up + window.measured + PATIENCE, gather(tasks));
        let (all, spent) = tokio::join!(all, spent(self.watched, begin, end));
        let mut samples =
            all.map_err(|_| anyhow!("no answer within {} s", PATIENCE.as_secs()))??;
        ensure!(
            !samples.is_empty(),
            "nothing was answered within the measured window"
        );
        let rate = samples.len() as f64 / window.measured.as_secs_f64();
        let cpu = spent?.map(|spent| spent.as_secs_f64() / samples.len() as f64);
        Ok(Run {
            rate,
            latency: Latency::of(&mut samples),
            cpu,
        })
    }
}

/// The processor time that a server spends between two moments.
async fn spent(watched: Option<Cpu>, begin: Instant, end: Instant) -> Result<Option<Duration>> {
    let Some(server) = watched else {
        return Ok(None);
    };
    tokio::time::sleep_until(begin.into()).await;
    let before = server.spent()?;
    tokio::time::sleep_until(end.into()).await;
    Ok(Some(server.spent()?.saturating_sub(before)))
}

async fn gather(mut tasks: JoinSet<Result<Vec<u64>>>) -> Result<Vec<u64>> {
    let mut samples = Vec::new();
    while let Some(joined) = tasks.join_next().await {
        samples.append(&mut joined??);
    }
    Ok(samples)
}

struct Connection {
    dialect: Rc<dyn Dialect>,
    stream: Box<dyn Duplex>,
    request: Vec<u8>,
    received: Vec<u8>,
}

impl Connection {
    async fn open(load: &ClosedLoop, index: usize) -> Result<Self> {
        let mut stream = load.address.connect().await.context("failed to connect")?;
        stream.write_all(&load.dialect.greeting(index)).await?;
        let dialect = Rc::clone(&load.dialect);
        let request = dialect.request(index);
        let mut connection = Self {
            dialect,
            stream,
            request,
            received: Vec::with_capacity(64 * 1024),
        };
        let greeted = connection.receive(|dialect, received| dialect.greeted(received));
        tokio::time::timeout(PATIENCE, greeted)
            .await
            .map_err(|_| anyhow!("no answer to the greeting"))??;
        Ok(connection)
    }

    async fn repeat(mut self, begin: Instant, end: Instant) -> Result<Vec<u64>> {
        let mut samples = Vec::new();
        let mut sent = Instant::now();
        while sent < end {
            self.dialect.renew(&mut self.request);
            self.stream.write_all(&self.request).await?;
            self.receive(|dialect, received| dialect.answer(received))
                .await?;
            let answered = Instant::now();
            if answered >= begin && answered < end {
                samples.push((answered - sent).as_nanos() as u64);
            }
            sent = answered;
        }
        Ok(samples)
    }

    async fn receive(
        &mut self,
        complete: impl Fn(&dyn Dialect, &[u8]) -> Result<Option<usize>>,
    ) -> Result<()> {
        loop {
            if let Some(end) = complete(&*self.dialect, &self.received)? {
                self.received.drain(..end);
                return Ok(());
            }
            let count = self.stream.read_buf(&mut self.received).await?;
            ensure!(count > 0, "the server closed the connection");
        }
    }
}
