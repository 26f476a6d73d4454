//! Directory locks: one thread at a time works in a session's folder.
//!
//! One thread writes a session's snapshots; another moves its folder, because of a deletion or a
//! quarantine. Each takes the folder's lock first, so that the folder cannot be moved while a
//! thread writes in it. With the lock held, the writing thread checks whether the session is still
//! the one it came for: a session of the same name may have been created in between.
//!
//! A thread that keeps files of a folder open learns from [`Folders::moved`] that the folder was
//! moved: the open files moved with it, and are not those to which the next session of that name
//! writes.
//!
//! Lock order: a folder's lock is taken before the session's slot is locked, never after. No thread
//! waits for a commit while it holds a folder's lock.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex};
use session_model::SessionId;

/// The locks on session folders.
#[derive(Debug, Default)]
pub(crate) struct DirectoryLocks {
    occupied: Mutex<HashSet<SessionId>>,
    left: Condvar,
    moved: Mutex<Vec<SessionId>>,
    any_moved: AtomicBool,
}

/// A guard for exclusive work in a folder; the lock is released when it is dropped.
#[derive(Debug)]
pub(crate) struct Inside<'f> {
    directory_locks: &'f DirectoryLocks,
    id: &'f SessionId,
}

impl DirectoryLocks {
    /// Locks a session's folder; waits until no other thread holds the lock.
    pub(crate) fn enter<'f>(&'f self, id: &'f SessionId) -> Inside<'f> {
        let mut occupied = self.occupied.lock();
        while occupied.contains(id) {
            self.left.wait(&mut occupied);
        }
        occupied.insert(id.clone());
        Inside {
            directory_locks: self,
            id,
        }
    }

    /// Notes that a session's folder is moved. Call this before another session of that name can be
    /// created.
    pub(crate) fn note_moved(&self, id: &SessionId) {
        self.moved.lock().push(id.clone());
        self.any_moved.store(true, Ordering::Release);
    }

    /// Returns the sessions whose folders were noted as moved since the last call.
    pub(crate) fn moved(&self) -> Vec<SessionId> {
        if !self.any_moved.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut moved = self.moved.lock();
        self.any_moved.store(false, Ordering::Release);
        std::mem::take(&mut *moved)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.directory_locks.occupied.lock().remove(self.id);
        self.directory_locks.left.notify_all();
    }
}
