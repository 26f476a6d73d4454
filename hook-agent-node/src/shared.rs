//! One agent for all who want the same: a spool folder, a thread and a connection, across sessions and worker threads.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use hook_agent::{Config, HookAgent, Ticket};

static AGENTS: Mutex<Option<HashMap<String, Weak<Shared>>>> = Mutex::new(None);
const NONE: u64 = u64::MAX;

/// An agent of no session, and its latest record.
pub(crate) struct Shared {
    pub agent: HookAgent,
    latest: AtomicU64,
}

impl Shared {
    /// The agent with these settings, whoever made it first; it ends with the last who holds it.
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

    /// All that there are.
    pub(crate) fn all() -> Vec<Arc<Self>> {
        let agents = AGENTS.lock().unwrap_or_else(PoisonError::into_inner);
        agents.iter().flat_map(HashMap::values).filter_map(Weak::upgrade).collect()
    }

    pub(crate) fn wrote(&self, record: u64) {
        // Two threads may come in either order: which of the two is kept makes no difference to anyone.
        self.latest.store(record, Ordering::Relaxed);
    }

    /// The ticket of the latest record, if there is one.
    pub(crate) fn latest(&self) -> Option<Ticket> {
        let latest = self.latest.load(Ordering::Relaxed);
        // Only a closed agent has no tickets, and these are never closed: they end with their last holder.
        if latest == NONE {
            return None;
        }
        self.agent.ticket(latest).ok()
    }
}

impl Drop for Shared {
    /// Whoever called may be collected as garbage long before the call is delivered: the thread goes on until then.
    fn drop(&mut self) {
        let agent = self.agent.clone();
        if let Some(ticket) = self.latest() {
            ticket.on_done(move |_| drop(agent));
        }
    }
}
