//! The heart: the one place that sees the store and the live feed.
//!
//! A write takes the session's lock, decides, appends to the journal, lets the view follow, lets go of the lock,
//! and waits for the commit. A read waits until what it shows is durable. Nothing blocks on the disk while it is
//! polled: reading files happens on the blocking pool, entered once per request.

mod archiving;
mod batch;
mod copy;
mod feed;
pub mod figures;
mod history;
mod kin;
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
use session_model::{Code, Refusal, SessionId};

use crate::clock::now;
use crate::live::{History, Hub};
use crate::store::cells::{Cell, Loaded};
use crate::store::disk::{Disk, RealDisk};
use crate::store::error::{CommitError, Damage, OpenError};
use crate::store::retention::Policy;
use crate::store::{Options, Store};

pub use copy::ExportQuery;
pub use lists::{ListQuery, Within};
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
pub struct Sessions {
    store: Arc<Store>,
    hub: Arc<Hub>,
    redaction: Arc<Redaction>,
    settings: Settings,
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
        Ok(Arc::new(Self { store, hub, redaction, settings }))
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

    /// Whether a session is known; loads nothing.
    pub fn exists(&self, id: &SessionId) -> bool {
        self.store.index.get(id.as_str()).is_some()
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
        let (store, cell) = (Arc::clone(&self.store), Arc::clone(cell));
        let id = cell.id.clone();
        match actix_web::web::block(move || store.load(&cell)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(damage)) => Err(quarantined(&id, &damage)),
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

fn quarantined(id: &SessionId, damage: &Damage) -> Refusal {
    if matches!(damage, Damage::InTheWay) {
        let message =
            format!("there is no session `{id}`, and none can be made: a file in `sessions/` has its name");
        return Refusal::new(Code::SessionNotFound, message);
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
