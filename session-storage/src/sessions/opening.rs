//! Opening the sessions of a storage directory.

use std::sync::Arc;

use session_store::Store;
use session_store::disk::{Disk, RealDisk};
use session_store::engine::Engine;
use session_store::error::OpenError;
use tokio::sync::Semaphore;

use super::feed;
use super::large;
use super::redaction::Redaction;
use super::service::{Sessions, Settings};
use super::sums_cache::SumsCache;
use super::usage_records;
use crate::live::Hub;

impl Sessions {
    /// Opens the storage directory on the real disk.
    pub fn open(settings: Settings, hub: Arc<Hub>) -> Result<Arc<Self>, OpenError> {
        Self::open_on(settings, hub, Arc::new(RealDisk))
    }

    /// Opens the storage directory on the given disk, for tests that inject failures.
    pub fn open_on(
        settings: Settings,
        hub: Arc<Hub>,
        disk: Arc<dyn Disk>,
    ) -> Result<Arc<Self>, OpenError> {
        let observer = Arc::new(feed::Feed::new(Arc::clone(&hub)));
        let store = Store::open(settings.store.clone(), disk, observer)?;
        Self::on_engine(settings, hub, store)
    }

    /// Serves the sessions of an engine that is open and reports its events to the hub.
    pub(super) fn on_engine(
        settings: Settings,
        hub: Arc<Hub>,
        engine: Arc<dyn Engine>,
    ) -> Result<Arc<Self>, OpenError> {
        let redaction = Arc::new(Redaction::open(
            &*engine,
            settings.redaction.as_ref(),
            settings.redaction_key_required,
        )?);
        let large = Arc::new(Semaphore::new(large::AT_ONCE));
        Ok(Arc::new(Self {
            engine,
            hub,
            redaction,
            settings,
            large,
            summing: Arc::new(Semaphore::new(usage_records::AT_ONCE)),
            sums: Arc::new(SumsCache::new()),
        }))
    }
}
