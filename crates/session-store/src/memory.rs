//! An engine that keeps everything in memory: the second implementation of [`Engine`], for tests.
//!
//! It stores the entries of each session since its creation and rebuilds views from them, as
//! recovery does from the journal. What it was told to fail ([`MemoryEngine::fail_next`]) is not
//! stored, as with a full disk. Nothing outlives the process, and nothing can be copied: it has no
//! files.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::Value;
use session_model::event::LifecycleStep;
use session_model::{BlobName, LogKind, SessionId, Timestamp};
use session_redact::Key;

use super::blobs::{BlobError, BlobSpec, Collected, OpenBlob, StoredBlob, Upload, Whole};
use super::bundle::file::TemporaryFile;
use super::bundle::{BundleWriter, Sink};
use super::committer::Observer;
use super::engine::{Engine, JournalSize, Quarantined, StoredDocument};
use super::error::{CommitError, CopyError, Damage, OpenError};
use super::index::Index;
use super::journal::{Journal, Spare};
use super::journal_reader::{EventPage, Page, PageLimit};
use super::keys::{KeyLimits, KeyTable, KeyWork};
use super::layout::log_name;
use super::log_file::LogFile;
use super::metrics::StoreMetrics;
use super::reader_limit::ReaderLimit;
use super::segment::{Entry, group_at, write_group_header};
use super::session_cache::{CacheEntry, CachedSession, LoadedSession, SessionCache};
use super::session_dir;

/// The segment number that groups are encoded with.
const SEGMENT: u64 = 1;

/// What was committed.
#[derive(Default)]
struct Committed {
    /// The entries of the sessions that exist, since their creation.
    sessions: HashMap<SessionId, Vec<Entry>>,
    /// The blobs of the sessions that exist.
    blobs: HashMap<SessionId, HashMap<BlobName, MemoryBlob>>,
    /// All entries, in order.
    history: Vec<Entry>,
    /// How the next commits fail.
    failures: VecDeque<CommitError>,
    bytes: u64,
}

/// A blob in memory.
#[derive(Clone)]
struct MemoryBlob {
    stored: BlobName,
    media_type: String,
    bytes: Bytes,
}

/// Sessions in memory.
pub struct MemoryEngine {
    journal: Arc<Journal>,
    index: Arc<Index>,
    metrics: Arc<StoreMetrics>,
    cache: SessionCache,
    readers: Arc<ReaderLimit>,
    committed: Arc<Mutex<Committed>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl MemoryEngine {
    /// Creates an empty engine and starts its commit thread.
    pub fn start(observer: Arc<dyn Observer>) -> io::Result<Arc<Self>> {
        let engine = Arc::new(Self {
            journal: Arc::new(Journal::new(1)),
            index: Arc::default(),
            metrics: Arc::default(),
            cache: SessionCache::default(),
            readers: ReaderLimit::new(16),
            committed: Arc::default(),
            thread: Mutex::default(),
        });
        let commits = Commits {
            journal: Arc::clone(&engine.journal),
            index: Arc::clone(&engine.index),
            committed: Arc::clone(&engine.committed),
            observer,
        };
        let thread = std::thread::Builder::new()
            .name("commit".to_owned())
            .spawn(move || commits.run())?;
        *engine.thread.lock() = Some(thread);
        Ok(engine)
    }

    /// Makes the next commit that has no failure assigned yet fail like this.
    pub fn fail_next(&self, error: CommitError) {
        self.committed.lock().failures.push_back(error);
    }
}

/// The commit thread.
struct Commits {
    journal: Arc<Journal>,
    index: Arc<Index>,
    committed: Arc<Mutex<Committed>>,
    observer: Arc<dyn Observer>,
}

impl Commits {
    fn run(self) {
        let mut spare = Spare::default();
        while let Some(mut group) = self.journal.next_group(spare) {
            let failure = self.committed.lock().failures.pop_front();
            if let Some(error) = failure {
                self.journal.fail(&group, error);
            } else {
                let first_offset = group.first_offset;
                let entries = group.entries;
                write_group_header(&mut group.buffer, SEGMENT, first_offset, entries);
                self.store(&group.buffer);
                for (session, row) in group.rows.drain(..) {
                    self.index.follow(&session, row);
                }
                self.journal.succeed(&group);
                self.observer.committed(&group.events, &group.buffer);
            }
            spare = Spare::of(group);
        }
    }

    fn store(&self, buffer: &[u8]) {
        let buffer = Bytes::copy_from_slice(buffer);
        let entries = group_at(&buffer, 0, SEGMENT).map_or(Vec::new(), |(entries, _)| entries);
        let mut committed = self.committed.lock();
        committed.bytes += buffer.len() as u64;
        for entry in entries {
            let is_deleted = entry
                .events
                .iter()
                .any(|event| event.kind.step() == LifecycleStep::Deletes);
            if is_deleted {
                committed.sessions.remove(&entry.session);
                committed.blobs.remove(&entry.session);
            } else {
                let session = committed.sessions.entry(entry.session.clone()).or_default();
                session.push(entry.clone());
            }
            committed.history.push(entry);
        }
    }
}

impl Engine for MemoryEngine {
    fn epoch(&self) -> &'static str {
        "memory"
    }

    fn run(&self) -> &'static str {
        "memory"
    }

    fn path(&self, session: Option<&SessionId>) -> PathBuf {
        PathBuf::from("memory:").join(session.map_or("", SessionId::as_str))
    }

    fn redaction_key(&self, _required: bool) -> Result<Key, OpenError> {
        Ok(Key::new([0; 16]))
    }

    fn journal(&self) -> &Journal {
        &self.journal
    }

    fn index(&self) -> &Index {
        &self.index
    }

    fn cache(&self) -> &SessionCache {
        &self.cache
    }

    fn readers(&self) -> &Arc<ReaderLimit> {
        &self.readers
    }

    fn metrics(&self) -> &StoreMetrics {
        &self.metrics
    }

    fn load(&self, cell: &Arc<CacheEntry>) -> Result<(), Damage> {
        let _loading = cell.loading.lock();
        let generation = self.journal.generation();
        match &*cell.slot.lock() {
            CachedSession::Loaded(loaded) if loaded.generation == generation => return Ok(()),
            CachedSession::Absent(known) if *known == generation => return Ok(()),
            CachedSession::Loaded(_) | CachedSession::Absent(_) | CachedSession::Unloaded => {}
        }
        let entries = self.committed.lock().sessions.get(&cell.id).cloned();
        let view = match &entries {
            Some(entries) => session_dir::rebuild(&cell.id, entries)?,
            None => None,
        };
        *cell.slot.lock() = match view {
            Some(view) => CachedSession::Loaded(Box::new(LoadedSession::clean(view, generation))),
            None => CachedSession::Absent(generation),
        };
        Ok(())
    }

    fn complete(&self, _cell: &Arc<CacheEntry>) -> Result<(), Damage> {
        Ok(())
    }

    fn is_incomplete(&self, _id: &SessionId) -> bool {
        false
    }

    /// Does nothing: a view is rebuilt from its entries, never from documents.
    fn queue_snapshot(&self, _cell: &Arc<CacheEntry>) {}

    /// Builds the table from the session's lines; there is nothing else to do.
    fn prepare_keys(&self, cell: &Arc<CacheEntry>, work: &KeyWork) -> Result<(), Damage> {
        let (KeyWork::Open(log) | KeyWork::Rebuild { log, .. }) = work else {
            return Ok(());
        };
        let _alone = cell.keying.lock();
        loop {
            let (offset, generation, noted) = match &*cell.slot.lock() {
                CachedSession::Loaded(loaded) => (
                    loaded.view.offset,
                    loaded.generation,
                    loaded.keys.noted(*log),
                ),
                CachedSession::Absent(_) | CachedSession::Unloaded => return Ok(()),
            };
            if !self.journal.wait_durable(offset, generation) {
                return Ok(());
            }
            let table = match self.open_log(&cell.id, *log)? {
                Some(file) => KeyTable::of_log(&file).map_err(|source| Damage::Io {
                    file: log_name(*log),
                    source,
                })?,
                None => return Ok(()),
            };
            if let CachedSession::Loaded(loaded) = &mut *cell.slot.lock() {
                if loaded.generation != generation {
                    return Ok(());
                }
                if loaded.keys.noted(*log) == noted {
                    loaded.keys.set(*log, Some(table));
                    return Ok(());
                }
            }
        }
    }

    fn queue_key_flush(&self, _cell: &Arc<CacheEntry>) {}

    fn key_limits(&self) -> KeyLimits {
        KeyLimits::NEVER
    }

    fn open_log(&self, id: &SessionId, log: LogKind) -> Result<Option<LogFile>, Damage> {
        let committed = self.committed.lock();
        let Some(entries) = committed.sessions.get(id) else {
            return Ok(None);
        };
        let mut lines = Vec::new();
        for event in entries.iter().flat_map(|entry| &entry.events) {
            if event.kind.log() == log {
                lines.extend_from_slice(&event.line);
            }
        }
        Ok(Some(LogFile::in_memory(lines)))
    }

    fn document(&self, _id: &SessionId, _document: StoredDocument) -> Option<Value> {
        None
    }

    fn size_of(&self, id: &SessionId) -> u64 {
        let committed = self.committed.lock();
        let entries = committed.sessions.get(id).into_iter().flatten();
        entries
            .flat_map(|entry| &entry.events)
            .map(|event| event.line.len() as u64)
            .sum()
    }

    fn is_quarantined(&self, _id: &SessionId) -> bool {
        false
    }

    fn quarantined_as(&self, _id: &SessionId) -> Option<Quarantined> {
        None
    }

    fn begin_blob(
        &self,
        id: &SessionId,
        created: Option<u64>,
        spec: BlobSpec,
    ) -> Result<Upload, BlobError> {
        Ok(Upload::in_memory(id.clone(), created, spec))
    }

    fn finish_blob(&self, whole: Whole) -> Result<StoredBlob, BlobError> {
        let mut committed = self.committed.lock();
        if !committed.sessions.contains_key(&whole.session) {
            return Err(BlobError::NoSession);
        }
        let blobs = committed.blobs.entry(whole.session.clone()).or_default();
        let stored = whole.stored(blobs.contains_key(&whole.name));
        let names = [whole.name, whole.stored];
        let media_type = stored.media_type.clone();
        let content = MemoryBlob {
            stored: whole.stored,
            media_type,
            bytes: Bytes::from(whole.into_memory()),
        };
        for name in names {
            blobs.entry(name).or_insert_with(|| content.clone());
        }
        Ok(stored)
    }

    fn open_blob(&self, id: &SessionId, name: &BlobName) -> Result<OpenBlob, BlobError> {
        let committed = self.committed.lock();
        let found = committed.blobs.get(id).and_then(|blobs| blobs.get(name));
        let blob = found.ok_or(BlobError::NotFound)?.clone();
        Ok(OpenBlob::memory(blob.stored, blob.media_type, blob.bytes))
    }

    /// Removes nothing: what a test stores is gone with it.
    fn collect_blobs(&self, _sent_before: Timestamp, _dry_run: bool) -> io::Result<Collected> {
        Ok(Collected::default())
    }

    fn oldest(&self) -> u64 {
        0
    }

    fn events(
        &self,
        after: u64,
        until: u64,
        limit: PageLimit,
        wanted: &dyn Fn(&Entry) -> bool,
    ) -> io::Result<EventPage> {
        let mut page = Page::new(after, until, limit);
        for entry in &self.committed.lock().history {
            if !page.take(entry, wanted(entry)) {
                return Ok(page.found);
            }
        }
        page.found.next = page.found.next.max(until);
        Ok(page.found)
    }

    fn export(&self, _ids: &[SessionId], _: BundleWriter<Sink<'_>>) -> Result<u64, CopyError> {
        Err(CopyError::NoFiles)
    }

    fn backup(&self, _bundle: BundleWriter<Sink<'_>>) -> Result<u64, CopyError> {
        Err(CopyError::NoFiles)
    }

    fn outgoing(&self, id: &SessionId) -> TemporaryFile {
        TemporaryFile::new(std::env::temp_dir().join(id.as_str()))
    }

    fn probe(&self) -> Result<(), &'static str> {
        Ok(())
    }

    fn is_alive(&self) -> bool {
        let thread = self.thread.lock();
        thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    fn free_space(&self) -> io::Result<(u64, u64)> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn awaiting_snapshots(&self) -> usize {
        0
    }

    fn quarantined_count(&self) -> usize {
        0
    }

    fn incomplete_count(&self) -> usize {
        0
    }

    fn journal_size(&self) -> JournalSize {
        JournalSize {
            segments: 1,
            bytes: self.committed.lock().bytes,
        }
    }

    fn close(&self) {
        self.journal.drain();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the commit thread has panicked");
        }
    }
}
