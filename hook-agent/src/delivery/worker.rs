//! The delivery thread: its own spool first, then those whose owners have ended; pauses between
//! failures.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::backoff::pause;
use super::held::SpoolDrain;
use super::turn::Turn;
use super::{Answers, Notifier, Report};
use crate::config::MAX_BATCH_LINES;
use crate::spool::{Folder, Head, Limits, Spool, SpoolStorage};
use crate::sync::{Condvar, Mutex};
use crate::transport::{self, Transport};
use crate::{Config, Error};

/// The interval between two searches for folders without an owner.
const ADOPT_EVERY: Duration = Duration::from_secs(30);

/// State shared by the callers' threads and the delivery thread of one process.
pub(crate) struct Delivery {
    pub config: Arc<Config>,
    pub spool: Arc<Spool>,
    pub answers: Answers,
    pub notifier: Notifier,
    pub report: Report,
    pub sweep: Sweep,
    /// Why no directory could be used, if the spool is in memory.
    pub memory_because: Option<String>,
    /// The lock of the spool's folder. A forked child closes its copy, so that the folder is
    /// locked only while the owner lives.
    pub lock: Mutex<Option<File>>,
    /// All records below this number are settled or held apart.
    cursor: AtomicU64,
    /// The number of records that are held apart.
    held: AtomicU64,
    turned: (Mutex<bool>, Condvar),
}

/// Requests to drain every folder that has no owner, and the number of those that are done.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    pub asked: AtomicU64,
    pub done: AtomicU64,
    /// The number of folders that the last sweep had to leave, because our token does not cover their
    /// records.
    pub left: AtomicU64,
}

/// Opens the spool, for the session of the first record, and starts the thread.
pub(crate) fn start(config: &Arc<Config>, session: Option<&str>) -> Result<Arc<Delivery>, Error> {
    let opened = open_spool(config, session).map_err(|source| Error::SpoolWrite {
        path: "(memory)".into(),
        source,
    })?;
    let shared = Arc::new(Delivery {
        config: Arc::clone(config),
        cursor: AtomicU64::new(opened.head.cursor()),
        held: AtomicU64::new(0),
        answers: Answers::from(opened.spool.next()),
        spool: Arc::new(opened.spool),
        notifier: Notifier::default(),
        report: Report::default(),
        sweep: Sweep::default(),
        memory_because: opened.memory_because,
        lock: Mutex::new(opened.folder.map(|folder| folder.lock)),
        turned: (Mutex::new(false), Condvar::default()),
    });
    let worker = Worker::new(Arc::clone(&shared), opened.head);
    let thread = std::thread::Builder::new().name("hook-agent".to_owned());
    thread
        .spawn(move || worker.run())
        .map_err(|source| Error::Thread { source })?;
    Ok(shared)
}

struct OpenedSpool {
    spool: Spool,
    head: Head,
    folder: Option<Folder>,
    memory_because: Option<String>,
}

/// Opens the spool in the first writable directory, or in memory if there is none.
fn open_spool(config: &Config, session: Option<&str>) -> io::Result<OpenedSpool> {
    let mut reasons = Vec::new();
    for dir in &config.spool_dirs {
        let suits = |folder: &Folder| suits(config, session, folder);
        let claimed =
            Folder::claim(dir, config.service.as_str(), session, suits).and_then(|folder| {
                let (spool, head) = open_folder(config, &folder)?;
                Ok(OpenedSpool {
                    spool,
                    head,
                    folder: Some(folder),
                    memory_because: None,
                })
            });
        match claimed {
            Ok(opened) => return Ok(opened),
            Err(error) => reasons.push(format!("`{}`: {error}", dir.display())),
        }
    }
    let producer = uuid::Uuid::new_v4().simple().to_string();
    let (spool, head) = Spool::in_memory(producer, Limits::of(config, true))?;
    let reasons = if reasons.is_empty() {
        "no spool directory is configured: set `HOOK_AGENT_SPOOL_DIR`".to_owned()
    } else {
        reasons.join("; ")
    };
    Ok(OpenedSpool {
        spool,
        head,
        folder: None,
        memory_because: Some(reasons),
    })
}

/// Returns whether a folder's records may come before our own. A token may be for our session
/// alone, and another session's record would block all of ours. Such a folder is adopted later, and
/// released if the token does not cover it. The same holds for any folder while our session is not
/// known yet, and for one that can't be read.
fn suits(config: &Config, session: Option<&str>, folder: &Folder) -> bool {
    if config.token.is_none() {
        return true;
    }
    let Some(ours) = session else { return false };
    let Ok((spool, mut head)) = open_folder(config, folder) else {
        return false;
    };
    let Ok(window) = head.window(&spool) else {
        return false;
    };
    spool.report_losses();
    window.is_none_or(|window| window.batches.iter().all(|batch| batch.session == ours))
}

fn open_folder(config: &Config, folder: &Folder) -> io::Result<(Spool, Head)> {
    let storage = SpoolStorage::Disk(folder.path.clone());
    Spool::open(storage, folder.producer.clone(), Limits::of(config, false))
}

impl Delivery {
    /// Waits until everything added so far is settled; with `everything`, the folders without an
    /// owner too.
    pub(crate) fn flush(&self, timeout: Duration, everything: bool) -> bool {
        let deadline = Instant::now() + timeout;
        self.spool.report_losses();
        let target = self.spool.next();
        let sweep = if everything {
            self.sweep.asked.fetch_add(1, Ordering::SeqCst) + 1
        } else {
            0
        };
        self.notifier.notify(|signals| signals.hurry = true);
        let drained = || {
            let cursor = self.cursor.load(Ordering::SeqCst);
            cursor >= target
                && self.held.load(Ordering::SeqCst) == 0
                && self.spool.are_losses_reported(cursor)
                && self.sweep.done.load(Ordering::SeqCst) >= sweep
        };
        let mut ended = self.turned.0.lock();
        while !drained() && !*ended {
            let over;
            (ended, over) = self.turned.1.wait_until(ended, deadline);
            if over {
                break;
            }
        }
        drained() && !(everything && self.sweep.left.load(Ordering::SeqCst) > 0)
    }

    /// Ends the thread after its current request, and waits for that.
    pub(crate) fn stop(&self, timeout: Duration) {
        self.notifier.notify(|signals| signals.stop = true);
        let deadline = Instant::now() + timeout;
        let mut ended = self.turned.0.lock();
        let mut over = false;
        while !*ended && !over {
            (ended, over) = self.turned.1.wait_until(ended, deadline);
        }
    }

    fn turned(&self, cursor: u64, held: u64) {
        let _guard = self.turned.0.lock();
        self.held.store(held, Ordering::SeqCst);
        self.cursor.store(cursor, Ordering::SeqCst);
        self.turned.1.notify_all();
    }
}

struct Worker {
    shared: Arc<Delivery>,
    transport: Option<Box<dyn Transport>>,
    own: SpoolDrain,
    adopted: Option<(SpoolDrain, Folder)>,
    /// Folders that are skipped until the next look: our token does not cover their records, or
    /// they can't be finished.
    passed_over: HashSet<String>,
    failures: u32,
    idle_since: Instant,
    looked: Option<Instant>,
    /// The latest sweep request that was started.
    swept: u64,
}

impl Worker {
    fn new(shared: Arc<Delivery>, head: Head) -> Self {
        let own = SpoolDrain::new(Arc::clone(&shared.spool), head)
            .with_max_pause(shared.config.max_backoff);
        let idle_since = Instant::now();
        Self {
            shared,
            transport: None,
            own,
            adopted: None,
            passed_over: HashSet::new(),
            failures: 0,
            idle_since,
            looked: None,
            swept: 0,
        }
    }

    fn run(mut self) {
        while !self.shared.notifier.stopping() {
            let turn = self.turn();
            self.shared
                .turned(self.own.cursor(), self.own.held_records());
            match turn {
                Turn::Progress => self.progressed(),
                Turn::Failed { after } => self.failed(after),
                Turn::Locked => self.locked(),
                Turn::Idle => self.idle(),
            }
        }
        // Nobody will settle anything after this: answer present and later waiters with `queued`.
        self.shared.answers.fail();
        self.shared.spool.report_losses();
        self.let_go();
        if let Some(lock) = self.shared.lock.lock().take() {
            release(&lock);
        }
        *self.shared.turned.0.lock() = true;
        self.shared.turned.1.notify_all();
    }

    fn turn(&mut self) -> Turn {
        let Self {
            shared,
            transport,
            own,
            adopted,
            ..
        } = self;
        let transport = match open_once(transport, &shared.config) {
            Ok(transport) => transport,
            Err(error) => {
                shared.report.failed(error.to_string());
                return Turn::Failed { after: None };
            }
        };
        let turn = own.turn(transport, Some(&shared.answers), &shared.report);
        match adopted {
            Some((drain, _)) if turn == Turn::Idle => {
                let turn = drain.turn(transport, None, &shared.report);
                if turn == Turn::Progress {
                    shared.answers.succeed();
                }
                turn
            }
            _ => turn,
        }
    }

    fn progressed(&mut self) {
        self.failures = 0;
        self.idle_since = Instant::now();
        if self.shared.spool.pending() < MAX_BATCH_LINES as u64 && self.adopted.is_none() {
            self.wait();
        }
    }

    fn failed(&mut self, asked: Option<Duration>) {
        self.failures = self.failures.saturating_add(1);
        self.shared.answers.fail();
        self.shared.spool.report_losses_within_limit();
        let pause = pause(
            self.failures,
            self.shared.config.max_backoff,
            asked,
            fastrand::f64(),
        );
        self.shared
            .notifier
            .pause(Instant::now() + pause, asked.is_some());
    }

    /// Handles refused access. Our own records wait for another token. An adopted folder is left to
    /// a process with the right token, so that it no longer blocks our records.
    fn locked(&mut self) {
        match self
            .adopted
            .as_ref()
            .map(|(_, folder)| folder.producer.clone())
        {
            None => self.failed(None),
            Some(producer) => self.pass_over(producer),
        }
    }

    fn pass_over(&mut self, producer: String) {
        self.passed_over.insert(producer);
        self.let_go();
        self.looked = None;
    }

    fn let_go(&mut self) {
        if let Some((drain, folder)) = self.adopted.take() {
            self.shared.spool.absorb(&drain.spool);
            release(&folder.lock);
        }
    }

    fn idle(&mut self) {
        match self.adopted.as_ref().map(|(_, folder)| folder) {
            // The folder's state can't be written. Adopting it again at once would only delay the
            // others.
            Some(folder) if folder.holds_records() => self.pass_over(folder.producer.clone()),
            _ => self.let_go(),
        }
        let asked = self.shared.sweep.asked.load(Ordering::SeqCst);
        let sweeping = self.shared.sweep.done.load(Ordering::SeqCst) < asked;
        let due = self
            .looked
            .is_some_and(|looked| looked.elapsed() > ADOPT_EVERY);
        if due || self.swept != asked {
            self.swept = asked;
            self.passed_over.clear();
        }
        if sweeping || due || self.looked.is_none() {
            self.looked = Some(Instant::now());
            self.adopted = self.adopt();
            if self.adopted.is_some() {
                return;
            }
            self.shared
                .sweep
                .left
                .store(self.passed_over.len() as u64, Ordering::SeqCst);
            self.shared.sweep.done.store(asked, Ordering::SeqCst);
            self.shared
                .turned(self.own.cursor(), self.own.held_records());
        }
        self.wait();
    }

    fn wait(&mut self) {
        let Delivery {
            notifier,
            spool,
            config,
            ..
        } = &*self.shared;
        let held = self.own.held_records();
        let signals = notifier.wait(config.linger, self.idle_since, || spool.pending() > held);
        if signals.hurry {
            self.own.retry_held();
        }
    }

    fn adopt(&self) -> Option<(SpoolDrain, Folder)> {
        let SpoolStorage::Disk(own) = &self.shared.spool.storage else {
            return None;
        };
        let found = Folder::adopt(
            own.parent()?,
            self.shared.config.service.as_str(),
            &self.passed_over,
        );
        let found = found.and_then(|folder| {
            let Some(folder) = folder else {
                return Ok(None);
            };
            let (spool, head) = open_folder(&self.shared.config, &folder)?;
            Ok(Some((SpoolDrain::new(Arc::new(spool), head), folder)))
        });
        let adopted = found.unwrap_or_else(|error| {
            Report::add(&self.shared.report.spool_errors, 1);
            self.shared
                .report
                .failed(format!("failed to look for folders to adopt: {error}"));
            None
        });
        Report::add(&self.shared.report.adopted, u64::from(adopted.is_some()));
        adopted
    }
}

/// Unlocks the folder. Closing the file alone would leave it locked for as long as a fork of this
/// process has a copy of the open file.
fn release(lock: &File) {
    // A lock that can't be unlocked is released when its last copy is closed.
    let _ = lock.unlock();
}

fn open_once<'a>(
    transport: &'a mut Option<Box<dyn Transport>>,
    config: &Config,
) -> Result<&'a mut dyn Transport, Error> {
    let opened = match transport.take() {
        Some(opened) => opened,
        None => transport::open(config)?,
    };
    Ok(&mut **transport.insert(opened))
}
