//! Reads the fields of a payload. Large values are borrowed unchanged, never parsed into trees.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Number, Value};

use super::digest::digest;
use super::input::text;
use super::meaning::Meaning;
use super::run::Span;

/// A payload: the fields that have a meaning here, and all fields as raw JSON.
#[derive(Debug, Default)]
pub(super) struct Payload<'a> {
    pub hook_event_name: String,
    pub session_id: String,
    pub transcript_path: Option<String>,
    pub cwd: Option<String>,
    pub permission_mode: Option<String>,
    pub model: Option<String>,
    pub source: Option<String>,
    pub reason: Option<String>,
    pub prompt_id: Option<String>,
    pub prompt: Option<String>,
    pub delta: Option<String>,
    pub message: Option<String>,
    pub last_assistant_message: Option<String>,
    pub error: Option<String>,
    pub is_interrupt: Option<bool>,
    pub duration_ms: Option<Number>,
    pub agent_id: Option<String>,
    pub agent_type: Option<String>,
    pub tool_name: Option<String>,
    pub tool_use_id: Option<String>,
    pub tool_input: Option<&'a RawValue>,
    pub tool_response: Option<&'a RawValue>,
    pub notification_type: Option<String>,
    pub trigger: Option<String>,
    pub compact_summary: Option<String>,
    pub message_id: Option<String>,
    pub index: Option<u64>,
    /// The calls of a `PostToolBatch`.
    pub tool_calls: Vec<BatchCall<'a>>,
    /// What it lists besides them: values that are no calls, or calls without an id.
    pub other_calls: Option<Box<RawValue>>,
    fields: Fields<'a>,
}

/// One call of a batch, with the response that the model was shown.
#[derive(Debug)]
pub(super) struct BatchCall<'a> {
    pub tool_name: Option<String>,
    pub tool_use_id: String,
    pub tool_input: Option<&'a RawValue>,
    pub response: Option<&'a RawValue>,
}

/// The fields of a payload whose values are ids.
const IDS: [&str; 4] = ["prompt_id", "agent_id", "tool_use_id", "message_id"];

/// The fields of an object, each as raw JSON: a field of an unexpected type does not affect the
/// others.
#[derive(Debug, Default)]
pub(super) struct Fields<'a>(BTreeMap<Cow<'a, str>, &'a RawValue>);

impl<'a> Fields<'a> {
    pub(super) fn of(raw: &'a str) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Object<'a>(#[serde(borrow)] BTreeMap<Cow<'a, str>, &'a RawValue>);
        serde_json::from_str::<Object<'a>>(raw).map(|Object(fields)| Self(fields))
    }

    pub(super) fn raw(&self, name: &str) -> Option<&'a RawValue> {
        self.0
            .get(name)
            .copied()
            .filter(|value| value.get() != "null")
    }

    pub(super) fn get<T: Deserialize<'a>>(&self, name: &str) -> Option<T> {
        serde_json::from_str(self.raw(name)?.get()).ok()
    }

    /// Returns an id, as [`id_of`] reads it.
    pub(super) fn id(&self, name: &str) -> Option<String> {
        id_of(self.raw(name)?)
    }

    /// Returns a string; any other value is returned as its JSON text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.raw(name).map(text_of)
    }
}

/// Returns a string; any other value is returned as its JSON text.
pub(super) fn text_of(raw: &RawValue) -> String {
    serde_json::from_str::<String>(raw.get()).unwrap_or_else(|_| raw.get().to_owned())
}

/// Reads an id: a text, or a number as its digits. `None` for a text that is empty or has a broken
/// character: that may stand for several characters, so the text does not tell two things apart.
pub(super) fn id_of(raw: &RawValue) -> Option<String> {
    let raw = raw.get();
    let is_number = raw.starts_with(|char: char| char == '-' || char.is_ascii_digit());
    let id = if is_number {
        raw.to_owned()
    } else {
        serde_json::from_str::<String>(raw).ok()?
    };
    (!id.is_empty() && !id.contains(char::REPLACEMENT_CHARACTER)).then_some(id)
}

impl<'a> Payload<'a> {
    /// Reads a JSON object, each field independently of the others.
    pub(super) fn parse(raw: &'a str) -> Result<Self, serde_json::Error> {
        if !raw.starts_with('{') {
            return Err(serde::de::Error::custom("not a JSON object"));
        }
        let fields = Fields::of(raw)?;
        let (tool_calls, other_calls) = calls(fields.raw("tool_calls"));
        Ok(Self {
            hook_event_name: fields.get("hook_event_name").unwrap_or_default(),
            session_id: fields.id("session_id").unwrap_or_default(),
            transcript_path: fields.get("transcript_path"),
            cwd: fields.get("cwd"),
            permission_mode: fields.text("permission_mode"),
            model: fields.text("model").filter(|model| !model.is_empty()),
            source: fields.text("source"),
            reason: fields.text("reason"),
            prompt_id: fields.id("prompt_id"),
            prompt: fields.text("prompt"),
            delta: fields.text("delta"),
            message: fields.text("message"),
            last_assistant_message: fields.text("last_assistant_message"),
            error: fields.text("error"),
            is_interrupt: fields.get("is_interrupt"),
            duration_ms: fields.get("duration_ms"),
            agent_id: fields.id("agent_id"),
            agent_type: fields.text("agent_type"),
            tool_name: fields.text("tool_name"),
            tool_use_id: fields.id("tool_use_id"),
            tool_input: fields.raw("tool_input"),
            tool_response: fields.raw("tool_response"),
            notification_type: fields.text("notification_type"),
            trigger: fields.text("trigger"),
            compact_summary: fields.text("compact_summary"),
            message_id: fields.id("message_id"),
            index: fields.get("index"),
            tool_calls,
            other_calls,
            fields,
        })
    }

    /// Returns a payload that could not be parsed, wrapped as JSON.
    pub(super) fn unreadable(wrapped: &'a str) -> Self {
        Self {
            hook_event_name: "UnreadableHook".to_owned(),
            fields: Fields::of(wrapped).unwrap_or_default(),
            ..Self::default()
        }
    }

    /// Returns the sub-agent that the hook is about or comes from.
    pub(super) fn agent(&self) -> Option<&str> {
        self.agent_id.as_deref()
    }

    /// Returns whether a field should be an id, has something else, and so has no place in a record.
    pub(super) fn is_unread_id(name: &str, value: &RawValue) -> bool {
        IDS.contains(&name) && value.get() != r#""""# && id_of(value).is_none()
    }

    /// Returns all fields that are not null.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        let fields = self.fields.0.iter().map(|(name, value)| (&**name, *value));
        fields.filter(|(_, value)| value.get() != "null")
    }

    /// Returns which end of a turn, or of a call without an id, the hook reports.
    pub(super) fn span(&self) -> Option<Span> {
        let call = || {
            let input = self.tool_input.map(RawValue::get).unwrap_or_default();
            let tool = self.tool_name.as_deref().unwrap_or_default();
            let agent = self.agent().unwrap_or_default();
            let parts = ["call", tool, agent, input];
            digest(parts.iter().flat_map(|part| part.bytes().chain([0])))
        };
        let (of, is_end) = match Meaning::of(&self.hook_event_name) {
            Meaning::ToolCall | Meaning::ToolResult | Meaning::ToolError
                if self.tool_use_id.is_some() =>
            {
                return None;
            }
            Meaning::ToolCall => (call(), false),
            Meaning::ToolResult | Meaning::ToolError => (call(), true),
            Meaning::Prompt => (digest(*b"turn"), false),
            Meaning::Stop | Meaning::StopFailure => (digest(*b"turn"), true),
            Meaning::SessionStart
            | Meaning::Message
            | Meaning::ToolBatch
            | Meaning::PermissionRequest
            | Meaning::PermissionDenied
            | Meaning::Notification
            | Meaning::Compacted
            | Meaning::AgentStart
            | Meaning::AgentStop
            | Meaning::SessionEnd
            | Meaning::Other => return None,
        };
        Some(Span { of, is_end })
    }

    /// Returns the agent that a finished `Agent` call started.
    pub(super) fn started_agent(&self) -> Option<String> {
        let tool = self.tool_name.as_deref()?;
        if !matches!(tool, "Agent" | "Task") {
            return None;
        }
        Fields::of(self.tool_response?.get()).ok()?.id("agentId")
    }
}

impl<'a> BatchCall<'a> {
    fn of(raw: &'a RawValue) -> Option<Self> {
        let fields = Fields::of(raw.get()).ok()?;
        Some(Self {
            tool_name: fields.text("tool_name"),
            tool_use_id: fields.id("tool_use_id")?,
            tool_input: fields.raw("tool_input"),
            response: fields.raw("tool_response"),
        })
    }
}

/// Returns the calls of a batch, and what else it lists.
fn calls(listed: Option<&RawValue>) -> (Vec<BatchCall<'_>>, Option<Box<RawValue>>) {
    let Some(listed) = listed else {
        return (Vec::new(), None);
    };
    let Ok(all) = serde_json::from_str::<Vec<&RawValue>>(listed.get()) else {
        return (Vec::new(), Some(listed.to_owned()));
    };
    let mut calls = Vec::new();
    let mut others = Vec::new();
    for raw in all {
        match BatchCall::of(raw) {
            Some(call) => calls.push(call),
            None => others.push(raw.get()),
        }
    }
    let others = (!others.is_empty()).then(|| format!("[{}]", others.join(",")));
    (
        calls,
        others.and_then(|list| RawValue::from_string(list).ok()),
    )
}

/// The fields that hold the content of files. What a call is does not depend on them, and they may
/// be large.
const BODIES: [&str; 5] = ["content", "old_string", "new_string", "edits", "new_source"];

/// Returns a tool's input without the content of files.
pub(super) fn input_without_bodies(input: Option<&RawValue>) -> Value {
    let Some(input) = input else {
        return Value::Null;
    };
    let Ok(fields) = Fields::of(input.get()) else {
        return serde_json::from_str(input.get()).unwrap_or_default();
    };
    let kept = fields
        .0
        .into_iter()
        .filter(|(name, _)| !BODIES.contains(&&**name));
    let parsed = kept.filter_map(|(name, value)| {
        Some((name.into_owned(), serde_json::from_str(value.get()).ok()?))
    });
    Value::Object(parsed.collect())
}

/// What Claude Code writes about a sub-agent beside its transcript.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct AgentNote {
    pub description: Option<String>,
    pub tool_use_id: Option<String>,
    pub spawn_depth: Option<u64>,
}

impl AgentNote {
    /// Reads a note, each field independently of the others.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let text = text(bytes);
        let fields = Fields::of(&text).unwrap_or_default();
        Self {
            description: fields.text("description"),
            tool_use_id: fields.id("toolUseId"),
            spawn_depth: fields.get("spawnDepth"),
        }
    }
}

/// Returns the first `most` characters of a text.
pub(super) fn shortened(mut text: String, most: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(most) {
        text.truncate(end);
        text.push('…');
    }
    text
}
