//! Messages that the transcript has not confirmed, kept from hook to hook.

use serde::{Deserialize, Serialize};

/// A message that was displayed.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Shown {
    pub id: String,
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
}

impl Shown {
    pub(super) fn text(&self) -> String {
        self.parts.iter().map(|(_, part)| part.as_str()).collect()
    }

    pub(super) fn bytes(&self) -> usize {
        self.parts.iter().map(|(_, part)| part.len()).sum()
    }
}
