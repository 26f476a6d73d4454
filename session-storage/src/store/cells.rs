//! The sessions in memory: loaded on demand, let go again, never more than a bound of idle ones.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dashmap::DashMap;
use parking_lot::{Mutex, MutexGuard};
use session_model::producer::{Position, Producers};
use session_model::{SessionId, UserId, View};

use super::ticket::Group;

/// The most idle sessions kept in memory.
pub const MAX_RESIDENT: usize = 1024;

/// What is known of a session.
#[derive(Debug, Default)]
pub enum Slot {
    /// Not read yet, or to be read again.
    #[default]
    Unloaded,
    /// There is no such session, as of this generation of the journal.
    Absent(u64),
    /// Here it is.
    Loaded(Box<Loaded>),
}

/// A session in memory.
#[derive(Debug)]
pub struct Loaded {
    /// Its view, which may be ahead of what is durable.
    pub view: View,
    /// Its user, shared with the events.
    pub user: UserId,
    /// The journal's generation that the view was built in.
    pub generation: u64,
    /// The checkpoint since which the journal has its image.
    pub checkpoint: u64,
    /// The metadata's snapshot is older than the view.
    pub metadata_dirty: bool,
    /// The state's snapshot is older than the view.
    pub state_dirty: bool,
    /// The final document's file is older than the view.
    pub final_dirty: bool,
    /// The producers' file is older than the view; it is written at checkpoints.
    pub producers_dirty: bool,
    /// Whether a checkpoint will come to write them.
    pub producers_queued: bool,
    /// The documents that were found damaged: they are left as they are until the session changes, and are kept beside
    /// what is written then.
    pub damaged: Vec<&'static str>,
    /// Producers' positions before commits that may still fail.
    pub undo: VecDeque<ProducerUndo>,
}

/// A producer's position before a commit.
#[derive(Debug)]
pub struct ProducerUndo {
    /// The commit.
    pub group: Arc<Group>,
    /// Who.
    pub producer: String,
    /// The position before; `None`: unknown.
    pub before: Option<Position>,
}

impl Loaded {
    /// A view as it was read: its snapshots are as it is.
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
        }
    }

    /// Notes a producer's position before a commit changes it.
    pub fn remember(&mut self, group: Arc<Group>, producer: &str) {
        while self.undo.front().is_some_and(|undo| undo.group.result() == Some(Ok(()))) {
            self.undo.pop_front();
        }
        let is_noted = |undo: &ProducerUndo| Arc::ptr_eq(&undo.group, &group) && undo.producer == producer;
        if self.undo.iter().any(is_noted) {
            return;
        }
        let before = self.view.producers.position(producer).cloned();
        self.undo.push_back(ProducerUndo { group, producer: producer.to_owned(), before });
    }

    /// The commit of a producer's newest position, if that is not done yet.
    pub fn commit_of(&self, producer: &str) -> Option<Arc<Group>> {
        let newest = self.undo.iter().rev().find(|undo| undo.producer == producer)?;
        newest.group.result().is_none().then(|| Arc::clone(&newest.group))
    }

    /// The producers' positions without those of commits that failed.
    pub fn durable_producers(&mut self) -> Producers {
        while let Some(undo) = self.undo.pop_back() {
            if undo.group.result() != Some(Ok(())) {
                self.view.producers.restore(undo.producer, undo.before);
            }
        }
        std::mem::take(&mut self.view.producers)
    }

    /// A view whose snapshots all have to be written.
    pub fn dirty(view: View, generation: u64) -> Self {
        let mut loaded = Self::clean(view, generation);
        loaded.metadata_dirty = true;
        loaded.state_dirty = true;
        loaded.final_dirty = true;
        loaded.producers_dirty = !loaded.view.producers.is_empty();
        loaded
    }

    /// Whether any file is older than the view.
    pub fn is_dirty(&self) -> bool {
        self.metadata_dirty || self.state_dirty || self.final_dirty || self.producers_dirty
    }
}

/// One session's place in memory.
#[derive(Debug)]
pub struct Cell {
    /// Its name.
    pub id: SessionId,
    /// What is known of it. Held shortly, never across a wait or a read, unless by one who has the turn.
    pub slot: Mutex<Slot>,
    /// Held by one who works on the slot for longer than moments, on a thread of its own: an async task waits for the
    /// turn instead of blocking its thread, and with it all other sessions.
    pub turn: tokio::sync::Mutex<()>,
    /// Held while it is being read, so that it is read once.
    pub loading: Mutex<()>,
    /// Whether it waits for the snapshot thread.
    pub queued: AtomicBool,
    /// Whether its snapshots could not be written the last time, for a reason of its own.
    pub snapshot_failed: AtomicBool,
    touched: AtomicBool,
}

impl Cell {
    /// The slot, for a step of moments in an async task. The guard must not be held across a wait.
    pub async fn short(&self) -> MutexGuard<'_, Slot> {
        if let Some(slot) = self.slot.try_lock() {
            return slot;
        }
        let _turn = self.turn.lock().await;
        self.slot.lock()
    }

    /// Does what may take long, on a thread that may block.
    pub fn long<R>(&self, step: impl FnOnce(&mut Slot) -> R) -> R {
        let _turn = self.turn.blocking_lock();
        step(&mut self.slot.lock())
    }
}

/// All of them.
#[derive(Debug, Default)]
pub struct Cells {
    map: DashMap<SessionId, Arc<Cell>>,
}

impl Cells {
    /// The place of a session, made if need be.
    pub fn get(&self, id: &SessionId) -> Arc<Cell> {
        if let Some(cell) = self.map.get(id) {
            cell.touched.store(true, Ordering::Relaxed);
            return Arc::clone(&cell);
        }
        let cell = self.map.entry(id.clone()).or_insert_with(|| {
            Arc::new(Cell {
                id: id.clone(),
                slot: Mutex::default(),
                turn: tokio::sync::Mutex::default(),
                loading: Mutex::new(()),
                queued: AtomicBool::new(false),
                snapshot_failed: AtomicBool::new(false),
                touched: AtomicBool::new(true),
            })
        });
        Arc::clone(&cell)
    }

    /// The place of a session that is in memory.
    pub fn peek(&self, id: &SessionId) -> Option<Arc<Cell>> {
        self.map.get(id).map(|cell| Arc::clone(&cell))
    }

    /// How many sessions are in memory; one that is being worked on counts as such. Of a deleted one only the name is
    /// kept, and that for a while.
    pub fn loaded(&self) -> usize {
        let is_loaded =
            |cell: &Cell| cell.slot.try_lock().is_none_or(|slot| matches!(*slot, Slot::Loaded(_)));
        self.map.iter().filter(|cell| is_loaded(cell)).count()
    }

    /// Lets idle, clean sessions go while there are too many: those untouched since the last call first.
    pub fn evict(&self) {
        let excess = self.map.len().saturating_sub(MAX_RESIDENT);
        if excess == 0 {
            return;
        }
        let mut idle: Vec<(bool, SessionId)> =
            self.map.iter().map(|c| (c.touched.swap(false, Ordering::Relaxed), c.id.clone())).collect();
        idle.sort_unstable_by_key(|(touched, _)| *touched);
        for (_, id) in idle.into_iter().take(excess) {
            // Under the map's lock nobody can take a new hold of the cell.
            self.map.remove_if(&id, |_, cell| Arc::strong_count(cell) == 1 && is_clean(cell));
        }
        self.map.shrink_to_fit();
    }

    /// Forgets a name that was asked for and is none.
    pub fn forget_absent(&self, id: &SessionId) {
        self.map.remove_if(id, |_, cell| {
            Arc::strong_count(cell) == 1
                && cell.slot.try_lock().is_some_and(|slot| matches!(*slot, Slot::Absent(_)))
        });
    }
}

fn is_clean(cell: &Cell) -> bool {
    let clean = |slot: &Slot| match slot {
        Slot::Unloaded | Slot::Absent(_) => true,
        Slot::Loaded(loaded) => !loaded.is_dirty(),
    };
    !cell.queued.load(Ordering::Acquire) && cell.slot.try_lock().is_some_and(|slot| clean(&slot))
}
