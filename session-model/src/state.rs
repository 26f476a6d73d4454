//! `state.json`: phase, goals, agents, workspace; what an agent wanted and was doing next.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::code::{Code, Refusal};
use crate::timestamp::Timestamp;

/// The `$schema` of `state.json`.
pub const SCHEMA: &str = "session-state-v1";
/// Keys of a patch that the service alone sets.
pub const OWN_KEYS: [&str; 3] = ["version", "timestamp", "$schema"];

/// A patch without the keys that the service alone sets.
pub(crate) fn without_own_keys(mut patch: Map<String, Value>) -> Map<String, Value> {
    patch.retain(|key, _| !OWN_KEYS.contains(&key.as_str()));
    patch
}

/// A session's state.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct State(#[serde(deserialize_with = "crate::json::exact_object")] Map<String, Value>);

impl State {
    /// The state of a session at its birth, version 1.
    pub fn at_birth(at: Timestamp) -> Self {
        let doc = json!({
            "$schema": SCHEMA, "version": 1, "timestamp": at.to_string(),
            "phase": "initialization", "currentStep": null,
            "goals": [], "priorities": {"current": null, "queue": [], "blocked": []}, "expectedOutcome": null,
            "agents": {"spawned": [], "active": [], "completed": []},
            "mcp": {"swarm": null, "memory": {"keys": []}},
            "workspace": {"cwd": "/workspace", "filesCreated": [], "filesModified": [], "gitStatus": null},
            "errors": [],
        });
        Self::from_value(doc).expect("the literal above is an object")
    }

    /// What a stored document says; anything but an object is none.
    pub fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Object(doc) => Some(Self(doc)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => None,
        }
    }

    /// The document.
    pub fn doc(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The document, to be changed by [`crate::view`] alone.
    pub(crate) fn doc_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.0
    }

    /// How many changes it has seen, plus one.
    pub fn version(&self) -> u64 {
        self.0.get("version").and_then(Value::as_u64).unwrap_or(1)
    }

    /// Notes an accepted change.
    pub(crate) fn advance(&mut self, at: Timestamp) {
        let version = self.version() + 1;
        self.0.insert("version".into(), version.into());
        self.0.insert("timestamp".into(), at.to_string().into());
    }

    fn list(&self, outer: Option<&str>, key: &str) -> &[Value] {
        let holder = match outer {
            None => Some(&self.0),
            Some(outer) => self.0.get(outer).and_then(Value::as_object),
        };
        holder.and_then(|h| h.get(key)).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// The goals.
    pub fn goals(&self) -> &[Value] {
        self.list(None, "goals")
    }

    /// The agents ever spawned.
    pub fn agents(&self) -> &[Value] {
        self.list(Some("agents"), "spawned")
    }

    /// A goal by its id.
    pub fn goal(&self, id: &str) -> Option<&Value> {
        self.goals().iter().find(|goal| is_named(goal, "id", id))
    }

    /// An agent by its id.
    pub fn agent(&self, id: &str) -> Option<&Value> {
        self.agents().iter().find(|agent| is_named(agent, "agentId", id))
    }

    pub(crate) fn push_goal(&mut self, goal: Value) {
        array_at(&mut self.0, "goals").push(goal);
    }

    pub(crate) fn goal_mut(&mut self, id: &str) -> Option<&mut Map<String, Value>> {
        find_mut(array_at(&mut self.0, "goals"), "id", id)
    }

    pub(crate) fn agents_doc_mut(&mut self) -> &mut Map<String, Value> {
        object_at(&mut self.0, "agents")
    }

    /// The goals that are reached.
    pub fn goals_completed(&self) -> Vec<Value> {
        self.goals().iter().filter(|g| g["status"] == "completed").cloned().collect()
    }

    /// Refuses a successor in which a known field got another type; what was odd before may stay so.
    pub fn check_successor(&self, next: &Map<String, Value>) -> Result<(), Refusal> {
        KNOWN_FIELDS.iter().try_for_each(|known| known.check(self.0.get(known.name), next.get(known.name)))
    }

    /// The same for the successor by one of the two merges, of which only the known fields that the patch touches
    /// are made: a merge treats each key of the document by itself.
    pub(crate) fn check_merge(&self, patch: &Map<String, Value>, merge: Merge) -> Result<(), Refusal> {
        for known in KNOWN_FIELDS {
            let (old, Some(new)) = (self.0.get(known.name), patch.get(known.name)) else { continue };
            let both_objects = old.is_some_and(Value::is_object) && new.is_object();
            if both_objects && known.any_object {
                continue;
            }
            let mut field = Map::new();
            if let Some(old) = old.filter(|_| both_objects) {
                field.insert(known.name.to_owned(), old.clone());
            }
            merge(&mut field, &Map::from_iter([(known.name.to_owned(), new.clone())]));
            known.check(old, field.get(known.name))?;
        }
        Ok(())
    }
}

/// One of the merges of [`crate::merge`].
pub(crate) type Merge = fn(&mut Map<String, Value>, &Map<String, Value>);

/// A field of the state that has to be of a kind.
struct Known {
    name: &'static str,
    fits: fn(&Value) -> bool,
    kind: &'static str,
    /// Whether every object fits, whatever is in it.
    any_object: bool,
}

impl Known {
    const fn new(name: &'static str, fits: fn(&Value) -> bool, kind: &'static str) -> Self {
        Self { name, fits, kind, any_object: false }
    }

    const fn object(name: &'static str) -> Self {
        Self { name, fits: Value::is_object, kind: "an object", any_object: true }
    }

    fn check(&self, old: Option<&Value>, new: Option<&Value>) -> Result<(), Refusal> {
        if new == old || new.is_some_and(self.fits) {
            return Ok(());
        }
        let message = format!("state field `{}` must be {}", self.name, self.kind);
        Err(Refusal::new(Code::InvalidState, message))
    }
}

const AGENTS: &str = "an object with `spawned` (objects with `agentId`), `active` and `completed`";

const KNOWN_FIELDS: &[Known] = &[
    Known::new("phase", Value::is_string, "a string"),
    Known::new("goals", |v| all_have_text(v, "id"), "an array of objects, each with a string `id`"),
    Known::object("priorities"),
    Known::new("agents", are_agents, AGENTS),
    Known::object("mcp"),
    Known::object("workspace"),
    Known::new("errors", Value::is_array, "an array"),
];

fn all_have_text(value: &Value, key: &str) -> bool {
    value.as_array().is_some_and(|items| items.iter().all(|i| i.get(key).is_some_and(Value::is_string)))
}

fn are_agents(value: &Value) -> bool {
    let texts =
        |key: &str| value.get(key).and_then(Value::as_array).is_some_and(|a| a.iter().all(Value::is_string));
    value.get("spawned").is_some_and(|s| all_have_text(s, "agentId")) && texts("active") && texts("completed")
}

/// The object under a key, made if something else stands there.
pub(crate) fn object_at<'m>(doc: &'m mut Map<String, Value>, key: &str) -> &'m mut Map<String, Value> {
    let slot = doc.entry(key).or_insert(Value::Null);
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    slot.as_object_mut().expect("was made an object above")
}

/// The array under a key, made if something else stands there.
pub(crate) fn array_at<'m>(doc: &'m mut Map<String, Value>, key: &str) -> &'m mut Vec<Value> {
    let slot = doc.entry(key).or_insert(Value::Null);
    if !slot.is_array() {
        *slot = Value::Array(Vec::new());
    }
    slot.as_array_mut().expect("was made an array above")
}

/// Whether `key` of an object is `id`. It mostly stands first, where it is found without hashing its name.
pub(crate) fn is_named(item: &Value, key: &str, id: &str) -> bool {
    let Value::Object(fields) = item else { return false };
    match fields.iter().next() {
        Some((first, value)) if first == key => value == id,
        _ => fields.get(key).is_some_and(|value| value == id),
    }
}

/// The object of a list whose `key` is `id`.
pub(crate) fn find_mut<'v>(
    items: &'v mut [Value],
    key: &str,
    id: &str,
) -> Option<&'v mut Map<String, Value>> {
    items.iter_mut().find(|item| is_named(item, key, id)).and_then(Value::as_object_mut)
}
