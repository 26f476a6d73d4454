//! One subscriber: every marked event exactly once, in order, or it fails.

use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::frame::{self, Kind};
use crate::action::{MARK_DIGITS, MARK_KEY};
use crate::dialect::http;
use crate::stream::{Address, Duplex};

/// Enough for some forty events in one read.
const BUFFER: usize = 16 * 1024;

/// An event that a subscriber was shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delivery {
    pub(crate) mark: usize,
    pub(crate) at: Instant,
}

/// An open socket, past the service's first frame.
pub(crate) struct Subscriber {
    stream: Box<dyn Duplex>,
    received: Vec<u8>,
    /// The mark of the next event.
    next: usize,
}

impl Subscriber {
    /// Opens the socket and waits for the frame that says that it is subscribed.
    pub(crate) async fn connect(address: &Address, session: &str) -> Result<Self> {
        let mut stream = address.connect().await?;
        stream
            .write_all(frame::handshake(session).as_bytes())
            .await?;
        let mut subscriber = Self {
            stream,
            received: Vec::with_capacity(BUFFER),
            next: 0,
        };
        subscriber.switch_protocols().await?;
        loop {
            if let Some(first) = frame::read(&subscriber.received)? {
                let is_connected = memmem::find(first.payload, br#""connected""#).is_some();
                ensure!(
                    is_connected,
                    "the first frame is {}",
                    String::from_utf8_lossy(first.payload)
                );
                let end = first.end;
                subscriber.received.drain(..end);
                return Ok(subscriber);
            }
            subscriber.fill().await?;
        }
    }

    async fn switch_protocols(&mut self) -> Result<()> {
        loop {
            if let Some((head, _)) = http::split(&self.received) {
                ensure!(
                    head.starts_with(b"HTTP/1.1 101"),
                    "refused: {}",
                    String::from_utf8_lossy(head)
                );
                let end = head.len();
                self.received.drain(..end);
                return Ok(());
            }
            self.fill().await?;
        }
    }

    /// Waits for the next read's worth of events and hands each to `seen`.
    pub(crate) async fn read(&mut self, mut seen: impl FnMut(Delivery)) -> Result<()> {
        self.fill().await?;
        let at = Instant::now();
        let mut used = 0;
        while let Some(frame) = frame::read(&self.received[used..])? {
            used += frame.end;
            match frame.kind {
                Kind::Data => {
                    let Some(mark) = mark(frame.payload)? else {
                        continue;
                    };
                    ensure!(
                        mark == self.next,
                        "shown event {mark} when {} was next",
                        self.next
                    );
                    self.next += 1;
                    seen(Delivery { mark, at });
                }
                Kind::Ping => self.stream.write_all(&frame::pong(frame.payload)).await?,
                Kind::Pong => {}
                Kind::Close => {
                    bail!(
                        "the server closed the socket: {}",
                        String::from_utf8_lossy(frame.payload)
                    )
                }
            }
        }
        self.received.drain(..used);
        Ok(())
    }

    async fn fill(&mut self) -> Result<()> {
        let count = self.stream.read_buf(&mut self.received).await?;
        ensure!(count > 0, "the server closed the connection");
        Ok(())
    }
}

/// The number that an action bears; other events have none.
fn mark(event: &[u8]) -> Result<Option<usize>> {
    let Some(at) = memmem::find(event, MARK_KEY) else {
        return Ok(None);
    };
    let start = at + MARK_KEY.len();
    let digits = event
        .get(start..start + MARK_DIGITS)
        .context("a mark without digits")?;
    Ok(Some(std::str::from_utf8(digits)?.parse()?))
}
