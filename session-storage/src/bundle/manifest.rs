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

/// What belongs to a directory and is in no back-up of it, because it must not lie beside the records that it protects:
/// enough to know it again, and of no other use.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeptBack {
    /// Whether there were access keys: whether everybody was asked for one.
    pub access_keys: bool,
    /// The beginning of the digest of the redaction key, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redaction_key: Option<String>,
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
    /// What was kept back from a back-up; older ones do not say.
    #[serde(rename = "keptBack", default, skip_serializing_if = "Option::is_none")]
    pub kept_back: Option<KeptBack>,
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
