//! Snapshot documents: the parts of a view that `metadata.json` contains besides the metadata.
//!
//! Keys that begin with `$` record the position of the snapshot. From it a reader knows from which
//! position to follow, and the service knows which lines of the logs are newer.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::event::LogKind;
use crate::id::SessionId;
use crate::metadata::Metadata;
use crate::record_key::KeyCounts;
use crate::state::State;
use crate::usage::RunningSums;
use crate::view::{Keyframe, LogHead, View};

#[derive(Serialize, Deserialize, Default)]
struct Logs {
    actions: LogHead,
    responses: LogHead,
    changes: LogHead,
}

/// The counts of keyed records as of an offset.
///
/// A version without record keys preserves the field and does not update it: the counts are only
/// valid if their offset is the document's.
#[derive(Serialize, Deserialize)]
struct KeyedAsOf {
    offset: u64,
    #[serde(flatten)]
    counts: KeyCounts,
}

/// The service's own fields of `metadata.json`. Their names are on disk: only add fields, with a
/// default.
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
    #[serde(rename = "$keyed", default, skip_serializing_if = "Option::is_none")]
    keyed: Option<KeyedAsOf>,
    #[serde(rename = "$usage", default, skip_serializing_if = "Option::is_none")]
    usage: Option<Counted>,
}

/// The sums of `usage` records, and the offset up to which records were counted. A version that does
/// not count them preserves the field and does not update it.
#[derive(Serialize, Deserialize)]
struct Counted {
    offset: u64,
    sums: RunningSums,
}

impl Logs {
    fn has_no_record(&self) -> bool {
        self.actions.seq == 0 && self.responses.seq == 0
    }
}

const OWN_KEYS: [&str; 9] = [
    "$offset",
    "$createdOffset",
    "$finals",
    "$final",
    "$finalAt",
    "$keyframe",
    "$logs",
    "$keyed",
    USAGE,
];

/// Own keys that clients do not need. They do need `$offset`, to follow from, and `$logs`, the
/// logs' lengths.
const KEEPERS_KEYS: [&str; 7] = [
    "$createdOffset",
    "$finals",
    "$final",
    "$finalAt",
    "$keyframe",
    "$keyed",
    USAGE,
];

const USAGE: &str = "$usage";

/// The metadata for a response: the content of `metadata.json` without the fields that only the
/// service needs.
pub fn metadata_answer(mut document: Map<String, Value>) -> Map<String, Value> {
    document.retain(|key, _| !KEEPERS_KEYS.contains(&key.as_str()));
    document
}

/// The metadata of a view for a response. Does not build what would be left out.
pub fn metadata_answer_of(view: &View) -> Map<String, Value> {
    metadata_answer(document(view, None))
}

/// The sums of `usage` records in a document made by [`metadata_document`]. `None` if a version that
/// does not count them has written the document.
pub fn usage_of(document: &Map<String, Value>) -> Option<RunningSums> {
    let counted = Counted::deserialize(document.get(USAGE)?).ok()?;
    let is_current = document.get("$offset").and_then(Value::as_u64) == Some(counted.offset);
    is_current.then_some(counted.sums)
}

/// The offset of the creation of the session in a document made by [`metadata_document`].
pub fn created_offset_of(document: &Map<String, Value>) -> u64 {
    let offset = document.get("$createdOffset").and_then(Value::as_u64);
    offset.unwrap_or(0)
}

/// Builds the document for `metadata.json`.
pub fn metadata_document(view: &View) -> Map<String, Value> {
    let usage = view.usage.clone().map(|sums| Counted {
        offset: view.offset,
        sums,
    });
    document(view, usage)
}

fn document(view: &View, usage: Option<Counted>) -> Map<String, Value> {
    let [actions, responses, changes] = view.logs;
    let own = Bookkeeping {
        offset: view.offset,
        created_offset: view.created_offset,
        finals: view.finals,
        has_final: view.final_doc.is_some(),
        final_at: view.final_doc.as_ref().and_then(time_of).map(str::to_owned),
        keyframe: view.keyframe,
        logs: Some(Logs {
            actions,
            responses,
            changes,
        }),
        keyed: view.keyed.map(|counts| KeyedAsOf {
            offset: view.offset,
            counts,
        }),
        usage,
    };
    let mut doc = view.metadata.doc().clone();
    if let Ok(Value::Object(own)) = serde_json::to_value(own) {
        doc.extend(own);
    }
    doc
}

/// Whether `metadata.json` records that there is a `final.json`.
pub fn has_final(metadata: &Map<String, Value>) -> bool {
    metadata
        .get("$final")
        .and_then(Value::as_bool)
        .unwrap_or(false)
}

/// Whether `final.json` is the one that `metadata.json` refers to. Older documents do not record
/// which one.
pub fn is_final_of(metadata: &Map<String, Value>, final_doc: &Value) -> bool {
    metadata
        .get("$finalAt")
        .is_none_or(|at| at.as_str() == time_of(final_doc))
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
    let own: Map<String, Value> = OWN_KEYS
        .iter()
        .filter_map(|key| Some(((*key).to_owned(), doc.shift_remove(*key)?)))
        .collect();
    let own: Bookkeeping = serde_json::from_value(Value::Object(own)).ok()?;
    let mut view = View::adopt(id, metadata, state);
    view.offset = own.offset;
    view.created_offset = own.created_offset;
    view.finals = own.finals;
    view.keyframe = own.keyframe;
    let is_new = own.logs.as_ref().is_some_and(Logs::has_no_record);
    let counted = own.usage.filter(|counted| counted.offset == own.offset);
    view.usage = match counted {
        Some(counted) => Some(counted.sums),
        None => is_new.then(RunningSums::default),
    };
    let logs = own.logs.unwrap_or_default();
    view.logs[LogKind::Actions.index()] = logs.actions;
    view.logs[LogKind::Responses.index()] = logs.responses;
    view.logs[LogKind::Changes.index()] = logs.changes;
    view.keyed = own
        .keyed
        .filter(|keyed| keyed.offset == own.offset)
        .map(|keyed| keyed.counts);
    Some(view)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Creation;
    use crate::id::UserId;
    use crate::record_key::Indexed;
    use crate::{RecordBody, Stamp, Timestamp, transition};

    fn keyed_view() -> View {
        let id = SessionId::parse("s").unwrap();
        let change = transition::create(&id, &UserId::unknown(), Creation::default());
        let stamp = |seq, offset| Stamp {
            seq,
            offset,
            at: Timestamp::from_millis(0),
            bytes: 100,
            keyframe: false,
        };
        let mut view = View::at_creation(&id, &change, stamp(1, 1));
        let tally = RecordBody::parse(b"{}").unwrap().tally();
        let indexed = Indexed {
            key: true,
            amends: false,
        };
        view.apply_record(LogKind::Actions, tally, indexed, 0, stamp(1, 2));
        view
    }

    fn read_back(document: Map<String, Value>, view: &View) -> View {
        let metadata = Metadata::from_value(Value::Object(document)).unwrap();
        read(view.id.clone(), metadata, view.state.clone()).unwrap()
    }

    #[test]
    fn the_counts_of_keyed_records_are_only_believed_as_of_their_offset() {
        let view = keyed_view();
        let document = metadata_document(&view);
        let pinned = r#"{"offset":2,"actions":{"keys":1,"amends":0,"end":100},"responses":{"keys":0,"amends":0,"end":0}}"#;
        assert_eq!(document["$keyed"].to_string(), pinned);
        assert!(!metadata_answer(document.clone()).contains_key("$keyed"));
        assert_eq!(read_back(document.clone(), &view).keyed, view.keyed);
        let mut by_an_older_version = document;
        by_an_older_version.insert("$offset".into(), 3.into());
        assert_eq!(read_back(by_an_older_version, &view).keyed, None);
    }
}
