//! The shape of a transcript's lines, as far as it is read.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A line of a transcript. A field of another type counts as absent, here and in what it contains.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Line {
    #[serde(rename = "type", deserialize_with = "lenient")]
    pub(super) kind: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) subtype: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) uuid: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) timestamp: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) version: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) request_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
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
    #[serde(deserialize_with = "lenient")]
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
    #[serde(deserialize_with = "lenient")]
    pub(super) text: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) thinking: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) name: Option<String>,
    #[serde(deserialize_with = "lenient")]
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

impl Block {
    /// Returns whether a later line may show this block as that one.
    pub(super) fn grew_to(&self, later: &Self) -> bool {
        let grew = |old: &Option<String>, new: &Option<String>| match (old, new) {
            (Some(old), Some(new)) => new.starts_with(old.as_str()),
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

/// Reads the content of a message: a text, or a list of blocks. A block of another type stays in
/// the list, empty, because the keys of the others contain their places in it.
fn blocks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Block>, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?.get();
    if let Ok(text) = serde_json::from_str::<String>(raw) {
        return Ok(vec![Block {
            kind: Some("text".to_owned()),
            text: Some(text),
            ..Block::default()
        }]);
    }
    let listed: Vec<&RawValue> = serde_json::from_str(raw).unwrap_or_default();
    let block = |raw: &RawValue| serde_json::from_str(raw.get()).unwrap_or_default();
    Ok(listed.into_iter().map(block).collect())
}
