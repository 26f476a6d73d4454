//! Notifies a worker from the commit thread: one wake-up per worker and publish, however many
//! subscribers the worker has.

use std::collections::HashSet;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Notifier of one worker.
#[derive(Debug, Default)]
pub struct Notifier {
    changed: Mutex<Changed>,
    notify: Notify,
}

/// What changed since the worker last looked.
#[derive(Debug, Default)]
pub struct Changed {
    /// Topics with new events.
    pub topics: HashSet<u64>,
    /// All subscribers must check: the hub was closed, or access rights changed.
    pub everyone: bool,
}

impl Notifier {
    /// Records that a topic has new events, and notifies the worker. Does not block for long: the
    /// worker holds the lock only to swap out the list.
    pub fn changed(&self, topic: u64) {
        let mut changed = self.changed.lock();
        let first = changed.topics.is_empty();
        changed.topics.insert(topic);
        drop(changed);
        if first {
            self.notify.notify_one();
        }
    }

    /// Records that all subscribers must check, and notifies the worker.
    pub fn everyone(&self) {
        self.changed.lock().everyone = true;
        self.notify.notify_one();
    }

    /// Waits for a notification. A notification sent before the call counts.
    pub async fn notified(&self) {
        self.notify.notified().await;
    }

    /// Moves what changed into `into`. Any change after this call notifies again.
    pub fn take(&self, into: &mut Changed) {
        into.topics.clear();
        let mut changed = self.changed.lock();
        std::mem::swap(&mut changed.topics, &mut into.topics);
        into.everyone = std::mem::take(&mut changed.everyone);
    }
}
