//! Merging of JSON documents: the service's own deep merge, RFC 7396, and dotted keys.

use std::collections::HashSet;

use serde_json::{Map, Value};

/// How a patch is merged into a document.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Merge {
    /// [`deep_merge`]
    Deep,
    /// [`merge_patch`]
    Patch,
}

impl Merge {
    pub(crate) fn apply(self, target: &mut Map<String, Value>, patch: &Map<String, Value>) {
        match self {
            Merge::Deep => deep_merge(target, patch),
            Merge::Patch => merge_patch(target, patch),
        }
    }

    /// Whether the merge would change the value `old`.
    pub(crate) fn changes(self, old: Option<&Value>, patch: &Value) -> bool {
        match (old, patch) {
            (Some(Value::Object(old)), Value::Object(patch)) => patch
                .iter()
                .any(|(key, patch)| self.changes(old.get(key), patch)),
            (old, Value::Null) if self == Merge::Patch => old.is_some(),
            (old, patch) => old != Some(patch),
        }
    }
}

/// Merges objects recursively; arrays and scalars are replaced, and null is stored as null.
pub fn deep_merge(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (key, value) in patch {
        match (target.get_mut(key), value) {
            (Some(Value::Object(old)), Value::Object(new)) => deep_merge(old, new),
            (Some(slot), _) => *slot = value.clone(),
            (None, _) => {
                target.insert(key.clone(), value.clone());
            }
        }
    }
}

/// RFC 7396: like [`deep_merge`], but null removes a key.
pub fn merge_patch(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    // Remove all keys in one pass: removing one at a time would move all later keys each time.
    let removed: HashSet<&str> = patch
        .iter()
        .filter(|(_, value)| value.is_null())
        .map(|(key, _)| key.as_str())
        .collect();
    if !removed.is_empty() {
        target.retain(|key, _| !removed.contains(key.as_str()));
    }
    for (key, value) in patch {
        match value {
            Value::Null => {}
            Value::Object(new) => {
                let slot = target.entry(key.clone()).or_insert(Value::Null);
                if !slot.is_object() {
                    *slot = Value::Object(Map::new());
                }
                if let Value::Object(old) = slot {
                    merge_patch(old, new);
                }
            }
            other => {
                target.insert(key.clone(), other.clone());
            }
        }
    }
}

/// Sets `a.b.c`, creating objects on the way. Fails with the key on the way whose value is not an
/// object.
pub fn set_dotted<'k>(
    target: &mut Map<String, Value>,
    path: &'k str,
    value: Value,
) -> Result<(), &'k str> {
    match path.split_once('.') {
        None => {
            target.insert(path.to_owned(), value);
            Ok(())
        }
        Some((head, rest)) => {
            match target
                .entry(head.to_owned())
                .or_insert_with(|| Value::Object(Map::new()))
            {
                Value::Object(inner) => set_dotted(inner, rest, value),
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_) => Err(head),
            }
        }
    }
}

/// The value at `a.b.c`.
pub fn get_dotted<'v>(target: &'v Map<String, Value>, path: &str) -> Option<&'v Value> {
    match path.split_once('.') {
        None => target.get(path),
        Some((head, rest)) => get_dotted(target.get(head)?.as_object()?, rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            other => panic!("not an object: {other}"),
        }
    }

    #[test]
    fn deep_merge_keeps_null_and_replaces_arrays() {
        let mut target = object(json!({"a": {"b": 1, "c": [1, 2]}, "d": 1}));
        deep_merge(
            &mut target,
            &object(json!({"a": {"c": [3], "e": null}, "d": {"x": 1}})),
        );
        assert_eq!(
            Value::Object(target),
            json!({"a": {"b": 1, "c": [3], "e": null}, "d": {"x": 1}})
        );
    }

    #[test]
    fn merge_patch_follows_the_appendix_of_rfc_7396() {
        let cases = [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": "b"}),
                json!({"b": "c"}),
                json!({"a": "b", "b": "c"}),
            ),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (
                json!({"a": "b", "b": "c"}),
                json!({"a": null}),
                json!({"b": "c"}),
            ),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (
                json!({"a": [{"b": "c"}]}),
                json!({"a": [1]}),
                json!({"a": [1]}),
            ),
            (
                json!({"e": null}),
                json!({"a": 1}),
                json!({"e": null, "a": 1}),
            ),
            (
                json!({}),
                json!({"a": {"bb": {"ccc": null}}}),
                json!({"a": {"bb": {}}}),
            ),
        ];
        for (target, patch, expected) in cases {
            let mut target = object(target);
            merge_patch(&mut target, &object(patch));
            assert_eq!(Value::Object(target), expected);
        }
    }

    #[test]
    fn dotted_keys_make_their_way_and_name_what_blocks_it() {
        let mut target = object(json!({"tokenUsage": {"input": 1}, "model": "m"}));
        assert_eq!(
            set_dotted(&mut target, "tokenUsage.output", json!(5)),
            Ok(())
        );
        assert_eq!(set_dotted(&mut target, "x.y.z", json!(1)), Ok(()));
        assert_eq!(
            set_dotted(&mut target, "model.name", json!(1)),
            Err("model")
        );
        assert_eq!(get_dotted(&target, "tokenUsage.output"), Some(&json!(5)));
        assert_eq!(get_dotted(&target, "x.y.z"), Some(&json!(1)));
    }
}
