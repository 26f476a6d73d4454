//! What a call returns: to be dropped, awaited, or waited for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hook_agent::{Answer, Error};
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};

use crate::awaiting::{Awaiting, value};
use crate::cell::Cell;
use crate::error::exception;

/// How often a thread that blocks looks for signals.
const LOOK: Duration = Duration::from_millis(50);

/// The receipt of a write that is in the spool, or of a question that is under way.
///
/// It has a coroutine's methods, as `asyncio` takes nothing else for a task; unlike one it has begun already, may be
/// dropped without a warning, and may be awaited more than once.
#[pyclass(frozen, module = "hook_agent._native")]
pub(crate) struct Ticket {
    pid: u32,
    stage: Mutex<Stage>,
}

struct Stage {
    /// Until somebody asks for the answer.
    fresh: Option<hook_agent::Ticket>,
    cell: Option<Arc<Cell>>,
    /// The await that `send` drives, when this is used as a coroutine.
    awaiting: Option<Py<Awaiting>>,
}

#[pymethods]
impl Ticket {
    /// `Ticket[bool]` in an annotation.
    #[classmethod]
    fn __class_getitem__(class: Py<PyType>, _of: &Bound<'_, PyAny>) -> Py<PyType> {
        class
    }

    fn __await__(&self) -> Awaiting {
        Awaiting::new(self.cell())
    }

    fn send(&self, py: Python<'_>, _value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.awaiting(py)?.call_method0(py, "__next__")
    }

    #[pyo3(signature = (*exception))]
    fn throw(&self, py: Python<'_>, exception: &Bound<'_, PyTuple>) -> PyResult<Py<PyAny>> {
        self.awaiting(py)?.call_method1(py, "throw", exception)
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let awaiting = self.lock().awaiting.take();
        awaiting.map_or(Ok(()), |awaiting| awaiting.call_method0(py, "close").map(drop))
    }

    /// Blocks until the answer, at most so many seconds; the interpreter is free meanwhile, and signals are heard.
    fn wait(&self, py: Python<'_>, timeout: f64) -> PyResult<Py<PyAny>> {
        let timeout = seconds(timeout);
        let until = Instant::now() + timeout;
        let cell = self.cell();
        loop {
            let look = until.min(Instant::now() + LOOK);
            if let Some(settled) = py.detach(|| cell.wait_until(look)) {
                return value(py, settled);
            }
            py.check_signals()?;
            if Instant::now() >= until {
                return Err(exception(py, &Error::Timeout { millis: timeout.as_millis() }));
            }
        }
    }
}

impl Ticket {
    pub(crate) fn new(fresh: hook_agent::Ticket) -> Self {
        Self::at(Stage { fresh: Some(fresh), cell: None, awaiting: None })
    }

    /// For what is answered elsewhere.
    pub(crate) fn of(cell: Arc<Cell>) -> Self {
        Self::at(Stage { fresh: None, cell: Some(cell), awaiting: None })
    }

    fn at(stage: Stage) -> Self {
        Self { pid: std::process::id(), stage: Mutex::new(stage) }
    }

    /// Where the answer arrives; asked for at the first await, which makes the delivery hurry.
    fn cell(&self) -> Arc<Cell> {
        if self.pid != std::process::id() {
            return Arc::new(Cell::queued());
        }
        let mut stage = self.lock();
        let cell = Arc::clone(stage.cell.get_or_insert_default());
        let fresh = stage.fresh.take();
        drop(stage);
        if let Some(fresh) = fresh {
            let filled = Arc::clone(&cell);
            fresh.on_done(move |answer| filled.fill(answer.map(Answer::into_json)));
        }
        cell
    }

    fn awaiting(&self, py: Python<'_>) -> PyResult<Py<Awaiting>> {
        if let Some(awaiting) = &self.lock().awaiting {
            return Ok(awaiting.clone_ref(py));
        }
        let awaiting = Py::new(py, self.__await__())?;
        self.lock().awaiting = Some(awaiting.clone_ref(py));
        Ok(awaiting)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A time-out as Python gives it; what is out of range is brought back into it.
pub(crate) fn seconds(given: f64) -> Duration {
    const LONGEST: Duration = Duration::from_hours(24 * 365);
    if given > 0.0 {
        Duration::try_from_secs_f64(given).unwrap_or(LONGEST).min(LONGEST)
    } else {
        Duration::ZERO
    }
}
