//! The checkpoint: below this offset the session files are durable and the journal is not needed any more.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use serde::{Deserialize, Serialize};
use session_model::SessionId;

use super::disk::Disk;
use super::files;
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
    /// Sessions whose files are not complete up to it: from which offset on the journal has what they may lack.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub behind: BTreeMap<String, u64>,
}

impl Checkpoint {
    /// Reads it; `None` if there is none or it is damaged: then the whole journal is replayed.
    pub fn read(layout: &Layout) -> io::Result<Option<Self>> {
        match files::read(&layout.checkpoint()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            bytes => {
                let checkpoint = serde_json::from_slice(&bytes?);
                if let Err(error) = &checkpoint {
                    tracing::error!(%error, "`journal/checkpoint.json` is damaged: the whole journal is replayed");
                }
                Ok(checkpoint.ok())
            }
        }
    }

    /// The sessions whose files are not complete up to it.
    pub fn sessions_behind(&self) -> BTreeMap<SessionId, u64> {
        let known = |(id, from): (&String, &u64)| Some((SessionId::parse(id).ok()?, *from));
        self.behind.iter().filter_map(known).collect()
    }

    /// From which offset on the journal is still needed.
    pub fn needs_from(&self) -> u64 {
        self.behind.values().copied().chain([self.next_offset]).min().unwrap_or(self.next_offset)
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
