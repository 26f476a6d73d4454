//! What there is to say about the store and the live feed in numbers, and whether the service is ready.

use std::sync::Arc;

use super::Sessions;
use crate::live::{self, Counts, Lag};
use crate::store;

/// The numbers of one moment; what has been counted so far stands behind the references.
#[derive(Debug)]
pub struct Figures<'a> {
    /// What the store has counted.
    pub store: &'a store::figures::Figures,
    /// What the live feed has counted.
    pub live: &'a live::Figures,
    /// How many sessions there are, and how many of them are completed.
    pub sessions: (usize, usize),
    /// How many are in memory.
    pub loaded: usize,
    /// How many are set aside.
    pub quarantined: usize,
    /// How many have files that do not hold all that the journal says.
    pub behind: usize,
    /// How many wait for their snapshots.
    pub awaiting_snapshots: usize,
    /// Events and bytes that wait for the next commit.
    pub waiting: (usize, usize),
    /// The offset of the newest durable event.
    pub offset: u64,
    /// The journal's segments and their length.
    pub journal: (usize, u64),
    /// Bytes that are free on the file system, and its size; 0 where that cannot be known.
    pub disk: (u64, u64),
    /// Whether a sync has failed.
    pub failed: bool,
    /// Who follows.
    pub followers: Counts,
    /// How far behind they are.
    pub lag: Lag,
}

/// One thing that has to be so for the service to be ready, and why it is not.
#[derive(Debug)]
pub struct Check {
    /// Its name on the wire.
    pub name: &'static str,
    /// Why not.
    pub fault: Option<&'static str>,
}

impl Sessions {
    /// The numbers of now. Looks at the journal's files.
    pub fn figures(&self) -> Figures<'_> {
        let store = &self.store;
        Figures {
            store: &store.figures,
            live: self.hub.figures(),
            sessions: store.index.counts(),
            loaded: store.cells.loaded(),
            quarantined: store.quarantined_count(),
            behind: store.behind.count(),
            awaiting_snapshots: store.awaiting_snapshots(),
            waiting: store.journal.waiting(),
            offset: store.journal.durable(),
            journal: (store.segments.firsts().len(), store.segments.total_bytes()),
            disk: store.free_space().unwrap_or_default(),
            failed: store.journal.has_failed(),
            followers: self.hub.counts(),
            lag: self.hub.lag(),
        }
    }

    /// Whether the store's threads run: if they do not, only a restart helps.
    pub fn is_alive(&self) -> bool {
        self.store.threads_run()
    }

    /// What a write needs. The journal is recovered once there is a store at all.
    pub async fn checks(&self) -> Vec<Check> {
        let store = Arc::clone(&self.store);
        let probe = actix_web::web::block(move || store.probe()).await;
        let disk = probe.unwrap_or(Err("the disk could not be tried"));
        let failed = self.store.journal.has_failed().then_some("a sync failed: restart the service");
        let dead = (!self.is_alive()).then_some("a thread of the store has ended");
        vec![Check { name: "journal", fault: failed.or(dead) }, Check { name: "disk", fault: disk.err() }]
    }
}
