//! The maintenance thread: writes snapshots, makes checkpoints, prepares the next segment, evicts
//! idle sessions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use session_model::SessionId;

use super::checkpoint::{Checkpoint, boot_id};
use super::recovery;
use super::store::{Store, SyncPolicy};

/// The time between ticks. Snapshots are written within a tick plus the time to write them: well
/// within 200 ms together.
const TICK: Duration = Duration::from_millis(100);
/// The number of journal bytes after which a checkpoint is made.
const CHECKPOINT_BYTES: u64 = 64 << 20;
/// The time after which a checkpoint is made, if anything was committed.
const CHECKPOINT_EVERY: Duration = Duration::from_mins(1);
/// Writing the index takes at most one part in this many of the time.
const INDEX_SHARE: u32 = 50;
/// The shortest time between two writes of the index.
const INDEX_PAUSE: Duration = Duration::from_millis(500);

/// The most sessions that a checkpoint leaves behind because they cannot be written.
const MAX_LEFT_BEHIND: usize = 1000;

/// The thread's state between ticks.
struct Progress {
    checkpoint_bytes: u64,
    checkpoint_at: Instant,
    synced_at: Instant,
    synced_bytes: u64,
    durable: u64,
    index_at: Instant,
    index_pause: Duration,
    index_changes: u64,
    /// The offset up to which the last written index is valid.
    index_offset: u64,
}

/// Runs until the store stops.
pub(crate) fn run(store: &Arc<Store>) {
    let now = Instant::now();
    let mut progress = Progress {
        checkpoint_bytes: 0,
        checkpoint_at: now,
        synced_at: now,
        synced_bytes: 0,
        // Nothing has been written yet, and the index includes everything that was recovered.
        durable: store.journal.durable(),
        index_at: now,
        index_pause: Duration::ZERO,
        index_changes: u64::MAX,
        index_offset: 0,
    };
    if let Err(error) = recovery::empty_trash(&store.layout, store.journal.durable()) {
        tracing::warn!(%error, "what deletions left could not be removed");
    }
    while !store.wait_for_stop(TICK) {
        tick(store, &mut progress);
    }
}

fn tick(store: &Arc<Store>, progress: &mut Progress) {
    store.flush_snapshots(false);
    write_index(store, progress);
    if let Err(error) = store
        .segments
        .prepare_spares(store.disk.as_ref(), &store.root)
    {
        tracing::debug!(%error, "no spare segment: the next one grows as it is written");
    }
    sync_every_second(store, progress);
    let committed = store.journal.committed_bytes();
    let grown = committed - progress.checkpoint_bytes;
    let waiting = store.awaiting_checkpoint.lock().len() > super::session_cache::MAX_RESIDENT;
    let due = grown >= CHECKPOINT_BYTES
        || waiting
        || (grown > 0 && progress.checkpoint_at.elapsed() >= CHECKPOINT_EVERY);
    if due && !store.journal.has_failed() {
        store.checkpoint(false);
        progress.checkpoint_bytes = committed;
        progress.checkpoint_at = Instant::now();
    }
    for cell in store.cache.evict() {
        store.queue_key_flush(&cell);
    }
    if let Err(error) = recovery::empty_trash(&store.layout, store.journal.durable()) {
        tracing::warn!(%error, "what deletions left could not be removed");
    }
}

fn sync_every_second(store: &Arc<Store>, progress: &mut Progress) {
    let committed = store.journal.committed_bytes();
    let due = store.options.sync == SyncPolicy::EverySecond
        && progress.synced_at.elapsed() >= Duration::from_secs(1);
    if !due || committed == progress.synced_bytes {
        return;
    }
    progress.synced_at = Instant::now();
    progress.synced_bytes = committed;
    if let Err(error) = store.disk.sync_file_system(&store.root) {
        tracing::error!(%error, "a sync failed: nothing is acknowledged until a restart has recovered");
        store.journal.poison();
    }
}

impl Store {
    /// Updates the links in `recent/` if the newest sessions or the folder have changed.
    pub(super) fn update_recent(&self) {
        let limit = self.options.recent_limit;
        let newest = self
            .index
            .newest(None, limit, |_, _| true)
            .into_iter()
            .map(|((_, _, id), _)| id)
            .collect();
        self.linked.lock().update(&self.layout, newest);
    }

    /// Makes everything committed so far durable in the session files, and trims the journal.
    pub(crate) fn checkpoint(&self, clean: bool) {
        // Read the generation first: offsets of a commit that fails from here on are used again,
        // and no checkpoint may cover them.
        let generation = self.journal.generation();
        let next_offset = self.journal.begin_checkpoint();
        if !self.journal.wait_durable(next_offset - 1, generation) {
            return;
        }
        let begun = Instant::now();
        let waiting = std::mem::take(&mut *self.awaiting_checkpoint.lock());
        waiting.iter().for_each(|cell| self.queue_snapshot(cell));
        self.complete_pending();
        let failed = self.flush_snapshots(true);
        if failed.len() > MAX_LEFT_BEHIND {
            tracing::warn!(
                failed = failed.len(),
                "no checkpoint: many snapshots could not be written"
            );
            return;
        }
        // A session that cannot be written does not delay the checkpoint: the journal is kept for
        // it.
        let behind = self.behind.after(&failed);
        if let Err(error) = self.disk.sync_file_system(&self.root) {
            tracing::error!(%error, "a sync failed: nothing is acknowledged until a restart has recovered");
            self.journal.poison();
            return;
        }
        match self.finish_checkpoint(next_offset, clean, behind) {
            Ok(()) => self.metrics.checkpointed(begun),
            Err(error) => {
                tracing::warn!(%error, "no checkpoint: the journal could not be marked or trimmed");
            }
        }
    }

    fn finish_checkpoint(
        &self,
        next_offset: u64,
        clean: bool,
        behind: BTreeMap<SessionId, u64>,
    ) -> std::io::Result<()> {
        if clean {
            self.index
                .write(&self.layout, self.disk.as_ref(), &self.epoch, next_offset)?;
        }
        if !behind.is_empty() {
            tracing::warn!(
                sessions = behind.len(),
                "the journal is kept for sessions whose files cannot be read or written"
            );
        }
        self.write_checkpoint(next_offset, clean, behind.clone())?;
        let keep_from = behind
            .values()
            .copied()
            .chain([next_offset])
            .min()
            .unwrap_or(next_offset);
        self.behind.checkpointed(behind, next_offset);
        let (_, size) = self.disk.free_space(&self.root)?;
        self.segments
            .trim(keep_from, self.options.journal_max_bytes.min(size / 4))
    }

    /// Records the offset up to which the session files are complete.
    pub(super) fn write_checkpoint(
        &self,
        next_offset: u64,
        clean: bool,
        behind: BTreeMap<SessionId, u64>,
    ) -> std::io::Result<()> {
        let synced = self.options.sync == SyncPolicy::Always;
        let behind = behind
            .into_iter()
            .map(|(id, from)| (id.to_string(), from))
            .collect();
        let checkpoint = Checkpoint {
            epoch: self.epoch.clone(),
            next_offset,
            clean,
            boot: boot_id(),
            synced,
            behind,
        };
        checkpoint.write(&self.layout, self.disk.as_ref())?;
        self.checkpointed.store(next_offset, Ordering::Relaxed);
        Ok(())
    }
}

/// Writes the index if it has changed, or if it is valid only up to an offset before the last
/// checkpoint. Writing takes at most a small share of the time.
///
/// The index is recorded as valid for what was durable one tick ago, because rows follow their
/// commits with a short delay.
fn write_index(store: &Arc<Store>, progress: &mut Progress) {
    let good_before = std::mem::replace(&mut progress.durable, store.journal.durable()) + 1;
    let changes = store.index.changes();
    let is_old = progress.index_offset < store.checkpointed.load(Ordering::Relaxed);
    if changes == progress.index_changes && !is_old
        || progress.index_at.elapsed() < progress.index_pause
    {
        return;
    }
    progress.index_at = Instant::now();
    match store.index.write(
        &store.layout,
        store.disk.as_ref(),
        &store.epoch,
        good_before,
    ) {
        Ok(()) => (progress.index_changes, progress.index_offset) = (changes, good_before),
        Err(error) => {
            tracing::warn!(%error, "`index.json` could not be written; it is tried again");
        }
    }
    progress.index_pause = (progress.index_at.elapsed() * INDEX_SHARE).max(INDEX_PAUSE);
}
