//! Makes the record of a helper: type, key, origin and defaults.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Map, Value};
use session_model::records::{Lane, MessageSource, Record, RecordKey, ResultStatus};
use session_model::tools::{call_fields, mcp_tool};

use super::super::checked_record::CheckedRecord;
use super::Helper;
use super::draft::Draft;
use super::given::Given;

/// The `origin.agent` of a record whose caller does not name the agent.
const UNKNOWN_AGENT: &str = "unknown";
/// Says which block of a message a record is. It becomes a part of the key and is not recorded.
const BLOCK_INDEX: &str = "blockIndex";

impl Helper {
    /// Returns the record as JSON text.
    pub(super) fn record(self, parts: &str, fields: &str) -> serde_json::Result<CheckedRecord> {
        self.record_of(Given::of(parts)?, fields)
    }

    /// Returns the record for the JSON texts of the main parts.
    pub(super) fn record_of_values(
        self,
        values: &[String],
        fields: &str,
    ) -> serde_json::Result<CheckedRecord> {
        let names = self.parts().iter().map(|part| part.name);
        let parts = Given::of_json(names.zip(values.iter().map(String::as_str)));
        self.record_of(parts, fields)
    }

    fn record_of<'j>(self, parts: Given<'j>, fields: &'j str) -> serde_json::Result<CheckedRecord> {
        let mut given = parts;
        given.add(Given::of(fields)?);
        let origin = given.has("origin").then(|| origin(&given));
        let agent = origin
            .as_ref()
            .and_then(|origin| agent_of(origin.as_ref()?));
        let mut draft = self.begun(&given, agent.unwrap_or(UNKNOWN_AGENT));
        // Any other id is recorded as the caller gave it.
        for name in ["callId", "turnId", "agentId"] {
            draft.push_some(name, given.number(name));
        }
        let key = self.key(&given);
        draft.push_some("key", key.as_ref().map(RecordKey::as_str));
        match origin {
            None => draft.push("origin", &ORIGIN),
            Some(origin) => draft.push_some("origin", origin.as_ref()),
        }
        if self == Self::Thinking && !given.has("text") {
            given.remove("text");
        }
        given.remove(BLOCK_INDEX);
        draft.completed(&given)
    }

    /// Begins a record with its type and the fields that the caller need not give.
    fn begun(self, given: &Given<'_>, agent: &str) -> Draft {
        if self == Self::ToolCall {
            return call(given, agent);
        }
        let mut draft = Draft::new(self.record_type().name());
        match self {
            Self::ToolResult => {
                let tool = given.text("tool").map(|tool| recorded_tool(agent, tool));
                draft.push_some("tool", tool.as_deref());
                if !given.has("status") {
                    draft.push("status", status(given).name());
                }
            }
            Self::AssistantMessage => draft.push_some("messageId", given.number("messageId")),
            Self::Thinking => {
                if !given.has("text") && !given.has("encrypted") {
                    draft.push("encrypted", &true);
                }
                draft.push_some("messageId", given.number("messageId"));
            }
            Self::Usage => usage(&mut draft, given),
            Self::ToolCall | Self::UserMessage | Self::FileChange | Self::Checkpoint => {}
        }
        draft
    }

    /// Returns the caller's key, or the one that every lane builds for the same thing. Without the
    /// ids that it is made of, the record has none: a guessed key could hide another record.
    fn key(self, given: &Given<'_>) -> Option<RecordKey> {
        if given.has("key") {
            return RecordKey::own(&given.text("key")?).ok();
        }
        let call_id = given.id("callId");
        match self {
            Self::ToolCall => call_id.map(|id| RecordKey::call(&id)),
            Self::ToolResult => call_id.map(|id| RecordKey::result(&id)),
            Self::FileChange => Some(RecordKey::change(&call_id?, &given.text("path")?)),
            Self::UserMessage if begins_turn(given) => {
                given.id("turnId").map(|id| RecordKey::prompt(&id))
            }
            Self::AssistantMessage | Self::Thinking => {
                let block = given.raw(BLOCK_INDEX)?.parse().ok()?;
                Some(RecordKey::message(&given.id("messageId")?, block))
            }
            Self::Usage => {
                let request_id = given.id("requestId");
                let message_id = given.id("messageId")?;
                Some(RecordKey::usage(&message_id, request_id.as_deref()))
            }
            Self::UserMessage | Self::Checkpoint => None,
        }
    }
}

/// Begins the record of a call. Its input stays as the caller gave it.
fn call(given: &Given<'_>, agent: &str) -> Draft {
    let tool = given.text("tool");
    let input = given.value("input").unwrap_or_default();
    let (call, fields) = call_fields(agent, tool.as_deref().unwrap_or_default(), &input);
    let mut draft = Draft::new(call.name());
    for (name, value) in fields {
        let is_added = if name == "tool" {
            tool.is_some()
        } else {
            !given.has(&name)
        };
        if is_added {
            draft.push(name, &value);
        }
    }
    draft
}

/// Returns the tool's name in records: an MCP server's own name of it.
fn recorded_tool<'t>(agent: &str, tool: Cow<'t, str>) -> Cow<'t, str> {
    mcp_tool(agent, &tool, &Value::Null).map_or(tool, |found| Cow::Owned(found.tool))
}

/// Returns how a call ended, by what the caller knows: an error, or an exit code.
fn status(given: &Given<'_>) -> ResultStatus {
    if given.has("error") {
        return ResultStatus::Error;
    }
    match given.value("exitCode").and_then(|code| code.as_i64()) {
        Some(0) => ResultStatus::Ok,
        Some(_) => ResultStatus::Error,
        None => ResultStatus::Unknown,
    }
}

/// Counts of tokens that the caller does not give are 0.
fn usage(draft: &mut Draft, given: &Given<'_>) {
    for name in ["messageId", "requestId"] {
        draft.push_some(name, given.number(name));
    }
    for name in ["input", "output", "cacheRead", "cacheWrite", "reasoning"] {
        if !given.has(name) {
            draft.push(name, &0);
        }
    }
}

/// Whether a message of the user begins its turn. One that was queued meanwhile does not, nor does
/// the task of a subagent.
fn begins_turn(given: &Given<'_>) -> bool {
    let source = given.text("source");
    source.as_deref() != Some(MessageSource::Queued.name()) && !given.has("agentId")
}

/// Returns the caller's origin, completed. `None` if it is no object; it is then recorded as it is.
fn origin(given: &Given<'_>) -> Option<Value> {
    let fields = Map::from_iter([("origin".to_owned(), given.value("origin")?)]);
    let mut record = Record::of_fields(fields).record;
    // A value of another kind is in `extra`, and is written after these.
    let fields = &mut record.common.origin.as_mut()?.fields;
    fields.agent.get_or_insert_with(|| UNKNOWN_AGENT.to_owned());
    fields.lane.get_or_insert(Lane::Sdk);
    record.into_fields().shift_remove("origin")
}

fn agent_of(origin: &Value) -> Option<&str> {
    origin["agent"].as_str()
}

/// The origin of a record whose caller gives none.
#[derive(Serialize)]
struct DefaultOrigin {
    agent: &'static str,
    lane: &'static str,
}

const ORIGIN: DefaultOrigin = DefaultOrigin {
    agent: UNKNOWN_AGENT,
    lane: Lane::Sdk.name(),
};
