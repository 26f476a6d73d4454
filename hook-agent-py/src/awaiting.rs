//! One `await` of a ticket, as the event loop drives it.

use std::sync::{Arc, Mutex, PoisonError};

use pyo3::exceptions::PyStopIteration;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyTuple;

use crate::cell::{Cell, Settled};
use crate::error::exception;
use crate::mailbox::{Letter, Mailbox};

/// Yields a future of the running loop until the answer is there, then returns it.
#[pyclass(frozen, module = "hook_agent._native")]
pub(crate) struct Awaiting {
    cell: Arc<Cell>,
    /// The future's own iterator, once it is awaited.
    future: Mutex<Option<Py<PyAny>>>,
}

#[pymethods]
impl Awaiting {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let started = self.started(py);
        if let Some(settled) = self.cell.settled() {
            return Err(returned(py, settled));
        }
        let future = match started {
            Some(future) => future,
            None => self.start(py)?,
        };
        let stepped = future.call_method1(py, "send", (py.None(),));
        match (stepped, self.cell.settled()) {
            (Err(error), Some(settled)) if error.is_instance_of::<PyStopIteration>(py) => {
                Err(returned(py, settled))
            }
            (stepped, _) => stepped,
        }
    }

    /// What a coroutine has; nothing but `None` is ever sent by a loop.
    fn send(&self, py: Python<'_>, _value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.__next__(py)
    }

    /// Ends this await with an exception, a cancellation most often. The record is delivered all the same.
    #[pyo3(signature = (*exception))]
    fn throw(&self, py: Python<'_>, exception: &Bound<'_, PyTuple>) -> PyResult<Py<PyAny>> {
        let future = match self.started(py) {
            Some(future) => future,
            None => self.start(py)?,
        };
        future.call_method1(py, "throw", exception)
    }

    /// Ends this await without a word.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        match self.started(py) {
            Some(future) => future.call_method0(py, "close").map(drop),
            None => Ok(()),
        }
    }
}

impl Awaiting {
    pub(crate) fn new(cell: Arc<Cell>) -> Self {
        Self { cell, future: Mutex::new(None) }
    }

    fn started(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let future = self.future.lock().unwrap_or_else(PoisonError::into_inner);
        future.as_ref().map(|future| future.clone_ref(py))
    }

    /// Makes a future of the running loop and has it completed at the answer.
    fn start(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        static LISTEN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let listen = LISTEN.import(py, "hook_agent._loops", "listen")?;
        let (future, mailbox): (Bound<'_, PyAny>, Py<Mailbox>) = listen.call0()?.extract()?;
        let iterator = future.call_method0("__await__")?.unbind();
        if let Some(letter) = self.cell.leave(Letter::new(mailbox, future.unbind())) {
            letter.post();
        }
        let mut place = self.future.lock().unwrap_or_else(PoisonError::into_inner);
        *place = Some(iterator.clone_ref(py));
        Ok(iterator)
    }
}

/// What a coroutine's return looks like from outside: a `StopIteration`, or the exception.
fn returned(py: Python<'_>, settled: Settled) -> PyErr {
    match value(py, settled) {
        Ok(value) => PyStopIteration::new_err((value,)),
        Err(error) => error,
    }
}

/// An answer as Python's value.
pub(crate) fn value(py: Python<'_>, settled: Settled) -> PyResult<Py<PyAny>> {
    static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    match settled {
        Ok(json) => Ok(LOADS.import(py, "json", "loads")?.call1((&*json,))?.unbind()),
        Err(error) => Err(exception(py, &error)),
    }
}
