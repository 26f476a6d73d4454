//! Per-process state: what must not be shared across a `fork`.
//!
//! After a fork, the child has copies of the parent's locks in whatever state they were, and none
//! of the parent's threads. So a child never locks, drops or waits for anything in the parent's
//! [`ProcessState`]. It reads only the process id stored there, which never changes, and creates a
//! state of its own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, Guard};

use super::reads::Reads;
use crate::delivery::{Delivery, start};
use crate::offload::Offload;
use crate::redaction::Redaction;
use crate::sync::Mutex;
use crate::{Config, Error};

/// The parts of an agent that live as long as its last handle.
pub(crate) struct Core {
    pub config: Arc<Config>,
    pub redaction: Redaction,
    pub offload: Offload,
    process: ArcSwap<ProcessState>,
    closed: AtomicBool,
}

/// The parts that belong to one process.
pub(crate) struct ProcessState {
    pub pid: u32,
    shared: OnceLock<Arc<Delivery>>,
    starting: Mutex<()>,
    pub reads: Arc<Reads>,
}

impl Core {
    pub(crate) fn new(config: Config) -> Self {
        let redaction = Redaction::of(&config);
        let offload = Offload::of(&config);
        let config = Arc::new(config);
        let process = ArcSwap::from_pointee(ProcessState::new(&config));
        Self {
            config,
            redaction,
            offload,
            process,
            closed: AtomicBool::new(false),
        }
    }

    /// Returns this process's `ProcessState`.
    pub(crate) fn process(&self) -> Guard<Arc<ProcessState>> {
        let process = self.process.load();
        if process.pid == std::process::id() {
            return process;
        }
        self.after_fork(&process);
        self.process.load()
    }

    /// Returns the running delivery. The first caller opens and starts it, for this session if one
    /// is given.
    pub(crate) fn running(&self, session: Option<&str>) -> Result<(u32, Arc<Delivery>), Error> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(Error::Closed);
        }
        let process = self.process();
        if let Some(shared) = process.shared.get() {
            return Ok((process.pid, Arc::clone(shared)));
        }
        let _one = process.starting.lock();
        let shared = match process.shared.get() {
            Some(shared) => Arc::clone(shared),
            None => Arc::clone(process.shared.get_or_init({
                let started = start(&self.config, session)?;
                || started
            })),
        };
        Ok((process.pid, shared))
    }

    /// Refuses all further calls. Returns the delivery if it ever ran in this process.
    pub(crate) fn close(&self) -> Option<Arc<Delivery>> {
        self.closed.store(true, Ordering::Relaxed);
        self.process().shared.get().cloned()
    }

    /// In a forked child, replaces the parent's `ProcessState`, which is never dropped, by a new one.
    fn after_fork(&self, parents: &Arc<ProcessState>) {
        std::mem::forget(Arc::clone(parents));
        let before = self
            .process
            .compare_and_swap(parents, Arc::new(ProcessState::new(&self.config)));
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

impl ProcessState {
    fn new(config: &Arc<Config>) -> Self {
        Self {
            pid: std::process::id(),
            shared: OnceLock::new(),
            starting: Mutex::new(()),
            reads: Arc::new(Reads::new(Arc::clone(config))),
        }
    }
}

impl Drop for ProcessState {
    /// Ends the thread after its current request. Undelivered records stay in the spool.
    fn drop(&mut self) {
        if self.pid == std::process::id()
            && let Some(shared) = self.shared.get()
        {
            shared.notifier.notify(|signals| signals.stop = true);
        }
    }
}
