//! The agent of one session: one method per call.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hook_agent::sync::Mutex;
use hook_agent::{
    BatchLine, Call, Config, Error, Helper, HookAgent, Keep, ServiceUrl, SharedAgent,
    process_session,
};
use pyo3::prelude::*;

use crate::error::exception;
use crate::json::{Event, identifier};
use crate::receipt::{Receipt, seconds};
use crate::reply_slot::ReplySlot;

/// Speaks for a session over a shared agent, until closed.
#[pyclass(frozen, module = "hook_agent._native")]
pub(crate) struct Agent {
    session: Option<String>,
    service_url: String,
    open: Mutex<Option<Open>>,
}

struct Open {
    shared: Arc<SharedAgent>,
    /// The shared agent for the session. `None` if the session's id is invalid; each call
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
        let named = session_id
            .map(identifier)
            .transpose()
            .map_err(|refusal| refusal.of(py, "agent"))?;
        let (shared, from_env) = configured(service_url).map_err(|error| exception(py, &error))?;
        let session = named.or(from_env);
        let agent = match session.as_deref() {
            Some(session) => shared.agent().for_session(session).ok(),
            None => Some(shared.agent().clone()),
        };
        let service_url = shared.agent().service_url().to_owned();
        Ok(Self {
            session,
            service_url,
            open: Mutex::new(Some(Open { shared, agent })),
        })
    }

    /// The session that calls are for; made by the process where none is named.
    #[getter]
    fn session_id(&self) -> &str {
        self.session.as_deref().unwrap_or_else(|| process_session())
    }

    /// Whether it is settled which that is.
    #[getter]
    fn has_session(&self) -> bool {
        self.session.is_some()
            || self
                .open
                .lock()
                .as_ref()
                .is_some_and(|open| open.shared.agent().has_session())
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
        let configured = self.open(py, |open| Ok(open.shared.user_id().map(str::to_owned)))?;
        let text = |id: Option<&Bound<'_, PyAny>>| {
            id.map(identifier)
                .transpose()
                .map_err(|refusal| refusal.of(py, "create_session"))
        };
        let user_id = text(user_id)?.or(configured);
        let parent = text(parent)?;
        let user_id = user_id.as_deref().unwrap_or("unknown");
        self.write(
            py,
            Call::CreateSession {
                user_id,
                parent: parent.as_deref(),
            },
            initial,
        )
    }

    fn log_action(&self, py: Python<'_>, action: &Bound<'_, PyAny>) -> PyResult<Receipt> {
        self.write(py, Call::Action, Some(action))
    }

    fn log_response(&self, py: Python<'_>, response: &Bound<'_, PyAny>) -> PyResult<Receipt> {
        self.write(py, Call::Response, Some(response))
    }

    /// Records by the typed helper of this name: the parts of the record, and its other fields.
    #[pyo3(signature = (helper, parts, fields))]
    fn log_typed(
        &self,
        py: Python<'_>,
        helper: &str,
        parts: &Bound<'_, PyAny>,
        fields: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Receipt> {
        let helper = Helper::parse(helper).expect("the package names helpers of the table");
        let event = |data| Event::of(data).map_err(|refusal| refusal.of(py, helper.name()));
        let parts = event(parts)?;
        let fields = fields.map_or_else(|| Ok(Event::empty()), event)?;
        let coerced = parts.coerced + fields.coerced;
        self.open(py, |open| {
            let agent = self.speaking(open)?;
            let ticket = agent.send_typed(helper, &parts.json, &fields.json, coerced)?;
            open.shared.wrote(&ticket);
            Ok(Receipt::new(ticket))
        })
    }

    #[pyo3(signature = (patch, if_version))]
    fn update_state(
        &self,
        py: Python<'_>,
        patch: &Bound<'_, PyAny>,
        if_version: Option<u64>,
    ) -> PyResult<Receipt> {
        self.write(py, Call::StateUpdate { if_version }, Some(patch))
    }

    fn add_goal(&self, py: Python<'_>, goal: &Bound<'_, PyAny>) -> PyResult<Receipt> {
        self.write(py, Call::GoalAdd, Some(goal))
    }

    fn update_goal(
        &self,
        py: Python<'_>,
        goal_id: &Bound<'_, PyAny>,
        update: &Bound<'_, PyAny>,
    ) -> PyResult<Receipt> {
        let goal_id =
            &identifier(goal_id).map_err(|refusal| refusal.of(py, BatchLine::GoalUpdate.name()))?;
        self.write(py, Call::GoalUpdate { goal_id }, Some(update))
    }

    fn spawn_agent(&self, py: Python<'_>, agent: &Bound<'_, PyAny>) -> PyResult<Receipt> {
        self.write(py, Call::AgentSpawn, Some(agent))
    }

    fn complete_agent(&self, py: Python<'_>, agent_id: &Bound<'_, PyAny>) -> PyResult<Receipt> {
        let agent_id = &identifier(agent_id)
            .map_err(|refusal| refusal.of(py, BatchLine::AgentComplete.name()))?;
        self.write(py, Call::AgentComplete { agent_id }, None)
    }

    fn update_metadata(&self, py: Python<'_>, changes: &Bound<'_, PyAny>) -> PyResult<Receipt> {
        self.write(py, Call::MetadataUpdate, Some(changes))
    }

    #[pyo3(signature = (end))]
    fn finalize_session(
        &self,
        py: Python<'_>,
        end: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Receipt> {
        self.write(py, Call::Finalize, end)
    }

    fn reopen_session(&self, py: Python<'_>) -> PyResult<Receipt> {
        self.write(py, Call::Reopen, None)
    }

    fn get_state(&self, py: Python<'_>) -> PyResult<Receipt> {
        self.open(py, |open| {
            self.speaking(open)?.get_state().map(Receipt::new)
        })
    }

    fn restore(&self, py: Python<'_>, last: usize) -> PyResult<Receipt> {
        self.open(py, |open| {
            self.speaking(open)?.restore(last).map(Receipt::new)
        })
    }

    fn test_connection(&self, py: Python<'_>) -> PyResult<Receipt> {
        self.open(py, |open| {
            open.shared.agent().test_connection().map(Receipt::new)
        })
    }

    /// What the agent tells about itself, as JSON text.
    fn stats(&self, py: Python<'_>) -> PyResult<String> {
        let stats = self.open(py, |open| open.shared.agent().stats())?;
        serde_json::to_string(&stats).map_err(|error| {
            exception(
                py,
                &Error::NotJson {
                    call: "stats",
                    reason: error.to_string(),
                },
            )
        })
    }

    /// Answered with whether everything called before is settled.
    fn flush(&self, py: Python<'_>, timeout: f64) -> PyResult<Receipt> {
        let shared = self.open(py, |open| Ok(Arc::clone(&open.shared)))?;
        let timeout = seconds(timeout);
        aside(py, move || shared.agent().flush(timeout))
    }

    /// Closes this agent at once; answered with whether everything called before is settled.
    fn close(&self, py: Python<'_>, timeout: f64) -> PyResult<Receipt> {
        let open = self.open.lock().take();
        if let Some(open) = &open {
            open.shared.release();
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
        data: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Receipt> {
        let event = data.map_or_else(|| Ok(Event::empty()), Event::of);
        let Event { json, coerced } = event.map_err(|refusal| refusal.of(py, call.name()))?;
        self.open(py, |open| {
            let ticket = self.speaking(open)?.send_coerced(call, &json, coerced)?;
            open.shared.wrote(&ticket);
            Ok(Receipt::new(ticket))
        })
    }

    fn open<T>(&self, py: Python<'_>, work: impl FnOnce(&Open) -> Result<T, Error>) -> PyResult<T> {
        let done = self
            .open
            .lock()
            .as_ref()
            .ok_or(Error::Closed)
            .and_then(work);
        done.map_err(|error| exception(py, &error))
    }

    fn speaking<'a>(&self, open: &'a Open) -> Result<&'a HookAgent, Error> {
        let invalid = || Error::InvalidSession {
            id: self.session.clone().unwrap_or_default(),
        };
        open.agent.as_ref().ok_or_else(invalid)
    }
}

impl Open {
    fn close(self, timeout: Duration) -> bool {
        // Drop this first: the thread ends with its last agent.
        drop(self.agent);
        self.shared.close(timeout)
    }
}

/// Returns the shared agent described by the environment and `service_url`, and the session
/// configured in the environment.
fn configured(service_url: Option<&str>) -> Result<(Arc<SharedAgent>, Option<String>), Error> {
    let mut config = Config::from_env()?;
    if let Some(url) = service_url {
        config.service = ServiceUrl::parse(url)?;
    }
    let session = config.session_id.take();
    Ok((SharedAgent::of(config, Keep::UntilClosed), session))
}

/// In a forked child: releases what belongs to the parent.
#[pyfunction]
pub(crate) fn forked() {
    for shared in SharedAgent::all() {
        shared.agent().forked();
    }
}

/// At the interpreter's end: gives what is queued a moment to be delivered.
#[pyfunction]
pub(crate) fn leave(py: Python<'_>, timeout: f64) {
    let until = Instant::now() + seconds(timeout);
    let all = SharedAgent::all();
    py.detach(|| all.iter().for_each(|shared| shared.leave(until)));
}

/// Runs blocking work on a thread of its own.
fn aside(
    py: Python<'_>,
    work: impl FnOnce() -> Result<bool, Error> + Send + 'static,
) -> PyResult<Receipt> {
    let slot = Arc::new(ReplySlot::default());
    let filled = Arc::clone(&slot);
    let thread = std::thread::Builder::new().name("hook-agent-flush".to_owned());
    let started = thread.spawn(move || filled.fill(work().map(|settled| settled.to_string())));
    started.map_err(|source| exception(py, &Error::Thread { source }))?;
    Ok(Receipt::of(slot))
}
