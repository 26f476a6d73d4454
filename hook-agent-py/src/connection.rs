//! One native agent per set of settings. All Python agents with the same service, spool and token
//! share its thread, its folder and its connection.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hook_agent::{Config, Error, HookAgent, ServiceUrl};
use pyo3::prelude::*;

use crate::receipt::seconds;

type Living = HashMap<String, Arc<Connection>>;

/// The connections by their settings. A connection stays here when its agent is dropped, for the
/// next agent. The lock is held for a few statements only, and always while attached to the
/// interpreter, so that no fork finds it locked.
static LIVING: Mutex<Option<Living>> = Mutex::new(None);

fn living() -> MutexGuard<'static, Option<Living>> {
    LIVING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A native agent, and what its sessions share beside it.
pub(crate) struct Connection {
    pub agent: HookAgent,
    pub user_id: Option<String>,
    /// The id of the process that wrote last: only that process can have anything left to deliver.
    wrote: AtomicU32,
}

impl Connection {
    /// Returns the connection described by the environment and `service_url`, and the session
    /// configured in the environment.
    pub(crate) fn of(service_url: Option<&str>) -> Result<(Arc<Self>, Option<String>), Error> {
        let mut config = Config::from_env()?;
        if let Some(url) = service_url {
            config.service = ServiceUrl::parse(url)?;
        }
        let session = config.session_id.take();
        let settings = config.identity();
        let mut living = living();
        let connection = living.get_or_insert_default().entry(settings).or_insert_with(|| {
            let user_id = config.user_id.clone();
            Arc::new(Self { agent: HookAgent::new(config), user_id, wrote: AtomicU32::new(0) })
        });
        Ok((Arc::clone(connection), session))
    }

    pub(crate) fn writes(&self) {
        self.wrote.store(std::process::id(), Ordering::Relaxed);
    }

    /// Called before `close`. If no other agent uses this connection, removes it from the table, so
    /// that the next agent makes a new one.
    pub(crate) fn let_go(self: &Arc<Self>) {
        if let Some(living) = &mut *living()
            && Arc::strong_count(self) == 2
        {
            living.retain(|_, connection| !Arc::ptr_eq(connection, self));
        }
    }

    /// Delivers what it can. The last agent to close also ends the thread. Returns whether
    /// everything was settled.
    pub(crate) fn close(self: Arc<Self>, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        let flushed = self.wrote.load(Ordering::Relaxed) != std::process::id()
            || self.agent.flush(timeout).unwrap_or(true);
        match Arc::into_inner(self) {
            Some(last) => last.agent.close(until.saturating_duration_since(Instant::now())) && flushed,
            None => flushed,
        }
    }

    /// Reports what a full spool refused, before the process ends.
    fn tell_losses(&self) {
        if self.wrote.load(Ordering::Relaxed) == std::process::id()
            && self.agent.stats().is_ok_and(|stats| stats.refused > 0)
        {
            // A closed agent has already reported it.
            let _ = self.agent.flush(Duration::ZERO);
        }
    }

    /// Returns whether there are pending records and the service is reachable.
    fn is_pending(&self) -> bool {
        self.wrote.load(Ordering::Relaxed) == std::process::id()
            && self.agent.stats().is_ok_and(|stats| stats.pending > 0 && stats.reachable)
    }
}

/// In a forked child: lets go of what belongs to the parent.
#[pyfunction]
pub(crate) fn forked() {
    living().iter().flatten().for_each(|(_, connection)| connection.agent.forked());
}

/// At the interpreter's end: gives what is queued a moment to be delivered, unless the service is away.
#[pyfunction]
pub(crate) fn leave(py: Python<'_>, timeout: f64) {
    const STEP: Duration = Duration::from_millis(10);
    let until = Instant::now() + seconds(timeout);
    let living: Vec<_> = living().iter().flatten().map(|(_, connection)| Arc::clone(connection)).collect();
    py.detach(|| {
        for connection in living {
            while connection.is_pending() && Instant::now() < until {
                // A closed agent has nothing to flush.
                let step = STEP.min(until.saturating_duration_since(Instant::now()));
                if connection.agent.flush(step).is_err() {
                    break;
                }
            }
            connection.tell_losses();
        }
    });
}
