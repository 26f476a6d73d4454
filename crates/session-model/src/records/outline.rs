//! Finds the odd fields of a body without building its values, which may be large.

use serde_json::{Map, Number, Value};

use super::check::Noted;
use super::common::Common;
use super::field::Field;
use super::kind::Warning;
use super::record_type::RecordType;
use crate::json::MAX_DEPTH;
use crate::scanner::Scanner;

/// How many warnings about one record are kept.
pub(crate) const MAX_WARNINGS: usize = 8;

/// The first fields of a body that are of another kind than its type says.
pub(crate) fn warnings(text: &str, kind: RecordType) -> Vec<Warning> {
    let mut fields = known_fields(text, kind).unwrap_or_default();
    fields.retain(|(field, json)| !field.kind.accepts(&outline(json)));
    let warn = |(field, json): (&Field, &str)| Warning::new(field.name, field.kind, &outline(json));
    fields.into_iter().map(warn).take(MAX_WARNINGS).collect()
}

/// The fields that a type knows, with their JSON. Of a key that is repeated, the last value counts.
fn known_fields(text: &str, kind: RecordType) -> Option<Vec<(&'static Field, &str)>> {
    let mut found: Vec<(&'static Field, &str)> = Vec::new();
    let mut scanner = Scanner::new(text, MAX_DEPTH);
    scanner.peek()?;
    scanner.object(|scanner, key| {
        let key = key.decoded()?;
        scanner.peek()?;
        let start = scanner.position();
        scanner.skip()?;
        let json = scanner.since(start);
        let known = Noted::of(&key).and_then(|_| field_of(kind, &key));
        if let Some(known) = known {
            match found.iter_mut().find(|(field, _)| field.name == known.name) {
                Some(earlier) => earlier.1 = json,
                None => found.push((known, json)),
            }
        }
        Some(())
    })?;
    Some(found)
}

fn field_of(kind: RecordType, name: &str) -> Option<&'static Field> {
    let mut fields = Common::FIELDS.iter().chain(kind.fields());
    fields.find(|field| field.name == name)
}

/// A small value of the same kind: of an array and of an object hardly anything is left.
fn outline(json: &str) -> Value {
    match json.as_bytes()[0] {
        b'{' => Value::Object(reference(json).unwrap_or_default()),
        b'[' => Value::Array(Vec::new()),
        b'"' => serde_json::from_str(json).unwrap_or_default(),
        b't' | b'f' => Value::Bool(true),
        b'n' => Value::Null,
        _ => Value::Number(Number::from_string_unchecked(json.to_owned())),
    }
}

/// The digest of an object that may be a blob reference.
fn reference(json: &str) -> Option<Map<String, Value>> {
    let mut digest = Map::new();
    let mut scanner = Scanner::new(json, MAX_DEPTH);
    scanner.object(|scanner, key| {
        let key = key.decoded()?;
        match scanner.peek()? {
            b'"' if key == "$blob" => {
                let text = scanner.string()?.decoded()?;
                digest.insert(key.into_owned(), text.into_owned().into());
                Some(())
            }
            _ => scanner.skip(),
        }
    })?;
    Some(digest)
}
