//! What a bundle says of itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The version of the form; another one is refused.
pub const SCHEMA: &str = "session-bundle-v1";
/// The name of the last member.
pub const MANIFEST: &str = "MANIFEST.json";

/// What a bundle is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Single sessions, each as of its own offset, to be imported.
    Export,
    /// A whole directory as of one position, to be restored.
    Backup,
}

/// The proof of one member.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Sum {
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
}

/// A session of an export.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exported {
    /// Whose it is.
    pub user_id: String,
    /// `active` or `completed`.
    pub status: String,
    /// Its newest event's offset; 0: of the older service, untouched.
    pub offset: u64,
}

/// `MANIFEST.json`
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// [`SCHEMA`]
    #[serde(rename = "$schema")]
    pub schema: String,
    /// What it is for.
    pub kind: Kind,
    /// The version of the service that made it.
    pub service: String,
    /// When.
    pub created: String,
    /// The life of the directory it came from.
    pub epoch: String,
    /// The position: a back-up holds every event up to this offset and none after it. Of an export: the newest
    /// offset in it.
    pub offset: u64,
    /// The sessions of an export.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sessions: BTreeMap<String, Exported>,
    /// Every other member.
    pub files: BTreeMap<String, Sum>,
}

impl Manifest {
    /// `<epoch>-<offset>`
    pub fn position(&self) -> String {
        format!("{}-{}", self.epoch, self.offset)
    }
}

/// Bytes as hexadecimal text.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
