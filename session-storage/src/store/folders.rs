//! Who is at work in a session's folder: one thread at a time.
//!
//! The snapshots of a session are written by one thread; its folder is moved aside, by a deletion or a quarantine,
//! by another. Each enters the folder first, so that it cannot go away from under a thread that is writing in it,
//! and whoever writes finds out inside whether the session is still the one that it came for. A session of the same
//! name may have been born meanwhile.
//!
//! Who keeps files of a folder open learns from [`Folders::moved`] that it has gone elsewhere: what they have open went
//! with it, and is not where the next session of that name writes.
//!
//! Order: a folder is entered before a session's slot is locked, never after. Inside nobody waits for a commit.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex};
use session_model::SessionId;

/// The folders that somebody is in.
#[derive(Debug, Default)]
pub struct Folders {
    occupied: Mutex<HashSet<SessionId>>,
    left: Condvar,
    moved: Mutex<Vec<SessionId>>,
    any_moved: AtomicBool,
}

/// Being in a folder, alone, until this is dropped.
#[derive(Debug)]
pub struct Inside<'f> {
    folders: &'f Folders,
    id: &'f SessionId,
}

impl Folders {
    /// Enters a session's folder, once nobody is in it.
    pub fn enter<'f>(&'f self, id: &'f SessionId) -> Inside<'f> {
        let mut occupied = self.occupied.lock();
        while occupied.contains(id) {
            self.left.wait(&mut occupied);
        }
        occupied.insert(id.clone());
        Inside { folders: self, id }
    }

    /// Notes that a session's folder goes elsewhere. To be called before another session can be born in its place.
    pub fn note_moved(&self, id: &SessionId) {
        self.moved.lock().push(id.clone());
        self.any_moved.store(true, Ordering::Release);
    }

    /// The sessions whose folders were noted since the last call.
    pub fn moved(&self) -> Vec<SessionId> {
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
        self.folders.occupied.lock().remove(self.id);
        self.folders.left.notify_all();
    }
}
