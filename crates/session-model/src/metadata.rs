//! `metadata.json`: owner, times, status and metrics of a session.
//!
//! The document is kept as JSON, so that fields written by others are preserved. The accessors
//! cover the fields that the service itself reads and writes. Keys that begin with `$` are reserved
//! for the service.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Number, Value, json};

use crate::code::{Code, Refusal};
use crate::event::Creation;
use crate::id::{SessionId, UserId};
use crate::metric::Metric;
use crate::names::Names;
use crate::number::{self, MAX_DIGITS, MAX_TEXT, NoSum};
use crate::timestamp::{RECEIVED_AT, Timestamp};
use crate::usage::RunningSums;
use crate::{json as model, merge};

/// The `$schema` of `metadata.json`.
pub const SCHEMA: &str = "session-metadata-v1";
const IDENTITY: [&str; 4] = ["sessionId", "userId", "created", ORIGINAL_ID];
/// Field that holds a legacy session's original name, if that name is not a valid session id.
pub const ORIGINAL_ID: &str = "originalId";

/// A session's metadata.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Metadata {
    doc: Map<String, Value>,
    #[serde(skip)]
    children: Names,
}

impl PartialEq for Metadata {
    fn eq(&self, other: &Self) -> bool {
        self.doc == other.doc
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        model::exact_object(deserializer).map(Self::of)
    }
}

impl Metadata {
    fn of(doc: Map<String, Value>) -> Self {
        Self {
            doc,
            children: Names::of(None),
        }
    }

    /// Creates the metadata of a new session whose creation the service received at `received`.
    pub fn at_creation(
        id: &SessionId,
        user: &UserId,
        creation: &Creation,
        received: Timestamp,
    ) -> Self {
        let created = creation.began.unwrap_or(received).to_string();
        let received = received.to_string();
        let metrics: Map<String, Value> = Metric::ALL
            .iter()
            .map(|m| (m.as_str().to_owned(), 0.into()))
            .collect();
        let doc = json!({
            "$schema": SCHEMA, "sessionId": id.as_str(), "userId": user.as_str(),
            "sandboxId": null, "created": created, "updated": received, "status": "active", "model": null, "yoloMode": false,
            "tokenUsage": {"input": 0, "output": 0, "total": 0}, "metrics": metrics, "tags": [],
            "parentSession": creation.parent, "subsessions": [], "duration": null, "outcome": null, "errorCount": 0,
        });
        let mut metadata = Self::of(into_map(doc));
        if creation.began.is_some() {
            metadata.doc.insert(RECEIVED_AT.into(), received.into());
        }
        if let Some(sandbox) = creation.initial.get("sandboxId") {
            metadata.doc.insert("sandboxId".into(), sandbox.clone());
        }
        metadata.read_config(creation);
        metadata
    }

    /// Wraps a stored document; `None` if the value is not an object.
    pub fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Object(doc) => Some(Self::of(doc)),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => None,
        }
    }

    fn read_config(&mut self, creation: &Creation) {
        let config = creation.initial.get("config").and_then(Value::as_object);
        if let Some(model) = config
            .and_then(|c| c.get("model"))
            .filter(|m| m.is_string())
        {
            self.doc.insert("model".into(), model.clone());
        }
        if let Some(yolo) = config
            .and_then(|c| c.get("dangerouslySkipPermissions"))
            .and_then(Value::as_bool)
        {
            self.doc.insert("yoloMode".into(), yolo.into());
        }
    }

    /// Assigns a session that a first write created to the user who now creates it.
    pub fn claim(&mut self, user: &UserId, creation: &Creation) {
        self.doc.insert("userId".into(), user.as_str().into());
        if let Some(parent) = &creation.parent {
            self.doc
                .insert("parentSession".into(), parent.as_str().into());
        }
        // The session began at the earlier of the two times.
        if let Some(began) = creation.began.filter(|began| *began < self.created()) {
            let received = self.doc.insert("created".into(), began.to_string().into());
            self.doc
                .entry(RECEIVED_AT)
                .or_insert(received.unwrap_or_default());
        }
        self.read_config(creation);
    }

    /// The JSON document.
    pub fn doc(&self) -> &Map<String, Value> {
        &self.doc
    }

    /// Mutable access to the JSON document, for the code that completes it.
    pub fn doc_mut(&mut self) -> &mut Map<String, Value> {
        self.children.forget();
        &mut self.doc
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.doc.get(key).and_then(Value::as_str)
    }

    /// The user that the session belongs to.
    pub fn user(&self) -> UserId {
        self.text("userId")
            .map_or_else(UserId::unknown, UserId::stored)
    }

    /// When the session was created.
    pub fn created(&self) -> Timestamp {
        self.text("created")
            .and_then(Timestamp::parse)
            .unwrap_or_default()
    }

    /// When the service first received anything for this session.
    pub fn received(&self) -> Timestamp {
        self.text(RECEIVED_AT)
            .and_then(Timestamp::parse)
            .unwrap_or_else(|| self.created())
    }

    /// When the session was last changed.
    pub fn updated(&self) -> Timestamp {
        self.text("updated")
            .and_then(Timestamp::parse)
            .unwrap_or_else(|| self.created())
    }

    /// Whether the session is completed.
    pub fn is_completed(&self) -> bool {
        self.text("status").is_some_and(|s| s == "completed")
    }

    /// The session's status; `active` if none is set.
    pub fn status(&self) -> &str {
        self.text("status").unwrap_or("active")
    }

    /// The name the legacy service used for this session, if that is not a valid session id.
    pub fn original_id(&self) -> Option<&str> {
        self.text(ORIGINAL_ID)
    }

    /// Gives the metadata of a legacy session its new id. References to other sessions are
    /// converted too, because those sessions get new ids as well.
    pub fn adopt(&mut self, id: &SessionId, original: &str) {
        self.children.forget();
        self.doc.insert("sessionId".into(), id.as_str().into());
        self.doc.insert(ORIGINAL_ID.into(), original.into());
        for field in ["parentSession", "subsessions"] {
            let named = match self.doc.get_mut(field) {
                Some(Value::Array(children)) => &mut children[..],
                Some(parent) => std::slice::from_mut(parent),
                None => continue,
            };
            for name in named {
                if let Value::String(text) = name
                    && !text.is_empty()
                {
                    *text = SessionId::adopt(text).into();
                }
            }
        }
    }

    /// The parent session.
    pub fn parent(&self) -> Option<&str> {
        self.text("parentSession")
    }

    /// The strings in a list field, such as `tags` or `subsessions`.
    pub fn texts(&self, key: &str) -> impl Iterator<Item = &str> {
        self.doc
            .get(key)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
    }

    /// Increments a counter by one.
    pub fn bump(&mut self, metric: Metric) {
        match early(&mut self.doc, "metrics") {
            Some(Value::Object(metrics)) => match early(metrics, metric.as_str()) {
                Some(slot) => count(slot, 1),
                None => drop(metrics.insert(metric.as_str().to_owned(), 1.into())),
            },
            Some(_) => {}
            None => drop(
                self.doc
                    .insert("metrics".to_owned(), json!({ metric.as_str(): 1 })),
            ),
        }
    }

    /// Adds to the count of redaction placeholders. A session without placeholders has no such
    /// counter.
    pub fn count_redactions(&mut self, tags: u64) {
        if tags == 0 {
            return;
        }
        let Some(Value::Object(metrics)) = self.doc.get_mut("metrics") else {
            return;
        };
        count(metrics.entry("redactions").or_insert(Value::Null), tags);
    }

    /// Sets `tokenUsage` to the sums of the session's `usage` records. Other fields in it stay.
    pub fn set_usage(&mut self, sums: &RunningSums) {
        let slot = self.doc.entry("tokenUsage").or_insert(Value::Null);
        if !slot.is_object() {
            *slot = Value::Object(Map::new());
        }
        if let Value::Object(usage) = slot {
            sums.write(usage);
        }
    }

    /// Counts a record that reports an error. Metadata written by an earlier version has no error
    /// counter and gets none, because its first errors were not counted.
    pub fn count_error(&mut self) {
        if let Some(errors) = self.doc.get_mut("errorCount") {
            count(errors, 1);
        }
    }

    /// Sets the time of the last change.
    pub fn touch(&mut self, at: Timestamp) {
        at.with_text(|at| match early(&mut self.doc, "updated") {
            Some(Value::String(text)) => {
                text.clear();
                text.push_str(at);
            }
            _ => drop(self.doc.insert("updated".into(), at.into())),
        });
    }

    /// Adds a child session unless it is already listed.
    pub fn add_subsession(&mut self, child: &str) {
        if let Some(Value::Array(known)) = self.doc.get_mut("subsessions") {
            if self.children.place(known, child).is_none() {
                let child = child.into();
                self.children.add(&child, known.len());
                known.push(child);
            }
            return;
        }
        self.children.forget();
        self.doc.insert("subsessions".into(), json!([child]));
    }

    /// How the session ended: `success`, `error`, `interrupted`, `cancelled` or another word.
    /// `None` while it is active.
    pub fn outcome(&self) -> Option<&str> {
        self.text("outcome")
    }

    /// Copies the outcome from the final document, the only place where earlier versions stored it.
    pub fn adopt_outcome(&mut self, final_doc: Option<&Value>) {
        if self.lacks_outcome() {
            let status = final_doc.and_then(|doc| doc.get("status")).cloned();
            self.doc
                .insert("outcome".into(), status.unwrap_or(Value::Null));
        }
    }

    /// Whether the session is completed but has no outcome, as written by an earlier version.
    pub fn lacks_outcome(&self) -> bool {
        self.is_completed() && !self.doc.contains_key("outcome")
    }

    /// Marks the session as completed. `outcome` is the status given by the finalize request.
    pub fn complete(&mut self, at: Timestamp, outcome: Value) {
        let duration = at.as_millis() - self.created().as_millis();
        self.doc.insert("status".into(), "completed".into());
        self.doc.insert("duration".into(), duration.max(0).into());
        self.doc.insert("outcome".into(), outcome);
    }

    /// Marks the session as active again.
    pub fn reopen(&mut self) {
        self.doc.insert("status".into(), "active".into());
        self.doc.insert("duration".into(), Value::Null);
        self.doc.insert("outcome".into(), Value::Null);
    }

    /// Applies a stored patch of dotted keys; `"+N"` on a numeric field adds to it. If any key is
    /// refused, nothing changes. A stored patch may fail [`Metadata::check`], because an earlier
    /// version accepted it.
    pub fn patch(&mut self, patch: &Map<String, Value>) -> Result<(), Refusal> {
        set_all(&mut outline(&self.doc, patch), patch, Patch::Stored)?;
        if patch.keys().any(|path| top_of(path) == "subsessions") {
            self.children.forget();
        }
        set_all(&mut self.doc, patch, Patch::Stored)
    }

    /// Refuses a new patch that cannot be applied. Examines only the fields that the patch touches.
    pub fn check(&self, patch: &Map<String, Value>) -> Result<(), Refusal> {
        set_all(&mut outline(&self.doc, patch), patch, Patch::New)
    }
}

/// Whether a patch is new from a client, or was accepted earlier and is read from a log.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patch {
    New,
    Stored,
}

fn top_of(path: &str) -> &str {
    path.split('.').next().unwrap_or(path)
}

/// The parts of a document that a patch can touch: the objects along its paths and the values at
/// their ends, without their contents.
fn outline(doc: &Map<String, Value>, patch: &Map<String, Value>) -> Map<String, Value> {
    fn trace(doc: &Map<String, Value>, path: &str, outline: &mut Map<String, Value>) {
        let (head, rest) = path
            .split_once('.')
            .map_or((path, None), |(head, rest)| (head, Some(rest)));
        let Some(found) = doc.get(head) else { return };
        let shape = match found {
            Value::Object(_) => Value::Object(Map::new()),
            Value::Array(_) => Value::Array(Vec::new()),
            // The content of a longer string does not matter.
            Value::String(text) if text.len() > MAX_TEXT => Value::String(String::new()),
            Value::Number(number) if number.as_str().len() > MAX_TEXT => number::too_long().into(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => found.clone(),
        };
        let slot = outline.entry(head).or_insert(shape);
        if let (Value::Object(inner), Some(rest), Value::Object(slot)) = (found, rest, slot) {
            trace(inner, rest, slot);
        }
    }
    let mut outline = Map::new();
    patch.keys().for_each(|path| trace(doc, path, &mut outline));
    outline
}

fn set_all(
    doc: &mut Map<String, Value>,
    patch: &Map<String, Value>,
    kind: Patch,
) -> Result<(), Refusal> {
    for (path, value) in patch {
        let top = top_of(path);
        if IDENTITY.contains(&top) || top.starts_with('$') {
            return Err(Refusal::new(
                Code::ImmutableField,
                format!("metadata field `{top}` cannot be changed"),
            ));
        }
        let value = new_value(path, merge::get_dotted(doc, path), value, kind)?;
        merge::set_dotted(doc, path, value).map_err(|head| {
            Refusal::new(
                Code::InvalidState,
                format!("metadata field `{head}` of `{path}` is not an object"),
            )
        })?;
    }
    check_known_fields(doc, patch)
}

/// Fields that the service knows to be numeric.
const NUMBERS: [&str; 10] = [
    "duration",
    "tokenUsage.input",
    "tokenUsage.output",
    "tokenUsage.total",
    "metrics.agentsSpawned",
    "metrics.toolCalls",
    "metrics.mcpCalls",
    "metrics.filesModified",
    "metrics.bashCommands",
    "metrics.redactions",
];

/// Whether digits sent as a string count as a number in this field.
fn is_numeric(path: &str) -> bool {
    NUMBERS.contains(&path) || path.starts_with("tokenUsage.") || path.starts_with("metrics.")
}

/// The value that a patch gives a field. On a number, `"+N"` adds; in a numeric field, a string of
/// digits becomes a number.
fn new_value(
    path: &str,
    old: Option<&Value>,
    given: &Value,
    kind: Patch,
) -> Result<Value, Refusal> {
    let value = match given {
        Value::String(text) => match (text.strip_prefix('+'), base(path, old)) {
            (Some(amount), Some(base)) => match number::add(&base, amount) {
                Ok(sum) => Value::Number(sum),
                Err(NoSum::NoNumber) => given.clone(),
                Err(NoSum::TooLong) if kind == Patch::Stored => Value::Number(base),
                Err(NoSum::TooLong) => {
                    let message = format!(
                        "metadata field `{path}`: the sum would have more than {MAX_DIGITS} digits; set it instead"
                    );
                    return Err(Refusal::new(Code::InvalidRequest, message));
                }
            },
            _ => read_digits(path, given),
        },
        Value::Object(_) if is_numeric(&format!("{path}.")) => read_digits(path, given),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            given.clone()
        }
    };
    if kind == Patch::New {
        check_numbers(path, &value).map(|()| value)
    } else {
        Ok(value)
    }
}

/// The number to which `"+N"` adds in this field.
fn base(path: &str, old: Option<&Value>) -> Option<Number> {
    match old {
        Some(Value::Number(number)) => Some(number.clone()),
        Some(Value::String(text)) if is_numeric(path) => number::of_text(text),
        Some(Value::Null) | None => is_numeric(path).then(|| 0.into()),
        Some(Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_)) => None,
    }
}

/// Copies a value, converting strings of digits in numeric fields to numbers.
fn read_digits(path: &str, value: &Value) -> Value {
    match value {
        Value::String(text) if is_numeric(path) => {
            number::of_text(text).map_or_else(|| value.clone(), Value::Number)
        }
        Value::Object(fields) => {
            let read = |(key, value): (&String, &Value)| {
                (key.clone(), read_digits(&format!("{path}.{key}"), value))
            };
            Value::Object(fields.iter().map(read).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            value.clone()
        }
    }
}

/// Refuses a value other than a number or null in a field that the service knows to be numeric.
fn check_numbers(path: &str, value: &Value) -> Result<(), Refusal> {
    match value {
        Value::Null | Value::Number(_) => Ok(()),
        _ if NUMBERS.contains(&path) => {
            let message =
                format!("metadata field `{path}` must be a number, or \"+N\" to add to it");
            Err(Refusal::new(Code::InvalidState, message))
        }
        Value::Object(fields) if matches!(path, "tokenUsage" | "metrics") => fields
            .iter()
            .try_for_each(|(key, value)| check_numbers(&format!("{path}.{key}"), value)),
        Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => Ok(()),
    }
}

/// Refuses a new patch of dotted keys that would nest the metadata deeper than a body may be.
/// Stored patches are not checked.
pub fn check_depth(patch: &Map<String, Value>) -> Result<(), Refusal> {
    for (path, value) in patch {
        if path.split('.').count() + model::depth_of(value) > model::MAX_DEPTH {
            let shown: String = path.chars().take(SHOWN).collect();
            return Err(Refusal::new(
                Code::InvalidRequest,
                format!(
                    "metadata field `{shown}` would be nested deeper than {} levels",
                    model::MAX_DEPTH
                ),
            ));
        }
    }
    Ok(())
}

/// How many characters of a refused key the error message shows.
const SHOWN: usize = 64;

/// How many fields are compared in document order before the key is hashed. The fields that every
/// record changes are among the first.
const EARLY: usize = 16;

/// Finds a field that is usually among the first, and then without hashing its name.
fn early<'m>(map: &'m mut Map<String, Value>, key: &str) -> Option<&'m mut Value> {
    match map.keys().take(EARLY).position(|known| known == key) {
        Some(place) => map.iter_mut().nth(place).map(|(_, value)| value),
        None => map.get_mut(key),
    }
}

fn into_map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Map::new()
        }
    }
}

/// Adds to a counter. A counter whose sum would be too long keeps its value.
fn count(counter: &mut Value, more: u64) {
    let sum = match counter {
        Value::Number(known) => match known.as_u64().and_then(|known| known.checked_add(more)) {
            Some(sum) => Some(sum.into()),
            None => number::add(known, &more.to_string()).ok(),
        },
        Value::String(text) => match number::of_text(text) {
            Some(known) => number::add(&known, &more.to_string()).ok(),
            None => Some(more.into()),
        },
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => Some(more.into()),
    };
    if let Some(sum) = sum {
        *counter = Value::Number(sum);
    }
}

/// Refuses known fields of the wrong type among those that the patch touches. Fields that already
/// had a wrong type and are not touched may keep it.
fn check_known_fields(doc: &Map<String, Value>, patch: &Map<String, Value>) -> Result<(), Refusal> {
    let touched = |field: &&str| patch.keys().any(|path| top_of(path) == *field);
    let is_texts = |v: &Value| v.as_array().is_some_and(|a| a.iter().all(Value::is_string));
    let wrong = |field: &str, kind: &str| {
        Err(Refusal::new(
            Code::InvalidState,
            format!("metadata field `{field}` must be {kind}"),
        ))
    };
    for field in ["tags", "subsessions"]
        .into_iter()
        .filter(|field| touched(field))
    {
        if doc.get(field).is_some_and(|v| !is_texts(v)) {
            return wrong(field, "an array of strings");
        }
    }
    for field in ["tokenUsage", "metrics"]
        .into_iter()
        .filter(|field| touched(field))
    {
        if doc.get(field).is_some_and(|v| !v.is_object()) {
            return wrong(field, "an object");
        }
    }
    if !touched(&"status") {
        return Ok(());
    }
    match doc.get("status").map(Value::as_str) {
        Some(Some("active" | "completed")) | None => Ok(()),
        Some(_) => wrong("status", "`active` or `completed`"),
    }
}

#[cfg(test)]
mod tests;
