//! The agent: one method per write or read.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::checked_record::CheckedRecord;
use super::process_state::Core;
use super::reads::Question;
use super::session::{check_session, has_process_session, process_session};
use super::{Call, Stats, Ticket};
use crate::{Config, Error};

/// How many records of each log [`HookAgent::restore`] reads where the caller does not say: in the
/// bindings and on the command line.
pub const RESTORE_LAST: usize = 50;

/// A handle to the recorder: cheap to clone, usable from any thread and across `fork`.
#[derive(Clone)]
pub struct HookAgent {
    core: Arc<Core>,
    session: Option<Arc<str>>,
}

impl HookAgent {
    /// Returns an agent configured by the environment; see [`Config`].
    pub fn from_env() -> Result<Self, Error> {
        Config::from_env().map(Self::new)
    }

    /// Returns an agent. Nothing is opened or started before its first call.
    pub fn new(mut config: Config) -> Self {
        let session = config.session_id.take().map(Arc::from);
        Self {
            core: Arc::new(Core::new(config)),
            session,
        }
    }

    /// Returns the same agent (spool, thread, connection) for another session.
    pub fn for_session(&self, session_id: &str) -> Result<Self, Error> {
        check_session(session_id)?;
        Ok(Self {
            core: Arc::clone(&self.core),
            session: Some(Arc::from(session_id)),
        })
    }

    /// Returns the session that calls write to. If none is configured, this process creates an id
    /// and reports it once on stderr.
    pub fn session_id(&self) -> &str {
        self.session.as_deref().unwrap_or_else(|| process_session())
    }

    /// Returns whether the session is decided: configured, or already created by this process.
    pub fn has_session(&self) -> bool {
        self.session.is_some() || has_process_session()
    }

    /// Returns the service's URL.
    pub fn service_url(&self) -> &str {
        self.core.config.service.as_str()
    }

    /// Queues one write whose data is JSON text. All other writes use this method.
    pub fn send(&self, call: Call<'_>, json: &str) -> Result<Ticket, Error> {
        self.send_coerced(call, json, 0)
    }

    /// Like [`send`](Self::send), for data in which `coerced` values had no JSON form and were
    /// written in another form. [`Stats::coerced`] counts them.
    pub fn send_coerced(&self, call: Call<'_>, json: &str, coerced: u64) -> Result<Ticket, Error> {
        let session = self.session()?;
        let frame = call.frame(session, json, &self.core.redaction, self.core.offload)?;
        self.spool(session, &frame, coerced)
    }

    /// Queues the record of a typed helper.
    pub(super) fn send_record(
        &self,
        call: Call<'_>,
        record: &CheckedRecord,
        coerced: u64,
    ) -> Result<Ticket, Error> {
        let session = self.session()?;
        let frame = call.frame_record(session, record, &self.core.redaction, self.core.offload)?;
        self.spool(session, &frame, coerced)
    }

    fn spool(&self, session: &str, frame: &[u8], coerced: u64) -> Result<Ticket, Error> {
        let (pid, shared) = self.core.running(Some(session))?;
        // Wake delivery: it may be able to make room.
        let record = shared
            .spool
            .append(frame)
            .inspect_err(|_| shared.notifier.notify(|signals| signals.now = true))?;
        if coerced > 0 {
            shared
                .spool
                .counters
                .coerced
                .fetch_add(coerced, Ordering::Relaxed);
        }
        shared.notifier.added();
        Ok(Ticket::record(shared, pid, record))
    }

    /// Closes this process's copies of the files that the parent holds open, in a child that was
    /// just forked, for an agent of the parent. Any call does this too. Without either, a
    /// long-lived child keeps the spool folder of its parent locked after the parent has ended.
    pub fn forked(&self) {
        drop(self.core.process());
    }

    /// Returns the ticket of an earlier write of this process again, by its
    /// [`number`](Ticket::number).
    pub fn ticket(&self, number: u64) -> Result<Ticket, Error> {
        let (pid, shared) = self.core.running(self.session.as_deref())?;
        Ok(Ticket::record(shared, pid, number))
    }

    /// Queues one write. A value that is not an object is wrapped in one, as its `value`.
    fn write<T: Serialize + ?Sized>(&self, call: Call<'_>, data: &T) -> Result<Ticket, Error> {
        let json = serde_json::to_string(data).map_err(|error| Error::NotJson {
            call: call.name(),
            reason: error.to_string(),
        })?;
        if json.starts_with('{') {
            return self.send(call, &json);
        }
        self.send_coerced(call, &format!(r#"{{"value":{json}}}"#), 1)
    }

    /// Creates the session for the configured user. Not required: the first write creates the
    /// session for `unknown`.
    pub fn create_session<T: Serialize + ?Sized>(&self, initial: &T) -> Result<Ticket, Error> {
        let user_id = self.core.config.user_id.as_deref().unwrap_or("unknown");
        self.write(
            Call::CreateSession {
                user_id,
                parent: None,
            },
            initial,
        )
    }

    /// Appends to the actions.
    pub fn log_action<T: Serialize + ?Sized>(&self, action: &T) -> Result<Ticket, Error> {
        self.write(Call::Action, action)
    }

    /// Appends to the responses.
    pub fn log_response<T: Serialize + ?Sized>(&self, response: &T) -> Result<Ticket, Error> {
        self.write(Call::Response, response)
    }

    /// Merges into the state.
    pub fn update_state<T: Serialize + ?Sized>(&self, patch: &T) -> Result<Ticket, Error> {
        self.write(Call::StateUpdate { if_version: None }, patch)
    }

    /// Merges into the state if it still has this version; else the ticket fails.
    pub fn update_state_if<T: Serialize + ?Sized>(
        &self,
        version: u64,
        patch: &T,
    ) -> Result<Ticket, Error> {
        self.write(
            Call::StateUpdate {
                if_version: Some(version),
            },
            patch,
        )
    }

    /// Adds a goal.
    pub fn add_goal<T: Serialize + ?Sized>(&self, goal: &T) -> Result<Ticket, Error> {
        self.write(Call::GoalAdd, goal)
    }

    /// Changes a goal. If the goal is unknown, the ticket fails.
    pub fn update_goal<T: Serialize + ?Sized>(
        &self,
        goal_id: &str,
        update: &T,
    ) -> Result<Ticket, Error> {
        self.write(Call::GoalUpdate { goal_id }, update)
    }

    /// Records a sub-agent's start.
    pub fn spawn_agent<T: Serialize + ?Sized>(&self, agent: &T) -> Result<Ticket, Error> {
        self.write(Call::AgentSpawn, agent)
    }

    /// Records a sub-agent's end. If the sub-agent is unknown, the ticket fails.
    pub fn complete_agent(&self, agent_id: &str) -> Result<Ticket, Error> {
        self.send(Call::AgentComplete { agent_id }, "{}")
    }

    /// Sets dotted keys of the metadata; a string `+N` adds to a number.
    pub fn update_metadata<T: Serialize + ?Sized>(&self, changes: &T) -> Result<Ticket, Error> {
        self.write(Call::MetadataUpdate, changes)
    }

    /// Ends the session: `status`, `outcome`, `response`, all optional.
    pub fn finalize_session<T: Serialize + ?Sized>(&self, end: &T) -> Result<Ticket, Error> {
        self.write(Call::Finalize, end)
    }

    /// Makes an ended session active again.
    pub fn reopen_session(&self) -> Result<Ticket, Error> {
        self.send(Call::Reopen, "{}")
    }

    /// Reads the session's state from the service.
    pub fn get_state(&self) -> Result<Ticket, Error> {
        self.ask(Question::Get(format!("/api/state/{}", self.session()?)))
    }

    /// Reads everything needed to continue a session: `{metadata, initial, state, final, actions,
    /// responses}`, with the last `last` records of both logs, oldest first.
    pub fn restore(&self, last: usize) -> Result<Ticket, Error> {
        self.ask(Question::Restore {
            session: self.session()?.to_owned(),
            last,
        })
    }

    /// Reads the service's health; fails with `service_unreachable` if there is no service.
    pub fn test_connection(&self) -> Result<Ticket, Error> {
        self.ask(Question::Get("/health".to_owned()))
    }

    fn ask(&self, question: Question) -> Result<Ticket, Error> {
        self.core.process().reads.ask(question)
    }

    /// Waits until every earlier call is settled, at most for `timeout`. Returns whether all are.
    pub fn flush(&self, timeout: Duration) -> Result<bool, Error> {
        Ok(self
            .core
            .running(self.session.as_deref())?
            .1
            .flush(timeout, false))
    }

    /// Like [`flush`](Self::flush), and also drains every spool folder whose owner has ended.
    pub fn flush_all(&self, timeout: Duration) -> Result<bool, Error> {
        Ok(self
            .core
            .running(self.session.as_deref())?
            .1
            .flush(timeout, true))
    }

    /// Flushes, then ends the thread. Later calls fail with `agent_closed`. Returns whether
    /// everything was settled; unsettled records stay in the spool.
    pub fn close(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let Some(shared) = self.core.close() else {
            return true;
        };
        let flushed = shared.flush(timeout, false);
        shared.stop(deadline.saturating_duration_since(Instant::now()));
        flushed
    }

    /// Ends the thread without delivering more, and releases the spool.
    pub(crate) fn stop(&self, timeout: Duration) {
        if let Some(shared) = self.core.close() {
            shared.stop(timeout);
        }
    }

    /// Returns counters of delivered, pending and failed records. Opens the spool if no call has
    /// opened it.
    pub fn stats(&self) -> Result<Stats, Error> {
        Ok(Stats::of(&self.core.running(self.session.as_deref())?.1))
    }

    fn session(&self) -> Result<&str, Error> {
        let session = self.session_id();
        check_session(session).map(|()| session)
    }
}
