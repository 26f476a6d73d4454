//! The receipt that a native call returns, from which its answer is read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hook_agent::sync::Mutex;
use hook_agent::{Answer, Error};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::error::exception;
use crate::loop_notifier::LoopNotifier;
use crate::reply_slot::{ReplySlot, Settled};

/// How often a blocked thread checks for signals.
const LOOK: Duration = Duration::from_millis(50);

/// The receipt of a write that is in the spool, or of a question that is under way. Nothing in it
/// calls Python code.
#[pyclass(frozen, module = "hook_agent._native")]
pub(crate) struct Receipt {
    pid: u32,
    stage: Mutex<Stage>,
}

enum Stage {
    /// Nobody has asked for the answer yet.
    Fresh(Option<hook_agent::Ticket>),
    Asked(Arc<ReplySlot>),
}

#[pymethods]
impl Receipt {
    /// The answer's JSON text once it is there; raises what it failed with.
    fn settled<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyString>>> {
        self.slot()
            .settled()
            .map(|settled| result_of(py, settled))
            .transpose()
    }

    /// Sends this number to the notifier when the answer arrives; returns false if it is there already.
    fn notify(&self, notifier: &LoopNotifier, number: u64) -> bool {
        self.slot().add_waiter(notifier.waiter(number))
    }

    /// Blocks until the answer, at most so many seconds; the interpreter is free meanwhile, and
    /// signals are heard.
    fn wait<'py>(&self, py: Python<'py>, timeout: f64) -> PyResult<Bound<'py, PyString>> {
        let timeout = seconds(timeout);
        let until = Instant::now() + timeout;
        let slot = self.slot();
        loop {
            let look = until.min(Instant::now() + LOOK);
            if let Some(settled) = py.detach(|| slot.wait_until(look)) {
                return result_of(py, settled);
            }
            py.check_signals()?;
            if Instant::now() >= until {
                return Err(exception(
                    py,
                    &Error::Timeout {
                        millis: timeout.as_millis(),
                    },
                ));
            }
        }
    }
}

impl Receipt {
    pub(crate) fn new(fresh: hook_agent::Ticket) -> Self {
        Self::at(Stage::Fresh(Some(fresh)))
    }

    /// Returns a receipt whose answer arrives in this slot.
    pub(crate) fn of(slot: Arc<ReplySlot>) -> Self {
        Self::at(Stage::Asked(slot))
    }

    fn at(stage: Stage) -> Self {
        Self {
            pid: std::process::id(),
            stage: Mutex::new(stage),
        }
    }

    /// Returns the slot for the answer. The first call registers for the answer, which wakes the
    /// delivery.
    fn slot(&self) -> Arc<ReplySlot> {
        if self.pid != std::process::id() {
            return Arc::new(ReplySlot::queued());
        }
        let mut stage = self.stage.lock();
        let fresh = match &mut *stage {
            Stage::Asked(slot) => return Arc::clone(slot),
            Stage::Fresh(fresh) => fresh.take(),
        };
        let slot = Arc::new(ReplySlot::default());
        *stage = Stage::Asked(Arc::clone(&slot));
        drop(stage);
        if let Some(fresh) = fresh {
            let filled = Arc::clone(&slot);
            fresh.on_done(move |answer| filled.fill(answer.map(Answer::into_json)));
        }
        slot
    }
}

fn result_of(py: Python<'_>, settled: Settled) -> PyResult<Bound<'_, PyString>> {
    settled
        .map(|json| PyString::new(py, &json))
        .map_err(|error| exception(py, &error))
}

/// Converts a timeout from Python. A value out of range is clamped.
pub(crate) fn seconds(given: f64) -> Duration {
    const LONGEST: Duration = Duration::from_hours(24 * 365);
    if given > 0.0 {
        Duration::try_from_secs_f64(given)
            .unwrap_or(LONGEST)
            .min(LONGEST)
    } else {
        Duration::ZERO
    }
}
