//! From the delivery thread into an event loop, with one wake-up for all that came in the meantime.
//!
//! To wake a loop the delivery thread needs the interpreter, and a busy interpreter hands it over after 5 ms: so the
//! thread asks for it once a batch, not once an answer. A letter is a future of the loop's; delivering it completes
//! the future, and who awaits it then reads the answer where it is.

use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;

/// One a loop and process; called by the loop to deliver what has come.
#[pyclass(frozen, module = "hook_agent._native")]
pub(crate) struct Mailbox {
    pid: u32,
    waiting: Arc<Mutex<Vec<Letter>>>,
}

/// Someone who awaits: their future, and their loop's mailbox.
pub(crate) struct Letter {
    mailbox: Py<Mailbox>,
    future: Py<PyAny>,
}

#[pymethods]
impl Mailbox {
    #[new]
    fn new() -> Self {
        Self { pid: std::process::id(), waiting: Arc::default() }
    }

    /// The process that it was made in: a forked one may not use it.
    #[getter]
    fn pid(&self) -> u32 {
        self.pid
    }

    /// On the loop's thread: completes the futures, but for those that were cancelled meanwhile.
    fn __call__(&self, py: Python<'_>) -> PyResult<()> {
        for letter in take(&self.waiting) {
            let future = letter.future.bind(py);
            if !future.call_method0("done")?.is_truthy()? {
                future.call_method1("set_result", (py.None(),))?;
            }
        }
        Ok(())
    }
}

impl Letter {
    pub(crate) fn new(mailbox: Py<Mailbox>, future: Py<PyAny>) -> Self {
        Self { mailbox, future }
    }

    /// On any thread.
    pub(crate) fn post(self) {
        let waiting = Arc::clone(&self.mailbox.get().waiting);
        let mut queue = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        queue.push(self);
        let is_first = queue.len() == 1;
        drop(queue);
        // Without an interpreter, as at its end, nobody is left to wake.
        if is_first && Python::try_attach(|py| wake(py, &waiting)).is_none() {
            std::mem::forget(waiting);
        }
    }
}

fn wake(py: Python<'_>, waiting: &Mutex<Vec<Letter>>) {
    let queue = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    let first = queue.first().map(|letter| (letter.mailbox.clone_ref(py), letter.future.clone_ref(py)));
    drop(queue);
    let Some((mailbox, future)) = first else { return };
    let told = future
        .call_method0(py, "get_loop")
        .and_then(|running| running.call_method1(py, "call_soon_threadsafe", (mailbox,)));
    if told.is_err() {
        // The loop is closed: those who awaited in it are gone.
        drop(take(waiting));
    }
}

fn take(waiting: &Mutex<Vec<Letter>>) -> Vec<Letter> {
    std::mem::take(&mut *waiting.lock().unwrap_or_else(PoisonError::into_inner))
}
