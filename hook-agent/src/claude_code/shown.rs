//! Messages that the transcript has not confirmed, kept from hook to hook.

use serde::{Deserialize, Serialize};
use session_model::records::RecordKey;

/// A message that was displayed.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Shown {
    pub id: String,
    /// Whether the message has no id; then `id` is the key of its first part.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_nameless: bool,
    pub agent: Option<String>,
    pub turn: Option<String>,
    pub at: String,
    /// The parts so far, by their numbers.
    pub parts: Vec<(u64, String)>,
}

/// A message that was recorded without the transcript.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Stated {
    pub key: String,
    pub text: u64,
    pub turn: Option<String>,
    /// Whether a prompt has come since.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_past: bool,
}

impl Shown {
    /// Returns the key of its record.
    pub(super) fn key(&self) -> RecordKey {
        if self.is_nameless {
            RecordKey::built(self.id.clone())
        } else {
            RecordKey::message(&self.id, 0)
        }
    }

    /// Returns whether this is a later part of the message, which has no id.
    pub(super) fn goes_on_with(&self, index: u64, part: &str) -> bool {
        let known = self.parts.iter().find(|(known, _)| *known == index);
        // A second copy of the hooks reports a known part.
        let is_same = known.is_none_or(|(_, known)| known == part);
        self.is_nameless && index > 0 && is_same
    }

    pub(super) fn text(&self) -> String {
        self.parts.iter().map(|(_, part)| part.as_str()).collect()
    }

    pub(super) fn bytes(&self) -> usize {
        self.parts.iter().map(|(_, part)| part.len()).sum()
    }
}
