//! Transitions: decide what a command does to a view, without doing it.
//!
//! Transitions are pure: they take the view and the command and return the event to store, or
//! nothing, or a refusal. The caller stores the event first and then applies it with
//! [`View::apply`].

use serde_json::{Map, Value, json};

use crate::code::{Code, Refusal};
use crate::command::{Command, StatePatch};
use crate::event::{Change, Creation, EventKind, LogKind, PatchFormat};
use crate::id::{SessionId, UserId};
use crate::metadata;
use crate::record::RecordBody;
use crate::records::Warning;
use crate::state::{RESUMES, without_own_keys};
use crate::state_patch;
use crate::timestamp::Timestamp;
use crate::view::{self, View};

/// The result of a command.
#[derive(Debug)]
pub enum Outcome<'a> {
    /// A record to append.
    Record(LogKind, RecordBody<'a>),
    /// A change to append, and the response.
    Change(Change, Reply),
    /// Nothing to store, because the requested change is already in effect.
    Nothing(Reply),
}

impl Outcome<'_> {
    /// Turns a record whose key is stored already into an answer that names the stored record.
    /// `stored` looks up a key of a log and returns the record's sequence number.
    #[must_use]
    pub fn deduplicated(self, stored: impl FnOnce(LogKind, &str) -> Option<u64>) -> Self {
        let found = match &self {
            Outcome::Record(log, body) => body.key().and_then(|key| stored(*log, key)),
            Outcome::Change(..) | Outcome::Nothing(_) => None,
        };
        match found {
            Some(seq) => Outcome::Nothing(Reply::Duplicate(seq)),
            None => self,
        }
    }
}

/// What the response contains besides `success`.
#[derive(Clone, PartialEq, Debug)]
pub enum Reply {
    /// Nothing more.
    Done,
    /// The state's new version.
    Version(u64),
    /// The goal as stored.
    Goal(Value),
    /// The agent as stored.
    Agent(Value),
    /// Whether the session was created, existed already, or was claimed.
    Created(Existing),
    /// The sequence number of the record.
    Seq(u64),
    /// The same, and the fields that are of another kind than the vocabulary says.
    Warned(u64, Vec<Warning>),
    /// The sequence number of the record that was stored with this key before.
    Duplicate(u64),
}

/// What a create command found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Existing {
    /// No session: it is new.
    New,
    /// The session, owned by the same user.
    Same,
    /// The session, which a first write had created and this command claimed.
    Claimed,
}

impl Reply {
    /// The response as a JSON object.
    pub fn to_json(&self) -> Value {
        match self {
            Reply::Done | Reply::Created(Existing::New) => json!({"success": true}),
            Reply::Created(Existing::Same) => json!({"success": true, "existing": true}),
            Reply::Created(Existing::Claimed) => {
                json!({"success": true, "existing": true, "claimed": true})
            }
            Reply::Version(version) => json!({"success": true, "version": version}),
            Reply::Goal(goal) => success_with("goal", goal),
            Reply::Agent(agent) => success_with("agent", agent),
            Reply::Seq(seq) => json!({"success": true, "seq": seq}),
            Reply::Warned(seq, warnings) => {
                json!({"success": true, "seq": seq, "vocabulary": warnings})
            }
            Reply::Duplicate(seq) => json!({"success": true, "seq": seq, "duplicate": true}),
        }
    }

    /// The response to a record that gets this sequence number, with at most `limit` warnings.
    pub fn recorded(seq: u64, body: &RecordBody<'_>, limit: usize) -> Self {
        let warnings = body.warnings();
        match warnings.get(..limit.min(warnings.len())) {
            Some([]) | None => Reply::Seq(seq),
            Some(warnings) => Reply::Warned(seq, warnings.to_vec()),
        }
    }
}

/// Inserts the stored value by hand: `json!` would rewrite its numbers.
fn success_with(key: &str, stored: &Value) -> Value {
    Value::Object(Map::from_iter([
        ("success".to_owned(), true.into()),
        (key.to_owned(), stored.clone()),
    ]))
}

/// The change that creates a session.
pub fn create(id: &SessionId, user: &UserId, creation: Creation) -> Change {
    Change {
        creation: Some(creation),
        ..Change::new(
            EventKind::SessionCreated,
            json!({"sessionId": id.as_str(), "userId": user.as_str()}),
        )
    }
}

/// Decides what a command does to an existing session.
pub fn decide<'a>(
    view: &View,
    command: Command<'a>,
    at: Timestamp,
) -> Result<Outcome<'a>, Refusal> {
    Ok(match command {
        Command::Action(body) => Outcome::Record(LogKind::Actions, body),
        Command::Response(body) => Outcome::Record(LogKind::Responses, body),
        Command::Create { user, creation } => claim(view, &user, creation)?,
        Command::PatchState(patch) => patch_state(view, patch)?,
        Command::AddGoal(goal) => add_goal(view, goal, at)?,
        Command::UpdateGoal { goal_id, update } => update_goal(view, &goal_id, update, at)?,
        Command::SpawnAgent(agent) => spawn_agent(view, agent, at)?,
        Command::CompleteAgent { agent_id, outcome } => complete_agent(view, &agent_id, outcome)?,
        Command::UpdateMetadata(patch) => update_metadata(view, patch)?,
        Command::LinkChild { child, present } => link_child(view, &child, present),
        Command::Finalize(body) => finalize(view, body),
        Command::Reopen if view.metadata.is_completed() => {
            done(EventKind::SessionReopened, json!({}))
        }
        Command::Reopen => Outcome::Nothing(Reply::Done),
        Command::Retire { as_of } if !may_go(view, as_of) => Outcome::Nothing(Reply::Done),
        Command::Delete | Command::Retire { .. } => done(
            EventKind::SessionDeleted,
            json!({"sessionId": view.id.as_str()}),
        ),
    })
}

fn done<'a>(kind: EventKind, data: Value) -> Outcome<'a> {
    Outcome::Change(Change::new(kind, data), Reply::Done)
}

fn may_go(view: &View, as_of: Option<u64>) -> bool {
    view.metadata.is_completed() && as_of.is_none_or(|offset| view.offset == offset)
}

fn claim<'a>(view: &View, user: &UserId, creation: Creation) -> Result<Outcome<'a>, Refusal> {
    let owner = view.metadata.user();
    if owner == *user {
        return Ok(Outcome::Nothing(Reply::Created(Existing::Same)));
    }
    if !owner.is_unknown() {
        let message = format!("session `{}` belongs to another user", view.id);
        return Err(Refusal::new(Code::UserConflict, message));
    }
    let mut change = create(&view.id, user, creation);
    change.data["claimed"] = true.into();
    Ok(Outcome::Change(change, Reply::Created(Existing::Claimed)))
}

fn patch_state<'a>(
    view: &View,
    StatePatch {
        format,
        patch,
        if_version,
    }: StatePatch,
) -> Result<Outcome<'a>, Refusal> {
    let current = view.state.version();
    if if_version.is_some_and(|expected| expected != current) {
        let message = format!(
            "state is at version {current}, not {}",
            if_version.unwrap_or_default()
        );
        return Err(Refusal::new(Code::VersionMismatch, message));
    }
    let version = current + 1;
    let data = match (format, patch) {
        (PatchFormat::DeepMerge, Value::Object(patch)) => {
            let mut patch = without_own_keys(patch);
            patch.insert("version".into(), version.into());
            patch
        }
        (PatchFormat::DeepMerge, _) => return Err(crate::json::not_an_object()),
        (PatchFormat::MergePatch | PatchFormat::JsonPatch, patch) => Map::from_iter([
            ("patch".to_owned(), patch),
            ("version".to_owned(), version.into()),
        ]),
    };
    state_patch::check(&view.state, format, &data)?;
    let change = Change {
        format,
        ..Change::new(EventKind::StateUpdated, Value::Object(data))
    };
    Ok(Outcome::Change(change, Reply::Version(version)))
}

/// Takes a non-empty string given under one of several names.
fn given_id(body: &mut Map<String, Value>, names: &[&str]) -> Result<Option<String>, Refusal> {
    let mut found = None;
    for name in names {
        match body.shift_remove(*name) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) if !text.is_empty() => found = found.or(Some(text)),
            Some(_) => {
                return Err(Refusal::new(
                    Code::InvalidRequest,
                    format!("`{name}` must be a string that is not empty"),
                ));
            }
        }
    }
    Ok(found)
}

fn add_goal<'a>(
    view: &View,
    mut body: Map<String, Value>,
    at: Timestamp,
) -> Result<Outcome<'a>, Refusal> {
    let id = match given_id(&mut body, &["id", "goalId"])? {
        Some(id) if view.state.goal(&id).is_some() => {
            return Err(Refusal::new(
                Code::GoalExists,
                format!("goal `{id}` exists already"),
            ));
        }
        Some(id) => id,
        None => view.state.free_goal_id(),
    };
    let mut goal = Map::from_iter([("id".to_owned(), Value::from(id))]);
    goal.extend(body);
    if goal.get("status").is_none_or(Value::is_null) {
        goal.insert("status".into(), "pending".into());
    }
    if goal["status"] == "completed" && !goal.contains_key("completedAt") {
        goal.insert("completedAt".into(), at.to_string().into());
    }
    limit_completion(&mut goal, at);
    let goal = Value::Object(goal);
    Ok(Outcome::Change(
        Change::new(EventKind::GoalAdded, goal.clone()),
        Reply::Goal(goal),
    ))
}

/// Replaces a `completedAt` later than the time of receipt by that time: it comes from a wrong
/// clock.
fn limit_completion(goal: &mut Map<String, Value>, received: Timestamp) {
    if let Some(completed) = goal.get_mut("completedAt")
        && completed
            .as_str()
            .and_then(Timestamp::parse)
            .is_some_and(|time| time > received)
    {
        *completed = received.to_string().into();
    }
}

fn update_goal<'a>(
    view: &View,
    goal_id: &str,
    update: Map<String, Value>,
    at: Timestamp,
) -> Result<Outcome<'a>, Refusal> {
    if view.state.goal(goal_id).is_none() {
        let message = format!("session `{}` has no goal `{goal_id}`", view.id);
        return Err(Refusal::new(Code::GoalNotFound, message));
    }
    let mut data = Map::from_iter([("goalId".to_owned(), Value::from(goal_id))]);
    data.extend(
        update
            .into_iter()
            .filter(|(key, _)| !matches!(key.as_str(), "goalId" | "id")),
    );
    limit_completion(&mut data, at);
    Ok(done(EventKind::GoalUpdated, Value::Object(data)))
}

fn spawn_agent<'a>(
    view: &View,
    mut body: Map<String, Value>,
    at: Timestamp,
) -> Result<Outcome<'a>, Refusal> {
    let at = Timestamp::reported(body.shift_remove("spawnedAt").as_ref(), at).unwrap_or(at);
    let given = given_id(&mut body, &["agentId"])?;
    if let Some(agent) = given.as_deref().and_then(|id| view.state.agent(id)) {
        return resume_agent(agent, body, at);
    }
    let kind = body.shift_remove("type").unwrap_or_else(|| "agent".into());
    let free_id = || {
        let kind = kind
            .as_str()
            .map_or_else(|| kind.to_string(), str::to_owned);
        let from = at.as_millis().unsigned_abs();
        view.state
            .free_agent_id(&format!("agent-{kind}-"), from, base36)
    };
    let id = given.unwrap_or_else(free_id);
    let subsession = subsession(&mut body)?;
    body.shift_remove(RESUMES);
    let mut agent = Map::from_iter([
        ("agentId".to_owned(), Value::from(id)),
        ("type".to_owned(), kind),
        (
            "task".to_owned(),
            body.shift_remove("task").unwrap_or_default(),
        ),
        ("status".to_owned(), "spawned".into()),
        ("spawnedAt".to_owned(), at.to_string().into()),
        ("subsession".to_owned(), subsession),
    ]);
    for (key, value) in body {
        agent.entry(key).or_insert(value);
    }
    let agent = Value::Object(agent);
    Ok(Outcome::Change(
        Change::new(EventKind::AgentSpawned, agent.clone()),
        Reply::Agent(agent),
    ))
}

/// Takes and checks the agent's child session.
fn subsession(body: &mut Map<String, Value>) -> Result<Value, Refusal> {
    let subsession = body.shift_remove("subsession").unwrap_or_default();
    if !subsession.is_null() {
        let text = subsession.as_str().unwrap_or_default();
        SessionId::parse(text).map_err(|_| {
            Refusal::new(
                Code::InvalidRequest,
                "`subsession` must be a valid session id",
            )
        })?;
    }
    Ok(subsession)
}

/// Resumes an agent that has completed. Its entry keeps the fields that the body does not set.
fn resume_agent<'a>(
    agent: &Value,
    mut body: Map<String, Value>,
    at: Timestamp,
) -> Result<Outcome<'a>, Refusal> {
    let mut agent = agent.as_object().cloned().unwrap_or_default();
    if agent
        .get("status")
        .is_none_or(|status| status != "completed")
    {
        let id = agent
            .get("agentId")
            .and_then(Value::as_str)
            .unwrap_or_default();
        return Err(Refusal::new(
            Code::AgentExists,
            format!("agent `{id}` exists already, and has not ended"),
        ));
    }
    let subsession = subsession(&mut body)?;
    let resumes = agent
        .get(RESUMES)
        .and_then(Value::as_u64)
        .unwrap_or(0)
        .saturating_add(1);
    body.retain(|key, value| {
        !AGENTS_OWN.contains(&key.as_str()) && !matches!(value, Value::Null) && value != ""
    });
    agent.extend(body);
    if !subsession.is_null() {
        agent.insert("subsession".into(), subsession);
    }
    agent.shift_remove("completedAt");
    agent.insert("status".into(), "spawned".into());
    agent.insert("resumedAt".into(), at.to_string().into());
    agent.insert(RESUMES.into(), resumes.into());
    let agent = Value::Object(agent);
    Ok(Outcome::Change(
        Change::new(EventKind::AgentSpawned, agent.clone()),
        Reply::Agent(agent),
    ))
}

/// Agent fields that only the service sets when an agent is resumed.
const AGENTS_OWN: [&str; 5] = ["agentId", "status", "completedAt", "resumedAt", RESUMES];

fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(
            char::from_digit((number % 36) as u32, 36).expect("a remainder of 36 is a digit"),
        );
        number /= 36;
        if number == 0 {
            return digits.iter().rev().collect();
        }
    }
}

fn complete_agent<'a>(
    view: &View,
    agent_id: &str,
    outcome: Map<String, Value>,
) -> Result<Outcome<'a>, Refusal> {
    let Some(agent) = view.state.agent(agent_id) else {
        let message = format!("session `{}` has no agent `{agent_id}`", view.id);
        return Err(Refusal::new(Code::AgentNotFound, message));
    };
    if agent["status"] == "completed" {
        return Ok(Outcome::Nothing(Reply::Done));
    }
    let mut data = Map::from_iter([("agentId".to_owned(), Value::from(agent_id))]);
    for (key, value) in outcome {
        data.entry(key).or_insert(value);
    }
    Ok(done(EventKind::AgentCompleted, Value::Object(data)))
}

fn update_metadata<'a>(view: &View, patch: Map<String, Value>) -> Result<Outcome<'a>, Refusal> {
    metadata::check_depth(&patch)?;
    view.metadata.check(&patch)?;
    Ok(done(EventKind::MetadataUpdated, Value::Object(patch)))
}

fn link_child<'a>(view: &View, child: &str, present: bool) -> Outcome<'a> {
    let mut children: Vec<&str> = view.metadata.texts("subsessions").collect();
    // The legacy service may have listed the child under a name that is not a valid session id.
    let is_child = |listed: &str| listed == child || SessionId::adopt(listed).as_str() == child;
    if children.iter().any(|listed| is_child(listed)) == present {
        return Outcome::Nothing(Reply::Done);
    }
    if present {
        children.push(child);
    } else {
        children.retain(|listed| !is_child(listed));
    }
    done(EventKind::MetadataUpdated, json!({"subsessions": children}))
}

fn finalize<'a>(view: &View, body: Map<String, Value>) -> Outcome<'a> {
    let said = view
        .final_doc
        .as_ref()
        .is_some_and(|doc| view::is_same_final(doc, &body));
    if said && view.metadata.is_completed() {
        return Outcome::Nothing(Reply::Done);
    }
    done(EventKind::SessionFinalized, Value::Object(body))
}
