//! The heart: the one place that sees the store and the live feed.
//!
//! A write takes the session's lock, decides, appends to the journal, lets the view follow, lets go of the lock,
//! and waits for the commit. A large batch does so in parts, on a thread of its own: see [`large`]. A read waits until
//! what it shows is durable. Nothing blocks on the disk while it is polled: reading files happens on the blocking
//! pool, entered once per request.

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

/// What the sessions are kept with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The store's options.
    pub store: Options,
    /// Whether a write to an unknown session creates it.
    pub auto_create: bool,
    /// What is deleted, if anything.
    pub retention: Policy,
    /// The rules of redaction beside the built-in ones; `None`: nothing is redacted.
    pub redaction: Option<Arc<Rules>>,
    /// Whether the start fails if the key of the tags is lost or damaged, instead of making a new one.
    pub redaction_key_required: bool,
}

/// What a write answers, given again byte for byte when a producer repeats itself.
#[derive(Debug, Clone)]
pub struct Submitted {
    /// The HTTP status.
    pub status: u16,
    /// The JSON body.
    pub body: String,
    /// Why lines of a batch were refused, one code each.
    pub refused: Vec<Code>,
    /// Whether nothing was stored, since a producer repeats itself.
    pub repeated: bool,
}

impl Submitted {
    /// A success.
    fn ok(body: String) -> Self {
        Self { status: 200, body, refused: Vec::new(), repeated: false }
    }

    /// The answer to what was stored before.
    fn repeated(self) -> Self {
        Self { repeated: true, ..self }
    }
}

/// All sessions.
#[derive(Clone)]
pub struct Sessions {
    store: Arc<Store>,
    hub: Arc<Hub>,
    redaction: Arc<Redaction>,
    settings: Settings,
    /// Who may work on a large batch.
    large: Arc<Semaphore>,
}

impl Sessions {
    /// Opens the storage directory on the real disk.
    pub fn open(settings: Settings, hub: Arc<Hub>) -> Result<Arc<Self>, OpenError> {
        Self::open_on(settings, hub, Arc::new(RealDisk))
    }

    /// Opens it on a disk of the caller's, for tests that make it fail.
    pub fn open_on(settings: Settings, hub: Arc<Hub>, disk: Arc<dyn Disk>) -> Result<Arc<Self>, OpenError> {
        let observer = Arc::new(feed::Feed::new(Arc::clone(&hub)));
        let store = Store::open(settings.store.clone(), disk, observer)?;
        let redaction = Arc::new(Redaction::open(&store, &settings)?);
        let large = Arc::new(Semaphore::new(large::AT_ONCE));
        Ok(Arc::new(Self { store, hub, redaction, settings, large }))
    }

    /// Refuses new writes, finishes what was accepted, syncs. Waits off the runtime's threads.
    pub async fn shutdown(&self) {
        let store = Arc::clone(&self.store);
        if actix_web::web::block(move || store.close()).await.is_err() {
            tracing::error!("the store could not be closed in order; the next start recovers");
        }
    }

    /// The live feed.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// What screens the bodies of requests.
    pub fn redaction(&self) -> &Arc<Redaction> {
        &self.redaction
    }

    /// The past, by position.
    pub fn history(&self) -> Arc<dyn History> {
        Arc::new(history::StoreHistory::new(Arc::clone(&self.store)))
    }

    /// The `storage` object of `/health`.
    pub fn storage_health(&self) -> Value {
        self.store.health()
    }

    /// The name of this run of the service, by which a command knows whose directory it keeps.
    pub fn run(&self) -> &str {
        self.store.run()
    }

    /// The storage directory, as it is found from anywhere on this machine.
    pub fn directory(&self) -> PathBuf {
        let root = self.store.layout().root();
        std::fs::canonicalize(root).unwrap_or_else(|_| root.to_owned())
    }

    /// Whether a session is known; loads nothing.
    pub fn exists(&self, id: &SessionId) -> bool {
        self.store.index.get(id.as_str()).is_some()
    }

    /// The session that a request names, also by a name that only the older service took for one.
    pub fn named(&self, text: &str) -> Result<SessionId, Refusal> {
        SessionId::parse(text).or_else(|refusal| self.store.index.by_original(text).ok_or(refusal))
    }

    /// How many files clients may keep open by reading slowly.
    pub(crate) fn readers(&self) -> &Arc<Readers> {
        &self.store.readers
    }

    /// Where a session's files are, as the configuration names it.
    fn path_of(&self, id: &SessionId) -> PathBuf {
        self.store.layout().session(id)
    }

    /// Whether a session that is in memory is good to use.
    fn is_current(&self, loaded: &Loaded) -> bool {
        loaded.generation == self.store.journal.generation()
    }

    /// Brings a session into memory, off the runtime's threads.
    async fn load(&self, cell: &Arc<Cell>) -> Result<(), Refusal> {
        self.with_cell(cell, Store::load).await
    }

    /// The same for a write, with what has to be done for the session's files before.
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

    /// Waits until an offset is durable; false if its commit failed and what was read has to be read again.
    async fn settled(&self, offset: u64) -> bool {
        match self.store.journal.ticket_of(offset) {
            None => true,
            Some(ticket) => ticket.await.is_ok(),
        }
    }
}

/// Opens a log of a session that is there. Blocks on the disk.
fn open_log(store: &Store, id: &SessionId, log: LogKind) -> Result<LogFile, Refusal> {
    let opened = store.open_log(&store.cells.get(id), log).map_err(|damage| unopened(id, &damage))?;
    opened.ok_or_else(|| not_found(id))
}

/// Why a session could not be opened, without the system's words, which go to the log.
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

/// The answer about a session that is not there.
pub(crate) fn not_found(id: &SessionId) -> Refusal {
    Refusal::new(Code::SessionNotFound, format!("there is no session `{id}`"))
}

fn commit_refusal(error: CommitError) -> Refusal {
    error.into()
}
