//! The local engine: how [`Store`] does what [`Engine`] asks for.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use session_model::{BlobName, LogKind, SessionId, Timestamp, json};
use session_redact::Key;

use super::blobs::{BlobError, BlobSpec, Collected, OpenBlob, StoredBlob, Upload, Whole};
use super::bundle::file::TemporaryFile;
use super::bundle::{BundleWriter, Sink};
use super::engine::{Engine, JournalSize, Quarantined, StoredDocument, absolute};
use super::error::{CopyError, Damage, OpenError};
use super::index::Index;
use super::journal::Journal;
use super::journal_reader::{self, EventPage, PageLimit};
use super::keys::{KeyLimits, KeyWork};
use super::layout::{INITIAL, METADATA};
use super::log_file::LogFile;
use super::metrics::StoreMetrics;
use super::reader_limit::ReaderLimit;
use super::redaction_key::{self, Demand};
use super::segment::Entry;
use super::session_cache::{CacheEntry, SessionCache};
use super::store::Store;
use super::{backup, export, files, quarantine_folder, retention};

/// How long the result of a probe of the disk stays valid.
const PROBE_EVERY: Duration = Duration::from_secs(1);

impl Engine for Store {
    fn epoch(&self) -> &str {
        &self.epoch
    }

    fn run(&self) -> &str {
        self.lock.run()
    }

    fn path(&self, session: Option<&SessionId>) -> PathBuf {
        match session {
            Some(id) => self.layout.session(id),
            None => absolute(self.layout.root()),
        }
    }

    fn redaction_key(&self, required: bool) -> Result<Key, OpenError> {
        let has_sessions = self.index.counts().0 > 0;
        redaction_key::read_or_make(
            &self.layout,
            Demand {
                required,
                has_sessions,
            },
        )
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
        Self::load(self, cell)
    }

    fn complete(&self, cell: &Arc<CacheEntry>) -> Result<(), Damage> {
        Self::complete(self, cell)
    }

    fn is_incomplete(&self, id: &SessionId) -> bool {
        self.behind.pending(id).is_some()
    }

    fn queue_snapshot(&self, cell: &Arc<CacheEntry>) {
        Self::queue_snapshot(self, cell);
    }

    fn prepare_keys(&self, cell: &Arc<CacheEntry>, work: &KeyWork) -> Result<(), Damage> {
        self.do_key_work(cell, work)
    }

    fn queue_key_flush(&self, cell: &Arc<CacheEntry>) {
        Self::queue_key_flush(self, cell);
    }

    fn key_limits(&self) -> KeyLimits {
        self.options.keys
    }

    fn open_log(&self, id: &SessionId, log: LogKind) -> Result<Option<LogFile>, Damage> {
        Self::open_log(self, &self.cache.get(id), log)
    }

    fn document(&self, id: &SessionId, document: StoredDocument) -> Option<Value> {
        let name = match document {
            StoredDocument::Initial => INITIAL,
            StoredDocument::Metadata => METADATA,
        };
        let bytes = files::read(&self.layout.file(id, name)).ok()?;
        json::stored(&bytes).ok()
    }

    fn size_of(&self, id: &SessionId) -> u64 {
        retention::size_of(&self.layout, id)
    }

    fn is_quarantined(&self, id: &SessionId) -> bool {
        self.quarantined.lock().contains_key(id)
    }

    fn quarantined_as(&self, id: &SessionId) -> Option<Quarantined> {
        let reason = self.quarantined.lock().get(id).cloned()?;
        let folder = quarantine_folder::newest(&self.layout, id)?;
        Some(Quarantined { folder, reason })
    }

    fn begin_blob(
        &self,
        id: &SessionId,
        created: Option<u64>,
        spec: BlobSpec,
    ) -> Result<Upload, BlobError> {
        self.begin_upload(id, created, spec)
    }

    fn finish_blob(&self, whole: Whole) -> Result<StoredBlob, BlobError> {
        self.finish_upload(whole)
    }

    fn open_blob(&self, id: &SessionId, name: &BlobName) -> Result<OpenBlob, BlobError> {
        self.open_stored_blob(id, name)
    }

    fn collect_blobs(&self, sent_before: Timestamp, dry_run: bool) -> std::io::Result<Collected> {
        self.collect(sent_before, dry_run)
    }

    fn oldest(&self) -> u64 {
        let firsts = self.segments.firsts();
        firsts.first().map_or(0, |first| first - 1)
    }

    fn events(
        &self,
        after: u64,
        until: u64,
        limit: PageLimit,
        wanted: &dyn Fn(&Entry) -> bool,
    ) -> std::io::Result<EventPage> {
        journal_reader::read(&self.segments, after, until, limit, wanted)
    }

    fn export(&self, ids: &[SessionId], bundle: BundleWriter<Sink<'_>>) -> Result<u64, CopyError> {
        export::sessions(self, ids, bundle)
    }

    fn backup(&self, bundle: BundleWriter<Sink<'_>>) -> Result<u64, CopyError> {
        backup::run(self, bundle)
    }

    fn outgoing(&self, id: &SessionId) -> TemporaryFile {
        TemporaryFile::new(self.layout.outgoing(id))
    }

    fn probe(&self) -> Result<(), &'static str> {
        // Frequent requests must not keep the disk busy.
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

    fn is_alive(&self) -> bool {
        let threads = self.threads.lock();
        threads.iter().all(|thread| !thread.is_finished())
    }

    fn free_space(&self) -> std::io::Result<(u64, u64)> {
        self.disk.free_space(&self.root)
    }

    fn awaiting_snapshots(&self) -> usize {
        self.dirty.lock().len()
    }

    fn quarantined_count(&self) -> usize {
        self.quarantined.lock().len()
    }

    fn incomplete_count(&self) -> usize {
        self.behind.count()
    }

    fn journal_size(&self) -> JournalSize {
        JournalSize {
            segments: self.segments.firsts().len(),
            bytes: self.segments.total_bytes(),
        }
    }

    fn close(&self) {
        Self::close(self);
    }
}
