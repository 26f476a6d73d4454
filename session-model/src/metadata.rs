//! `metadata.json`: who, when, status, metrics.
//!
//! The document is kept as JSON, so that fields of other writers survive; the accessors know the fields that
//! the service itself reads and writes. Keys that begin with `$` are the service's own.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::code::{Code, Refusal};
use crate::event::Birth;
use crate::id::{SessionId, UserId};
use crate::timestamp::Timestamp;
use crate::{json as model, merge};

/// The `$schema` of `metadata.json`.
pub const SCHEMA: &str = "session-metadata-v1";
const DEFAULT_MODEL: &str = "claude-sonnet-4.5";
const IDENTITY: [&str; 3] = ["sessionId", "userId", "created"];

/// The counters that actions move.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum Metric {
    /// Agents spawned, by `spawnAgent` or an action `task_spawn`.
    AgentsSpawned,
    /// Tool calls, and every action of another type.
    #[default]
    ToolCalls,
    /// Calls of MCP tools.
    McpCalls,
    /// Files written or edited.
    FilesModified,
    /// Shell commands.
    BashCommands,
}

impl Metric {
    /// Every counter, in the order of the document.
    pub const ALL: [Metric; 5] = [
        Metric::AgentsSpawned,
        Metric::ToolCalls,
        Metric::McpCalls,
        Metric::FilesModified,
        Metric::BashCommands,
    ];

    /// Which counter an action of this type moves.
    pub fn of_action(kind: &str) -> Self {
        match kind {
            "task_spawn" => Metric::AgentsSpawned,
            "mcp_call" => Metric::McpCalls,
            "file_write" | "file_edit" => Metric::FilesModified,
            "bash_exec" => Metric::BashCommands,
            _ => Metric::ToolCalls,
        }
    }

    /// The field of `metrics`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Metric::AgentsSpawned => "agentsSpawned",
            Metric::ToolCalls => "toolCalls",
            Metric::McpCalls => "mcpCalls",
            Metric::FilesModified => "filesModified",
            Metric::BashCommands => "bashCommands",
        }
    }
}

/// A session's metadata.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Metadata(#[serde(deserialize_with = "crate::json::exact_object")] Map<String, Value>);

impl Metadata {
    /// The metadata of a session at its birth.
    pub fn at_birth(id: &SessionId, user: &UserId, birth: &Birth, at: Timestamp) -> Self {
        let at = at.to_string();
        let metrics: Map<String, Value> =
            Metric::ALL.iter().map(|m| (m.as_str().to_owned(), 0.into())).collect();
        let doc = json!({
            "$schema": SCHEMA, "sessionId": id.as_str(), "userId": user.as_str(),
            "sandboxId": null, "created": at, "updated": at, "status": "active", "model": DEFAULT_MODEL, "yoloMode": false,
            "tokenUsage": {"input": 0, "output": 0, "total": 0}, "metrics": metrics, "tags": [],
            "parentSession": birth.parent, "subsessions": [], "duration": null,
        });
        let mut metadata = Self(into_map(doc));
        if let Some(sandbox) = birth.initial.get("sandboxId") {
            metadata.0.insert("sandboxId".into(), sandbox.clone());
        }
        metadata.read_config(birth);
        metadata
    }

    /// What a stored document says; anything but an object is none.
    pub fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Object(doc) => Some(Self(doc)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => None,
        }
    }

    fn read_config(&mut self, birth: &Birth) {
        let config = birth.initial.get("config").and_then(Value::as_object);
        if let Some(model) = config.and_then(|c| c.get("model")).filter(|m| m.is_string()) {
            self.0.insert("model".into(), model.clone());
        }
        if let Some(yolo) = config.and_then(|c| c.get("dangerouslySkipPermissions")).and_then(Value::as_bool)
        {
            self.0.insert("yoloMode".into(), yolo.into());
        }
    }

    /// A session that a first write had created is claimed by its user.
    pub fn claim(&mut self, user: &UserId, birth: &Birth) {
        self.0.insert("userId".into(), user.as_str().into());
        if let Some(parent) = &birth.parent {
            self.0.insert("parentSession".into(), parent.as_str().into());
        }
        self.read_config(birth);
    }

    /// The document.
    pub fn doc(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The document, to be completed by its keeper.
    pub fn doc_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.0
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(Value::as_str)
    }

    /// Who it belongs to.
    pub fn user(&self) -> UserId {
        self.text("userId").map_or_else(UserId::unknown, UserId::stored)
    }

    /// When it was created.
    pub fn created(&self) -> Timestamp {
        self.text("created").and_then(Timestamp::parse).unwrap_or_default()
    }

    /// When anything last happened to it.
    pub fn updated(&self) -> Timestamp {
        self.text("updated").and_then(Timestamp::parse).unwrap_or_else(|| self.created())
    }

    /// Whether its status is not `active` any more.
    pub fn is_completed(&self) -> bool {
        self.text("status").is_some_and(|s| s == "completed")
    }

    /// Its status.
    pub fn status(&self) -> &str {
        self.text("status").unwrap_or("active")
    }

    /// The session it is a child of.
    pub fn parent(&self) -> Option<&str> {
        self.text("parentSession")
    }

    /// The texts of a list, such as `tags` or `subsessions`.
    pub fn texts(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }

    /// Adds one to a counter.
    pub fn bump(&mut self, metric: Metric) {
        match early(&mut self.0, "metrics") {
            Some(Value::Object(metrics)) => match early(metrics, metric.as_str()) {
                Some(slot) => *slot = (slot.as_u64().unwrap_or(0) + 1).into(),
                None => drop(metrics.insert(metric.as_str().to_owned(), 1.into())),
            },
            Some(_) => {}
            None => drop(self.0.insert("metrics".to_owned(), json!({ metric.as_str(): 1 }))),
        }
    }

    /// Counts tags in the place of secrets; a session without any bears no such counter.
    pub fn count_redactions(&mut self, tags: u64) {
        if tags == 0 {
            return;
        }
        let Some(Value::Object(metrics)) = self.0.get_mut("metrics") else { return };
        let known = metrics.get("redactions").and_then(Value::as_u64).unwrap_or(0);
        metrics.insert("redactions".to_owned(), known.saturating_add(tags).into());
    }

    /// Notes when something happened.
    pub fn touch(&mut self, at: Timestamp) {
        at.with_text(|at| match early(&mut self.0, "updated") {
            Some(Value::String(text)) => {
                text.clear();
                text.push_str(at);
            }
            _ => drop(self.0.insert("updated".into(), at.into())),
        });
    }

    /// Adds a child session, once.
    pub fn add_subsession(&mut self, child: &str) {
        if self.texts("subsessions").any(|c| c == child) {
            return;
        }
        match self.0.get_mut("subsessions") {
            Some(Value::Array(children)) => children.push(child.into()),
            _ => {
                self.0.insert("subsessions".into(), json!([child]));
            }
        }
    }

    /// Closes the session.
    pub fn complete(&mut self, at: Timestamp) {
        let duration = at.as_millis() - self.created().as_millis();
        self.0.insert("status".into(), "completed".into());
        self.0.insert("duration".into(), duration.max(0).into());
    }

    /// Opens the session again.
    pub fn reopen(&mut self) {
        self.0.insert("status".into(), "active".into());
        self.0.insert("duration".into(), Value::Null);
    }

    /// Applies a patch of dotted keys; `"+N"` on a number adds to it. Nothing is changed if any key is refused.
    pub fn patch(&mut self, patch: &Map<String, Value>) -> Result<(), Refusal> {
        *self = self.patched(patch)?;
        Ok(())
    }

    /// The metadata after a patch.
    pub fn patched(&self, patch: &Map<String, Value>) -> Result<Self, Refusal> {
        let mut doc = self.0.clone();
        for (path, value) in patch {
            let top = path.split('.').next().unwrap_or(path);
            if IDENTITY.contains(&top) || top.starts_with('$') {
                return Err(Refusal::new(
                    Code::ImmutableField,
                    format!("metadata field `{top}` cannot be changed"),
                ));
            }
            let value = increment(merge::get_dotted(&doc, path), value);
            merge::set_dotted(&mut doc, path, value).map_err(|head| {
                Refusal::new(
                    Code::InvalidState,
                    format!("metadata field `{head}` of `{path}` is not an object"),
                )
            })?;
        }
        check_known_fields(&doc)?;
        Ok(Self(doc))
    }
}

/// Refuses a new patch of dotted keys that would nest the metadata deeper than a body may be. One that is stored
/// already is not asked.
pub fn check_depth(patch: &Map<String, Value>) -> Result<(), Refusal> {
    for (path, value) in patch {
        if path.split('.').count() + model::depth_of(value) > model::MAX_DEPTH {
            let shown: String = path.chars().take(SHOWN).collect();
            return Err(Refusal::new(
                Code::InvalidRequest,
                format!("metadata field `{shown}` would be nested deeper than {} levels", model::MAX_DEPTH),
            ));
        }
    }
    Ok(())
}

/// How much of a key that is refused for its length is said.
const SHOWN: usize = 64;

/// How many fields are looked through in their order before a key is hashed: those that every record changes stand
/// among the first.
const EARLY: usize = 16;

/// A field that mostly stands early, which is then found without hashing its name.
fn early<'m>(map: &'m mut Map<String, Value>, key: &str) -> Option<&'m mut Value> {
    match map.keys().take(EARLY).position(|known| known == key) {
        Some(place) => map.iter_mut().nth(place).map(|(_, value)| value),
        None => map.get_mut(key),
    }
}

fn into_map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

/// `"+N"` on a number, or on nothing, is a sum; everything else is the value itself.
fn increment(old: Option<&Value>, new: &Value) -> Value {
    let Some(amount) = new.as_str().and_then(|t| t.strip_prefix('+')) else { return new.clone() };
    let zero = Value::from(0);
    let old = old.unwrap_or(&zero);
    if let (Some(old), Ok(amount)) = (old.as_i64(), amount.parse::<i64>()) {
        return old.saturating_add(amount).into();
    }
    match (old.as_f64(), amount.parse::<f64>()) {
        (Some(old), Ok(amount)) if (old + amount).is_finite() => (old + amount).into(),
        (Some(_) | None, Ok(_) | Err(_)) => new.clone(),
    }
}

fn check_known_fields(doc: &Map<String, Value>) -> Result<(), Refusal> {
    let is_texts = |v: &Value| v.as_array().is_some_and(|a| a.iter().all(Value::is_string));
    let wrong = |field: &str, kind: &str| {
        Err(Refusal::new(Code::InvalidState, format!("metadata field `{field}` must be {kind}")))
    };
    for field in ["tags", "subsessions"] {
        if doc.get(field).is_some_and(|v| !is_texts(v)) {
            return wrong(field, "an array of strings");
        }
    }
    for field in ["tokenUsage", "metrics"] {
        if doc.get(field).is_some_and(|v| !v.is_object()) {
            return wrong(field, "an object");
        }
    }
    match doc.get("status").map(Value::as_str) {
        Some(Some("active" | "completed")) | None => Ok(()),
        Some(_) => wrong("status", "`active` or `completed`"),
    }
}

#[cfg(test)]
mod tests;
