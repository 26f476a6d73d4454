//! Records of the hooks of Claude Code: one or more per hook, with the hook's `event` and
//! `payload`.

use serde_json::{Map, Value};

use super::fields::{nested, rename, set, set_type, take, text};
use crate::records::{Family, RecordType};
use crate::tools::{call_fields, exit_code};

const AGENT: &str = "claude-code";

/// Whether an earlier hook wrote this record.
///
/// A hook wrote the payload of Claude Code as it came, the name of its event beside it, and a type
/// that follows from the event. Two records were written without a payload: a result that no hook
/// reports, and a call that only the batch of calls reports.
pub(super) fn wrote(kind: &str, record: &Map<String, Value>) -> bool {
    let Some(event) = text(record, "event").filter(|event| !event.is_empty()) else {
        return false;
    };
    let in_payload = |name: &str| nested(record, "payload", name).and_then(Value::as_str);
    match record.get("payload") {
        Some(Value::Object(_)) => {
            in_payload("hook_event_name") == Some(event)
                && in_payload("session_id").is_some()
                && text(record, "toolUseId").is_none_or(|id| in_payload("tool_use_id") == Some(id))
                && is_type_of(kind, event)
        }
        Some(_) => false,
        None => text(record, "toolUseId").is_some() && is_without_payload(kind, event, record),
    }
}

/// Whether the hooks wrote records of the type for the event.
fn is_type_of(kind: &str, event: &str) -> bool {
    match event {
        "UserPromptSubmit" => kind == "prompt",
        "MessageDisplay" => kind == "message",
        "PreToolUse" => is_call(kind),
        "PostToolUse" => kind == "tool_result",
        "PostToolUseFailure" => kind == "tool_error",
        event => kind == snake_case(event),
    }
}

fn is_without_payload(kind: &str, event: &str, record: &Map<String, Value>) -> bool {
    if kind != "tool_error" {
        return event == "PostToolBatch" && is_call(kind) && record.contains_key("tool");
    }
    let is_failed = record.get("success").and_then(Value::as_bool) == Some(false);
    is_failed
        && matches!(
            text(record, "status"),
            Some("denied" | "error" | "interrupted")
        )
}

/// The type of a record of an event that has no meaning of its own: `PreCompact` is `pre_compact`.
fn snake_case(event: &str) -> String {
    let mut name = String::new();
    for letter in event.chars().filter(char::is_ascii_alphanumeric) {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

pub(super) fn upgrade(kind: &str, mut record: Map<String, Value>) -> Map<String, Value> {
    rename(&mut record, "toolUseId", "callId");
    rename(&mut record, "promptId", "turnId");
    let turn = nested(&record, "payload", "prompt_id").cloned();
    set(&mut record, "turnId", turn);
    match kind {
        "tool_result" | "tool_error" => result(kind, &mut record),
        "prompt" => prompt(&mut record),
        "message" | "stop" => message(kind, &mut record),
        "stop_failure" => {
            set_type(&mut record, "error");
            rename(&mut record, "error", "message");
            set(&mut record, "kind", Some(kind));
        }
        "session_start" => session_start(&mut record),
        "subagent_start" | "subagent_stop" => {
            let is_start = kind == "subagent_start";
            set_type(
                &mut record,
                if is_start {
                    "agent_started"
                } else {
                    "agent_stopped"
                },
            );
            whole_text(&mut record, "result", "last_assistant_message");
        }
        "permission_request" | "permission_denied" => {
            let is_denied = kind == "permission_denied";
            set_type(&mut record, "permission");
            set(
                &mut record,
                "decision",
                Some(if is_denied { "denied" } else { "asked" }),
            );
        }
        "notification" => {
            let kind = take(&mut record, "payload", "notification_type");
            set(&mut record, "kind", kind);
        }
        "post_compact" => {
            set_type(&mut record, "compaction");
            let trigger = take(&mut record, "payload", "trigger");
            set(&mut record, "trigger", trigger);
            let summary = take(&mut record, "payload", "compact_summary");
            set(&mut record, "summary", summary);
        }
        kind if is_call(kind) => call(&mut record),
        _ => {}
    }
    record
}

fn is_call(kind: &str) -> bool {
    RecordType::parse(kind).is_some_and(|kind| kind.family() == Family::Call)
}

/// Replaces a text that was cut by the whole one in the payload.
fn whole_text(record: &mut Map<String, Value>, name: &str, in_payload: &str) {
    if let Some(whole) = take(record, "payload", in_payload).filter(Value::is_string) {
        record.insert(name.to_owned(), whole);
    }
}

/// A call. Earlier versions knew fewer tools: `Read` was a `tool_call`.
fn call(record: &mut Map<String, Value>) {
    let input = take(record, "payload", "tool_input");
    set(record, "input", input);
    let Some(tool) = text(record, "tool").map(str::to_owned) else {
        return;
    };
    let input = record.get("input").unwrap_or(&Value::Null);
    let (call, fields) = call_fields(AGENT, &tool, input);
    set_type(record, call.name());
    for (name, value) in fields {
        if name == "tool" {
            record.insert(name, value);
        } else {
            set(record, &name, Some(value));
        }
    }
}

fn result(kind: &str, record: &mut Map<String, Value>) {
    let flag = |name: &str| record.get(name).and_then(Value::as_bool);
    let status = match flag("success") {
        _ if flag("interrupted") == Some(true) => "interrupted",
        Some(true) => "ok",
        Some(false) => "error",
        None if kind == "tool_error" => "error",
        None => "unknown",
    };
    set_type(record, "tool_result");
    set(record, "status", Some(status));
    let output = take(record, "payload", "tool_response");
    set(record, "output", output);
    whole_text(record, "error", "error");
    let code = text(record, "error").and_then(exit_code);
    set(record, "exitCode", code);
    let call_tool = text(record, "tool").map(|tool| call_fields(AGENT, tool, &Value::Null));
    if let Some((_, mut fields)) = call_tool
        && let Some(tool) = fields.shift_remove("tool")
    {
        record.insert("tool".to_owned(), tool);
    }
}

/// A prompt. Claude Code also writes prompts itself, when a background task has ended.
fn prompt(record: &mut Map<String, Value>) {
    rename(record, "content", "text");
    whole_text(record, "text", "prompt");
    let is_injected =
        text(record, "text").is_some_and(|text| text.starts_with("<task-notification>"));
    if is_injected {
        set_type(record, "system_message");
        set(record, "reason", Some("injected"));
    } else {
        set_type(record, "user_message");
    }
}

/// A message, or the last one of a turn once more, in the record of the turn's end.
fn message(kind: &str, record: &mut Map<String, Value>) {
    set_type(record, "assistant_message");
    rename(record, "content", "text");
    let in_payload = if kind == "stop" {
        "last_assistant_message"
    } else {
        "delta"
    };
    whole_text(record, "text", in_payload);
    let id = take(record, "payload", "message_id");
    set(record, "messageId", id);
    if kind == "stop" {
        set(record, "stopReason", Some("end_turn"));
    }
}

/// The start of a session. The one after a compaction starts nothing.
fn session_start(record: &mut Map<String, Value>) {
    let kind = match text(record, "source") {
        Some("compact") => return,
        Some("resume") => "session_resumed",
        _ => "session_started",
    };
    set_type(record, kind);
    for name in ["cwd", "model"] {
        let value = nested(record, "payload", name)
            .filter(|value| value.is_string())
            .cloned();
        set(record, name, value);
    }
}
