//! How the commit thread reaches a worker: one wake-up per worker and publish, however many subscribers it has.

use std::collections::HashSet;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// What a worker should look at.
#[derive(Debug, Default)]
pub struct Gate {
    changed: Mutex<Changed>,
    bell: Notify,
}

/// What changed since the worker last looked.
#[derive(Debug, Default)]
pub struct Changed {
    /// Topics with new events.
    pub topics: HashSet<u64>,
    /// Everyone must look: the hub was closed, or who may follow has changed.
    pub everyone: bool,
}

impl Gate {
    /// Notes that a topic has new events, and rings. Never blocks for long: the worker only swaps the list out.
    pub fn changed(&self, topic: u64) {
        let mut changed = self.changed.lock();
        let first = changed.topics.is_empty();
        changed.topics.insert(topic);
        drop(changed);
        if first {
            self.bell.notify_one();
        }
    }

    /// Notes that everyone must look, and rings.
    pub fn everyone(&self) {
        self.changed.lock().everyone = true;
        self.bell.notify_one();
    }

    /// Waits for the bell; one rung before the call counts.
    pub async fn rung(&self) {
        self.bell.notified().await;
    }

    /// What changed. Whatever changes after this call rings again.
    pub fn take(&self, into: &mut Changed) {
        into.topics.clear();
        let mut changed = self.changed.lock();
        std::mem::swap(&mut changed.topics, &mut into.topics);
        into.everyone = std::mem::take(&mut changed.everyone);
    }
}
