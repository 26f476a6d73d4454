//! Moving fields to other names, without writing over what is there.

use serde_json::{Map, Value};

/// The string in a field.
pub(super) fn text<'r>(record: &'r Map<String, Value>, name: &str) -> Option<&'r str> {
    record.get(name)?.as_str()
}

/// Sets the type. It keeps its place.
pub(super) fn set_type(record: &mut Map<String, Value>, kind: &str) {
    record.insert("type".to_owned(), kind.into());
}

/// Sets a field, unless it is there or the value is absent or null.
pub(super) fn set(record: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    let Some(value) = value.map(Into::into).filter(|value| !value.is_null()) else {
        return;
    };
    if record.get(name).is_none_or(Value::is_null) {
        record.insert(name.to_owned(), value);
    }
}

/// Gives a field another name, unless there is a field of that name.
pub(super) fn rename(record: &mut Map<String, Value>, from: &str, to: &str) {
    if record.contains_key(to) {
        return;
    }
    if let Some(value) = record.shift_remove(from) {
        record.insert(to.to_owned(), value);
    }
}

/// Takes a field out of a nested object.
pub(super) fn take(record: &mut Map<String, Value>, object: &str, name: &str) -> Option<Value> {
    record.get_mut(object)?.as_object_mut()?.shift_remove(name)
}

/// A field of a nested object.
pub(super) fn nested<'r>(
    record: &'r Map<String, Value>,
    object: &str,
    name: &str,
) -> Option<&'r Value> {
    record.get(object)?.get(name)
}
