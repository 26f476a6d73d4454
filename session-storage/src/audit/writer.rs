//! Writes audit events to the file: requests add to a table, and a thread empties it.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use session_model::Timestamp;

use super::aggregator::{Aggregator, AuditEvent};
use super::file::AuditFiles;
use crate::clock::now;

/// How long events are aggregated before they are written.
const GATHER: Duration = Duration::from_secs(1);

/// The audit log.
pub struct Audit {
    queue: Arc<Queue>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    aggregator: Aggregator,
    closed: bool,
}

impl Audit {
    /// Starts the writer thread, which sleeps until there is something to write.
    pub fn start(files: AuditFiles) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let of_thread = Arc::clone(&queue);
        let thread = std::thread::Builder::new().name("audit".into());
        let writer = thread.spawn(move || of_thread.write_until_closed(&files))?;
        Ok(Self {
            queue,
            writer: Mutex::new(Some(writer)),
        })
    }

    /// Records an event; costs one lookup in a table.
    pub fn note(&self, event: AuditEvent, at: Timestamp, request_id: &str) {
        let mut waiting = self.queue.waiting.lock();
        let first = waiting.aggregator.is_empty();
        waiting.aggregator.add(event, at, request_id);
        drop(waiting);
        if first {
            self.queue.changed.notify_one();
        }
    }

    /// Writes the pending events and stops the thread. Blocks on the disk.
    pub fn close(&self) {
        self.queue.waiting.lock().closed = true;
        self.queue.changed.notify_one();
        if let Some(writer) = self.writer.lock().take()
            && writer.join().is_err()
        {
            tracing::error!("the thread that writes the audit log panicked");
        }
    }
}

/// Writes one event immediately, for processes that are about to exit.
pub fn write_now(files: &AuditFiles, event: AuditEvent, at: Timestamp) -> std::io::Result<()> {
    let (line, ..) = Aggregator::of(event, at, "").lines(at);
    files.append(&line)
}

impl Queue {
    fn write_until_closed(&self, files: &AuditFiles) {
        loop {
            let mut waiting = self.waiting.lock();
            while waiting.aggregator.is_empty() && !waiting.closed {
                self.changed.wait(&mut waiting);
            }
            // Aggregates further events for the whole interval; only a shutdown ends the wait
            // early.
            self.changed
                .wait_while_for(&mut waiting, |waiting| !waiting.closed, GATHER);
            let aggregator = std::mem::take(&mut waiting.aggregator);
            let closed = waiting.closed;
            drop(waiting);
            self.write(files, aggregator);
            if closed {
                return;
            }
        }
    }

    fn write(&self, files: &AuditFiles, aggregator: Aggregator) {
        if aggregator.is_empty() {
            return;
        }
        let (lines, count, dropped) = aggregator.lines(now());
        if dropped > 0 {
            tracing::warn!(dropped, "lines of the audit log were dropped");
        }
        if let Err(error) = files.append(&lines) {
            tracing::error!(%error, path = %files.dir.display(), lines = count, "failed to write the audit log");
            self.waiting.lock().aggregator.drop_lines(count + dropped);
        }
    }
}
