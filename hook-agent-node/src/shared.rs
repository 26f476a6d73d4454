//! Shares one agent among all users with the same settings: one spool folder, thread and
//! connection, across sessions and worker threads.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use hook_agent::{Config, HookAgent, Ticket};

static AGENTS: Mutex<Option<HashMap<String, Weak<Shared>>>> = Mutex::new(None);
const NONE: u64 = u64::MAX;

/// An agent without a session, and its latest record.
pub(crate) struct Shared {
    pub agent: HookAgent,
    latest: AtomicU64,
}

impl Shared {
    /// Returns the agent with these settings, creating it if needed. It is dropped with its last
    /// holder.
    pub(crate) fn of(config: Config) -> Arc<Self> {
        let key = config.identity();
        let mut agents = AGENTS.lock().unwrap_or_else(PoisonError::into_inner);
        let agents = agents.get_or_insert_default();
        if let Some(shared) = agents.get(&key).and_then(Weak::upgrade) {
            return shared;
        }
        agents.retain(|_, shared| shared.strong_count() > 0);
        let shared = Arc::new(Self { agent: HookAgent::new(config), latest: AtomicU64::new(NONE) });
        agents.insert(key, Arc::downgrade(&shared));
        shared
    }

    /// Returns all existing agents.
    pub(crate) fn all() -> Vec<Arc<Self>> {
        let agents = AGENTS.lock().unwrap_or_else(PoisonError::into_inner);
        agents.iter().flat_map(HashMap::values).filter_map(Weak::upgrade).collect()
    }

    pub(crate) fn wrote(&self, record: u64) {
        // Two threads may store in either order. It does not matter which of the two numbers is
        // kept.
        self.latest.store(record, Ordering::Relaxed);
    }

    /// Returns the ticket of the latest record, if there is one.
    pub(crate) fn latest(&self) -> Option<Ticket> {
        let latest = self.latest.load(Ordering::Relaxed);
        // `ticket` fails only for a closed agent, and these agents are never closed: they are
        // dropped with their last holder.
        if latest == NONE {
            return None;
        }
        self.agent.ticket(latest).ok()
    }
}

impl Drop for Shared {
    /// Keeps the agent until its latest record is delivered: the JavaScript caller may be
    /// garbage-collected long before.
    fn drop(&mut self) {
        let agent = self.agent.clone();
        if let Some(ticket) = self.latest() {
            ticket.on_done(move |_| drop(agent));
        }
    }
}
