//! The registry of agents by configuration: all users with equal settings share one spool folder,
//! one thread and one connection, whatever their sessions.
//!
//! For bindings, whose users create and drop agents without a thought of what is shared.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::{HookAgent, Ticket};
use crate::Config;
use crate::sync::Mutex;

/// The agents by their settings. The lock is held for a few statements only, and never while a
/// language's interpreter may run another thread, so that no fork finds it locked.
static AGENTS: Mutex<BTreeMap<String, Entry>> = Mutex::new(BTreeMap::new());

/// No record was written yet.
const NONE: u64 = u64::MAX;

/// How long a shared agent outlives its last user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Until a user closes it: the next user with the same settings finds it running.
    UntilClosed,
    /// Until its latest record is settled or known to be queued.
    UntilSettled,
}

struct Entry {
    agent: Weak<SharedAgent>,
    /// Set for [`Keep::UntilClosed`].
    kept: Option<Arc<SharedAgent>>,
}

/// An agent without a session, shared by all users with the same settings.
pub struct SharedAgent {
    agent: HookAgent,
    user_id: Option<String>,
    /// The id of the process that wrote last: only that process can have anything left to deliver.
    writer: AtomicU32,
    latest: AtomicU64,
}

impl SharedAgent {
    /// Returns the agent with these settings, creating it if needed.
    pub fn of(mut config: Config, keep: Keep) -> Arc<Self> {
        config.session_id = None;
        let settings = config.identity();
        let mut agents = AGENTS.lock();
        let existing = agents.get(&settings).map(|entry| entry.agent.upgrade());
        if let Some(Some(shared)) = existing {
            return shared;
        }
        agents.retain(|_, entry| entry.agent.strong_count() > 0);
        let user_id = config.user_id.clone();
        let shared = Arc::new(Self {
            agent: HookAgent::new(config),
            user_id,
            writer: AtomicU32::new(0),
            latest: AtomicU64::new(NONE),
        });
        let entry = Entry {
            agent: Arc::downgrade(&shared),
            kept: (keep == Keep::UntilClosed).then(|| Arc::clone(&shared)),
        };
        agents.insert(settings, entry);
        shared
    }

    /// Returns all agents that exist.
    pub fn all() -> Vec<Arc<Self>> {
        let agents = AGENTS.lock();
        let entries = agents.values();
        entries.filter_map(|entry| entry.agent.upgrade()).collect()
    }

    /// Returns the agent. It has no session; see [`HookAgent::for_session`].
    pub fn agent(&self) -> &HookAgent {
        &self.agent
    }

    /// Returns the configured owner of sessions.
    pub fn user_id(&self) -> Option<&str> {
        self.user_id.as_deref()
    }

    /// Notes the ticket of a write. Two threads may do so in either order: it does not matter which
    /// of the two records is kept.
    pub fn wrote(&self, ticket: &Ticket) {
        if let Some(record) = ticket.number() {
            self.latest.store(record, Ordering::Relaxed);
            self.writer.store(std::process::id(), Ordering::Relaxed);
        }
    }

    /// Returns the ticket of the latest record, if this process wrote one and the agent is not
    /// closed.
    pub fn latest(&self) -> Option<Ticket> {
        let latest = self.latest.load(Ordering::Relaxed);
        if latest == NONE || !self.has_written() {
            return None;
        }
        self.agent.ticket(latest).ok()
    }

    /// Called before [`close`](Self::close). If no other user is left, removes the agent from the
    /// registry, so that the next user gets a new one.
    pub fn release(self: &Arc<Self>) {
        let mut agents = AGENTS.lock();
        let is_this = |entry: &Entry| entry.agent.as_ptr() == Arc::as_ptr(self);
        let Some(entry) = agents.values().find(|entry| is_this(entry)) else {
            return;
        };
        if Arc::strong_count(self) == 1 + usize::from(entry.kept.is_some()) {
            agents.retain(|_, entry| !is_this(entry));
        }
    }

    /// Delivers what it can. The last user to close also ends the thread. Returns whether
    /// everything was settled.
    pub fn close(self: Arc<Self>, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        let flushed = !self.has_written() || self.agent.flush(timeout).unwrap_or(true);
        let Some(last) = Arc::into_inner(self) else {
            return flushed;
        };
        let left = until.saturating_duration_since(Instant::now());
        last.agent.close(left) && flushed
    }

    /// At the process's end: gives what is queued a moment to be delivered, unless the service is
    /// unreachable, and reports what a full spool refused.
    pub fn leave(&self, until: Instant) {
        const STEP: Duration = Duration::from_millis(10);
        while self.is_pending() && Instant::now() < until {
            let step = STEP.min(until.saturating_duration_since(Instant::now()));
            // A closed agent has nothing to flush.
            if self.agent.flush(step).is_err() {
                break;
            }
        }
        if self.has_written() && self.agent.stats().is_ok_and(|stats| stats.refused > 0) {
            // A closed agent has already reported it.
            let _ = self.agent.flush(Duration::ZERO);
        }
    }

    fn has_written(&self) -> bool {
        self.writer.load(Ordering::Relaxed) == std::process::id()
    }

    /// Returns whether there are pending records and the service is reachable.
    fn is_pending(&self) -> bool {
        let stats = || self.agent.stats();
        self.has_written() && stats().is_ok_and(|stats| stats.pending > 0 && stats.reachable)
    }
}

impl Drop for SharedAgent {
    /// Keeps the thread until the latest record is settled: a garbage collector may drop the user
    /// long before.
    fn drop(&mut self) {
        let agent = self.agent.clone();
        if let Some(ticket) = self.latest() {
            ticket.on_done(move |_| drop(agent));
        }
    }
}
