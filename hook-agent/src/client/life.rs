//! Per-process state: what must not be shared across a `fork`.
//!
//! After a fork, the child has copies of the parent's locks in whatever state they were, and none
//! of the parent's threads. So a child never locks, drops or waits for anything in the parent's
//! `Life`. It reads only the process id stored there, which never changes, and creates a `Life` of
//! its own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, Guard};

use super::reads::Reads;
use crate::delivery::{Shared, start};
use crate::redaction::Redaction;
use crate::sync::Mutex;
use crate::{Config, Error};

/// The parts of an agent that live as long as its last handle.
pub(crate) struct Core {
    pub config: Arc<Config>,
    pub redaction: Redaction,
    life: ArcSwap<Life>,
    closed: AtomicBool,
}

/// The parts that belong to one process.
pub(crate) struct Life {
    pub pid: u32,
    shared: OnceLock<Arc<Shared>>,
    starting: Mutex<()>,
    pub reads: Arc<Reads>,
}

impl Core {
    pub(crate) fn new(config: Config) -> Self {
        let redaction = Redaction::of(&config);
        let config = Arc::new(config);
        let life = ArcSwap::from_pointee(Life::new(&config));
        Self { config, redaction, life, closed: AtomicBool::new(false) }
    }

    /// Returns this process's `Life`.
    pub(crate) fn life(&self) -> Guard<Arc<Life>> {
        let life = self.life.load();
        if life.pid == std::process::id() {
            return life;
        }
        self.be_born(&life);
        self.life.load()
    }

    /// Returns the running delivery. The first caller opens and starts it, for this session if one
    /// is given.
    pub(crate) fn running(&self, session: Option<&str>) -> Result<(u32, Arc<Shared>), Error> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(Error::Closed);
        }
        let life = self.life();
        if let Some(shared) = life.shared.get() {
            return Ok((life.pid, Arc::clone(shared)));
        }
        let _one = life.starting.lock();
        let shared = match life.shared.get() {
            Some(shared) => Arc::clone(shared),
            None => Arc::clone(life.shared.get_or_init({
                let started = start(&self.config, session)?;
                || started
            })),
        };
        Ok((life.pid, shared))
    }

    /// Refuses all further calls. Returns the delivery if it ever ran in this process.
    pub(crate) fn close(&self) -> Option<Arc<Shared>> {
        self.closed.store(true, Ordering::Relaxed);
        self.life().shared.get().cloned()
    }

    /// In a forked child, replaces the parent's `Life`, which is never dropped, by a new one.
    fn be_born(&self, parents: &Arc<Life>) {
        std::mem::forget(Arc::clone(parents));
        let before = self.life.compare_and_swap(parents, Arc::new(Life::new(&self.config)));
        let was_first = Arc::ptr_eq(&before, parents);
        if was_first
            && let Some(shared) = parents.shared.get()
            && let Some(mut lock) = shared.lock.try_lock()
        {
            // Close this process's copy; otherwise it would keep the folder locked after the parent
            // has ended.
            lock.take();
        }
    }
}

impl Life {
    fn new(config: &Arc<Config>) -> Self {
        Self {
            pid: std::process::id(),
            shared: OnceLock::new(),
            starting: Mutex::new(()),
            reads: Arc::new(Reads::new(Arc::clone(config))),
        }
    }
}

impl Drop for Life {
    /// Ends the thread after its current request. Undelivered records stay in the spool.
    fn drop(&mut self) {
        if self.pid == std::process::id()
            && let Some(shared) = self.shared.get()
        {
            shared.bell.ring(|rung| rung.stop = true);
        }
    }
}
