//! `state.json`: phase, goals, agents and workspace; what an agent wanted and was about to do.

use std::collections::HashSet;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

use crate::code::{Code, Refusal};
use crate::json as model;
use crate::merge::Merge;
use crate::names::Names;
use crate::timestamp::Timestamp;

/// The agent field that counts how often the agent was resumed.
pub(crate) const RESUMES: &str = "resumes";

/// The `$schema` of `state.json`.
pub const SCHEMA: &str = "session-state-v1";
/// Keys that only the service sets; they are ignored in a patch.
pub const OWN_KEYS: [&str; 3] = ["version", "timestamp", "$schema"];

/// Removes the keys that only the service sets from a patch.
pub(crate) fn without_own_keys(mut patch: Map<String, Value>) -> Map<String, Value> {
    patch.retain(|key, _| !OWN_KEYS.contains(&key.as_str()));
    patch
}

/// A session's state.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct State {
    doc: Map<String, Value>,
    #[serde(skip)]
    goal_names: Names,
    #[serde(skip)]
    agent_names: Names,
    /// Agents that have completed but are still in the `active` list: see [`State::settle`].
    #[serde(skip)]
    leaving: HashSet<String>,
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.doc == other.doc
    }
}

impl<'de> Deserialize<'de> for State {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        model::exact_object(deserializer).map(Self::of)
    }
}

/// The largest stored version that is accepted, so that incrementing it cannot overflow.
const MAX_VERSION: u64 = u64::MAX / 2;

impl State {
    fn of(doc: Map<String, Value>) -> Self {
        Self {
            doc,
            goal_names: Names::of(Some("id")),
            agent_names: Names::of(Some("agentId")),
            leaving: HashSet::new(),
        }
    }

    /// Creates the state of a new session, at version 1.
    pub fn at_creation(at: Timestamp) -> Self {
        let doc = json!({
            "$schema": SCHEMA, "version": 1, "timestamp": at.to_string(),
            "phase": "initialization", "currentStep": null,
            "goals": [], "priorities": {"current": null, "queue": [], "blocked": []}, "expectedOutcome": {},
            "agents": {"spawned": [], "active": [], "completed": []},
            "mcp": {"swarm": {}, "memory": {"keys": []}},
            "workspace": {"cwd": "/workspace", "filesCreated": [], "filesModified": [], "gitStatus": {}},
            "errors": [],
        });
        Self::from_value(doc).expect("the literal above is an object")
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

    /// The JSON document.
    pub fn doc(&self) -> &Map<String, Value> {
        &self.doc
    }

    /// Wraps a document that a change of any kind has produced.
    pub(crate) fn with_doc(doc: Map<String, Value>) -> Self {
        Self::of(doc)
    }

    /// The state's version: the number of changes applied, plus one.
    pub fn version(&self) -> u64 {
        self.doc
            .get("version")
            .and_then(Value::as_u64)
            .unwrap_or(1)
            .min(MAX_VERSION)
    }

    /// Sets version and timestamp for an accepted change.
    pub(crate) fn advance(&mut self, at: Timestamp) {
        let version = self.version() + 1;
        self.doc.insert("version".into(), version.into());
        self.doc.insert("timestamp".into(), at.to_string().into());
    }

    /// Merges a patch that [`State::check_merge`] has accepted.
    pub(crate) fn merge(&mut self, patch: &Map<String, Value>, merge: Merge) {
        if patch.contains_key("goals") {
            self.goal_names.forget();
        }
        if let Some(agents) = patch.get("agents") {
            self.settle();
            if agents
                .as_object()
                .is_none_or(|agents| agents.contains_key("spawned"))
            {
                self.agent_names.forget();
            }
        }
        merge.apply(&mut self.doc, patch);
    }

    /// Removes completed agents from the `active` list, all of them in one pass. Call it after the
    /// last of many changes, and before the document is read.
    pub(crate) fn settle(&mut self) {
        if self.leaving.is_empty() {
            return;
        }
        let leaving = std::mem::take(&mut self.leaving);
        array_at(object_at(&mut self.doc, "agents"), "active").retain(|active| {
            active
                .as_str()
                .is_none_or(|active| !leaving.contains(active))
        });
    }

    fn list(&self, outer: Option<&str>, key: &str) -> &[Value] {
        let holder = match outer {
            None => Some(&self.doc),
            Some(outer) => self.doc.get(outer).and_then(Value::as_object),
        };
        holder
            .and_then(|h| h.get(key))
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }

    /// The goals.
    pub fn goals(&self) -> &[Value] {
        self.list(None, "goals")
    }

    /// The agents ever spawned.
    pub fn agents(&self) -> &[Value] {
        self.list(Some("agents"), "spawned")
    }

    /// The ids of the agents that have not completed.
    pub(crate) fn agents_active(&self) -> Vec<Value> {
        let is_leaving = |id: &Value| id.as_str().is_some_and(|id| self.leaving.contains(id));
        self.list(Some("agents"), "active")
            .iter()
            .filter(|id| !is_leaving(id))
            .cloned()
            .collect()
    }

    /// Finds a goal by its id.
    pub fn goal(&self, id: &str) -> Option<&Value> {
        let goals = self.goals();
        self.goal_names.place(goals, id).map(|place| &goals[place])
    }

    /// Finds an agent by its id.
    pub fn agent(&self, id: &str) -> Option<&Value> {
        let agents = self.agents();
        self.agent_names
            .place(agents, id)
            .map(|place| &agents[place])
    }

    /// An id that no goal uses.
    pub(crate) fn free_goal_id(&self) -> String {
        self.goal_names
            .free(self.goals(), "goal-", 1, |number| number.to_string())
    }

    /// An id that no agent uses: `stem` and the digits of a number, counting up from `from`.
    pub(crate) fn free_agent_id(
        &self,
        stem: &str,
        from: u64,
        digits: impl Fn(u64) -> String,
    ) -> String {
        self.agent_names.free(self.agents(), stem, from, digits)
    }

    pub(crate) fn push_goal(&mut self, goal: Value) {
        let goals = array_at(&mut self.doc, "goals");
        self.goal_names.add(&goal, goals.len());
        goals.push(goal);
    }

    pub(crate) fn goal_mut(&mut self, id: &str) -> Option<&mut Map<String, Value>> {
        let goals = array_at(&mut self.doc, "goals");
        let place = self.goal_names.place(goals, id)?;
        goals[place].as_object_mut()
    }

    /// Adds an agent to the active ones, or replaces the entry of one that is resumed.
    pub(crate) fn push_agent(&mut self, agent: Map<String, Value>) {
        let id = agent.get("agentId").cloned().unwrap_or_default();
        if id.as_str().is_some_and(|id| self.leaving.contains(id)) {
            self.settle();
        }
        let agents = object_at(&mut self.doc, "agents");
        let spawned = array_at(agents, "spawned");
        let agent = Value::Object(agent);
        let known = id
            .as_str()
            .and_then(|id| self.agent_names.place(spawned, id));
        if let Some(place) = known {
            spawned[place] = agent;
            let completed = array_at(agents, "completed");
            if let Some(place) = completed.iter().rposition(|ended| *ended == id) {
                completed.remove(place);
            }
        } else {
            self.agent_names.add(&agent, spawned.len());
            spawned.push(agent);
        }
        array_at(agents, "active").push(id);
    }

    /// Moves an agent from active to completed. The next [`State::settle`] removes it from the
    /// `active` list.
    pub(crate) fn finish_agent(&mut self, id: &str) -> Option<&mut Map<String, Value>> {
        let agents = object_at(&mut self.doc, "agents");
        array_at(agents, "active");
        self.leaving.insert(id.to_owned());
        array_at(agents, "completed").push(id.into());
        let spawned = array_at(agents, "spawned");
        let place = self.agent_names.place(spawned, id)?;
        spawned[place].as_object_mut()
    }

    /// The completed goals.
    pub fn goals_completed(&self) -> Vec<Value> {
        self.goals()
            .iter()
            .filter(|g| g["status"] == "completed")
            .cloned()
            .collect()
    }

    /// Refuses a new document in which a known field changes to a wrong type. A field that already
    /// had a wrong type may stay unchanged.
    pub fn check_successor(&self, next: &Map<String, Value>) -> Result<(), Refusal> {
        KNOWN_FIELDS.iter().try_for_each(|known| {
            let old = at(&self.doc, known.path);
            let new = at(next, known.path);
            if new == old || new.is_some_and(known.fits) {
                Ok(())
            } else {
                Err(known.refusal())
            }
        })
    }

    /// Applies the check of [`State::check_successor`] to a merge, but examines only the fields
    /// that the patch touches: a large state is changed by many small patches.
    pub(crate) fn check_merge(
        &self,
        patch: &Map<String, Value>,
        merge: Merge,
    ) -> Result<(), Refusal> {
        let fits = |known: &&Known| {
            let touched = at(patch, known.path);
            touched.is_none_or(|patch| known.takes(at(&self.doc, known.path), patch, merge))
        };
        match KNOWN_FIELDS.iter().find(|known| !fits(known)) {
            None => Ok(()),
            Some(known) => Err(known.refusal()),
        }
    }
}

/// A state field that must have a certain type.
struct Known {
    path: &'static [&'static str],
    fits: fn(&Value) -> bool,
    kind: &'static str,
}

impl Known {
    const fn new(
        path: &'static [&'static str],
        fits: fn(&Value) -> bool,
        kind: &'static str,
    ) -> Self {
        Self { path, fits, kind }
    }

    const fn object(path: &'static [&'static str]) -> Self {
        Self {
            path,
            fits: Value::is_object,
            kind: "an object",
        }
    }

    fn refusal(&self) -> Refusal {
        let message = format!("state field `{}` must be {}", self.path[0], self.kind);
        Refusal::new(Code::InvalidState, message)
    }

    /// Whether a merge leaves the field unchanged or gives it the right type.
    fn takes(&self, old: Option<&Value>, patch: &Value, merge: Merge) -> bool {
        if !merge.changes(old, patch) {
            return true;
        }
        match patch {
            Value::Null if merge == Merge::Patch => false,
            // No known field depends on what an object contains.
            Value::Object(_) if merge == Merge::Patch || old.is_some_and(Value::is_object) => {
                (self.fits)(&Value::Object(Map::new()))
            }
            new => (self.fits)(new),
        }
    }
}

const AGENTS: &str = "an object with `spawned` (objects with `agentId`), `active` and `completed`";

const KNOWN_FIELDS: &[Known] = &[
    Known::new(&["phase"], Value::is_string, "a string"),
    Known::new(
        &["goals"],
        |v| all_have_text(v, "id"),
        "an array of objects, each with a string `id`",
    ),
    Known::object(&["priorities"]),
    Known::new(&["agents"], Value::is_object, AGENTS),
    Known::new(
        &["agents", "spawned"],
        |v| all_have_text(v, "agentId"),
        AGENTS,
    ),
    Known::new(&["agents", "active"], are_texts, AGENTS),
    Known::new(&["agents", "completed"], are_texts, AGENTS),
    Known::object(&["mcp"]),
    Known::object(&["workspace"]),
    Known::new(&["errors"], Value::is_array, "an array"),
];

/// The value under a path of keys.
fn at<'v>(doc: &'v Map<String, Value>, path: &[&str]) -> Option<&'v Value> {
    let (first, rest) = path.split_first()?;
    rest.iter()
        .try_fold(doc.get(*first)?, |value, key| value.as_object()?.get(*key))
}

fn all_have_text(value: &Value, key: &str) -> bool {
    value.as_array().is_some_and(|items| {
        items
            .iter()
            .all(|i| i.get(key).is_some_and(Value::is_string))
    })
}

fn are_texts(value: &Value) -> bool {
    value
        .as_array()
        .is_some_and(|items| items.iter().all(Value::is_string))
}

/// Returns the object under a key, replacing a value of any other type by an empty object.
pub(crate) fn object_at<'m>(
    doc: &'m mut Map<String, Value>,
    key: &str,
) -> &'m mut Map<String, Value> {
    let slot = doc.entry(key).or_insert(Value::Null);
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    slot.as_object_mut().expect("was made an object above")
}

/// Returns the array under a key, replacing a value of any other type by an empty array.
pub(crate) fn array_at<'m>(doc: &'m mut Map<String, Value>, key: &str) -> &'m mut Vec<Value> {
    let slot = doc.entry(key).or_insert(Value::Null);
    if !slot.is_array() {
        *slot = Value::Array(Vec::new());
    }
    slot.as_array_mut().expect("was made an array above")
}
