//! The rules of a valid file, written from the specification alone: nothing here uses the code that
//! writes, reads or checks files.

use std::collections::HashSet;

use serde_json::Value;

/// The fields that must not be empty, by event type.
const REQUIRED: [(&str, &str); 7] = [
    ("ToolCall", "name"),
    ("ToolResult", "name"),
    ("FileRead", "path"),
    ("FileEdit", "path"),
    ("FileCreate", "path"),
    ("FileDelete", "path"),
    ("ShellCommand", "command"),
];

/// The event types, with the data that a reader needs and the data that it may have.
const TYPES: [(&str, &[&str], &[&str]); 21] = [
    ("UserMessage", &[], &[]),
    ("AgentMessage", &[], &[]),
    ("SystemMessage", &[], &[]),
    ("Thinking", &[], &[]),
    ("ToolCall", &["name"], &[]),
    ("ToolResult", &["name", "is_error"], &["call_id"]),
    ("FileRead", &["path"], &[]),
    ("FileEdit", &["path"], &["diff"]),
    ("FileCreate", &["path"], &[]),
    ("FileDelete", &["path"], &[]),
    ("CodeSearch", &["query"], &[]),
    ("FileSearch", &["pattern"], &[]),
    ("ShellCommand", &["command"], &["exit_code"]),
    ("WebSearch", &["query"], &[]),
    ("WebFetch", &["url"], &[]),
    ("ImageGenerate", &["prompt"], &[]),
    ("VideoGenerate", &["prompt"], &[]),
    ("AudioGenerate", &["prompt"], &[]),
    ("TaskStart", &[], &["title"]),
    ("TaskEnd", &[], &["summary"]),
    ("Custom", &["kind"], &[]),
];

/// The content blocks, with the fields that a reader needs and the fields that they may have.
const BLOCKS: [(&str, &[&str], &[&str]); 8] = [
    ("Text", &["text"], &[]),
    ("Code", &["code"], &["language", "start_line"]),
    ("Image", &["url", "mime"], &["alt"]),
    ("Video", &["url", "mime"], &[]),
    ("Audio", &["url", "mime"], &[]),
    ("File", &["path"], &["content"]),
    ("Json", &["data"], &[]),
    ("Reference", &["uri", "media_type"], &[]),
];

/// The counters of the last line.
const STATS: [&str; 11] = [
    "event_count",
    "message_count",
    "tool_call_count",
    "task_count",
    "duration_seconds",
    "total_input_tokens",
    "total_output_tokens",
    "user_message_count",
    "files_changed",
    "lines_added",
    "lines_removed",
];

/// The errors of a file by the exact set of rules, in no particular order.
pub(crate) fn broken_rules(lines: &[String]) -> Vec<String> {
    let lines = parsed(lines);
    let mut errors = Vec::new();
    let header = &lines[0];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if !text(&header["version"]).starts_with("hail-") {
        errors.push("invalid version".to_owned());
    }
    for (name, value) in [
        ("session_id", &header["session_id"]),
        ("agent.provider", &header["agent"]["provider"]),
        ("agent.tool", &header["agent"]["tool"]),
    ] {
        if text(value).is_empty() {
            errors.push(format!("missing field {name}"));
        }
    }
    let events: Vec<&Value> = lines
        .iter()
        .filter(|line| line["type"] == "event")
        .collect();
    if events.is_empty() {
        errors.push("empty session".to_owned());
    }
    let mut ids = HashSet::new();
    let mut last: Option<jiff::Timestamp> = None;
    for event in events {
        let id = text(&event["event_id"]);
        if id.is_empty() {
            errors.push("missing field event_id".to_owned());
        } else if !ids.insert(id.clone()) {
            errors.push(format!("duplicate id {id}"));
        }
        let kind = text(&event["event_type"]["type"]);
        for (of, field) in REQUIRED {
            if of == kind && text(&event["event_type"]["data"][field]).is_empty() {
                errors.push(format!("missing field {of}.{field}"));
            }
        }
        let time: jiff::Timestamp = text(&event["timestamp"])
            .parse()
            .expect("a time in RFC 3339");
        if last.is_some_and(|last| time < last) {
            errors.push("out of order".to_owned());
        }
        last = Some(time);
    }
    errors
}

/// What a strict reader of the format would refuse in a file that we wrote: it knows no other types
/// of lines, events and blocks, and no other fields of them.
pub(crate) fn refused_by_a_strict_reader(lines: &[String]) -> Vec<String> {
    let lines = parsed(lines);
    let mut errors = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let kind = line["type"].as_str().unwrap_or_default();
        let is_in_place = match kind {
            "header" => at == 0,
            "event" => at > 0,
            "stats" => at > 0 && at + 1 == lines.len(),
            _ => false,
        };
        if !is_in_place {
            errors.push(format!("a line {kind} at {at}"));
        }
        match kind {
            "event" => errors.extend(refused_event(line)),
            "stats" => {
                let counters = STATS.iter().filter(|name| line[**name].as_u64().is_none());
                errors.extend(counters.map(|name| format!("stats.{name}")));
            }
            _ => {}
        }
    }
    errors
}

fn refused_event(line: &Value) -> Vec<String> {
    let fields: [&str; 8] = [
        "type",
        "event_id",
        "timestamp",
        "event_type",
        "task_id",
        "content",
        "duration_ms",
        "attributes",
    ];
    let mut errors = unknown("event", line, &fields);
    if !line["timestamp"]
        .as_str()
        .is_some_and(|time| time.ends_with('Z'))
    {
        errors.push("a time that is not UTC".to_owned());
    }
    if line
        .get("duration_ms")
        .is_some_and(|duration| duration.as_u64().is_none())
    {
        errors.push("duration_ms".to_owned());
    }
    if line
        .get("attributes")
        .is_some_and(|attributes| !attributes.is_object())
    {
        errors.push("attributes".to_owned());
    }
    errors.extend(refused_part(
        "event_type",
        &TYPES,
        &line["event_type"],
        true,
    ));
    match line["content"]["blocks"].as_array() {
        Some(blocks) => {
            let refused = |block| refused_part("block", &BLOCKS, block, false);
            errors.extend(blocks.iter().flat_map(refused));
        }
        None => errors.push("no blocks".to_owned()),
    }
    errors
}

/// Compares a tagged object with its row of a table; `is_adjacent` if its fields are in `data`.
fn refused_part(
    what: &str,
    table: &[(&str, &[&str], &[&str])],
    part: &Value,
    is_adjacent: bool,
) -> Vec<String> {
    let kind = part["type"].as_str().unwrap_or_default();
    let Some((_, needed, possible)) = table.iter().find(|(name, ..)| *name == kind) else {
        return vec![format!("{what} {kind}")];
    };
    let fields = if is_adjacent { &part["data"] } else { part };
    let has_fields = !needed.is_empty() || !possible.is_empty();
    if is_adjacent && has_fields && !fields.is_object() {
        return vec![format!("{what} {kind} has no data")];
    }
    let missing = needed.iter().filter(|name| fields.get(**name).is_none());
    let mut errors: Vec<String> = missing.map(|name| format!("{kind}.{name}")).collect();
    let mut known = [*needed, *possible].concat();
    if !is_adjacent {
        known.push("type");
    }
    errors.extend(unknown(kind, fields, &known));
    errors
}

fn unknown(what: &str, fields: &Value, known: &[&str]) -> Vec<String> {
    let names = fields
        .as_object()
        .into_iter()
        .flat_map(|fields| fields.keys());
    names
        .filter(|name| !known.contains(&name.as_str()))
        .map(|name| format!("{what} has {name}"))
        .collect()
}

fn parsed(lines: &[String]) -> Vec<Value> {
    let lines = lines.iter().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| serde_json::from_str(line).expect("each line is JSON"))
        .collect()
}
