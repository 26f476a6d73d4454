//! Clients that dawdle: heads and bodies that come byte by byte, each over a connection of its own.

use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Result, anyhow};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::oneshot;
use tokio::task::{JoinSet, LocalSet};

use crate::dialect::http;
use crate::stream::{Address, Duplex};

/// All of them, on a thread of their own.
pub(crate) struct SlowClients {
    thread: JoinHandle<Result<()>>,
    dismiss: oneshot::Sender<()>,
}

impl SlowClients {
    /// Returns when each has begun; each sends a byte so often. One that is thrown out comes again.
    pub(crate) fn connect(address: &Address, count: usize, pace: Duration) -> Result<Self> {
        let (dismiss, dismissed) = oneshot::channel();
        let (seated, all_seated) = mpsc::channel();
        let address = address.clone();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            LocalSet::new().block_on(&runtime, async move {
                let mut tasks = JoinSet::new();
                for index in 0..count {
                    let stream = begin(&address, index).await?;
                    tasks.spawn_local(dawdle(stream, address.clone(), index, pace));
                }
                seated.send(()).ok();
                dismissed.await.ok();
                Ok(())
            })
        });
        let slow_clients = Self { thread, dismiss };
        match all_seated.recv() {
            Ok(()) => Ok(slow_clients),
            Err(_) => Err(slow_clients
                .dismiss()
                .err()
                .unwrap_or_else(|| anyhow!("the dawdlers left"))),
        }
    }

    /// Closes all connections.
    pub(crate) fn dismiss(self) -> Result<()> {
        self.dismiss.send(()).ok();
        self.thread
            .join()
            .map_err(|_| anyhow!("the dawdlers' thread panicked"))?
    }
}

/// What is sent at once: nothing of a head, or all of it before a body.
fn start(index: usize) -> Vec<u8> {
    if index.is_multiple_of(2) {
        Vec::new()
    } else {
        http::post("/api/actions/dawdled", &" ".repeat(9000))
    }
}

async fn begin(address: &Address, index: usize) -> Result<Box<dyn Duplex>> {
    let mut stream = address.connect().await?;
    let whole = start(index);
    let head = http::split(&whole).map_or(&whole[..], |(head, _)| head);
    stream.write_all(head).await?;
    Ok(stream)
}

async fn dawdle(mut stream: Box<dyn Duplex>, address: Address, index: usize, pace: Duration) {
    let head = http::get(&format!("/{}", "x".repeat(9000)));
    loop {
        for byte in head.chunks(1) {
            let byte = if index.is_multiple_of(2) { byte } else { b" " };
            if stream.write_all(byte).await.is_err() {
                break;
            }
            tokio::time::sleep(pace).await;
        }
        match begin(&address, index).await {
            Ok(again) => stream = again,
            Err(_) => tokio::time::sleep(pace).await,
        }
    }
}
