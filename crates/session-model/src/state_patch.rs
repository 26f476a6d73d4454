//! State patches: the three formats, and how they are checked and applied.

use json_patch::PatchOperation;
use serde_json::{Map, Value};

use crate::code::{Code, Refusal};
use crate::event::PatchFormat;
use crate::merge::Merge;
use crate::state::{self, State, without_own_keys};

mod operations;

use operations::PatchCost;

/// Refuses a patch that does not apply, gives a known field another type, nests the state too
/// deeply, or copies or moves too much data.
pub fn check(state: &State, format: PatchFormat, data: &Map<String, Value>) -> Result<(), Refusal> {
    match Patch::read(format, data)? {
        Patch::Merge(patch, merge) => state.check_merge(&patch, merge),
        Patch::Operations(patch) => {
            let mut cost = PatchCost::default();
            operated(state, patch, |whole, operation| {
                cost.admit(whole, operation)
            })
            .map(drop)
        }
    }
}

/// Applies a patch that was accepted earlier; `version` and `timestamp` keep their old values. If
/// the patch is refused, the state is unchanged.
pub fn apply(
    state: &mut State,
    format: PatchFormat,
    data: &Map<String, Value>,
) -> Result<(), Refusal> {
    match Patch::read(format, data)? {
        Patch::Merge(patch, merge) => {
            state.check_merge(&patch, merge)?;
            state.merge(&patch, merge);
        }
        Patch::Operations(patch) => {
            state.settle();
            *state = operated(state, patch, |_, _| Ok(()))?;
        }
    }
    Ok(())
}

/// A patch in any of the formats.
enum Patch<'a> {
    Merge(Map<String, Value>, Merge),
    Operations(&'a Value),
}

impl<'a> Patch<'a> {
    fn read(format: PatchFormat, data: &'a Map<String, Value>) -> Result<Self, Refusal> {
        match (format, data.get("patch")) {
            (PatchFormat::DeepMerge, _) => {
                Ok(Patch::Merge(without_own_keys(data.clone()), Merge::Deep))
            }
            (PatchFormat::MergePatch, Some(Value::Object(patch))) => {
                Ok(Patch::Merge(without_own_keys(patch.clone()), Merge::Patch))
            }
            (PatchFormat::JsonPatch, Some(patch)) => Ok(Patch::Operations(patch)),
            (PatchFormat::MergePatch, _) | (PatchFormat::JsonPatch, None) => {
                Err(crate::json::not_an_object())
            }
        }
    }
}

/// Computes the state after the operations of a JSON Patch and checks its known fields.
fn operated(
    state: &State,
    patch: &Value,
    admit: impl FnMut(&Value, &PatchOperation) -> Result<(), Refusal>,
) -> Result<State, Refusal> {
    let mut next = state.doc().clone();
    apply_json_patch(&mut next, patch, state.doc(), admit)?;
    state.check_successor(&next)?;
    Ok(State::with_doc(next))
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

#[cfg(test)]
mod tests;
