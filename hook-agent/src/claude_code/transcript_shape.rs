//! The shape of a transcript's lines, as far as it is read.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use session_model::json::repair_surrogates;

use super::payload::id_of;

/// A line of a transcript. A field of another type counts as absent, here and in what it contains.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Line {
    #[serde(rename = "type", deserialize_with = "lenient")]
    pub(super) kind: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) subtype: Option<String>,
    #[serde(deserialize_with = "id")]
    pub(super) uuid: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) timestamp: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) version: Option<String>,
    #[serde(deserialize_with = "id")]
    pub(super) request_id: Option<String>,
    #[serde(deserialize_with = "id")]
    pub(super) prompt_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) message: Option<Said>,
    #[serde(deserialize_with = "lenient")]
    pub(super) permission_decision: Option<PermissionDecision>,
    #[serde(deserialize_with = "lenient")]
    pub(super) compact_metadata: Option<Compaction>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Said {
    #[serde(deserialize_with = "id")]
    pub(super) id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) model: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) stop_reason: Option<String>,
    #[serde(deserialize_with = "blocks")]
    pub(super) content: Vec<Block>,
    #[serde(deserialize_with = "lenient")]
    pub(super) usage: Option<Usage>,
}

#[derive(Deserialize, Default, PartialEq)]
#[serde(default)]
pub(super) struct Block {
    #[serde(rename = "type", deserialize_with = "lenient")]
    pub(super) kind: Option<String>,
    #[serde(deserialize_with = "shown")]
    pub(super) text: Option<String>,
    #[serde(deserialize_with = "shown")]
    pub(super) thinking: Option<String>,
    #[serde(deserialize_with = "id")]
    pub(super) id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) name: Option<String>,
    #[serde(deserialize_with = "id")]
    pub(super) tool_use_id: Option<String>,
    /// When its line was written.
    #[serde(skip)]
    pub(super) at: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct PermissionDecision {
    #[serde(deserialize_with = "lenient")]
    pub(super) decision: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) source: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Compaction {
    #[serde(deserialize_with = "lenient")]
    pub(super) pre_tokens: Option<i64>,
    #[serde(deserialize_with = "lenient")]
    pub(super) post_tokens: Option<i64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Usage {
    #[serde(deserialize_with = "lenient")]
    pub(super) input_tokens: Option<i64>,
    #[serde(deserialize_with = "lenient")]
    pub(super) output_tokens: Option<i64>,
    #[serde(deserialize_with = "lenient")]
    pub(super) cache_read_input_tokens: Option<i64>,
    #[serde(deserialize_with = "lenient")]
    pub(super) cache_creation_input_tokens: Option<i64>,
    /// How long the written tokens are kept.
    #[serde(deserialize_with = "lenient")]
    pub(super) cache_creation: Option<CacheCreation>,
    #[serde(deserialize_with = "lenient")]
    pub(super) output_tokens_details: Option<OutputDetails>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct CacheCreation {
    #[serde(deserialize_with = "lenient")]
    pub(super) ephemeral_1h_input_tokens: Option<i64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct OutputDetails {
    #[serde(deserialize_with = "lenient")]
    pub(super) thinking_tokens: Option<i64>,
}

impl Line {
    /// Reads a line. What is no character is read as U+FFFD: JavaScript writes a text that was cut
    /// within a character as an escaped half of it.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let text = String::from_utf8_lossy(bytes);
        let text = match repair_surrogates(&text) {
            Some(repaired) => Cow::Owned(repaired),
            None => text,
        };
        serde_json::from_str(text.trim_start_matches('\u{feff}'))
    }
}

impl Block {
    /// A text without a type of its own.
    fn plain(text: String) -> Self {
        Self {
            kind: Some("text".to_owned()),
            text: Some(text),
            ..Self::default()
        }
    }

    /// Returns whether a later line may show this block as that one.
    pub(super) fn grew_to(&self, later: &Self) -> bool {
        let grew = |old: &Option<String>, new: &Option<String>| match (old, new) {
            // The end of a text so far may have been half a character.
            (Some(old), Some(new)) => new.starts_with(old.strip_suffix('\u{fffd}').unwrap_or(old)),
            (None, None) => true,
            _ => false,
        };
        self.kind == later.kind
            && self.id == later.id
            && grew(&self.text, &later.text)
            && grew(&self.thinking, &later.thinking)
    }
}

/// Reads a value; one of another type counts as absent.
fn lenient<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let raw = <&RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).ok())
}

/// Reads an id; `None` if it is empty, has a broken character, or is of another type.
fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(id_of)
}

/// Reads a text that was shown; a value of another type counts as its JSON text.
fn shown<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?.get();
    let text: Option<String> = serde_json::from_str(raw).unwrap_or_else(|_| Some(raw.to_owned()));
    Ok(text)
}

/// Reads the content of a message: a text, or a list of blocks. A block of another type stays in
/// the list, empty, because the keys of the others contain their places in it.
fn blocks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Block>, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?.get();
    if let Ok(text) = serde_json::from_str::<String>(raw) {
        return Ok(vec![Block::plain(text)]);
    }
    let listed: Vec<&RawValue> = serde_json::from_str(raw).unwrap_or_default();
    let block = |raw: &RawValue| match serde_json::from_str::<String>(raw.get()) {
        Ok(text) => Block::plain(text),
        Err(_) => serde_json::from_str(raw.get()).unwrap_or_default(),
    };
    Ok(listed.into_iter().map(block).collect())
}
