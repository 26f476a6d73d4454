//! The core of the service: the only module that uses both the store and the live feed.
//!
//! A write takes the session's lock, decides, appends to the journal, updates the view, releases
//! the lock and waits for the commit. A large batch is written in parts, on a blocking thread: see
//! [`large`]. A read waits until what it returns is durable. Polling a future never blocks on the
//! disk: files are read on the blocking pool, entered once per request.

mod archiving;
mod batch;
mod copy;
mod feed;
pub mod figures;
mod history;
mod kin;
mod large;
mod lifecycle;
mod lists;
mod logs;
mod place;
mod producers;
mod read;
mod redaction;
mod refused;
mod retain;
mod usage;
mod write;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use session_model::redact::Rules;
use session_model::{Code, LogKind, Refusal, SessionId};
use tokio::sync::Semaphore;

use crate::clock::now;
use crate::live::{History, Hub};
use crate::store::cells::{Cell, Loaded};
use crate::store::disk::{Disk, RealDisk, is_full};
use crate::store::error::{CommitError, Damage, OpenError};
use crate::store::log_file::LogFile;
use crate::store::readers::Readers;
use crate::store::retention::Policy;
use crate::store::{Options, Store};

pub use copy::ExportQuery;
pub use lists::{ListQuery, Listed, PageQuery, Within};
pub use logs::{JsonStream, LogQuery};
pub use redaction::{Redaction, RulesError, read_rules};
pub use refused::Refused;

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
    /// Whether a lost or damaged placeholder key makes the start fail. Otherwise a new key is
    /// created.
    pub redaction_key_required: bool,
}

/// Response to a write. It is returned again byte for byte when a producer repeats a request.
#[derive(Debug, Clone)]
pub struct Submitted {
    /// The HTTP status.
    pub status: u16,
    /// The JSON body.
    pub body: String,
    /// Error codes of the rejected lines of a batch, one per line.
    pub refused: Vec<Code>,
    /// Whether nothing was stored because the producer repeated a request.
    pub repeated: bool,
}

impl Submitted {
    /// Creates the response to a successful write.
    fn ok(body: String) -> Self {
        Self { status: 200, body, refused: Vec::new(), repeated: false }
    }

    /// Marks the response as one to a repeated request.
    fn repeated(self) -> Self {
        Self { repeated: true, ..self }
    }
}

/// All sessions of the service.
#[derive(Clone)]
pub struct Sessions {
    store: Arc<Store>,
    hub: Arc<Hub>,
    redaction: Arc<Redaction>,
    settings: Settings,
    /// Limits how many large batches are processed at the same time.
    large: Arc<Semaphore>,
}

impl Sessions {
    /// Opens the storage directory on the real disk.
    pub fn open(settings: Settings, hub: Arc<Hub>) -> Result<Arc<Self>, OpenError> {
        Self::open_on(settings, hub, Arc::new(RealDisk))
    }

    /// Opens the storage directory on the given disk, for tests that inject failures.
    pub fn open_on(settings: Settings, hub: Arc<Hub>, disk: Arc<dyn Disk>) -> Result<Arc<Self>, OpenError> {
        let observer = Arc::new(feed::Feed::new(Arc::clone(&hub)));
        let store = Store::open(settings.store.clone(), disk, observer)?;
        let redaction = Arc::new(Redaction::open(&store, &settings)?);
        let large = Arc::new(Semaphore::new(large::AT_ONCE));
        Ok(Arc::new(Self { store, hub, redaction, settings, large }))
    }

    /// Rejects new writes, completes the accepted ones and syncs. Waits on the blocking pool.
    pub async fn shutdown(&self) {
        let store = Arc::clone(&self.store);
        if actix_web::web::block(move || store.close()).await.is_err() {
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

    /// Returns the event history, which is read by position.
    pub fn history(&self) -> Arc<dyn History> {
        Arc::new(history::StoreHistory::new(Arc::clone(&self.store)))
    }

    /// Returns the `storage` object of `/health`.
    pub fn storage_health(&self) -> Value {
        self.store.health()
    }

    /// Returns the id of this run of the service, by which a command recognizes the service that
    /// owns a storage directory.
    pub fn run(&self) -> &str {
        self.store.run()
    }

    /// Returns the canonical path of the storage directory, valid from any working directory on
    /// this machine.
    pub fn directory(&self) -> PathBuf {
        let root = self.store.layout().root();
        std::fs::canonicalize(root).unwrap_or_else(|_| root.to_owned())
    }

    /// Returns whether a session exists. Loads nothing.
    pub fn exists(&self, id: &SessionId) -> bool {
        self.store.index.get(id.as_str()).is_some()
    }

    /// Resolves a session id given in a request. It may be a legacy id that only the older service
    /// accepted.
    pub fn named(&self, text: &str) -> Result<SessionId, Refusal> {
        SessionId::parse(text).or_else(|refusal| self.store.index.by_original(text).ok_or(refusal))
    }

    /// Limits how many files clients may keep open by reading slowly.
    pub(crate) fn readers(&self) -> &Arc<Readers> {
        &self.store.readers
    }

    /// Returns the path of a session's files, below the directory as configured.
    fn path_of(&self, id: &SessionId) -> PathBuf {
        self.store.layout().session(id)
    }

    /// Returns whether a loaded session is still current.
    fn is_current(&self, loaded: &Loaded) -> bool {
        loaded.generation == self.store.journal.generation()
    }

    /// Loads a session into memory, on the blocking pool.
    async fn load(&self, cell: &Arc<Cell>) -> Result<(), Refusal> {
        self.with_cell(cell, Store::load).await
    }

    /// Loads a session for a write, after completing pending work on its files. Runs on the
    /// blocking pool.
    async fn load_to_write(&self, cell: &Arc<Cell>) -> Result<(), Refusal> {
        self.with_cell(cell, |store, cell| store.load(cell).and_then(|()| store.complete(cell))).await
    }

    async fn with_cell(
        &self,
        cell: &Arc<Cell>,
        open: impl FnOnce(&Store, &Arc<Cell>) -> Result<(), Damage> + Send + 'static,
    ) -> Result<(), Refusal> {
        let (store, cell) = (Arc::clone(&self.store), Arc::clone(cell));
        let id = cell.id.clone();
        match actix_web::web::block(move || open(&store, &cell)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(damage)) => Err(unopened(&id, &damage)),
            Err(_) => Err(Refusal::new(Code::Internal, "a session could not be loaded")),
        }
    }

    /// Waits until an offset is durable. Returns false if its commit failed, in which case the data
    /// must be read again.
    async fn settled(&self, offset: u64) -> bool {
        match self.store.journal.ticket_of(offset) {
            None => true,
            Some(ticket) => ticket.await.is_ok(),
        }
    }
}

/// Opens a log of an existing session. Blocks on the disk.
fn open_log(store: &Store, id: &SessionId, log: LogKind) -> Result<LogFile, Refusal> {
    let opened = store.open_log(&store.cells.get(id), log).map_err(|damage| unopened(id, &damage))?;
    opened.ok_or_else(|| not_found(id))
}

/// Returns the error for a session that could not be opened. The operating system's message goes
/// only to the log.
fn unopened(id: &SessionId, damage: &Damage) -> Refusal {
    match damage {
        Damage::InTheWay => {
            let message = format!(
                "there is no session `{id}`, and none can be made: a file in `sessions/` has its name"
            );
            return Refusal::new(Code::SessionNotFound, message);
        }
        Damage::Io { file, source } => {
            tracing::error!(session = %id, file, error = %source, "session cannot be read now; it is left as it is");
            return if is_full(source) {
                Refusal::new(
                    Code::StorageFull,
                    format!("session `{id}` cannot be completed: the disk is full"),
                )
            } else {
                let message =
                    format!("session `{id}` cannot be read now: ask again; the service's log says why");
                Refusal::new(Code::StorageUnavailable, message)
            };
        }
        Damage::Record { .. } | Damage::Short { .. } | Damage::Gap { .. } => {}
    }
    tracing::error!(session = %id, %damage, "session is damaged");
    Refusal::new(
        Code::SessionQuarantined,
        format!("session `{id}` was set aside because its files are damaged"),
    )
}

/// Returns the error for a session that does not exist.
pub(crate) fn not_found(id: &SessionId) -> Refusal {
    Refusal::new(Code::SessionNotFound, format!("there is no session `{id}`"))
}

fn commit_refusal(error: CommitError) -> Refusal {
    error.into()
}
