//! The current content of a session: metadata, state, final document, log heads and producers.
//!
//! [`View::apply`] and [`View::apply_record`] are the only ways it changes. They depend on nothing
//! but the event and its [`Stamp`], so that replaying a session's logs produces the same view.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::code::{Code, Refusal};
use crate::event::{Change, Creation, EventKind, LogKind};
use crate::id::{SessionId, UserId};
use crate::metadata::Metadata;
use crate::metric::Metric;
use crate::placeholder;
use crate::producer::Producers;
use crate::record::RecordBody;
use crate::record_key::{Indexed, KeyCounts};
use crate::state::{RESUMES, State};
use crate::tally::Tally;
use crate::timestamp::{RECEIVED_AT, Timestamp};
use crate::usage::{RecordRef, RunningSums};
use crate::{initial, json, state_patch};

/// The `$schema` of `final.json`.
pub const FINAL_SCHEMA: &str = "session-final-v1";

/// Position, time and size of a stored event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// Sequence number in its log.
    pub seq: u64,
    /// Service-wide offset.
    pub offset: u64,
    /// When the service accepted it.
    pub at: Timestamp,
    /// Length of its line, in bytes.
    pub bytes: u64,
    /// Whether its line contains a key frame.
    pub keyframe: bool,
}

/// The newest line from which replay of the state can start, and how much followed it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Keyframe {
    /// Sequence number of that line; 0 if there is none yet.
    pub seq: u64,
    /// Bytes of changes written after it.
    pub bytes: u64,
    /// Size of the state at that line, in bytes.
    pub state_bytes: u64,
}

/// The end of one log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct LogHead {
    /// The last sequence number; 0 if the log is empty.
    pub seq: u64,
    /// Length of the log, in bytes.
    pub bytes: u64,
    /// How many bytes at the start were written by the legacy service.
    #[serde(default)]
    pub legacy: u64,
}

/// A file that is written once, as a whole, with the next snapshot. Images in the journal contain the
/// names of the variants: only add variants.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum OutFile {
    /// `initial.json`
    Initial(#[serde(deserialize_with = "json::exact")] Value),
    /// `final-<n>.json`
    FinalArchive(u32, #[serde(deserialize_with = "json::exact")] Value),
}

/// The current content of a session. Images in the journal contain its names: only add fields, with
/// a default; never rename or reorder them.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct View {
    /// Its id.
    pub id: SessionId,
    /// `metadata.json`
    pub metadata: Metadata,
    /// `state.json`
    pub state: State,
    /// `final.json`, if the session has one.
    #[serde(default, deserialize_with = "json::exact_or_null")]
    pub final_doc: Option<Value>,
    /// Number of `final-<n>.json` files.
    pub finals: u32,
    /// The end of each log, in the order of [`LogKind::ALL`].
    pub logs: [LogHead; 3],
    /// The offset of the last event applied.
    pub offset: u64,
    /// Offset of the event that created the session; 0 for a legacy session.
    pub created_offset: u64,
    /// Where replay of the state can start.
    pub keyframe: Keyframe,
    /// Idempotent producers.
    pub producers: Producers,
    /// The sums of `usage` records. `None` for a session with records of an earlier version, which
    /// were not counted.
    #[serde(default)]
    pub usage: Option<RunningSums>,
    /// Files to write with the next snapshot.
    pub outbox: Vec<OutFile>,
    /// How many records have keys; `None` if the session has history that was not counted.
    #[serde(default)]
    pub keyed: Option<KeyCounts>,
}

impl json::Stored for View {
    fn read(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

impl View {
    /// Creates the view of a new session from its creation event.
    pub fn at_creation(id: &SessionId, change: &Change, stamp: Stamp) -> Self {
        let creation = change.creation.clone().unwrap_or_default();
        let user = change.data["userId"]
            .as_str()
            .map_or_else(UserId::unknown, UserId::stored);
        let mut view = Self::adopt(
            id.clone(),
            Metadata::at_creation(id, &user, &creation, stamp.at),
            State::at_creation(stamp.at),
        );
        if let Some(earlier) = change.data.get("quarantined") {
            view.metadata
                .doc_mut()
                .insert("quarantined".into(), earlier.clone());
        }
        view.metadata.count_redactions(tags_of(change));
        view.outbox
            .push(OutFile::Initial(initial::document(&creation, stamp.at)));
        view.keyed = Some(KeyCounts::default());
        view.usage = Some(RunningSums::default());
        view.created_offset = stamp.offset;
        view.keyframe = Keyframe {
            seq: stamp.seq,
            bytes: 0,
            state_bytes: 600,
        };
        view.note(LogKind::Changes, stamp);
        view
    }

    /// Creates the view of a session whose files contain no history written by this service.
    pub fn adopt(id: SessionId, metadata: Metadata, state: State) -> Self {
        Self {
            id,
            metadata,
            state,
            final_doc: None,
            finals: 0,
            logs: [LogHead::default(); 3],
            offset: 0,
            created_offset: 0,
            keyframe: Keyframe::default(),
            producers: Producers::default(),
            usage: None,
            outbox: Vec::new(),
            keyed: None,
        }
    }

    /// The sequence number of the log's next record.
    pub fn next_seq(&self, log: LogKind) -> u64 {
        self.logs[log.index()].seq + 1
    }

    fn note(&mut self, log: LogKind, stamp: Stamp) {
        let head = &mut self.logs[log.index()];
        head.seq = stamp.seq;
        head.bytes += stamp.bytes;
        self.offset = stamp.offset;
        self.metadata.touch(stamp.at);
    }

    /// Applies a stored action or response. `redactions` is the number of placeholders in its line.
    pub fn apply_record(
        &mut self,
        log: LogKind,
        tally: Tally,
        indexed: Indexed,
        redactions: u64,
        stamp: Stamp,
    ) {
        if log == LogKind::Actions
            && let Some(metric) = tally.metric
        {
            self.metadata.bump(metric);
        }
        if tally.is_error {
            self.metadata.count_error();
        }
        self.metadata.count_redactions(redactions);
        self.note(log, stamp);
        let end = self.logs[log.index()].bytes;
        if let Some(keyed) = &mut self.keyed {
            keyed.count(log, indexed, end);
        }
    }

    /// Counts a stored record if it is a `usage` record, or amends one.
    pub fn apply_usage(&mut self, log: LogKind, body: &RecordBody<'_>, seq: u64) {
        let Some(sums) = &mut self.usage else {
            return;
        };
        let was_exact = sums.is_exact();
        let mut is_changed = false;
        if body.is_usage() {
            sums.note_record(body.key());
            let snapshot = body.usage(RecordRef { log, seq });
            is_changed = snapshot.is_some_and(|snapshot| sums.count(&snapshot));
        } else if let Some(of) = body.amends_usage() {
            sums.note_amendment(of);
        }
        let is_flagged = sums.is_exact() != was_exact && !sums.is_empty();
        if is_changed || is_flagged {
            self.metadata.set_usage(sums);
        }
    }

    /// Applies a stored change. Fails, without any effect, only for a change that no transition has
    /// made.
    pub fn apply(&mut self, change: &Change, stamp: Stamp) -> Result<(), Refusal> {
        let applied = self.apply_one(change, stamp);
        self.settle();
        applied
    }

    /// Applies one of many changes. The caller must call [`View::settle`] after the last one and
    /// before a key frame is written.
    pub fn apply_one(&mut self, change: &Change, stamp: Stamp) -> Result<(), Refusal> {
        self.replay_one(change, stamp, self.state.version() + 1)
    }

    /// Completes the work that [`View::apply_one`] has deferred to a single pass.
    pub fn settle(&mut self) {
        self.state.settle();
    }

    /// Applies a stored change that left the state at `version`. If the state is already there,
    /// because the state's snapshot was newer than the metadata's, only the effects on the rest of
    /// the view are applied.
    pub fn replay_one(
        &mut self,
        change: &Change,
        stamp: Stamp,
        version: u64,
    ) -> Result<(), Refusal> {
        if stamp.keyframe {
            self.settle();
        }
        let state_bytes = if stamp.keyframe {
            json_len(&self.state)
        } else {
            0
        };
        if !change.kind.changes_state() {
            self.apply_data(change, stamp.at)?;
        } else if version > self.state.version() {
            self.apply_data(change, stamp.at)?;
            self.state.advance(stamp.at);
        } else if change.kind == EventKind::AgentSpawned {
            // Agent spawns are the only kind that changes more than the state.
            self.count_agent(change.data.as_object().ok_or_else(json::not_an_object)?);
        }
        self.metadata.count_redactions(tags_of(change));
        if stamp.keyframe {
            self.keyframe = Keyframe {
                seq: stamp.seq,
                bytes: 0,
                state_bytes,
            };
        } else {
            self.keyframe.bytes += stamp.bytes;
        }
        self.note(LogKind::Changes, stamp);
        Ok(())
    }

    fn apply_data(&mut self, change: &Change, at: Timestamp) -> Result<(), Refusal> {
        let data = change
            .data
            .as_object()
            .ok_or_else(crate::json::not_an_object)?;
        match change.kind {
            EventKind::StateUpdated => state_patch::apply(&mut self.state, change.format, data)?,
            EventKind::GoalAdded => self.state.push_goal(change.data.clone()),
            EventKind::GoalUpdated => update_goal(&mut self.state, data, at),
            EventKind::AgentSpawned => {
                self.count_agent(data);
                self.state.push_agent(data.clone());
            }
            EventKind::AgentCompleted => complete_agent(&mut self.state, data, at),
            EventKind::MetadataUpdated => {
                self.metadata.patch(data)?;
                // Sums of records are not set by clients.
                if let Some(sums) = self.usage.as_ref().filter(|sums| !sums.is_empty()) {
                    self.metadata.set_usage(sums);
                }
            }
            EventKind::SessionFinalized => self.finalize(data, at),
            EventKind::SessionReopened => {
                self.archive_final();
                self.metadata.reopen();
            }
            EventKind::SessionCreated => self.claim(data, change.creation.as_ref(), at),
            EventKind::SessionDeleted => {}
            EventKind::Action | EventKind::Response => {
                return Err(Refusal::new(
                    Code::InvalidRequest,
                    "an action or response is no change",
                ));
            }
        }
        Ok(())
    }

    /// Links the agent's session as a child and counts the agent, unless it is resumed and so
    /// already counted.
    fn count_agent(&mut self, agent: &Map<String, Value>) {
        let child = agent.get("subsession").and_then(Value::as_str);
        if let Some(child) = child.filter(|child| SessionId::parse(child).is_ok()) {
            self.metadata.add_subsession(child);
        }
        if !agent.contains_key(RESUMES) {
            self.metadata.bump(Metric::AgentsSpawned);
        }
    }

    fn claim(&mut self, data: &Map<String, Value>, creation: Option<&Creation>, at: Timestamp) {
        let creation = creation.cloned().unwrap_or_default();
        let user = data
            .get("userId")
            .and_then(Value::as_str)
            .map_or_else(UserId::unknown, UserId::stored);
        self.metadata.claim(&user, &creation);
        self.outbox
            .push(OutFile::Initial(initial::document(&creation, at)));
    }

    fn archive_final(&mut self) {
        if let Some(earlier) = self.final_doc.take() {
            self.finals += 1;
            self.outbox
                .push(OutFile::FinalArchive(self.finals, earlier));
        }
    }

    fn finalize(&mut self, body: &Map<String, Value>, at: Timestamp) {
        self.archive_final();
        let reported = Timestamp::reported(body.get("timestamp"), at);
        let ended = reported.unwrap_or(at);
        let mut doc = final_core(body);
        self.metadata
            .complete(ended, doc.get("status").cloned().unwrap_or_default());
        doc.insert("timestamp".into(), ended.to_string().into());
        doc.insert("goalsAchieved".into(), self.state.goals_completed().into());
        doc.insert(
            "metrics".into(),
            self.metadata
                .doc()
                .get("metrics")
                .cloned()
                .unwrap_or_default(),
        );
        doc.insert(
            "subsessions".into(),
            self.metadata
                .doc()
                .get("subsessions")
                .cloned()
                .unwrap_or_default(),
        );
        if reported.is_some() {
            doc.insert(RECEIVED_AT.into(), at.to_string().into());
        }
        let active = self.state.agents_active();
        if !active.is_empty() {
            doc.insert(NOT_ENDED.into(), active.into());
        }
        self.final_doc = Some(Value::Object(doc));
    }
}

/// Number of redaction placeholders in a change. Live use and replay count in the same way.
fn tags_of(change: &Change) -> u64 {
    let creation = change
        .creation
        .iter()
        .flat_map(|creation| &creation.initial);
    let initial: u64 = creation
        .map(|(key, value)| placeholder::count(key.as_bytes()) + placeholder::count_in(value))
        .sum();
    initial + placeholder::count_in(&change.data)
}

fn json_len(state: &State) -> u64 {
    serde_json::to_vec(state).map_or(0, |bytes| bytes.len() as u64)
}

/// The field with the agents that were active when the session ended; absent if there were none.
const NOT_ENDED: &str = "agentsNotEnded";
/// Computed fields that every `final.json` has.
const FINAL_COMPUTED: [&str; 4] = ["timestamp", "goalsAchieved", "metrics", "subsessions"];
/// Computed fields that only some documents have.
const FINAL_AT_TIMES: [&str; 2] = [RECEIVED_AT, NOT_ENDED];

/// The fields of `final.json` that a finalize body determines, in the document's order.
fn final_core(body: &Map<String, Value>) -> Map<String, Value> {
    let given = |key: &str, default: Value| match body.get(key) {
        None | Some(Value::Null) => default,
        Some(value) => value.clone(),
    };
    let mut doc = Map::from_iter(
        [
            ("$schema", FINAL_SCHEMA.into()),
            ("timestamp", Value::Null),
            ("status", given("status", "success".into())),
            ("outcome", given("outcome", Value::Null)),
            ("goalsAchieved", Value::Array(Vec::new())),
            ("finalResponse", given("response", Value::Null)),
            ("metrics", Value::Object(Map::new())),
            ("subsessions", Value::Array(Vec::new())),
        ]
        .map(|(key, value)| (key.to_owned(), value)),
    );
    for (key, value) in body {
        if key != "response" && !FINAL_AT_TIMES.contains(&key.as_str()) {
            doc.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    doc
}

/// Whether a finalize body would produce the same content as the stored `final.json`.
pub fn is_same_final(stored: &Value, body: &Map<String, Value>) -> bool {
    let core = final_core(body);
    let Some(stored) = stored.as_object() else {
        return false;
    };
    let differs = |(key, value): (&String, &Value)| {
        !FINAL_COMPUTED.contains(&key.as_str()) && stored.get(key) != Some(value)
    };
    let given = stored
        .keys()
        .filter(|key| !FINAL_AT_TIMES.contains(&key.as_str()))
        .count();
    !core.iter().any(differs) && given == core.len()
}

fn update_goal(state: &mut State, data: &Map<String, Value>, at: Timestamp) {
    let id = data
        .get("goalId")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let Some(goal) = state.goal_mut(id) else {
        return;
    };
    for (key, value) in data
        .iter()
        .filter(|(key, _)| !matches!(key.as_str(), "goalId" | "id"))
    {
        goal.insert(key.clone(), value.clone());
    }
    if data.get("status").is_some_and(|s| s == "completed") && !data.contains_key("completedAt") {
        goal.insert("completedAt".into(), at.to_string().into());
    }
}

fn complete_agent(state: &mut State, data: &Map<String, Value>, at: Timestamp) {
    let id = data
        .get("agentId")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if let Some(agent) = state.finish_agent(id) {
        for (key, value) in data {
            agent.insert(key.clone(), value.clone());
        }
        agent.insert("status".into(), "completed".into());
        let ended = Timestamp::reported(data.get("completedAt"), at).unwrap_or(at);
        agent.insert("completedAt".into(), ended.to_string().into());
    }
}
