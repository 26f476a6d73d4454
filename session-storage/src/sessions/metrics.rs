//! Metrics of the store and the live feed, and readiness checks.

use std::sync::Arc;

use super::service::Sessions;
use crate::live::{self, Counts, Lag};

/// Metrics at one moment. The counters are behind references.
#[derive(Debug)]
pub struct ServiceMetrics<'a> {
    /// Counters of the store.
    pub store: &'a session_store::engine::StoreMetrics,
    /// Counters of the live feed.
    pub live: &'a live::HubMetrics,
    /// Number of sessions, and how many of them are completed.
    pub sessions: (usize, usize),
    /// Number of sessions in memory.
    pub loaded: usize,
    /// Number of quarantined sessions.
    pub quarantined: usize,
    /// Number of sessions whose files do not contain everything that the journal says.
    pub behind: usize,
    /// Number of sessions that wait for their snapshots.
    pub awaiting_snapshots: usize,
    /// Events and bytes that wait for the next commit.
    pub waiting: (usize, usize),
    /// Offset of the newest durable event.
    pub offset: u64,
    /// Number of journal segments, and their total size in bytes.
    pub journal: (usize, u64),
    /// Free bytes on the file system, and its size; 0 if unknown.
    pub disk: (u64, u64),
    /// Whether a sync has failed.
    pub failed: bool,
    /// Numbers of live subscribers.
    pub followers: Counts,
    /// Lag of the live subscribers.
    pub lag: Lag,
}

/// One condition of readiness, with the reason if it is not met.
#[derive(Debug)]
pub struct Check {
    /// Name of the check on the wire.
    pub name: &'static str,
    /// Why the check fails; `None` if it passes.
    pub fault: Option<&'static str>,
}

impl Sessions {
    /// Returns the current metrics. Reads the journal's files.
    pub fn metrics(&self) -> ServiceMetrics<'_> {
        let engine = &self.engine;
        let journal = engine.journal_size();
        ServiceMetrics {
            store: engine.metrics(),
            live: self.hub.metrics(),
            sessions: engine.index().counts(),
            loaded: engine.cache().loaded(),
            quarantined: engine.quarantined_count(),
            behind: engine.incomplete_count(),
            awaiting_snapshots: engine.awaiting_snapshots(),
            waiting: engine.journal().waiting(),
            offset: engine.journal().durable(),
            journal: (journal.segments, journal.bytes),
            disk: engine.free_space().unwrap_or_default(),
            failed: engine.journal().has_failed(),
            followers: self.hub.counts(),
            lag: self.hub.lag(),
        }
    }

    /// Returns whether the store's threads are running. If not, only a restart helps.
    pub fn is_alive(&self) -> bool {
        self.engine.is_alive()
    }

    /// Checks what a write needs. Recovery needs no check: the journal is recovered before a store
    /// exists.
    pub async fn checks(&self) -> Vec<Check> {
        let engine = Arc::clone(&self.engine);
        let probe = actix_web::web::block(move || engine.probe()).await;
        let disk = probe.unwrap_or(Err("the disk could not be tried"));
        let failed = self
            .engine
            .journal()
            .has_failed()
            .then_some("a sync failed: restart the service");
        let dead = (!self.is_alive()).then_some("a thread of the store has ended");
        vec![
            Check {
                name: "journal",
                fault: failed.or(dead),
            },
            Check {
                name: "disk",
                fault: disk.err(),
            },
        ]
    }
}
