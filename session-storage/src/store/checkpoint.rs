//! The checkpoint: below this offset the session files are durable and the journal is not needed any more.

use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

use super::disk::Disk;
use super::layout::Layout;

/// `journal/checkpoint.json`
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The life of the storage directory: random at its birth, new whenever a tail was lost.
    pub epoch: String,
    /// Entries from this offset on are replayed at the start.
    pub next_offset: u64,
    /// Whether the service stopped in order after it.
    pub clean: bool,
    /// Which boot of the machine wrote it, where the system tells.
    #[serde(default)]
    pub boot: Option<String>,
    /// Whether every acknowledged commit was synced.
    #[serde(default)]
    pub synced: bool,
}

impl Checkpoint {
    /// Reads it; `None` if there is none or it is damaged.
    pub fn read(layout: &Layout) -> Option<Self> {
        serde_json::from_slice(&fs::read(layout.checkpoint()).ok()?).ok()
    }

    /// Replaces it, durably.
    pub fn write(&self, layout: &Layout, disk: &dyn Disk) -> io::Result<()> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        disk.replace(&layout.checkpoint(), &bytes, true)
    }
}

/// A new life's name.
pub fn new_epoch() -> String {
    let id = uuid::Uuid::new_v4().simple().to_string();
    id[..12].to_owned()
}

/// The name of this boot of the machine, where the system tells.
pub fn boot_id() -> Option<String> {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().map(|id| id.trim().to_owned())
}
