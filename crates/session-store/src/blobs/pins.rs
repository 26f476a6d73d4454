//! Pins: blobs that an upload relies on, which a collection must not remove meanwhile.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use session_model::{BlobName, SessionId};

type Key = (SessionId, BlobName);

/// The blobs that uploads rely on, with the number of these uploads.
#[derive(Debug, Default)]
pub(super) struct Pins {
    counts: Mutex<HashMap<Key, usize>>,
}

/// Keeps one blob from being collected until it is dropped.
#[derive(Debug)]
pub(super) struct Pin {
    pins: Arc<Pins>,
    key: Key,
}

impl Pins {
    /// Keeps a blob from being collected, whether it exists or not.
    pub(super) fn pin(self: &Arc<Self>, id: &SessionId, name: BlobName) -> Pin {
        let key = (id.clone(), name);
        *self.counts.lock().entry(key.clone()).or_default() += 1;
        Pin {
            pins: Arc::clone(self),
            key,
        }
    }

    /// Returns whether an upload relies on this blob.
    pub(super) fn holds(&self, id: &SessionId, name: BlobName) -> bool {
        self.counts.lock().contains_key(&(id.clone(), name))
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut counts = self.pins.counts.lock();
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}
