//! Up to where a transcript was read.

use serde::{Deserialize, Serialize};

/// A position in a transcript, and which file it is.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ReadPosition {
    pub device: u64,
    pub inode: u64,
    pub offset: u64,
    /// The last message that was recorded, and how many blocks of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    pub blocks: usize,
}

impl ReadPosition {
    pub(super) fn is_start(&self) -> bool {
        *self == Self::default()
    }
}
