//! Record to event.

use serde_json::{Map, Number, Value, json};
use session_model::LogKind;
use session_model::records::{BlobRef, RecordType};
use session_model::timestamp::Timestamp;

use super::attributes::{
    ABSENT, FIELDS, LOG, OF_STORE, RAW_TYPE, SCHEMA, SCHEMA_VERSION, TEXT_FIELD, TOOL_KIND,
};
use super::event::Event;
use super::restore::{base, is_default_log};
use super::table::{self, At, COMMON};

/// The name of a tool whose call does not name it.
const NO_TOOL: &str = "unknown";

/// Projects the fields of a stored record. `at` is its time in the order of the file; a time of its
/// own that differs is kept with the rest.
pub fn project(id: String, log: LogKind, mut fields: Map<String, Value>, at: Timestamp) -> Event {
    for name in OF_STORE {
        fields.shift_remove(name);
    }
    let mut event = Event {
        id,
        timestamp: at.to_string(),
        ..Event::default()
    };
    let attribute = |event: &mut Event, name: &str, value: Value| {
        event.attributes.insert(name.to_owned(), value);
    };
    attribute(&mut event, SCHEMA_VERSION, SCHEMA.into());
    event.task_id = text_of(&fields, "agentId");
    shape(&mut event, &fields);
    if !is_default_log(log, fields.get("type").and_then(Value::as_str)) {
        attribute(&mut event, LOG, log.as_str().into());
    }
    add_rest(&mut event, fields);
    event
}

fn text_of(fields: &Map<String, Value>, name: &str) -> Option<String> {
    fields.get(name).and_then(Value::as_str).map(str::to_owned)
}

/// Sets the type, the data and the content of an event.
fn shape(event: &mut Event, fields: &Map<String, Value>) {
    let kind = fields.get("type").and_then(Value::as_str);
    if let Some(kind) = kind {
        event.attributes.insert(RAW_TYPE.to_owned(), kind.into());
    }
    let row = kind.and_then(|kind| table::of_record(kind, |name| text_of(fields, name)));
    for (name, at) in COMMON {
        place(event, fields, name, *at);
    }
    match row {
        Some(row) => {
            row.event.clone_into(&mut event.kind);
            for (name, at) in row.fields {
                place(event, fields, name, *at);
            }
        }
        None => "Custom".clone_into(&mut event.kind),
    }
    let call = kind
        .and_then(RecordType::parse)
        .and_then(RecordType::call_type);
    if let Some(call) = call {
        event
            .attributes
            .insert(TOOL_KIND.to_owned(), call.name().into());
    }
    match kind {
        Some("tool_result") => shape_result(event, fields),
        Some("usage") => shape_usage(event, fields),
        _ => {}
    }
    complete(event, fields, kind);
    add_references(event, fields);
}

/// Puts a field into its place, if the value fits there.
fn place(event: &mut Event, fields: &Map<String, Value>, name: &str, at: At) {
    let Some(value) = fields.get(name) else {
        return;
    };
    match (at, value) {
        (At::Data(datum), Value::String(text)) => {
            event.data.insert(datum.to_owned(), text.as_str().into());
        }
        (At::Attribute(attribute), Value::String(text)) => {
            event
                .attributes
                .insert(attribute.to_owned(), text.as_str().into());
        }
        (At::Text | At::Content, Value::String(text)) => event.blocks.push(text_block(text)),
        (At::Content | At::Json, Value::Object(_) | Value::Array(_)) if !BlobRef::is(value) => {
            event.blocks.push(json_block(value));
        }
        (At::Json, Value::String(_)) => event.blocks.push(json_block(value)),
        (At::Duration, Value::Number(number)) => event.duration_ms = whole(number),
        _ => {}
    }
}

fn text_block(text: &str) -> Value {
    json!({"type": "Text", "text": text})
}

fn json_block(value: &Value) -> Value {
    let mut block = Map::new();
    block.insert("type".to_owned(), "Json".into());
    block.insert("data".to_owned(), value.clone());
    Value::Object(block)
}

/// Readers take whole milliseconds only.
fn whole(number: &Number) -> Option<Number> {
    let digits = number.as_str().split('.').next()?;
    digits.parse::<u64>().ok().map(Number::from)
}

fn shape_result(event: &mut Event, fields: &Map<String, Value>) {
    let status = fields.get("status").and_then(Value::as_str);
    let is_error = matches!(status, Some("error" | "timeout"));
    event.data.insert("is_error".to_owned(), is_error.into());
    if event.text().is_none()
        && let Some(error) = fields.get("error").and_then(Value::as_str)
    {
        event.blocks.push(text_block(error));
        event
            .attributes
            .insert(TEXT_FIELD.to_owned(), "error".into());
    }
}

fn shape_usage(event: &mut Event, fields: &Map<String, Value>) {
    for (name, attribute) in [("input", "usage.input"), ("output", "usage.output")] {
        if let Some(Value::Number(count)) = fields.get(name) {
            event
                .attributes
                .insert(attribute.to_owned(), Value::Number(count.clone()));
        }
    }
}

/// Makes the event one that every reader accepts: each type has the data that it requires.
fn complete(event: &mut Event, fields: &Map<String, Value>, kind: Option<&str>) {
    if event.kind == "Custom" {
        event
            .data
            .insert("kind".to_owned(), kind.unwrap_or("record").into());
        return;
    }
    let is_filled = |event: &Event, name| event.datum(name).is_some_and(|text| !text.is_empty());
    let lacks = table::expected_datum(&event.kind).filter(|name| !is_filled(event, name));
    if lacks.is_none() {
        return;
    }
    if event.kind != "ToolResult" {
        // A call that HAIL has a type for, without what that type needs.
        "ToolCall".clone_into(&mut event.kind);
        event.data.clear();
        let tool = fields.get("tool").and_then(Value::as_str);
        if let Some(tool) = tool {
            event.data.insert("name".to_owned(), tool.into());
        }
    }
    if !is_filled(event, "name") {
        event.data.insert("name".to_owned(), NO_TOOL.into());
    }
}

/// How deep in a field references are looked for, as in the blocks of a message.
const DEEPEST: usize = 8;

/// Names the blobs that the record refers to, for readers that can fetch them.
fn add_references(event: &mut Event, fields: &Map<String, Value>) {
    fields
        .values()
        .for_each(|value| add_references_in(event, value, DEEPEST));
}

fn add_references_in(event: &mut Event, value: &Value, depth: usize) {
    if BlobRef::is(value)
        && let Ok(blob) = BlobRef::read(value.clone())
    {
        event.blocks.push(json!({
            "type": "Reference",
            "uri": format!("blob:sha256:{}", blob.sha256),
            "media_type": blob.media_type.as_deref().unwrap_or("application/octet-stream"),
        }));
        return;
    }
    let Some(depth) = depth.checked_sub(1) else {
        return;
    };
    match value {
        Value::Array(items) => items
            .iter()
            .for_each(|item| add_references_in(event, item, depth)),
        Value::Object(fields) => fields
            .values()
            .for_each(|field| add_references_in(event, field, depth)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Adds what the event does not hold yet, so that the record can be restored.
fn add_rest(event: &mut Event, fields: Map<String, Value>) {
    let held = base(event, NO_TOOL).fields;
    let absent: Vec<Value> = held
        .keys()
        .filter(|name| !fields.contains_key(*name))
        .map(|name| name.as_str().into())
        .collect();
    let rest: Map<String, Value> = fields
        .into_iter()
        .filter(|(name, value)| held.get(name) != Some(value))
        .collect();
    if !rest.is_empty() {
        event
            .attributes
            .insert(FIELDS.to_owned(), Value::Object(rest));
    }
    if !absent.is_empty() {
        event
            .attributes
            .insert(ABSENT.to_owned(), Value::Array(absent));
    }
}
