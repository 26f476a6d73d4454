//! `initial.json`: what a session was created from, kept as given.

use serde_json::{Map, Value};

use crate::event::Creation;
use crate::timestamp::{RECEIVED_AT, Timestamp};

/// The `$schema` of `initial.json`.
pub const SCHEMA: &str = "session-initial-v1";

/// Builds `initial.json` for a session whose creation the service received at `received`: the known
/// fields first, then every other key of `initial`.
pub fn document(creation: &Creation, received: Timestamp) -> Value {
    let Creation { initial, began, .. } = creation;
    let mut doc = Map::new();
    doc.insert("$schema".into(), SCHEMA.into());
    doc.insert(
        "timestamp".into(),
        began.unwrap_or(received).to_string().into(),
    );
    if began.is_some() {
        doc.insert(RECEIVED_AT.into(), received.to_string().into());
    }
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
        let Value::Object(initial) =
            json!({"input": "hi", "team": 7, "$schema": "x", "receivedAt": "x"})
        else {
            unreachable!()
        };
        let mut creation = Creation {
            initial,
            ..Creation::default()
        };
        let received = Timestamp::from_millis(2000);
        assert_eq!(
            document(&creation, received),
            json!({"$schema": SCHEMA, "timestamp": "1970-01-01T00:00:02.000Z",
                   "input": "hi", "team": 7, "receivedAt": "x"})
        );
        creation.began = Some(Timestamp::from_millis(0));
        assert_eq!(
            document(&creation, received),
            json!({"$schema": SCHEMA, "timestamp": "1970-01-01T00:00:00.000Z",
                   "receivedAt": "1970-01-01T00:00:02.000Z", "input": "hi", "team": 7})
        );
    }
}
