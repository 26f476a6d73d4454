//! JSON Patch (RFC 6902), applied one operation at a time.
//!
//! A few bytes of JSON Patch can produce a huge document, so each operation of a new patch is
//! checked before it is applied. Stored patches are applied without these checks.

use json_patch::{Patch, PatchOperation, jsonptr::Pointer};
use serde::Deserialize;
use serde_json::Value;

use crate::code::{Code, Refusal};
use crate::json::{self, MAX_DEPTH};
use crate::number;

/// Applies the operations in order, each after `admit` has accepted it. After a failure `whole` is
/// unusable.
pub(super) fn apply(
    whole: &mut Value,
    patch: &Value,
    mut admit: impl FnMut(&Value, &PatchOperation) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    for (index, operation) in read(patch)?.iter().enumerate() {
        admit(whole, operation).map_err(|refusal| at(index, &refusal))?;
        if let PatchOperation::Test(test) = operation
            && whole
                .pointer(test.path.as_str())
                .is_some_and(|found| number::is_same(found, &test.value))
        {
            continue;
        }
        json_patch::patch_unsafe(whole, std::slice::from_ref(operation)).map_err(|mut error| {
            error.operation = index;
            Refusal::new(
                Code::PatchConflict,
                format!("the JSON Patch does not apply: {error}"),
            )
        })?;
    }
    Ok(())
}

/// Parses the operations of a patch. Their values are inserted unchanged: reading them through
/// serde would rewrite their numbers.
fn read(patch: &Value) -> Result<Patch, Refusal> {
    let mut shape = patch.clone();
    let mut values = Vec::new();
    for operation in shape.as_array_mut().into_iter().flatten() {
        values.push(operation.get_mut("value").map(Value::take));
    }
    let mut patch = Patch::deserialize(shape).map_err(|e| {
        Refusal::new(
            Code::InvalidRequest,
            format!("body is not a JSON Patch: {e}"),
        )
    })?;
    for (operation, value) in patch.0.iter_mut().zip(values) {
        let slot = match operation {
            PatchOperation::Add(add) => &mut add.value,
            PatchOperation::Replace(replace) => &mut replace.value,
            PatchOperation::Test(test) => &mut test.value,
            PatchOperation::Remove(_) | PatchOperation::Move(_) | PatchOperation::Copy(_) => {
                continue;
            }
        };
        *slot = value.unwrap_or_default();
    }
    Ok(patch)
}

fn at(index: usize, refusal: &Refusal) -> Refusal {
    Refusal::new(
        refusal.code,
        format!("operation '/{index}' of the JSON Patch {}", refusal.message),
    )
}

/// The most operations in one patch.
const MAX_OPERATIONS: usize = 10_000;
/// The most bytes of JSON that a patch may copy or move to a deeper place.
const MAX_COPIED: usize = 10 << 20;
/// The most array elements that a patch may shift.
const MAX_SHIFTED: usize = 100_000_000;

/// The cost of a patch's operations so far.
#[derive(Default)]
pub(super) struct PatchCost {
    operations: usize,
    copied: usize,
    shifted: usize,
}

impl PatchCost {
    /// Refuses an operation that would nest the document deeper than a body may be, or with which
    /// the patch would exceed a limit.
    pub(super) fn admit(
        &mut self,
        whole: &Value,
        operation: &PatchOperation,
    ) -> Result<(), Refusal> {
        self.operations += 1;
        if self.operations > MAX_OPERATIONS {
            return Err(too_large(format!(
                "is one too many: at most {MAX_OPERATIONS} are allowed"
            )));
        }
        let path = operation.path();
        match operation {
            PatchOperation::Test(_) => Ok(()),
            PatchOperation::Remove(_) => self.shifts(whole, path),
            PatchOperation::Replace(replace) => reaches(path, json::depth_of(&replace.value)),
            PatchOperation::Add(add) => {
                reaches(path, json::depth_of(&add.value))?;
                self.shifts(whole, path)
            }
            PatchOperation::Copy(copy) => {
                reaches(path, self.copies(whole, &copy.from)?)?;
                self.shifts(whole, path)
            }
            PatchOperation::Move(moved) => {
                // Moving a value up does not nest it deeper.
                if path.count() > moved.from.count() {
                    reaches(path, self.copies(whole, &moved.from)?)?;
                }
                self.shifts(whole, &moved.from)?;
                self.shifts(whole, path)
            }
        }
    }

    /// Counts the value at `from` as copied and returns its depth.
    fn copies(&mut self, whole: &Value, from: &Pointer) -> Result<usize, Refusal> {
        let Some(source) = whole.pointer(from.as_str()) else {
            return Ok(0);
        };
        self.copied = self.copied.saturating_add(json::size_of(source));
        if self.copied > MAX_COPIED {
            return Err(too_large(format!(
                "copies too much: a patch may copy {MAX_COPIED} bytes of the state"
            )));
        }
        Ok(json::depth_of(source))
    }

    /// Counts the array elements that this operation may shift.
    fn shifts(&mut self, whole: &Value, path: &Pointer) -> Result<(), Refusal> {
        let list = path
            .parent()
            .and_then(|parent| whole.pointer(parent.as_str()))
            .and_then(Value::as_array);
        self.shifted += list.map_or(0, Vec::len);
        if self.shifted > MAX_SHIFTED {
            return Err(too_large(
                "moves too many elements of lists; patch the list as a whole".to_owned(),
            ));
        }
        Ok(())
    }
}

/// Refuses a value that would be nested too deeply at its target.
fn reaches(path: &Pointer, depth: usize) -> Result<(), Refusal> {
    if path.count() + depth > MAX_DEPTH {
        let message = format!("would nest the state deeper than {MAX_DEPTH} levels");
        return Err(Refusal::new(Code::InvalidRequest, message));
    }
    Ok(())
}

fn too_large(message: String) -> Refusal {
    Refusal::new(Code::PayloadTooLarge, message)
}

#[cfg(test)]
mod tests;
