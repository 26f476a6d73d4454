//! The open storage directory: its options, its parts, and what is asked of it while it runs.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use session_model::SessionId;

use super::blobs::Blobs;
use super::directory_locks::DirectoryLocks;
use super::disk::{Disk, reserve};
use super::incomplete::Incomplete;
use super::index::Index;
use super::journal::Journal;
use super::keys::{FlushQueue, KeyLimits};
use super::layout::Layout;
use super::lock::DirLock;
use super::metrics::StoreMetrics;
use super::reader_limit::ReaderLimit;
use super::recent::Links;
use super::segments::Segments;
use super::session_cache::{CacheEntry, SessionCache};

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
    /// When the index of record keys is written.
    pub keys: KeyLimits,
}

/// Limits on files kept open, not counting those in use at the moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenFiles {
    /// Logs that are written to.
    pub logs: NonZeroUsize,
    /// Logs that are read by clients.
    pub readers: usize,
    /// Files of the index of record keys.
    pub keys: usize,
}

impl Default for OpenFiles {
    fn default() -> Self {
        Self {
            logs: NonZeroUsize::new(512).expect("is not zero"),
            readers: 256,
            keys: 256,
        }
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
    pub(super) journal: Arc<Journal>,
    /// The journal's segment files.
    pub(super) segments: Arc<Segments>,
    /// The store's metrics.
    pub(super) metrics: Arc<StoreMetrics>,
    /// One row per session.
    pub(super) index: Arc<Index>,
    /// The sessions in memory.
    pub(super) cache: SessionCache,
    /// The limit on logs that readers keep open.
    pub(super) readers: Arc<ReaderLimit>,
    /// The limit on files of the index of record keys that are kept open.
    pub(super) key_files: Arc<ReaderLimit>,
    /// The sessions whose record keys must be written.
    pub(super) key_flushes: FlushQueue,
    pub(super) directory_locks: Arc<DirectoryLocks>,
    /// What is known of blobs while the store is open.
    pub(super) blobs: Blobs,
    pub(super) dirty: Mutex<Vec<Arc<CacheEntry>>>,
    pub(super) awaiting_checkpoint: Mutex<Vec<Arc<CacheEntry>>>,
    pub(super) linked: Mutex<Links>,
    /// The offset from which the journal is replayed.
    pub(super) checkpointed: AtomicU64,
    /// Whether the last attempt to write a snapshot failed.
    pub(super) snapshots_fail: AtomicBool,
    pub(super) probed: Mutex<Option<(Instant, Result<(), &'static str>)>>,
    pub(super) quarantined: Mutex<BTreeMap<SessionId, String>>,
    /// The sessions whose files lack something that the journal holds.
    pub(super) behind: Arc<Incomplete>,
    pub(super) stop: (Mutex<bool>, Condvar),
    pub(super) threads: Mutex<Vec<JoinHandle<()>>>,
    pub(super) lock: DirLock,
}

impl Store {
    /// Waits for one tick; returns true once the store stops.
    pub(super) fn wait_for_stop(&self, tick: Duration) -> bool {
        let mut stopping = self.stop.0.lock();
        if !*stopping {
            self.stop.1.wait_for(&mut stopping, tick);
        }
        *stopping
    }

    /// Returns the paths of the storage directory.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Reports the problem without the operating system's error text, which goes to the log.
    pub(super) fn try_disk(&self) -> Result<(), &'static str> {
        let probe = self.layout.probe();
        let written = || {
            self.disk
                .replace(&probe, b"probe\n", false)
                .and_then(|()| fs::remove_file(&probe))
        };
        let refused = |error: std::io::Error| {
            tracing::debug!(%error, "the probe of the disk failed");
            "no file can be written"
        };
        let (free, size) = self.disk.free_space(&self.root).map_err(refused)?;
        if free < reserve(size) {
            return Err("the disk is full");
        }
        if self.snapshots_fail.load(Ordering::Relaxed) {
            return Err("the last snapshot could not be written");
        }
        written().map_err(refused)
    }
}
