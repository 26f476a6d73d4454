//! Event to record.

use serde_json::{Map, Value};
use session_model::records::{Log, RecordType};
use session_model::tools::call_fields;
use session_model::{LogKind, Timestamp};

use super::attributes::{
    ABSENT, FIELDS, LOG, OF_STORE, RAW_TYPE, SCHEMA, SCHEMA_VERSION, TEXT_FIELD, TOOL_KIND,
};
use super::event::Event;
use super::table::{self, At, COMMON, Row};

/// A record that was made from an event.
#[derive(Clone, PartialEq, Debug)]
pub struct Restored {
    /// The log that it belongs to.
    pub log: LogKind,
    /// The fields.
    pub fields: Map<String, Value>,
}

/// The field that holds what a record of the vocabulary has no place for.
const HAIL: &str = "hail";

/// Makes a record of an event. `tool` is the program of the header, whose names of tools are known.
pub fn restore(event: Event, tool: &str) -> Restored {
    let Restored { log, mut fields } = base(&event, tool);
    if !is_ours(&event) {
        keep_rest(event, &mut fields);
        return Restored { log, fields };
    }
    let mut attributes = event.attributes;
    if let Some(Value::Array(absent)) = attributes.shift_remove(ABSENT) {
        for name in absent.iter().filter_map(Value::as_str) {
            fields.shift_remove(name);
        }
    }
    if let Some(Value::Object(rest)) = attributes.shift_remove(FIELDS) {
        let own = |(name, _): &(String, Value)| !OF_STORE.contains(&name.as_str());
        fields.extend(rest.into_iter().filter(own));
    }
    let named = attributes.get(LOG).and_then(Value::as_str);
    let log = [LogKind::Actions, LogKind::Responses]
        .into_iter()
        .find(|log| Some(log.as_str()) == named)
        .unwrap_or(log);
    Restored { log, fields }
}

/// Makes a record of a line whose type is not known, so that it is kept, with its time if it has
/// one.
pub fn restore_unknown(line: Map<String, Value>) -> Restored {
    let kind = line.get("type").and_then(Value::as_str).unwrap_or_default();
    let mut fields = notification(&format!("hail:{kind}"), "a line of an unknown type");
    let time = line.get("timestamp").and_then(Value::as_str);
    match time.filter(|time| Timestamp::parse(time).is_some()) {
        Some(time) => fields.insert("timestamp".to_owned(), time.into()),
        None => fields.insert("timeSource".to_owned(), "received".into()),
    };
    fields.insert(HAIL.to_owned(), Value::Object(line));
    Restored {
        log: LogKind::Actions,
        fields,
    }
}

fn notification(kind: &str, message: &str) -> Map<String, Value> {
    let mut fields = Map::new();
    for (name, text) in [
        ("type", "notification"),
        ("kind", kind),
        ("message", message),
    ] {
        fields.insert(name.to_owned(), text.into());
    }
    fields
}

pub(super) fn is_ours(event: &Event) -> bool {
    event
        .attributes
        .get(SCHEMA_VERSION)
        .is_some_and(|version| version == SCHEMA)
}

/// Whether records of the type belong to the log.
pub(super) fn is_default_log(log: LogKind, kind: Option<&str>) -> bool {
    log == default_log(kind)
}

fn default_log(kind: Option<&str>) -> LogKind {
    match kind.and_then(RecordType::parse).map(RecordType::log) {
        Some(Log::Said) => LogKind::Responses,
        Some(Log::Done | Log::Either) | None => LogKind::Actions,
    }
}

/// The record as far as the event itself says it, without the attributes that hold the rest.
pub(super) fn base(event: &Event, tool: &str) -> Restored {
    let raw_type = event.attributes.get(RAW_TYPE).and_then(Value::as_str);
    let kind = raw_type.filter(|_| is_ours(event));
    let mut fields = match (is_ours(event), kind) {
        (true, kind) => of_row(event, table::of_event(&event.kind, kind), kind),
        (false, _) => foreign(event, tool),
    };
    fields.insert("timestamp".to_owned(), event.timestamp.as_str().into());
    if let Some(task) = &event.task_id {
        fields.insert("agentId".to_owned(), task.as_str().into());
    }
    let log = default_log(fields.get("type").and_then(Value::as_str));
    Restored { log, fields }
}

fn of_row(event: &Event, row: Option<&Row>, kind: Option<&str>) -> Map<String, Value> {
    let mut fields = Map::new();
    if let Some(kind) = kind.or(row.map(|row| row.record)) {
        fields.insert("type".to_owned(), kind.into());
    }
    for (name, at) in COMMON {
        take(event, &mut fields, name, *at);
    }
    let Some(row) = row else { return fields };
    if let Some((name, value)) = row.when {
        fields.insert(name.to_owned(), value.into());
    }
    for (name, at) in row.fields {
        take(event, &mut fields, name, *at);
    }
    if row.record == "tool_result" {
        let is_error = event.data.get("is_error").and_then(Value::as_bool);
        let status = match is_error {
            Some(true) => "error",
            Some(false) => "ok",
            None => "unknown",
        };
        fields.insert("status".to_owned(), status.into());
    }
    if row.record == "usage" {
        for (name, attribute) in [("input", "usage.input"), ("output", "usage.output")] {
            take(event, &mut fields, name, At::Attribute(attribute));
        }
    }
    fields
}

/// Takes a field from its place.
fn take(event: &Event, fields: &mut Map<String, Value>, name: &str, at: At) {
    let text_field = event.attributes.get(TEXT_FIELD).and_then(Value::as_str);
    let (name, value) = match at {
        At::Data(datum) => (name, event.data.get(datum).cloned()),
        At::Attribute(attribute) => (name, event.attributes.get(attribute).cloned()),
        At::Duration => (name, event.duration_ms.clone().map(Value::Number)),
        At::Text => (text_field.unwrap_or(name), event.text().map(Value::from)),
        At::Json => (name, json_of(event)),
        At::Content => match event.text() {
            Some(text) => (text_field.unwrap_or(name), Some(text.into())),
            None => (name, json_of(event)),
        },
    };
    if let Some(value) = value.filter(|value| !value.is_null()) {
        fields.insert(name.to_owned(), value);
    }
}

fn json_of(event: &Event) -> Option<Value> {
    let mut blocks = event.blocks.iter().filter(|block| block["type"] == "Json");
    blocks.next()?.get("data").cloned()
}

/// The record of an event that another program wrote.
fn foreign(event: &Event, tool: &str) -> Map<String, Value> {
    match event.kind.as_str() {
        "ToolCall" => foreign_call(event, tool),
        "ImageGenerate" | "VideoGenerate" | "AudioGenerate" => {
            let mut fields = Map::new();
            fields.insert("type".to_owned(), "tool_call".into());
            fields.insert("tool".to_owned(), event.kind.as_str().into());
            fields.insert("input".to_owned(), Value::Object(event.data.clone()));
            fields
        }
        // Only a subagent has a start and an end, and it needs an id.
        "TaskStart" | "TaskEnd" if event.task_id.is_none() => foreign_notice(event),
        kind => match table::of_event(kind, None) {
            Some(row) => foreign_row(event, row),
            None => foreign_notice(event),
        },
    }
}

/// The fields of a call whose type is known by the agent's table of tools.
fn foreign_call(event: &Event, agent: &str) -> Map<String, Value> {
    let name = event.datum("name").unwrap_or_default();
    let input = json_of(event).or_else(|| event.text().map(Value::from));
    let input = input.unwrap_or_else(|| Value::Object(Map::new()));
    let (call, of_call) = call_fields(agent, name, &input);
    let mut fields = Map::new();
    fields.insert("type".to_owned(), call.name().into());
    fields.extend(of_call);
    fields.insert("input".to_owned(), input);
    add_common(event, &mut fields);
    fields
}

fn foreign_row(event: &Event, row: &Row) -> Map<String, Value> {
    let mut fields = of_row(event, Some(row), None);
    if fields.get("model").is_some_and(|model| model == "") {
        fields.shift_remove("model");
    }
    let is_call = RecordType::parse(row.record)
        .and_then(RecordType::call_type)
        .is_some();
    if is_call {
        fields.insert("tool".to_owned(), event.kind.as_str().into());
        fields.insert("input".to_owned(), Value::Object(event.data.clone()));
    }
    add_common(event, &mut fields);
    fields
}

fn foreign_notice(event: &Event) -> Map<String, Value> {
    let kind = match event.kind.as_str() {
        "Custom" => event.datum("kind").unwrap_or("Custom"),
        kind => kind,
    };
    let mut fields = notification(kind, event.text().unwrap_or_default());
    add_common(event, &mut fields);
    fields
}

/// The legacy name of the call's id, and the exit code.
fn add_common(event: &Event, fields: &mut Map<String, Value>) {
    if !fields.contains_key("callId")
        && let Some(Value::String(call)) = event.attributes.get("call_id")
    {
        fields.insert("callId".to_owned(), call.as_str().into());
    }
    if let Some(turn) = event
        .attributes
        .get("semantic.group_id")
        .filter(|turn| turn.is_string())
    {
        fields.entry("turnId").or_insert_with(|| turn.clone());
    }
    if let Some(call) = event
        .attributes
        .get("semantic.call_id")
        .filter(|call| call.is_string())
    {
        fields.entry("callId").or_insert_with(|| call.clone());
    }
}

/// Keeps what the record does not hold, as the whole line without its text.
fn keep_rest(event: Event, fields: &mut Map<String, Value>) {
    let text = event.text().map(str::to_owned);
    let mut rest = event.into_fields();
    for name in ["type", "timestamp", "task_id"] {
        rest.shift_remove(name);
    }
    if let Some(kind) = rest.get_mut("event_type").and_then(Value::as_object_mut)
        && kind.get("data") == fields.get("input")
    {
        kind.shift_remove("data");
    }
    // The first text block, if the record has it.
    let is_held = text.is_some_and(|text| fields.values().any(|value| value == text.as_str()));
    if is_held
        && let Some(Value::Array(blocks)) = rest
            .get_mut("content")
            .and_then(|content| content.get_mut("blocks"))
        && let Some(at) = blocks.iter().position(|block| block["type"] == "Text")
    {
        blocks.remove(at);
    }
    if rest
        .get("content")
        .is_some_and(|content| content["blocks"] == Value::Array(Vec::new()))
    {
        rest.shift_remove("content");
    }
    if let Some(Value::Object(attributes)) = rest.get_mut("attributes") {
        for name in [
            "semantic.group_id",
            "semantic.call_id",
            "call_id",
            TOOL_KIND,
        ] {
            attributes.shift_remove(name);
        }
    }
    fields.insert(HAIL.to_owned(), Value::Object(rest));
}
