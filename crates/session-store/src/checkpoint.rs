//! The checkpoint: below its offset the session files are durable and the journal is no longer
//! needed.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use serde::{Deserialize, Serialize};
use session_model::SessionId;

use super::disk::Disk;
use super::files;
use super::layout::Layout;

/// The contents of `journal/checkpoint.json`. Its names are on disk: only add fields, with a default.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    /// The epoch of the storage directory: random at its creation, and new whenever a tail was
    /// lost.
    pub epoch: String,
    /// Entries from this offset on are replayed at the start.
    pub next_offset: u64,
    /// Whether the service stopped cleanly after this checkpoint.
    pub clean: bool,
    /// The boot of the machine that wrote the checkpoint, where the operating system provides it.
    #[serde(default)]
    pub boot: Option<String>,
    /// Whether every acknowledged commit was synced.
    #[serde(default)]
    pub synced: bool,
    /// Sessions whose files are not complete up to the checkpoint, with the offset from which the
    /// journal holds what they may lack.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub behind: BTreeMap<String, u64>,
}

impl Checkpoint {
    /// Reads the checkpoint; `None` if it is missing or damaged, and the whole journal is then
    /// replayed.
    pub(crate) fn read(layout: &Layout) -> io::Result<Option<Self>> {
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

    /// Returns the sessions whose files are not complete up to the checkpoint.
    pub(crate) fn sessions_behind(&self) -> BTreeMap<SessionId, u64> {
        let known = |(id, from): (&String, &u64)| Some((SessionId::parse(id).ok()?, *from));
        self.behind.iter().filter_map(known).collect()
    }

    /// Returns the offset from which the journal is still needed.
    pub(crate) fn needs_from(&self) -> u64 {
        self.behind
            .values()
            .copied()
            .chain([self.next_offset])
            .min()
            .unwrap_or(self.next_offset)
    }

    /// Replaces the checkpoint file durably.
    pub(crate) fn write(&self, layout: &Layout, disk: &dyn Disk) -> io::Result<()> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        disk.replace(&layout.checkpoint(), &bytes, true)
    }
}

/// Creates the name of a new epoch.
pub(crate) fn new_epoch() -> String {
    let id = uuid::Uuid::new_v4().simple().to_string();
    id[..12].to_owned()
}

/// Returns the id of the current boot of the machine, where the operating system provides it.
pub(crate) fn boot_id() -> Option<String> {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .ok()
        .map(|id| id.trim().to_owned())
}
