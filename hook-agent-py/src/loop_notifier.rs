//! Notifies an event loop from the delivery thread through a pipe: the loop watches one end like
//! any other file.
//!
//! The delivery thread never enters the interpreter. So it never waits for a busy interpreter,
//! touches no Python object, and is not affected by the interpreter's shutdown, which before Python
//! 3.14 kills any thread that requests the interpreter. The thread stores only the number of a
//! waiter here; Python knows which waiter it is.

use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use hook_agent::sync::Mutex;
use pyo3::prelude::*;

/// The notifier of one event loop.
#[pyclass(frozen, module = "hook_agent._native")]
pub(crate) struct LoopNotifier(Arc<Inner>);

/// Both ends stay open as long as a thread may write: writing to a pipe without a reader would raise
/// a signal.
struct Inner {
    waiting: Mutex<Vec<u64>>,
    reader: PipeReader,
    writer: PipeWriter,
}

/// A coroutine or greenlet that waits for an answer: its number, and where to send it.
pub(crate) struct Waiter {
    notifier: Arc<Inner>,
    number: u64,
}

#[pymethods]
impl LoopNotifier {
    #[new]
    fn new() -> PyResult<Self> {
        let (reader, writer) = pipe()?;
        Ok(Self(Arc::new(Inner {
            waiting: Mutex::default(),
            reader,
            writer,
        })))
    }

    /// Returns the file that is readable while there are numbers.
    fn fileno(&self) -> i32 {
        self.0.reader.as_raw_fd()
    }

    /// Returns the numbers of the waiters whose answers have arrived. Only called when the pipe is
    /// readable, so that it never blocks.
    fn take(&self) -> PyResult<Vec<u64>> {
        (&self.0.reader).read_exact(&mut [0])?;
        Ok(std::mem::take(&mut *self.0.waiting.lock()))
    }
}

impl LoopNotifier {
    pub(crate) fn waiter(&self, number: u64) -> Waiter {
        Waiter {
            notifier: Arc::clone(&self.0),
            number,
        }
    }
}

impl Waiter {
    /// that the pipe is never full.
    pub(crate) fn notify(self) {
        let mut waiting = self.notifier.waiting.lock();
        waiting.push(self.number);
        if waiting.len() == 1 {
            // Cannot fail: the reader is open, and the pipe is empty.
            let _ = (&self.notifier.writer).write_all(&[0]);
        }
    }
}
