//! Writes audit events to the file: requests add to a table, and a thread empties it.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use session_model::Timestamp;

use super::file::Place;
use super::ledger::{Deed, Ledger};
use crate::clock::now;

/// How long events are aggregated before they are written.
const GATHER: Duration = Duration::from_secs(1);

/// The audit log.
pub struct Audit {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    bell: Condvar,
}

#[derive(Default)]
struct Waiting {
    ledger: Ledger,
    closed: bool,
}

impl Audit {
    /// Starts the writer thread, which sleeps until there is something to write.
    pub fn start(place: Place) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("audit".into());
        let writer = thread.spawn(move || of_thread.write_until_closed(&place))?;
        Ok(Self { shared, writer: Mutex::new(Some(writer)) })
    }

    /// Records an event; costs one lookup in a table.
    pub fn note(&self, deed: Deed, at: Timestamp, request_id: &str) {
        let mut waiting = self.shared.waiting.lock();
        let first = waiting.ledger.is_empty();
        waiting.ledger.add(deed, at, request_id);
        drop(waiting);
        if first {
            self.shared.bell.notify_one();
        }
    }

    /// Writes the pending events and stops the thread. Blocks on the disk.
    pub fn close(&self) {
        self.shared.waiting.lock().closed = true;
        self.shared.bell.notify_one();
        if let Some(writer) = self.writer.lock().take()
            && writer.join().is_err()
        {
            tracing::error!("the writer of the audit log failed");
        }
    }
}

/// Writes one event immediately, for processes that are about to exit.
pub fn write_now(place: &Place, deed: Deed, at: Timestamp) -> std::io::Result<()> {
    let (line, ..) = Ledger::of(deed, at, "").lines(at);
    place.append(&line)
}

impl Shared {
    fn write_until_closed(&self, place: &Place) {
        loop {
            let mut waiting = self.waiting.lock();
            while waiting.ledger.is_empty() && !waiting.closed {
                self.bell.wait(&mut waiting);
            }
            // Aggregates further events for the whole interval; only a shutdown ends the wait
            // early.
            self.bell.wait_while_for(&mut waiting, |waiting| !waiting.closed, GATHER);
            let (ledger, closed) = (std::mem::take(&mut waiting.ledger), waiting.closed);
            drop(waiting);
            self.write(place, ledger);
            if closed {
                return;
            }
        }
    }

    fn write(&self, place: &Place, ledger: Ledger) {
        if ledger.is_empty() {
            return;
        }
        let (lines, count, dropped) = ledger.lines(now());
        if dropped > 0 {
            tracing::warn!(dropped, "lines of the audit log were dropped");
        }
        if let Err(error) = place.append(&lines) {
            tracing::error!(%error, path = %place.dir.display(), lines = count, "the audit log could not be written");
            self.waiting.lock().ledger.drop_lines(count + dropped);
        }
    }
}
