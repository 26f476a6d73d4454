//! The sessions of the service: what every operation on them shares.

use std::path::PathBuf;
use std::sync::Arc;

use session_insight::usage::Prices;
use session_model::{Code, Refusal, SessionId};
use session_redact::Rules;
use session_store::Options;
use session_store::blobs::BlobLimits;
use session_store::engine::{CacheEntry, Engine, LoadedSession, ReaderLimit};
use session_store::error::Damage;
use session_store::refusals::unopened;
use session_store::retention::Policy;
use tokio::sync::Semaphore;

use super::redaction::Redaction;
use super::sums_cache::SumsCache;
use crate::live::Hub;

/// Configuration of the session service.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Options of the store.
    pub store: Options,
    /// Whether a write to an unknown session creates it.
    pub auto_create: bool,
    /// Retention policy.
    pub retention: Policy,
    /// Redaction rules in addition to the built-in ones. `None` turns redaction off.
    pub redaction: Option<Arc<Rules>>,
    /// List prices, for the cost of what sessions used.
    pub prices: Arc<Prices>,
    /// Whether a lost or damaged placeholder key makes the start fail. Otherwise a new key is
    /// created.
    pub redaction_key_required: bool,
    /// Limits of blobs.
    pub blobs: BlobLimits,
}

/// The state of the storage.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StorageHealth {
    /// Whether a sync has failed, so that nothing is stored until a restart.
    pub has_failed: bool,
    /// The epoch.
    pub epoch: String,
    /// The newest durable offset.
    pub offset: u64,
    /// The number of sessions.
    pub sessions: usize,
    /// How many of them are active.
    pub active: usize,
    /// How many of them are in memory.
    pub resident: usize,
    /// The free bytes of the file system; 0 if they cannot be determined.
    pub free_bytes: u64,
    /// The size of the journal in bytes.
    pub journal_bytes: u64,
    /// How many sessions are quarantined.
    pub quarantined: usize,
    /// How many sessions lack something that the journal has.
    pub incomplete: usize,
}

/// All sessions of the service.
#[derive(Clone)]
pub struct Sessions {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) hub: Arc<Hub>,
    pub(super) redaction: Arc<Redaction>,
    pub(super) settings: Settings,
    /// Limits how many large batches are processed at the same time.
    pub(super) large: Arc<Semaphore>,
    /// Limits how many sessions are summed at the same time.
    pub(super) summing: Arc<Semaphore>,
    /// Exact sums of sessions that do not keep them.
    pub(super) sums: Arc<SumsCache>,
}

impl Sessions {
    /// Rejects new writes, completes the accepted ones and syncs. Waits on the blocking pool.
    pub async fn shutdown(&self) {
        let engine = Arc::clone(&self.engine);
        if actix_web::web::block(move || engine.close()).await.is_err() {
            tracing::error!("the store could not be closed in order; the next start recovers");
        }
    }

    /// Returns the live feed.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Returns the redaction of request bodies.
    pub fn redaction(&self) -> &Arc<Redaction> {
        &self.redaction
    }

    /// Returns the state of the storage.
    pub fn storage_health(&self) -> StorageHealth {
        let engine = &self.engine;
        let (sessions, completed) = engine.index().counts();
        StorageHealth {
            has_failed: engine.journal().has_failed(),
            epoch: engine.epoch().to_owned(),
            offset: engine.journal().durable(),
            sessions,
            active: sessions - completed,
            resident: engine.cache().loaded(),
            free_bytes: engine.free_space().map_or(0, |(free, _)| free),
            journal_bytes: engine.journal_size().bytes,
            quarantined: engine.quarantined_count(),
            incomplete: engine.incomplete_count(),
        }
    }

    /// Returns the id of this run of the service, by which a command recognizes the service that
    /// owns a storage directory.
    pub fn run(&self) -> &str {
        self.engine.run()
    }

    /// Returns the canonical path of the storage directory, valid from any working directory on
    /// this machine.
    pub fn directory(&self) -> PathBuf {
        self.engine.path(None)
    }

    /// Returns whether a session exists. Loads nothing.
    pub fn exists(&self, id: &SessionId) -> bool {
        self.engine.index().get(id.as_str()).is_some()
    }

    /// Resolves a session id given in a request. It may be a legacy id that only the older service
    /// accepted.
    pub fn named(&self, text: &str) -> Result<SessionId, Refusal> {
        SessionId::parse(text)
            .or_else(|refusal| self.engine.index().by_original(text).ok_or(refusal))
    }

    /// Limits how many files clients may keep open by reading slowly.
    pub(crate) fn readers(&self) -> &Arc<ReaderLimit> {
        self.engine.readers()
    }

    /// Returns the path of a session's files, below the directory as configured.
    pub fn path_of(&self, id: &SessionId) -> PathBuf {
        self.engine.path(Some(id))
    }

    /// Returns whether a loaded session is still current.
    pub(super) fn is_current(&self, loaded: &LoadedSession) -> bool {
        loaded.generation == self.engine.journal().generation()
    }

    /// Loads a session into memory, on the blocking pool.
    pub(super) async fn load(&self, cell: &Arc<CacheEntry>) -> Result<(), Refusal> {
        self.with_cell(cell, session_store::engine::Engine::load)
            .await
    }

    /// Loads a session for a write, after completing pending work on its files. Runs on the
    /// blocking pool.
    pub(super) async fn load_to_write(&self, cell: &Arc<CacheEntry>) -> Result<(), Refusal> {
        self.with_cell(cell, |engine, cell| {
            engine.load(cell).and_then(|()| engine.complete(cell))
        })
        .await
    }

    pub(super) async fn with_cell(
        &self,
        cell: &Arc<CacheEntry>,
        open: impl FnOnce(&dyn Engine, &Arc<CacheEntry>) -> Result<(), Damage> + Send + 'static,
    ) -> Result<(), Refusal> {
        let engine = Arc::clone(&self.engine);
        let cell = Arc::clone(cell);
        let id = cell.id.clone();
        match actix_web::web::block(move || open(&*engine, &cell)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(damage)) => Err(unopened(&id, &damage)),
            Err(_) => Err(Refusal::new(
                Code::Internal,
                "a session could not be loaded",
            )),
        }
    }

    /// Waits until an offset is durable. Returns false if its commit failed, in which case the data
    /// must be read again.
    pub(super) async fn settled(&self, offset: u64) -> bool {
        match self.engine.journal().ticket_of(offset) {
            None => true,
            Some(ticket) => ticket.await.is_ok(),
        }
    }
}
