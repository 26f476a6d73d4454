//! The vocabulary as JSON Schema, draft 2020-12, made from the table.

use serde_json::{Map, Value, json};

use super::common::{Common, Origin};
use super::field::Field;
use super::key::MAX_CHARS;
use super::kind::Kind;
use super::record_type::RecordType;

/// The schema of a record: one of the types, or any other type.
pub fn schema() -> Value {
    let names: Vec<_> = RecordType::ALL.iter().map(|kind| kind.name()).collect();
    let other = json!({
        "description": "A type that the vocabulary does not list. It is stored, counted and shown as it is.",
        "type": "object",
        "not": {"properties": {"type": {"enum": names}}, "required": ["type"]},
    });
    let mut definitions = Map::new();
    let mut types = Vec::new();
    for kind in RecordType::ALL.iter().copied() {
        definitions.insert(kind.name().to_owned(), type_schema(kind));
        types.push(reference(kind.name()));
    }
    definitions.insert("other".to_owned(), other);
    types.push(reference("other"));
    definitions.insert("common".to_owned(), common());
    definitions.insert("origin".to_owned(), object(Origin::fields()));
    definitions.insert("content".to_owned(), content());
    definitions.insert("blob".to_owned(), blob());
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Record",
        "description": "A record of the actions or responses of a session.",
        "type": "object",
        "oneOf": types,
        "$defs": definitions,
    })
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}

fn type_schema(kind: RecordType) -> Value {
    let mut schema = object(kind.fields());
    let mut properties = Map::new();
    properties.insert("type".to_owned(), json!({"const": kind.name()}));
    if let Some(Value::Object(fields)) = schema.get_mut("properties").map(Value::take) {
        properties.extend(fields);
    }
    let fields = kind.fields().iter().filter(|field| field.is_required);
    let required = ["type"]
        .into_iter()
        .chain(kind.required_common().iter().copied());
    let required: Vec<_> = required.chain(fields.map(|field| field.name)).collect();
    schema["description"] = kind.about().into();
    schema["properties"] = properties.into();
    schema["required"] = json!(required);
    schema["allOf"] = json!([reference("common")]);
    schema
}

/// The schema of an object with these fields, and with any others.
fn object(fields: &[Field]) -> Value {
    let mut properties = Map::new();
    for field in fields {
        properties.insert(field.name.to_owned(), field_schema(field));
    }
    let required: Vec<_> = fields
        .iter()
        .filter(|field| field.is_required)
        .map(|field| field.name)
        .collect();
    let mut schema =
        json!({"type": "object", "properties": properties, "additionalProperties": true});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn field_schema(field: &Field) -> Value {
    let mut schema = match field.kind {
        Kind::Text => json!({"type": "string"}),
        Kind::Content => reference("content"),
        Kind::Integer => json!({"type": "integer"}),
        Kind::Number => json!({"type": "number"}),
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Object if field.name == "origin" => reference("origin"),
        Kind::Object => json!({"type": "object"}),
        Kind::Array => json!({"type": "array"}),
        Kind::OneOf(names) => json!({"enum": names}),
        Kind::Any => json!({}),
    };
    schema["description"] = field.about.into();
    schema
}

/// The fields that any record may have. `seq` and those that begin with `$` are the service's.
fn common() -> Value {
    let mut schema = object(Common::fields());
    let properties = &mut schema["properties"];
    properties["timestamp"]["format"] = "date-time".into();
    properties["key"]["minLength"] = 1.into();
    properties["key"]["maxLength"] = MAX_CHARS.into();
    properties["truncated"]["additionalProperties"] = json!({"type": "integer"});
    properties["blobs"]["additionalProperties"] = reference("blob");
    properties["seq"] = json!({"type": "integer", "description": "The place in its log, from 1; set by the service."});
    schema
}

fn content() -> Value {
    json!({
        "description": "A text, or the blob that holds it.",
        "anyOf": [{"type": "string"}, reference("blob")],
    })
}

fn blob() -> Value {
    json!({
        "description": "A reference to a blob of the session, which replaces a value that is too large for a record.",
        "type": "object",
        "properties": {
            "$blob": {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$", "description": "The digest of the bytes."},
            "bytes": {"type": "integer", "description": "The number of bytes."},
            "mediaType": {"type": "string", "description": "The media type."},
        },
        "required": ["$blob"],
        "additionalProperties": true,
    })
}
