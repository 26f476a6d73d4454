//! `initial.json`: what a session was born from, kept as given.

use serde_json::{Map, Value};

use crate::timestamp::Timestamp;

/// The `$schema` of `initial.json`.
pub const SCHEMA: &str = "session-initial-v1";

/// The document for `initial.json`: the known fields first, then every other key of `initial`.
pub fn document(initial: &Map<String, Value>, at: Timestamp) -> Value {
    let mut doc = Map::new();
    doc.insert("$schema".into(), SCHEMA.into());
    doc.insert("timestamp".into(), at.to_string().into());
    for field in ["source", "input", "config"] {
        if let Some(given) = initial.get(field) {
            doc.insert(field.into(), given.clone());
        }
    }
    for (key, value) in initial {
        doc.entry(key.clone()).or_insert_with(|| value.clone());
    }
    Value::Object(doc)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keeps_every_key_and_its_own_schema() {
        let Value::Object(initial) = json!({"input": "hi", "team": 7, "$schema": "x"}) else {
            unreachable!()
        };
        let doc = document(&initial, Timestamp::from_millis(0));
        assert_eq!(
            doc,
            json!({"$schema": SCHEMA, "timestamp": "1970-01-01T00:00:00.000Z",
                   "input": "hi", "team": 7})
        );
    }
}
