//! The agent of one session: one method per call.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hook_agent::{Call, Error, HookAgent, process_session};
use pyo3::prelude::*;

use crate::cell::Cell;
use crate::connection::Connection;
use crate::error::exception;
use crate::json::{Event, identifier};
use crate::receipt::{Receipt, seconds};

/// Speaks for a session over a shared connection, until closed.
#[pyclass(frozen, module = "hook_agent._native")]
pub(crate) struct Agent {
    session: Option<String>,
    service_url: String,
    open: Mutex<Option<Open>>,
}

struct Open {
    connection: Arc<Connection>,
    /// The connection's agent for the session. `None` if the session's id is invalid; each call
    /// then reports that.
    agent: Option<HookAgent>,
}

#[pymethods]
impl Agent {
    #[new]
    #[pyo3(signature = (session_id=None, service_url=None))]
    fn new(
        py: Python<'_>,
        session_id: Option<&Bound<'_, PyAny>>,
        service_url: Option<&str>,
    ) -> PyResult<Self> {
        let named = session_id.map(identifier).transpose().map_err(|refusal| refusal.of(py, "agent"))?;
        let (connection, from_env) = Connection::of(service_url).map_err(|error| exception(py, &error))?;
        let session = named.or(from_env);
        let agent = match session.as_deref() {
            Some(session) => connection.agent.for_session(session).ok(),
            None => Some(connection.agent.clone()),
        };
        let service_url = connection.agent.service_url().to_owned();
        Ok(Self { session, service_url, open: Mutex::new(Some(Open { connection, agent })) })
    }

    /// The session that calls are for; made by the process where none is named.
    #[getter]
    fn session_id(&self) -> &str {
        self.session.as_deref().unwrap_or_else(|| process_session())
    }

    /// Whether it is settled which that is.
    #[getter]
    fn has_session(&self) -> bool {
        self.session.is_some() || self.lock().as_ref().is_some_and(|open| open.connection.agent.has_session())
    }

    #[getter]
    fn service_url(&self) -> &str {
        &self.service_url
    }

    #[pyo3(signature = (initial, user_id, parent))]
    fn create_session(
        &self,
        py: Python<'_>,
        initial: Option<&Bound<'_, PyAny>>,
        user_id: Option<&Bound<'_, PyAny>>,
        parent: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Receipt> {
        const NAME: &str = "create_session";
        let configured = self.open(py, |open| Ok(open.connection.user_id.clone()))?;
        let text = |id: Option<&Bound<'_, PyAny>>| {
            id.map(identifier).transpose().map_err(|refusal| refusal.of(py, NAME))
        };
        let (user_id, parent) = (text(user_id)?.or(configured), text(parent)?);
        let user_id = user_id.as_deref().unwrap_or("unknown");
        self.write(py, Call::CreateSession { user_id, parent: parent.as_deref() }, NAME, initial)
    }

    fn log_action(&self, py: Python<'_>, action: &Bound<'_, PyAny>) -> PyResult<Receipt> {
        self.write(py, Call::Action, "action", Some(action))
    }

    fn log_response(&self, py: Python<'_>, response: &Bound<'_, PyAny>) -> PyResult<Receipt> {
        self.write(py, Call::Response, "response", Some(response))
    }

    #[pyo3(signature = (patch, if_version))]
    fn update_state(
        &self,
        py: Python<'_>,
        patch: &Bound<'_, PyAny>,
        if_version: Option<u64>,
    ) -> PyResult<Receipt> {
        self.write(py, Call::StateUpdate { if_version }, "state_update", Some(patch))
    }

    fn add_goal(&self, py: Python<'_>, goal: &Bound<'_, PyAny>) -> PyResult<Receipt> {
        self.write(py, Call::GoalAdd, "goal_add", Some(goal))
    }

    fn update_goal(
        &self,
        py: Python<'_>,
        goal_id: &Bound<'_, PyAny>,
        update: &Bound<'_, PyAny>,
    ) -> PyResult<Receipt> {
        let goal_id = &identifier(goal_id).map_err(|refusal| refusal.of(py, "goal_update"))?;
        self.write(py, Call::GoalUpdate { goal_id }, "goal_update", Some(update))
    }

    fn spawn_agent(&self, py: Python<'_>, agent: &Bound<'_, PyAny>) -> PyResult<Receipt> {
        self.write(py, Call::AgentSpawn, "agent_spawn", Some(agent))
    }

    fn complete_agent(&self, py: Python<'_>, agent_id: &Bound<'_, PyAny>) -> PyResult<Receipt> {
        let agent_id = &identifier(agent_id).map_err(|refusal| refusal.of(py, "agent_complete"))?;
        self.write(py, Call::AgentComplete { agent_id }, "agent_complete", None)
    }

    fn update_metadata(&self, py: Python<'_>, changes: &Bound<'_, PyAny>) -> PyResult<Receipt> {
        self.write(py, Call::MetadataUpdate, "metadata_update", Some(changes))
    }

    #[pyo3(signature = (end))]
    fn finalize_session(&self, py: Python<'_>, end: Option<&Bound<'_, PyAny>>) -> PyResult<Receipt> {
        self.write(py, Call::Finalize, "finalize", end)
    }

    fn reopen_session(&self, py: Python<'_>) -> PyResult<Receipt> {
        self.write(py, Call::Reopen, "reopen", None)
    }

    fn get_state(&self, py: Python<'_>) -> PyResult<Receipt> {
        self.open(py, |open| self.speaking(open)?.get_state().map(Receipt::new))
    }

    fn restore(&self, py: Python<'_>, last: usize) -> PyResult<Receipt> {
        self.open(py, |open| self.speaking(open)?.restore(last).map(Receipt::new))
    }

    fn test_connection(&self, py: Python<'_>) -> PyResult<Receipt> {
        self.open(py, |open| open.connection.agent.test_connection().map(Receipt::new))
    }

    /// What the agent tells about itself, as JSON text.
    fn stats(&self, py: Python<'_>) -> PyResult<String> {
        let stats = self.open(py, |open| open.connection.agent.stats())?;
        serde_json::to_string(&stats)
            .map_err(|error| exception(py, &Error::NotJson { call: "stats", reason: error.to_string() }))
    }

    /// Answered with whether everything called before is settled.
    fn flush(&self, py: Python<'_>, timeout: f64) -> PyResult<Receipt> {
        let connection = self.open(py, |open| Ok(Arc::clone(&open.connection)))?;
        let timeout = seconds(timeout);
        aside(py, move || connection.agent.flush(timeout))
    }

    /// Closes this agent at once; answered with whether everything called before is settled.
    fn close(&self, py: Python<'_>, timeout: f64) -> PyResult<Receipt> {
        let open = self.lock().take();
        if let Some(open) = &open {
            open.connection.let_go();
        }
        let timeout = seconds(timeout);
        aside(py, move || Ok(open.is_none_or(|open| open.close(timeout))))
    }
}

impl Agent {
    fn write(
        &self,
        py: Python<'_>,
        call: Call<'_>,
        name: &'static str,
        data: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Receipt> {
        let event = data.map_or_else(|| Ok(Event::empty()), Event::of);
        let Event { json, coerced } = event.map_err(|refusal| refusal.of(py, name))?;
        self.open(py, |open| {
            let receipt = self.speaking(open)?.send_coerced(call, &json, coerced)?;
            open.connection.writes();
            Ok(Receipt::new(receipt))
        })
    }

    fn open<T>(&self, py: Python<'_>, work: impl FnOnce(&Open) -> Result<T, Error>) -> PyResult<T> {
        let done = self.lock().as_ref().ok_or(Error::Closed).and_then(work);
        done.map_err(|error| exception(py, &error))
    }

    fn speaking<'a>(&self, open: &'a Open) -> Result<&'a HookAgent, Error> {
        let invalid = || Error::InvalidSession { id: self.session.clone().unwrap_or_default() };
        open.agent.as_ref().ok_or_else(invalid)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn close(self, timeout: Duration) -> bool {
        // Drop this first: the connection ends with its last agent.
        drop(self.agent);
        self.connection.close(timeout)
    }
}

/// Runs blocking work on a thread of its own.
fn aside(py: Python<'_>, work: impl FnOnce() -> Result<bool, Error> + Send + 'static) -> PyResult<Receipt> {
    let cell = Arc::new(Cell::default());
    let filled = Arc::clone(&cell);
    let thread = std::thread::Builder::new().name("hook-agent-flush".to_owned());
    let started = thread.spawn(move || filled.fill(work().map(|settled| settled.to_string())));
    started.map_err(|source| exception(py, &Error::Thread { source }))?;
    Ok(Receipt::of(cell))
}
