//! Snapshot writing: replaces metadata, state, final and other documents that are newer in memory
//! than in their files.
//!
//! A view may be ahead of what is durable. So the documents are serialized first, then the journal
//! is awaited, and only then do they replace their files; if a commit failed in between they are
//! dropped. State is written before metadata: a state that is newer than its metadata is recognised
//! by its version when it is read back, the opposite is not.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use session_model::view::OutFile;
use session_model::{LogHead, SessionId, View, documents};

use super::disk;
use super::files;
use super::index::Row;
use super::layout::{FINAL, INITIAL, METADATA, PRODUCERS, STATE, final_archive};
use super::recent;
use super::session_cache::{CacheEntry, CachedSession};
use super::store::Store;

/// The documents of one session as of an offset.
pub struct Snapshot {
    cell: Arc<CacheEntry>,
    /// The offset of the session's creation: another session may have its name by the time the
    /// documents are written.
    born: u64,
    offset: u64,
    generation: u64,
    whole: Vec<(String, Vec<u8>)>,
    /// The files that are written once. They stay in the view until they are written, because
    /// readers take them from there.
    once: Vec<OutFile>,
    remove_final: bool,
    children: Option<Vec<String>>,
    /// The lengths of the session's logs.
    logs: [LogHead; 3],
    /// The names of the damaged files to be kept when they are replaced.
    keep: Vec<&'static str>,
}

pub(super) fn pretty(value: &impl serde::Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("JSON values always serialize");
    bytes.push(b'\n');
    bytes
}

/// Returns every document of a view that replaces a whole file, state before metadata.
pub(crate) fn documents(view: &View) -> Vec<(String, Vec<u8>)> {
    let mut whole: Vec<_> = view.outbox.iter().map(out_file).collect();
    whole.push((STATE.to_owned(), pretty(&view.state)));
    whole.extend(
        view.final_doc
            .as_ref()
            .map(|doc| (FINAL.to_owned(), pretty(doc))),
    );
    whole.push((
        METADATA.to_owned(),
        pretty(&documents::metadata_document(view)),
    ));
    whole
}

fn out_file(file: &OutFile) -> (String, Vec<u8>) {
    match file {
        OutFile::Initial(doc) => (INITIAL.to_owned(), pretty(doc)),
        OutFile::FinalArchive(n, doc) => (final_archive(*n), pretty(doc)),
    }
}

/// Serializes the documents that are due and marks them as written.
pub fn take(cell: &Arc<CacheEntry>, with_producers: bool) -> Option<Snapshot> {
    cell.queued.store(false, Ordering::Release);
    let mut slot = cell.slot.lock();
    let CachedSession::Loaded(loaded) = &mut *slot else {
        return None;
    };
    let keep = if loaded.is_dirty() {
        std::mem::take(&mut loaded.damaged)
    } else {
        Vec::new()
    };
    if !keep.is_empty() {
        // Documents that were found damaged are replaced now, changed or not.
        (
            loaded.metadata_dirty,
            loaded.state_dirty,
            loaded.final_dirty,
        ) = (true, true, true);
        loaded.producers_dirty |= !loaded.view.producers.is_empty();
    }
    let with_producers = with_producers || keep.contains(&PRODUCERS);
    let view = &mut loaded.view;
    let once = view.outbox.clone();
    let mut whole: Vec<_> = once.iter().map(out_file).collect();
    if std::mem::take(&mut loaded.state_dirty) {
        whole.push((STATE.to_owned(), pretty(&view.state)));
    }
    let final_dirty = std::mem::take(&mut loaded.final_dirty);
    if final_dirty && let Some(doc) = view.final_doc.as_ref() {
        whole.push((FINAL.to_owned(), pretty(doc)));
    }
    if with_producers {
        loaded.producers_queued = false;
    }
    if with_producers && std::mem::take(&mut loaded.producers_dirty) {
        whole.push((PRODUCERS.to_owned(), pretty(&view.producers)));
    }
    let metadata_dirty = std::mem::take(&mut loaded.metadata_dirty);
    if metadata_dirty {
        whole.push((
            METADATA.to_owned(),
            pretty(&documents::metadata_document(view)),
        ));
    }
    let children = metadata_dirty.then(|| {
        view.metadata
            .texts("subsessions")
            .map(str::to_owned)
            .collect()
    });
    Some(Snapshot {
        cell: Arc::clone(cell),
        born: view.created_offset,
        offset: view.offset,
        generation: loaded.generation,
        whole,
        once,
        remove_final: final_dirty && view.final_doc.is_none(),
        children,
        logs: view.logs,
        keep,
    })
}

/// Returns whether the session is still the one that the snapshot was taken of.
///
/// While the folder's lock is held the result stays valid for the files: a deletion is decided
/// first and only then moves the folder.
fn is_still(snapshot: &Snapshot) -> bool {
    match &*snapshot.cell.slot.lock() {
        CachedSession::Loaded(loaded) => loaded.view.created_offset == snapshot.born,
        CachedSession::Absent(_) | CachedSession::Unloaded => false,
    }
}

impl Store {
    /// Queues a session's snapshots to be written soon.
    pub(crate) fn queue_snapshot(&self, cell: &Arc<CacheEntry>) {
        if cell.queued.load(Ordering::Acquire) {
            return;
        }
        // Add the cell to the list before setting its flag: a checkpoint that saw the flag first
        // could otherwise miss the cell.
        let mut dirty = self.dirty.lock();
        if !cell.queued.load(Ordering::Acquire) {
            dirty.push(Arc::clone(cell));
            cell.queued.store(true, Ordering::Release);
        }
    }

    /// Writes all snapshots that are due; returns the sessions whose snapshots could not be written
    /// and are tried again.
    pub fn flush_snapshots(&self, with_producers: bool) -> Vec<SessionId> {
        let cache = std::mem::take(&mut *self.dirty.lock());
        let failed: Vec<SessionId> = cache
            .iter()
            .filter(|cell| !self.flush_one(cell, with_producers))
            .map(|cell| cell.id.clone())
            .collect();
        if failed.is_empty()
            && !cache.is_empty()
            && self.snapshots_fail.swap(false, Ordering::AcqRel)
        {
            tracing::info!("snapshots are written again");
        }
        self.update_recent();
        failed
    }

    fn flush_one(&self, cell: &Arc<CacheEntry>, with_producers: bool) -> bool {
        // The holder of the turn may take long: other sessions' snapshots do not wait for it,
        // unless all have to be written.
        let turn = cell.turn.try_lock();
        if turn.is_err() && !with_producers && cell.slot.is_locked() {
            self.dirty.lock().push(Arc::clone(cell));
            return true;
        }
        let outdated = match &*cell.slot.lock() {
            CachedSession::Loaded(loaded) => loaded.generation != self.journal.generation(),
            CachedSession::Unloaded | CachedSession::Absent(_) => false,
        };
        if outdated && let Err(damage) = self.load(cell) {
            tracing::error!(session = %cell.id, %damage, "a session could not be read again");
            return false;
        }
        let Some(snapshot) = take(cell, with_producers) else {
            drop(turn);
            self.forget_deleted(cell);
            return true;
        };
        drop(turn);
        if !self
            .journal
            .wait_durable(snapshot.offset, snapshot.generation)
        {
            self.requeue(&snapshot);
            return false;
        }
        self.refresh_index(cell);
        self.check_logs(cell, snapshot.logs);
        if let Err(error) = self.write_documents(&snapshot) {
            // Retried ten times a second, so only the first failure and the recovery are logged. A
            // full disk affects every session and makes the service unready; any other error
            // concerns this session alone.
            let is_full = disk::is_full(&error);
            let is_known = if is_full {
                self.snapshots_fail.swap(true, Ordering::AcqRel)
            } else {
                snapshot.cell.snapshot_failed.swap(true, Ordering::AcqRel)
            };
            if is_known {
                tracing::debug!(session = %cell.id, %error, "a snapshot could not be written again");
            } else {
                tracing::warn!(session = %cell.id, %error, "a snapshot could not be written; it is tried again");
            }
            self.requeue(&snapshot);
            return false;
        }
        cell.snapshot_failed.store(false, Ordering::Release);
        if !with_producers {
            self.queue_producers(cell);
        }
        true
    }

    /// Updates the index row from the session's view.
    ///
    /// A writing request also updates the row once its commit is durable, but it may be aborted
    /// before that, so writing snapshots updates the row too.
    pub(crate) fn refresh_index(&self, cell: &CacheEntry) {
        self.index_slot(cell, &cell.slot.lock());
    }

    /// Updates the index row like [`Store::refresh_index`], from a slot that is already locked.
    pub(crate) fn index_slot(&self, cell: &CacheEntry, slot: &CachedSession) {
        match slot {
            CachedSession::Loaded(loaded) => {
                self.index.upsert(&cell.id, Row::of(&loaded.view));
            }
            CachedSession::Absent(_) => self.index.remove(&cell.id),
            CachedSession::Unloaded => {}
        }
    }

    /// Removes the index row of a deleted session once the deletion is durable.
    fn forget_deleted(&self, cell: &CacheEntry) {
        let CachedSession::Absent(generation) = *cell.slot.lock() else {
            return;
        };
        // Wait even if the index has no row any more: the cell is kept in memory meanwhile, so that
        // nobody reads a folder again that is about to be removed.
        if self.journal.wait_durable(self.journal.newest(), generation) {
            self.refresh_index(cell);
        }
    }

    /// Queues the session for the next checkpoint, which writes its producers, and keeps it in
    /// memory until then.
    fn queue_producers(&self, cell: &Arc<CacheEntry>) {
        if let CachedSession::Loaded(loaded) = &mut *cell.slot.lock()
            && loaded.producers_dirty
            && !std::mem::replace(&mut loaded.producers_queued, true)
        {
            self.awaiting_checkpoint.lock().push(Arc::clone(cell));
        }
    }

    /// Writes the files of a session that still exists.
    ///
    /// Documents of a session that was deleted in the meantime are dropped: its folder is being
    /// removed, and they must not get into the folder of a new session of the same name.
    pub fn write_documents(&self, snapshot: &Snapshot) -> io::Result<()> {
        let _alone = self.directory_locks.enter(&snapshot.cell.id);
        let folder = self.layout.session(&snapshot.cell.id);
        if !is_still(snapshot) || !folder.is_dir() {
            return Ok(());
        }
        for (name, bytes) in &snapshot.whole {
            if snapshot.keep.contains(&name.as_str()) {
                files::keep_file(&folder.join(name))?;
            }
            self.disk.replace(&folder.join(name), bytes, false)?;
        }
        if snapshot.remove_final {
            match std::fs::remove_file(folder.join(FINAL)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                result => result?,
            }
        }
        if let Some(children) = &snapshot.children {
            recent::update_children(&folder, children)?;
        }
        if let CachedSession::Loaded(loaded) = &mut *snapshot.cell.slot.lock()
            && loaded.view.created_offset == snapshot.born
        {
            // By their content: a claim may have added a newer `initial.json` meanwhile.
            let outbox = &mut loaded.view.outbox;
            outbox.retain(|file| !snapshot.once.contains(file));
        }
        Ok(())
    }

    /// Marks all documents of a session to be written again. Those that are written once are still
    /// in the view.
    fn requeue(&self, snapshot: &Snapshot) {
        let mut slot = snapshot.cell.slot.lock();
        if let CachedSession::Loaded(loaded) = &mut *slot {
            loaded.metadata_dirty = true;
            loaded.state_dirty = true;
            loaded.final_dirty = true;
            loaded.producers_dirty = !loaded.view.producers.is_empty();
            loaded.damaged.clone_from(&snapshot.keep);
        }
        drop(slot);
        self.queue_snapshot(&snapshot.cell);
    }
}
