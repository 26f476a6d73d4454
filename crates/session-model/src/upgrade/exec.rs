//! Records of `hook-agent exec`: `bash_exec` with a list of words, `output` per line, `exit`.

use serde_json::{Map, Value, json};

use super::fields::{rename, set, set_type, text};
use crate::tools::command_line;

/// The name of the recorder in the field `tool`.
const TOOL: &str = "exec";

/// Whether the recorder wrote this record: all fields are its own, and those that it always wrote
/// are there.
pub(super) fn wrote(kind: &str, record: &Map<String, Value>) -> bool {
    let has = |name: &str| record.contains_key(name);
    match kind {
        "bash_exec" => {
            let words = record.get("command").and_then(Value::as_array);
            words.is_some_and(|words| !words.is_empty() && words.iter().all(Value::is_string))
                && has_only(record, &["command", "cwd"])
        }
        "output" => {
            matches!(text(record, "stream"), Some("stdout" | "stderr"))
                && text(record, "text").is_some()
                && has_only(record, &["stream", "text", "continues"])
        }
        "exit" => {
            let has_ended = has("exitCode") && has("signal") && has("durationMs");
            let has_failed =
                text(record, "error").is_some() && (has("exitCode") || has("durationMs"));
            (has_ended || has_failed)
                && has_only(record, &["exitCode", "signal", "durationMs", "error"])
        }
        _ => false,
    }
}

/// Whether a record has no field besides these and those that the client and the service add.
fn has_only(record: &Map<String, Value>, names: &[&str]) -> bool {
    record.keys().all(|name| {
        let is_added =
            matches!(name.as_str(), "type" | "timestamp" | "seq") || name.starts_with('$');
        is_added || names.contains(&name.as_str())
    })
}

pub(super) fn upgrade(kind: &str, mut record: Map<String, Value>) -> Map<String, Value> {
    match kind {
        "bash_exec" => {
            rename(&mut record, "command", "input");
            let words = record.get("input").and_then(Value::as_array);
            let words: Vec<&str> = words
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            let command = command_line(&words);
            let input = json!({"command": words});
            record.insert("input".to_owned(), input);
            set(&mut record, "command", Some(command));
            set(&mut record, "tool", Some(TOOL));
        }
        "output" => {
            set_type(&mut record, "system_message");
            set(&mut record, "reason", Some("command_output"));
        }
        _ => {
            let status = status_of(&record);
            set_type(&mut record, "tool_result");
            set(&mut record, "tool", Some(TOOL));
            set(&mut record, "status", Some(status));
        }
    }
    record
}

/// The status of a program that has ended: its exit code, or the signal that ended it.
fn status_of(record: &Map<String, Value>) -> &'static str {
    let number = |name: &str| record.get(name).and_then(Value::as_i64);
    // Hangup, interrupt and termination.
    if matches!(number("signal"), Some(1 | 2 | 15)) {
        return "interrupted";
    }
    match number("exitCode") {
        Some(0) => "ok",
        Some(_) => "error",
        None if record.contains_key("error") => "error",
        None => "unknown",
    }
}
