//! Snapshot documents: the parts of a view that `metadata.json` contains besides the metadata.
//!
//! Keys that begin with `$` record the position of the snapshot. From it a reader knows from which
//! position to follow, and the service knows which lines of the logs are newer.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::event::LogKind;
use crate::id::SessionId;
use crate::metadata::Metadata;
use crate::state::State;
use crate::view::{Keyframe, LogHead, View};

#[derive(Serialize, Deserialize, Default)]
struct Logs {
    actions: LogHead,
    responses: LogHead,
    changes: LogHead,
}

/// The service's own fields of `metadata.json`.
#[derive(Serialize, Deserialize, Default)]
struct Bookkeeping {
    #[serde(rename = "$offset", default)]
    offset: u64,
    #[serde(rename = "$createdOffset", default)]
    created_offset: u64,
    #[serde(rename = "$finals", default)]
    finals: u32,
    #[serde(rename = "$final", default)]
    has_final: bool,
    /// The time of that `final.json`.
    #[serde(rename = "$finalAt", default, skip_serializing_if = "Option::is_none")]
    final_at: Option<String>,
    #[serde(rename = "$keyframe", default)]
    keyframe: Keyframe,
    #[serde(rename = "$logs", default)]
    logs: Option<Logs>,
}

const OWN_KEYS: [&str; 7] =
    ["$offset", "$createdOffset", "$finals", "$final", "$finalAt", "$keyframe", "$logs"];

/// Own keys that clients do not need. They do need `$offset`, to follow from, and `$logs`, the
/// logs' lengths.
const KEEPERS_KEYS: [&str; 5] = ["$createdOffset", "$finals", "$final", "$finalAt", "$keyframe"];

/// The metadata for a response: the content of `metadata.json` without the fields that only the
/// service needs.
pub fn metadata_answer(mut document: Map<String, Value>) -> Map<String, Value> {
    document.retain(|key, _| !KEEPERS_KEYS.contains(&key.as_str()));
    document
}

/// Builds the document for `metadata.json`.
pub fn metadata_document(view: &View) -> Map<String, Value> {
    let [actions, responses, changes] = view.logs;
    let own = Bookkeeping {
        offset: view.offset,
        created_offset: view.created_offset,
        finals: view.finals,
        has_final: view.final_doc.is_some(),
        final_at: view.final_doc.as_ref().and_then(time_of).map(str::to_owned),
        keyframe: view.keyframe,
        logs: Some(Logs { actions, responses, changes }),
    };
    let mut doc = view.metadata.doc().clone();
    if let Ok(Value::Object(own)) = serde_json::to_value(own) {
        doc.extend(own);
    }
    doc
}

/// Whether `metadata.json` records that there is a `final.json`.
pub fn has_final(metadata: &Map<String, Value>) -> bool {
    metadata.get("$final").and_then(Value::as_bool).unwrap_or(false)
}

/// Whether `final.json` is the one that `metadata.json` refers to. Older documents do not record
/// which one.
pub fn is_final_of(metadata: &Map<String, Value>, final_doc: &Value) -> bool {
    metadata.get("$finalAt").is_none_or(|at| at.as_str() == time_of(final_doc))
}

fn time_of(final_doc: &Value) -> Option<&str> {
    final_doc.get("timestamp").and_then(Value::as_str)
}

/// Whether this service wrote a `metadata.json`.
pub fn is_ours(metadata: &Map<String, Value>) -> bool {
    metadata.contains_key("$logs")
}

/// Restores a view from the two documents; without the service's own fields its logs are empty.
pub fn read(id: SessionId, mut metadata: Metadata, state: State) -> Option<View> {
    let doc = metadata.doc_mut();
    let own: Map<String, Value> =
        OWN_KEYS.iter().filter_map(|key| Some(((*key).to_owned(), doc.shift_remove(*key)?))).collect();
    let own: Bookkeeping = serde_json::from_value(Value::Object(own)).ok()?;
    let mut view = View::adopt(id, metadata, state);
    view.offset = own.offset;
    view.created_offset = own.created_offset;
    view.finals = own.finals;
    view.keyframe = own.keyframe;
    let logs = own.logs.unwrap_or_default();
    view.logs[LogKind::Actions.index()] = logs.actions;
    view.logs[LogKind::Responses.index()] = logs.responses;
    view.logs[LogKind::Changes.index()] = logs.changes;
    Some(view)
}
