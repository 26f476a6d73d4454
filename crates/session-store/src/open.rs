//! Opening and closing a storage directory.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use parking_lot::{Condvar, Mutex};
use session_model::SessionId;

use super::blobs::Blobs;
use super::checkpoint::Checkpoint;
use super::committer::{Committer, Observer, Unwatched};
use super::disk::{Disk, RealDisk};
use super::error::OpenError;
use super::incomplete::Incomplete;
use super::index::Index;
use super::journal::Journal;
use super::keys::FlushQueue;
use super::layout::Layout;
use super::lock::DirLock;
use super::log_writer::LogWriter;
use super::reader_limit::ReaderLimit;
use super::segments::{Segments, Tail};
use super::session_cache::{CachedSession, LoadedSession, SessionCache};
use super::session_dir::Opened;
use super::store::{Options, Store};
use super::{adopted, maintenance, recovery};

/// Returns the sessions quarantined now and in earlier runs.
fn known_quarantined(
    layout: &Layout,
    mut now: BTreeMap<SessionId, String>,
) -> BTreeMap<SessionId, String> {
    let Ok(entries) = fs::read_dir(layout.quarantine()) else {
        return now;
    };
    for entry in entries.flatten().filter(|entry| entry.path().is_dir()) {
        if let Some(id) = entry
            .file_name()
            .to_str()
            .and_then(|name| SessionId::parse(name).ok())
        {
            now.entry(id)
                .or_insert_with(|| "was quarantined before".to_owned());
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
    /// Opens a directory on the real disk for a command that has no live feed.
    pub fn open_unwatched(options: Options) -> Result<Arc<Self>, OpenError> {
        Self::open(options, Arc::new(RealDisk), Arc::new(Unwatched))
    }

    /// Opens a directory, recovers it after a crash, and starts the store's threads.
    pub fn open(
        options: Options,
        disk: Arc<dyn Disk>,
        observer: Arc<dyn Observer>,
    ) -> Result<Arc<Self>, OpenError> {
        let layout = Layout::new(&options.path);
        for folder in [
            layout.root().to_owned(),
            layout.sessions(),
            layout.journal(),
        ] {
            fs::create_dir_all(&folder).map_err(OpenError::io("create", &folder))?;
        }
        let lock = DirLock::take(&layout)?;
        if layout.restoring().exists() {
            return Err(OpenError::Restoring { path: options.path });
        }
        if let Err(error) = recovery::empty_outgoing(&layout) {
            tracing::warn!(%error, "what was on its way into the archive could not be removed");
        }
        if let Err(error) = recovery::empty_uploads(&layout) {
            tracing::warn!(%error, "uploads that were not complete could not be removed");
        }
        adopted::rename_all(&layout, disk.as_ref())
            .map_err(OpenError::io("rename sessions in", layout.sessions()))?;
        let index = Arc::new(Index::default());
        let recovered = recovery::recover(&layout, disk.as_ref(), &index)?;
        let root = File::open(layout.root()).map_err(OpenError::io("open", layout.root()))?;
        let (_, size) = disk
            .free_space(&root)
            .map_err(OpenError::io("examine", layout.root()))?;
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
            root: root
                .try_clone()
                .map_err(OpenError::io("open", layout.root()))?,
            epoch: recovered.epoch,
            journal: Arc::clone(&journal),
            segments: Arc::clone(&segments),
            metrics: Arc::default(),
            index,
            cache: SessionCache::default(),
            readers: ReaderLimit::new(options.files.readers),
            key_files: ReaderLimit::new(options.files.keys),
            key_flushes: FlushQueue::default(),
            directory_locks: Arc::default(),
            blobs: Blobs::default(),
            dirty: Mutex::default(),
            awaiting_checkpoint: Mutex::default(),
            linked: Mutex::default(),
            checkpointed: AtomicU64::new(0),
            snapshots_fail: AtomicBool::new(false),
            probed: Mutex::default(),
            quarantined: Mutex::new(known_quarantined(&layout, recovered.quarantined)),
            behind: Arc::new(Incomplete::new(recovered.behind, recovered.checkpoint)),
            stop: (Mutex::new(false), Condvar::new()),
            threads: Mutex::default(),
            lock,
            disk: Arc::clone(&disk),
            layout: layout.clone(),
            options,
        });
        store.begin_epoch(recovered.checkpoint)?;
        store.keep(recovered.opened);
        let policy = store.options.sync;
        let behind = Arc::clone(&store.behind);
        let most = store.options.files.logs;
        let logs = LogWriter::new(layout, Arc::clone(&store.directory_locks), behind, most);
        let index = Arc::clone(&store.index);
        let metrics = Arc::clone(&store.metrics);
        let committer = Committer {
            journal,
            disk,
            policy,
            root,
            segments,
            tail,
            logs,
            observer,
            index,
            metrics,
        };
        store.start(committer)?;
        Ok(store)
    }

    /// Records the epoch of the directory, which must be known even if this run ends before its
    /// first checkpoint.
    ///
    /// If the epoch is already on disk, a full disk does not stop the start.
    fn begin_epoch(&self, checkpoint: u64) -> Result<(), OpenError> {
        let known = Checkpoint::read(&self.layout)
            .map_err(OpenError::io("read", self.layout.checkpoint()))?;
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
            let cell = self.cache.get(&view.id);
            let loaded = LoadedSession {
                damaged,
                ..LoadedSession::dirty(view, generation)
            };
            *cell.slot.lock() = CachedSession::Loaded(Box::new(loaded));
            self.queue_snapshot(&cell);
        }
    }

    fn start(self: &Arc<Self>, committer: Committer) -> Result<(), OpenError> {
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
            thread.map_err(OpenError::io("start a thread for", self.layout.root()))
        };
        let (store, keys) = (Arc::clone(self), Arc::clone(self));
        let threads = [
            spawn("commit", Box::new(move || committer.run()))?,
            spawn("maintenance", Box::new(move || maintenance::run(&store)))?,
            spawn("keys", Box::new(move || keys.flush_keys_when_due()))?,
        ];
        self.threads.lock().extend(threads);
        Ok(())
    }

    /// Refuses new writes, finishes the accepted ones and makes a last checkpoint. Blocks.
    pub fn close(&self) {
        self.journal.drain();
        *self.stop.0.lock() = true;
        self.stop.1.notify_all();
        self.key_flushes.stop();
        for thread in std::mem::take(&mut *self.threads.lock()) {
            if thread.join().is_err() {
                tracing::error!("a thread of the store has panicked");
            }
        }
        if !self.journal.has_failed() {
            self.flush_all_keys();
            self.checkpoint(true);
        }
    }
}
