//! Opening and closing a storage directory.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use session_model::SessionId;
use session_model::redact::Key;

use super::behind::Behind;
use super::cells::{Cell, Cells, Loaded, Slot};
use super::checkpoint::Checkpoint;
use super::committer::{Committer, Observer};
use super::disk::Disk;
use super::error::OpenError;
use super::figures::Figures;
use super::folders::Folders;
use super::index::Index;
use super::journal::Journal;
use super::layout::Layout;
use super::lock::DirLock;
use super::log_writer::LogWriter;
use super::readers::Readers;
use super::recent::Links;
use super::redaction_key::Demand;
use super::segments::{Segments, Tail};
use super::session_dir::Opened;
use super::{adopted, committer, maintenance, recovery, redaction_key};

/// How long the result of a disk probe stays valid.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// When a commit is synced.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SyncPolicy {
    /// Before it is acknowledged.
    #[default]
    Always,
    /// About once a second.
    EverySecond,
    /// When the operating system decides, and at checkpoints.
    Never,
}

/// Options of a store.
#[derive(Clone, Debug)]
pub struct Options {
    /// The storage directory.
    pub path: PathBuf,
    /// When a commit is synced.
    pub sync: SyncPolicy,
    /// The number of links in `recent/`.
    pub recent_limit: usize,
    /// The journal size above which checkpointed segments are removed.
    pub journal_max_bytes: u64,
    /// How many files may be kept open.
    pub files: OpenFiles,
}

/// Limits on files kept open, not counting those in use at the moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenFiles {
    /// Logs that are written to.
    pub logs: NonZeroUsize,
    /// Logs that are read by clients.
    pub readers: usize,
}

impl Default for OpenFiles {
    fn default() -> Self {
        Self { logs: NonZeroUsize::new(512).expect("is not zero"), readers: 256 }
    }
}

/// An open storage directory.
pub struct Store {
    pub(super) options: Options,
    pub(super) layout: Layout,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) root: File,
    pub(super) epoch: String,
    /// The journal (the write-ahead log).
    pub journal: Arc<Journal>,
    /// The journal's segment files.
    pub segments: Arc<Segments>,
    /// The store's metrics.
    pub figures: Arc<Figures>,
    /// One row per session.
    pub index: Arc<Index>,
    /// The sessions in memory.
    pub cells: Cells,
    /// The limit on logs that readers keep open.
    pub readers: Arc<Readers>,
    pub(super) folders: Arc<Folders>,
    pub(super) dirty: Mutex<Vec<Arc<Cell>>>,
    pub(super) awaiting_checkpoint: Mutex<Vec<Arc<Cell>>>,
    pub(super) linked: Mutex<Links>,
    /// The offset from which the journal is replayed.
    pub(super) checkpointed: AtomicU64,
    /// Whether the last attempt to write a snapshot failed.
    pub(super) snapshots_fail: AtomicBool,
    probed: Mutex<Option<(Instant, Result<(), &'static str>)>>,
    pub(super) quarantined: Mutex<BTreeMap<SessionId, String>>,
    /// The sessions whose files lack something that the journal holds.
    pub behind: Arc<Behind>,
    stop: (Mutex<bool>, Condvar),
    threads: Mutex<Vec<JoinHandle<()>>>,
    lock: DirLock,
}

/// Returns the sessions quarantined now and in earlier runs.
fn known_quarantined(layout: &Layout, mut now: BTreeMap<SessionId, String>) -> BTreeMap<SessionId, String> {
    let Ok(entries) = fs::read_dir(layout.quarantine()) else { return now };
    for entry in entries.flatten().filter(|entry| entry.path().is_dir()) {
        if let Some(id) = entry.file_name().to_str().and_then(|name| SessionId::parse(name).ok()) {
            now.entry(id).or_insert_with(|| "was set aside before".to_owned());
        }
    }
    now
}

/// Returns `next`, or the offset after it if the segment named `next` is in use.
///
/// A segment that holds only producers' positions and no events consumes no offset. It must not be
/// overwritten.
fn free_offset(layout: &Layout, next: u64) -> u64 {
    let is_used = fs::metadata(layout.segment(next)).is_ok_and(|found| found.len() > 0);
    next + u64::from(is_used)
}

impl Store {
    /// Opens a directory, recovers it after a crash, and starts the store's two threads.
    pub fn open(
        options: Options,
        disk: Arc<dyn Disk>,
        observer: Arc<dyn Observer>,
    ) -> Result<Arc<Self>, OpenError> {
        let layout = Layout::new(&options.path);
        for folder in [layout.root().to_owned(), layout.sessions(), layout.journal()] {
            fs::create_dir_all(&folder).map_err(OpenError::io("create", &folder))?;
        }
        let lock = DirLock::take(&layout)?;
        if layout.restoring().exists() {
            return Err(OpenError::Restoring { path: options.path });
        }
        if let Err(error) = recovery::empty_outgoing(&layout) {
            tracing::warn!(%error, "what was on its way into the archive could not be removed");
        }
        adopted::rename_all(&layout, disk.as_ref())
            .map_err(OpenError::io("rename sessions in", layout.sessions()))?;
        let index = Arc::new(Index::default());
        let recovered = recovery::recover(&layout, disk.as_ref(), &index)?;
        let root = File::open(layout.root()).map_err(OpenError::io("open", layout.root()))?;
        let (_, size) = disk.free_space(&root).map_err(OpenError::io("examine", layout.root()))?;
        let next_offset = free_offset(&layout, recovered.next_offset);
        let segments = Segments::new(layout.clone(), size, recovered.segments);
        let tail = match Tail::begin(&segments, next_offset) {
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                tracing::warn!(
                    "the disk is full: what is stored is served, writes are refused until there is room"
                );
                None
            }
            begun => Some(begun.map_err(OpenError::io("write", layout.journal()))?),
        };
        let segments = Arc::new(segments);
        let journal = Arc::new(Journal::new(next_offset));
        let store = Arc::new(Self {
            root: root.try_clone().map_err(OpenError::io("open", layout.root()))?,
            epoch: recovered.epoch,
            journal: Arc::clone(&journal),
            segments: Arc::clone(&segments),
            figures: Arc::default(),
            index,
            cells: Cells::default(),
            readers: Readers::new(options.files.readers),
            folders: Arc::default(),
            dirty: Mutex::default(),
            awaiting_checkpoint: Mutex::default(),
            linked: Mutex::default(),
            checkpointed: AtomicU64::new(0),
            snapshots_fail: AtomicBool::new(false),
            probed: Mutex::default(),
            quarantined: Mutex::new(known_quarantined(&layout, recovered.quarantined)),
            behind: Arc::new(Behind::new(recovered.behind, recovered.checkpoint)),
            stop: (Mutex::new(false), Condvar::new()),
            threads: Mutex::default(),
            lock,
            disk: Arc::clone(&disk),
            layout: layout.clone(),
            options,
        });
        store.begin_life(recovered.checkpoint)?;
        store.keep(recovered.opened);
        let policy = store.options.sync;
        let (behind, most) = (Arc::clone(&store.behind), store.options.files.logs);
        let logs = LogWriter::new(layout, Arc::clone(&store.folders), behind, most);
        let (index, figures) = (Arc::clone(&store.index), Arc::clone(&store.figures));
        let committer =
            Committer { journal, disk, policy, root, segments, tail, logs, observer, index, figures };
        store.start(committer)?;
        Ok(store)
    }

    /// Records the epoch of the directory, which must be known even if this run ends before its
    /// first checkpoint.
    ///
    /// If the epoch is already on disk, a full disk does not stop the start.
    fn begin_life(&self, checkpoint: u64) -> Result<(), OpenError> {
        let known =
            Checkpoint::read(&self.layout).map_err(OpenError::io("read", self.layout.checkpoint()))?;
        let known = known.filter(|known| known.epoch == self.epoch);
        if known.as_ref().is_some_and(|known| !known.clean) {
            return Ok(());
        }
        match self.write_checkpoint(checkpoint, false, self.behind.all()) {
            Err(error) if known.is_some() || error.kind() == io::ErrorKind::StorageFull => {
                tracing::warn!(%error, "the checkpoint could not be marked as in use");
                Ok(())
            }
            written => written.map_err(OpenError::io("write", self.layout.checkpoint())),
        }
    }

    /// Keeps recovered sessions in memory until their snapshots are written.
    fn keep(&self, recovered: Vec<Opened>) {
        let generation = self.journal.generation();
        for Opened { view, damaged, .. } in recovered {
            let cell = self.cells.get(&view.id);
            let loaded = Loaded { damaged, ..Loaded::dirty(view, generation) };
            *cell.slot.lock() = Slot::Loaded(Box::new(loaded));
            self.queue_snapshot(&cell);
        }
    }

    fn start(self: &Arc<Self>, committer: Committer) -> Result<(), OpenError> {
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
            thread.map_err(OpenError::io("start a thread for", self.layout.root()))
        };
        let store = Arc::clone(self);
        let threads = [
            spawn("commit", Box::new(move || committer.run()))?,
            spawn("maintenance", Box::new(move || maintenance::run(&store)))?,
        ];
        self.threads.lock().extend(threads);
        Ok(())
    }

    /// Waits for one tick; returns true once the store stops.
    pub(super) fn wait_for_stop(&self, tick: Duration) -> bool {
        let mut stopping = self.stop.0.lock();
        if !*stopping {
            self.stop.1.wait_for(&mut stopping, tick);
        }
        *stopping
    }

    /// Refuses new writes, finishes the accepted ones and makes a last checkpoint. Blocks.
    pub fn close(&self) {
        self.journal.drain();
        *self.stop.0.lock() = true;
        self.stop.1.notify_all();
        for thread in std::mem::take(&mut *self.threads.lock()) {
            if thread.join().is_err() {
                tracing::error!("a thread of the store has panicked");
            }
        }
        if !self.journal.has_failed() {
            self.checkpoint(true);
        }
    }

    /// Returns the epoch of the directory.
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// Returns the name of this run, that is, of this opening of the directory (see
    /// [`super::lock`]).
    pub fn run(&self) -> &str {
        self.lock.run()
    }

    /// Returns the key used to make redaction placeholders.
    ///
    /// `required`: a lost or damaged key is an error and is not replaced by a new one.
    pub fn redaction_key(&self, required: bool) -> Result<Key, OpenError> {
        let has_sessions = self.index.counts().0 > 0;
        redaction_key::read_or_make(&self.layout, Demand { required, has_sessions })
    }

    /// Returns the paths of the storage directory.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns the sessions quarantined now and in earlier runs, and the reasons.
    pub fn quarantined(&self) -> BTreeMap<SessionId, String> {
        self.quarantined.lock().clone()
    }

    /// Returns the newest folder in `quarantine/` for a session of this name, and the reason.
    pub fn quarantined_as(&self, id: &SessionId) -> Option<(String, String)> {
        let reason = self.quarantined.lock().get(id).cloned()?;
        Some((recovery::newest_quarantined(&self.layout, id)?, reason))
    }

    /// Returns how many sessions wait for their snapshots to be written.
    pub fn awaiting_snapshots(&self) -> usize {
        self.dirty.lock().len()
    }

    /// Returns how many sessions are quarantined.
    pub fn quarantined_count(&self) -> usize {
        self.quarantined.lock().len()
    }

    /// Returns the free bytes of the file system and its size.
    pub fn free_space(&self) -> std::io::Result<(u64, u64)> {
        self.disk.free_space(&self.root)
    }

    /// Checks what every write needs: free space, and that a file can be created.
    ///
    /// The result stays valid for a second, so that frequent requests cannot keep the disk busy.
    /// Blocks on the disk.
    pub fn probe(&self) -> Result<(), &'static str> {
        let mut probed = self.probed.lock();
        match &*probed {
            Some((at, found)) if at.elapsed() < PROBE_EVERY => *found,
            _ => {
                let found = self.try_disk();
                *probed = Some((Instant::now(), found));
                found
            }
        }
    }

    /// Reports the problem without the operating system's error text, which goes to the log.
    fn try_disk(&self) -> Result<(), &'static str> {
        let probe = self.layout.probe();
        let written = || self.disk.replace(&probe, b"probe\n", false).and_then(|()| fs::remove_file(&probe));
        let refused = |error: std::io::Error| {
            tracing::debug!(%error, "the probe of the disk failed");
            "no file can be written"
        };
        let (free, size) = self.free_space().map_err(refused)?;
        if free < committer::reserve(size) {
            return Err("the disk is full");
        }
        if self.snapshots_fail.load(Ordering::Relaxed) {
            return Err("the last snapshot could not be written");
        }
        written().map_err(refused)
    }

    /// Returns whether both threads are running; without them nothing is committed.
    pub fn threads_run(&self) -> bool {
        self.threads.lock().iter().all(|thread| !thread.is_finished())
    }

    /// Returns the body of `/health`.
    pub fn health(&self) -> serde_json::Value {
        let (sessions, completed) = self.index.counts();
        let status = if self.journal.has_failed() { "failed" } else { "ok" };
        let free = self.disk.free_space(&self.root).map_or(0, |(free, _)| free);
        serde_json::json!({
            "status": status, "epoch": self.epoch, "offset": self.journal.durable(), "sessions": sessions,
            "active": sessions - completed, "resident": self.cells.loaded(), "freeBytes": free,
            "journalBytes": self.segments.total_bytes(), "quarantined": self.quarantined.lock().len(),
            "behind": self.behind.count(),
        })
    }
}
