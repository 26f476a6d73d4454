//! Records of the callback handler for LangChain and LangGraph: steps, model calls, tool calls,
//! each with its `run`.

use serde_json::{Map, Value, json};

use super::fields::{rename, set, set_type, text};

/// The types that the handler wrote.
const TYPES: [&str; 9] = [
    "step_start",
    "step_end",
    "model_call",
    "assistant",
    "usage",
    "tool_call",
    "search",
    "tool_result",
    "error",
];

/// Whether the handler wrote this record. Its runs are named by UUIDs, and all but usage by a name.
pub(super) fn wrote(kind: &str, record: &Map<String, Value>) -> bool {
    TYPES.contains(&kind)
        && text(record, "run").is_some_and(is_uuid)
        && (kind == "usage" || text(record, "name").is_some())
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

pub(super) fn upgrade(kind: &str, mut record: Map<String, Value>) -> Map<String, Value> {
    match kind {
        "step_start" => step("step_started", &mut record),
        "step_end" => {
            step("step_ended", &mut record);
            set(&mut record, "status", Some("ok"));
        }
        "tool_call" => {
            rename(&mut record, "parent", "parentRun");
            call_id(&mut record);
        }
        // A retriever's. It looks neither in files nor in their names.
        "search" => {
            set_type(&mut record, "tool_call");
            rename(&mut record, "parent", "parentRun");
            let query = text(&record, "pattern").map(|query| json!({"query": query}));
            set(&mut record, "input", query);
            call_id(&mut record);
        }
        "tool_result" => result(&mut record),
        "model_call" => asked(&mut record),
        "assistant" => {
            set_type(&mut record, "assistant_message");
            rename(&mut record, "parent", "parentRun");
        }
        "error" => error(&mut record),
        "usage" => {
            let run = text(&record, "run").map(str::to_owned);
            set(&mut record, "messageId", run);
            for count in ["cacheRead", "cacheWrite", "reasoning"] {
                set(&mut record, count, Some(0));
            }
        }
        _ => {}
    }
    record
}

/// A request to a model whose conversation has new messages of the user is read as these. Messages
/// that an earlier record has are only named in it.
fn asked(record: &mut Map<String, Value>) {
    let conversations = record.get("messages").and_then(Value::as_array);
    let messages = conversations
        .into_iter()
        .flatten()
        .flat_map(|one| match one {
            Value::Array(messages) => messages.as_slice(),
            prompt => std::slice::from_ref(prompt),
        });
    let texts: Vec<String> = messages.filter_map(user_text).collect();
    if !texts.is_empty() {
        set_type(record, "user_message");
        rename(record, "parent", "parentRun");
        set(record, "text", Some(texts.join("\n")));
    }
}

/// The text of a prompt, or of a message of the user that is in the record.
fn user_text(message: &Value) -> Option<String> {
    let content = match message.get("role").and_then(Value::as_str) {
        Some("human" | "HumanMessageChunk") => message.get("content")?,
        Some(_) => return None,
        None => message,
    };
    if let Value::Array(blocks) = content {
        let texts = blocks
            .iter()
            .filter_map(|block| block.get("text")?.as_str());
        return Some(texts.collect::<Vec<_>>().join("\n"));
    }
    content.as_str().map(str::to_owned)
}

fn step(kind: &str, record: &mut Map<String, Value>) {
    set_type(record, kind);
    rename(record, "parent", "parentRun");
}

/// A run of a tool is its call.
fn call_id(record: &mut Map<String, Value>) {
    let run = text(record, "run").map(str::to_owned);
    set(record, "callId", run);
}

fn result(record: &mut Map<String, Value>) {
    rename(record, "parent", "parentRun");
    call_id(record);
    let tool = text(record, "name").map(str::to_owned);
    set(record, "tool", tool);
    // The tool waits for input; the call itself goes no further.
    if text(record, "status") == Some("paused") {
        record.insert("status".to_owned(), "interrupted".into());
    }
    set(record, "status", Some("unknown"));
}

/// An error ends what it is `of`.
fn error(record: &mut Map<String, Value>) {
    match text(record, "of") {
        Some("step") => {
            step("step_ended", record);
            set(record, "status", Some("error"));
        }
        Some("tool" | "retriever") => {
            set_type(record, "tool_result");
            set(record, "status", Some("error"));
            result(record);
        }
        _ => {
            rename(record, "error", "message");
            rename(record, "errorType", "kind");
            rename(record, "parent", "parentRun");
        }
    }
}
