//! The three forms of a patch, and the state after one of them.

use json_patch::PatchOperation;
use serde_json::{Map, Value};

use crate::code::{Code, Refusal};
use crate::event::PatchFormat;
use crate::merge;
use crate::state::{self, State, without_own_keys};

mod operations;

use operations::Bill;

/// Refuses a patch that does not apply, would give a known field another type, nest the state too deeply, or make
/// too much of it.
pub fn check(state: &State, format: PatchFormat, data: &Map<String, Value>) -> Result<(), Refusal> {
    let mut bill = Bill::default();
    successor(state, format, data, |whole, operation| bill.admit(whole, operation)).map(drop)
}

/// The state after a patch that was let pass when it came; `version` and `timestamp` are still the old ones.
pub fn patched(state: &State, format: PatchFormat, data: &Map<String, Value>) -> Result<State, Refusal> {
    successor(state, format, data, |_, _| Ok(()))
}

fn successor(
    state: &State,
    format: PatchFormat,
    data: &Map<String, Value>,
    admit: impl FnMut(&Value, &PatchOperation) -> Result<(), Refusal>,
) -> Result<State, Refusal> {
    let mut next = state.clone();
    let doc = next.doc_mut();
    match (format, data.get("patch")) {
        (PatchFormat::DeepMerge, _) => merge::deep_merge(doc, &without_own_keys(data.clone())),
        (PatchFormat::MergePatch, Some(Value::Object(patch))) => {
            merge::merge_patch(doc, &without_own_keys(patch.clone()));
        }
        (PatchFormat::JsonPatch, Some(patch)) => apply_json_patch(doc, patch, state.doc(), admit)?,
        (PatchFormat::MergePatch, _) | (PatchFormat::JsonPatch, None) => {
            return Err(crate::json::not_an_object());
        }
    }
    state.check_successor(next.doc())?;
    Ok(next)
}

fn apply_json_patch(
    doc: &mut Map<String, Value>,
    patch: &Value,
    own: &Map<String, Value>,
    admit: impl FnMut(&Value, &PatchOperation) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let mut whole = Value::Object(std::mem::take(doc));
    operations::apply(&mut whole, patch, admit)?;
    let Value::Object(next) = whole else {
        return Err(Refusal::new(
            Code::InvalidState,
            "the JSON Patch would replace the whole state by no object",
        ));
    };
    *doc = next;
    for key in state::OWN_KEYS {
        if let Some(value) = own.get(key) {
            doc.insert(key.to_owned(), value.clone());
        }
    }
    Ok(())
}
