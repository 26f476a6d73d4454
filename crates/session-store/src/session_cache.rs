//! The session cache: sessions in memory, loaded on demand; idle ones above a limit are evicted.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dashmap::DashMap;
use parking_lot::{Mutex, MutexGuard};
use session_model::producer::{Position, Producers};
use session_model::{SessionId, UserId, View};

use super::keys::KeyTables;
use super::ticket::Group;

/// The most idle sessions kept in memory.
pub(crate) const MAX_RESIDENT: usize = 1024;

/// Cached state of a session.
#[derive(Debug, Default)]
pub enum CachedSession {
    /// Not read yet, or must be read again.
    #[default]
    Unloaded,
    /// There is no such session, as of this generation of the journal.
    Absent(u64),
    /// The session is in memory.
    Loaded(Box<LoadedSession>),
}

/// A session in memory.
#[derive(Debug)]
pub struct LoadedSession {
    /// The session's view, which may be ahead of what is durable.
    pub view: View,
    /// The session's user, shared with the events.
    pub user: UserId,
    /// The generation of the journal in which the view was built.
    pub generation: u64,
    /// The checkpoint since which the journal holds the session's image.
    pub checkpoint: u64,
    /// The metadata's snapshot is older than the view.
    pub metadata_dirty: bool,
    /// The state's snapshot is older than the view.
    pub state_dirty: bool,
    /// The final document's file is older than the view.
    pub final_dirty: bool,
    /// The producers' file is older than the view; it is written at checkpoints.
    pub producers_dirty: bool,
    /// Whether the session is queued to have its producers written at a checkpoint.
    pub producers_queued: bool,
    /// The documents found damaged. They are left as they are until the session changes; the
    /// damaged bytes are then kept beside the new file.
    pub damaged: Vec<&'static str>,
    /// Producers' positions from before commits that may still fail.
    pub undo: VecDeque<ProducerUndo>,
    /// The index of record keys.
    pub keys: KeyTables,
}

/// A producer's position from before a commit.
#[derive(Debug)]
pub struct ProducerUndo {
    /// The commit.
    pub group: Arc<Group>,
    /// The id of the producer.
    pub producer: String,
    /// The earlier position; `None` if the producer was unknown.
    pub before: Option<Position>,
}

impl LoadedSession {
    /// Returns a session whose snapshots match its view, as after reading it.
    pub fn clean(view: View, generation: u64) -> Self {
        Self {
            user: view.metadata.user(),
            view,
            generation,
            checkpoint: 0,
            metadata_dirty: false,
            state_dirty: false,
            final_dirty: false,
            producers_dirty: false,
            producers_queued: false,
            damaged: Vec::new(),
            undo: VecDeque::new(),
            keys: KeyTables::default(),
        }
    }

    /// Saves a producer's position before a commit changes it.
    pub fn remember(&mut self, group: Arc<Group>, producer: &str) {
        while self
            .undo
            .front()
            .is_some_and(|undo| undo.group.result() == Some(Ok(())))
        {
            self.undo.pop_front();
        }
        let is_noted =
            |undo: &ProducerUndo| Arc::ptr_eq(&undo.group, &group) && undo.producer == producer;
        if self.undo.iter().any(is_noted) {
            return;
        }
        let before = self.view.producers.position(producer).cloned();
        self.undo.push_back(ProducerUndo {
            group,
            producer: producer.to_owned(),
            before,
        });
    }

    /// Returns the commit of a producer's newest position, if it is not done yet.
    pub fn commit_of(&self, producer: &str) -> Option<Arc<Group>> {
        let newest = self
            .undo
            .iter()
            .rev()
            .find(|undo| undo.producer == producer)?;
        newest
            .group
            .result()
            .is_none()
            .then(|| Arc::clone(&newest.group))
    }

    /// Takes the producers' positions, with those of failed commits rolled back.
    pub fn durable_producers(&mut self) -> Producers {
        while let Some(undo) = self.undo.pop_back() {
            if undo.group.result() != Some(Ok(())) {
                self.view.producers.restore(undo.producer, undo.before);
            }
        }
        std::mem::take(&mut self.view.producers)
    }

    /// Returns a session whose snapshots must all be written.
    pub fn dirty(view: View, generation: u64) -> Self {
        let mut loaded = Self::clean(view, generation);
        loaded.metadata_dirty = true;
        loaded.state_dirty = true;
        loaded.final_dirty = true;
        loaded.producers_dirty = !loaded.view.producers.is_empty();
        loaded
    }

    /// Returns whether any file is older than the view.
    pub fn is_dirty(&self) -> bool {
        self.metadata_dirty || self.state_dirty || self.final_dirty || self.producers_dirty
    }
}

/// The cache entry of one session.
#[derive(Debug)]
pub struct CacheEntry {
    /// The session's id.
    pub id: SessionId,
    /// Cached state. Lock held briefly, never across an await or a read, except by the holder of
    /// `turn`.
    pub slot: Mutex<CachedSession>,
    /// Held by a blocking thread that works on the slot for a long time. An async task waits for
    /// `turn` instead of blocking its own thread, which would stop all other sessions on that
    /// thread.
    pub turn: tokio::sync::Mutex<()>,
    /// Held while the session is being read, so that it is read only once.
    pub loading: Mutex<()>,
    /// Held while the index of record keys is built or flushed. Taken before any other lock.
    pub keying: Mutex<()>,
    /// Held by an async task that has such work done, so that the others wait without a thread.
    pub preparing_keys: tokio::sync::Mutex<()>,
    /// Whether the session waits for the snapshot thread.
    pub queued: AtomicBool,
    /// Whether its snapshots could not be written last time, for a reason that concerns this
    /// session alone.
    pub snapshot_failed: AtomicBool,
    touched: AtomicBool,
}

impl CacheEntry {
    /// Locks the slot for a brief step in an async task. The guard must not be held across an
    /// await.
    pub async fn short(&self) -> MutexGuard<'_, CachedSession> {
        if let Some(slot) = self.slot.try_lock() {
            return slot;
        }
        let _turn = self.turn.lock().await;
        self.slot.lock()
    }

    /// Runs a step that may take long, on a thread that may block.
    pub fn long<R>(&self, step: impl FnOnce(&mut CachedSession) -> R) -> R {
        let _turn = self.turn.blocking_lock();
        step(&mut self.slot.lock())
    }
}

/// All cache entries.
#[derive(Debug, Default)]
pub struct SessionCache {
    map: DashMap<SessionId, Arc<CacheEntry>>,
}

impl SessionCache {
    /// Returns the entry of a session; creates it if needed.
    pub fn get(&self, id: &SessionId) -> Arc<CacheEntry> {
        if let Some(cell) = self.map.get(id) {
            cell.touched.store(true, Ordering::Relaxed);
            return Arc::clone(&cell);
        }
        let cell = self.map.entry(id.clone()).or_insert_with(|| {
            Arc::new(CacheEntry {
                id: id.clone(),
                slot: Mutex::default(),
                turn: tokio::sync::Mutex::default(),
                loading: Mutex::new(()),
                keying: Mutex::new(()),
                preparing_keys: tokio::sync::Mutex::default(),
                queued: AtomicBool::new(false),
                snapshot_failed: AtomicBool::new(false),
                touched: AtomicBool::new(true),
            })
        });
        Arc::clone(&cell)
    }

    /// Returns the entry of a session if it is in memory.
    pub fn peek(&self, id: &SessionId) -> Option<Arc<CacheEntry>> {
        self.map.get(id).map(|cell| Arc::clone(&cell))
    }

    /// Returns how many sessions are in memory; one whose slot is locked is counted. Of a deleted
    /// session only the name is kept, for a while.
    pub fn loaded(&self) -> usize {
        let is_loaded = |cell: &CacheEntry| {
            cell.slot
                .try_lock()
                .is_none_or(|slot| matches!(*slot, CachedSession::Loaded(_)))
        };
        self.map.iter().filter(|cell| is_loaded(cell)).count()
    }

    /// Returns every entry.
    pub fn all(&self) -> Vec<Arc<CacheEntry>> {
        self.map.iter().map(|cell| Arc::clone(&cell)).collect()
    }

    /// Evicts idle, clean sessions while there are too many, those not used since the last call
    /// first. Returns those that stay because the entries of their record keys must be written
    /// first.
    pub fn evict(&self) -> Vec<Arc<CacheEntry>> {
        let mut unwritten = Vec::new();
        let excess = self.map.len().saturating_sub(MAX_RESIDENT);
        if excess == 0 {
            return unwritten;
        }
        let mut idle: Vec<(bool, SessionId)> = self
            .map
            .iter()
            .map(|c| (c.touched.swap(false, Ordering::Relaxed), c.id.clone()))
            .collect();
        idle.sort_unstable_by_key(|(touched, _)| *touched);
        for (_, id) in idle.into_iter().take(excess) {
            // Nobody can take a new reference to the cell while the map's lock is held.
            self.map.remove_if(&id, |_, cell| {
                if Arc::strong_count(cell) != 1 || !is_clean(cell) {
                    return false;
                }
                let needs_flush = needs_flush(cell);
                if needs_flush {
                    unwritten.push(Arc::clone(cell));
                }
                !needs_flush
            });
        }
        self.map.shrink_to_fit();
        unwritten
    }

    /// Removes the entry of a requested session that does not exist.
    pub fn forget_absent(&self, id: &SessionId) {
        self.map.remove_if(id, |_, cell| {
            Arc::strong_count(cell) == 1
                && cell
                    .slot
                    .try_lock()
                    .is_some_and(|slot| matches!(*slot, CachedSession::Absent(_)))
        });
    }
}

fn is_clean(cell: &CacheEntry) -> bool {
    let clean = |slot: &CachedSession| match slot {
        CachedSession::Unloaded | CachedSession::Absent(_) => true,
        CachedSession::Loaded(loaded) => !loaded.is_dirty(),
    };
    !cell.queued.load(Ordering::Acquire) && cell.slot.try_lock().is_some_and(|slot| clean(&slot))
}

fn needs_flush(cell: &CacheEntry) -> bool {
    cell.slot.try_lock().is_none_or(|slot| match &*slot {
        CachedSession::Loaded(loaded) => loaded.keys.needs_flush(&loaded.view),
        CachedSession::Unloaded | CachedSession::Absent(_) => false,
    })
}
