//! Notifies an event loop from the delivery thread through a pipe: the loop watches one end like
//! any other file.
//!
//! The delivery thread never enters the interpreter. So it never waits for a busy interpreter,
//! touches no Python object, and is not affected by the interpreter's shutdown, which before Python
//! 3.14 kills any thread that requests the interpreter. The thread leaves only the number of a
//! waiter here; Python knows which waiter it is.

use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;

/// One an event loop.
#[pyclass(frozen, module = "hook_agent._native")]
pub(crate) struct Mailbox(Arc<Inner>);

/// Both ends stay open as long as anyone may write: writing to a pipe without a reader would raise
/// a signal.
struct Inner {
    waiting: Mutex<Vec<u64>>,
    reader: PipeReader,
    writer: PipeWriter,
}

/// A waiter's number, to be posted once the answer is there.
pub(crate) struct Letter {
    mailbox: Arc<Inner>,
    number: u64,
}

#[pymethods]
impl Mailbox {
    #[new]
    fn new() -> PyResult<Self> {
        let (reader, writer) = pipe()?;
        Ok(Self(Arc::new(Inner { waiting: Mutex::default(), reader, writer })))
    }

    /// Readable whenever something has come.
    fn fileno(&self) -> i32 {
        self.0.reader.as_raw_fd()
    }

    /// What has come. Only called when the pipe is readable, so that it never blocks.
    fn take(&self) -> PyResult<Vec<u64>> {
        (&self.0.reader).read_exact(&mut [0])?;
        Ok(std::mem::take(&mut *self.0.lock()))
    }
}

impl Mailbox {
    pub(crate) fn letter(&self, number: u64) -> Letter {
        Letter { mailbox: Arc::clone(&self.0), number }
    }
}

impl Letter {
    /// Posts the number, on any thread. Writes one byte for all numbers until they are read, so
    /// that the pipe is never full.
    pub(crate) fn post(self) {
        let mut waiting = self.mailbox.lock();
        waiting.push(self.number);
        if waiting.len() == 1 {
            // Cannot fail: the reader is open, and the pipe is empty.
            let _ = (&self.mailbox.writer).write_all(&[0]);
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Vec<u64>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
