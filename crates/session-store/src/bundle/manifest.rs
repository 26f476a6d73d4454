//! The manifest of a bundle.
//!
//! Bundles contain these names: only add fields, with a default; never rename or reorder them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The version of the format; any other version is refused.
pub const SCHEMA: &str = "session-bundle-v1";
/// The name of the last member.
pub const MANIFEST: &str = "MANIFEST.json";

/// The purpose of a bundle.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Single sessions, each as of its own offset, to be imported.
    Export,
    /// A whole directory as of one position, to be restored.
    Backup,
}

/// The length and checksum of one member.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Sum {
    /// The length in bytes.
    pub bytes: u64,
    /// The SHA-256 in hexadecimal.
    pub sha256: String,
}

/// A session in an export.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exported {
    /// The user that the session belongs to.
    pub user_id: String,
    /// `active` or `completed`.
    pub status: String,
    /// The offset of its newest event; 0 for a session of the older service that was not changed
    /// since.
    pub offset: u64,
}

/// What belongs to a directory but is left out of its back-up, because secrets must not lie beside
/// the records that they protect. Holds only enough to recognise it again, and nothing that could
/// be used.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeptBack {
    /// Whether there were access keys, that is, whether clients needed credentials.
    pub access_keys: bool,
    /// The beginning of the redaction key's digest, if there was a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redaction_key: Option<String>,
}

/// The content of `MANIFEST.json`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// The format, [`SCHEMA`].
    #[serde(rename = "$schema")]
    pub schema: String,
    /// The purpose of the bundle.
    pub kind: Kind,
    /// The version of the service that wrote it.
    pub service: String,
    /// When it was written.
    pub created: String,
    /// The epoch of the directory that it came from.
    pub epoch: String,
    /// The offset of its position: a back-up holds every event up to this offset and none after
    /// it. For an export, the newest offset in it.
    pub offset: u64,
    /// The sessions of an export.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sessions: BTreeMap<String, Exported>,
    /// What was left out of a back-up; absent in older bundles.
    #[serde(rename = "keptBack", default, skip_serializing_if = "Option::is_none")]
    pub kept_back: Option<KeptBack>,
    /// All other members.
    pub files: BTreeMap<String, Sum>,
}

impl Manifest {
    /// The position: `<epoch>-<offset>`.
    pub fn position(&self) -> String {
        format!("{}-{}", self.epoch, self.offset)
    }
}
