//! JSON Patch (RFC 6902), operation by operation: few bytes of it can make much of a document, so each
//! operation of a new patch is looked at before it is applied. What is stored already is applied as it is.

use json_patch::{Patch, PatchOperation, jsonptr::Pointer};
use serde_json::Value;

use crate::code::{Code, Refusal};
use crate::json::{self, MAX_DEPTH};

/// Applies the operations in order, each after `admit` has let it pass. What a failure leaves is good for nothing.
pub(super) fn apply(
    whole: &mut Value,
    patch: &Value,
    mut admit: impl FnMut(&Value, &PatchOperation) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let patch: Patch = serde_json::from_value(patch.clone())
        .map_err(|e| Refusal::new(Code::InvalidRequest, format!("body is not a JSON Patch: {e}")))?;
    for (index, operation) in patch.iter().enumerate() {
        admit(whole, operation).map_err(|refusal| at(index, &refusal))?;
        json_patch::patch_unsafe(whole, std::slice::from_ref(operation)).map_err(|mut error| {
            error.operation = index;
            Refusal::new(Code::PatchConflict, format!("the JSON Patch does not apply: {error}"))
        })?;
    }
    Ok(())
}

fn at(index: usize, refusal: &Refusal) -> Refusal {
    Refusal::new(refusal.code, format!("operation '/{index}' of the JSON Patch {}", refusal.message))
}

/// Refuses an operation that would nest the document deeper than a body may be.
pub(super) fn check_depth(whole: &Value, operation: &PatchOperation) -> Result<(), Refusal> {
    let source = |from: &Pointer| whole.pointer(from.as_str()).map_or(0, json::depth_of);
    let value = match operation {
        PatchOperation::Add(add) => json::depth_of(&add.value),
        PatchOperation::Replace(replace) => json::depth_of(&replace.value),
        PatchOperation::Copy(copy) => source(&copy.from),
        PatchOperation::Move(moved) => source(&moved.from),
        PatchOperation::Remove(_) | PatchOperation::Test(_) => return Ok(()),
    };
    if operation.path().count() + value > MAX_DEPTH {
        let message = format!("would nest the state deeper than {MAX_DEPTH} levels");
        return Err(Refusal::new(Code::InvalidRequest, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
