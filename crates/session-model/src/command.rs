//! Commands: the changes that a client requests.

use serde_json::{Map, Value};

use crate::batch_line::BatchLine;
use crate::code::{Code, Refusal};
use crate::event::{Creation, LogKind, PatchFormat};
use crate::id::UserId;
use crate::record::RecordBody;
use crate::timestamp::Timestamp;

/// One request to change a session.
#[derive(Clone, Debug)]
pub enum Command<'a> {
    /// Create the session, or claim it.
    Create {
        /// The session's user.
        user: UserId,
        /// What the session is created from.
        creation: Creation,
    },
    /// Append to `actions.jsonl`.
    Action(RecordBody<'a>),
    /// Append to `responses.jsonl`.
    Response(RecordBody<'a>),
    /// Change the state.
    PatchState(StatePatch),
    /// Add a goal.
    AddGoal(Map<String, Value>),
    /// Change a goal.
    UpdateGoal {
        /// The goal's id.
        goal_id: String,
        /// Fields to set on the goal.
        update: Map<String, Value>,
    },
    /// Add an agent.
    SpawnAgent(Map<String, Value>),
    /// Mark an agent as completed.
    CompleteAgent {
        /// The agent's id.
        agent_id: String,
        /// Fields to set on its record.
        outcome: Map<String, Value>,
    },
    /// Set dotted keys of the metadata.
    UpdateMetadata(Map<String, Value>),
    /// Add a child session to the list of children, or remove it.
    LinkChild {
        /// The id of the child session.
        child: String,
        /// Whether the child is to be listed.
        present: bool,
    },
    /// Complete the session.
    Finalize(Map<String, Value>),
    /// Make the session active again.
    Reopen,
    /// Delete the session.
    Delete,
    /// Delete the session if it is completed; otherwise do nothing.
    Retire {
        /// If given: only if nothing has happened to the session since this offset.
        as_of: Option<u64>,
    },
}

/// A patch of the state, with the expected version if the client gave one.
#[derive(Clone, Debug, PartialEq)]
pub struct StatePatch {
    /// How to interpret the patch.
    pub format: PatchFormat,
    /// The patch.
    pub patch: Value,
    /// The version that must be the current one.
    pub if_version: Option<u64>,
}

/// One line of a batch, as it is read; its types are in [`crate::batch_line`].
#[derive(serde::Deserialize)]
#[serde(expecting = "an object with `type` and `data`")]
struct LineText<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow, default)]
    data: Option<&'a serde_json::value::RawValue>,
    #[serde(default, rename = "ifVersion")]
    if_version: Option<u64>,
}

impl<'a> Command<'a> {
    /// The record that the command appends, and its log.
    pub fn record(&self) -> Option<(LogKind, &RecordBody<'a>)> {
        match self {
            Command::Action(body) => Some((LogKind::Actions, body)),
            Command::Response(body) => Some((LogKind::Responses, body)),
            Command::Create { .. }
            | Command::PatchState(_)
            | Command::AddGoal(_)
            | Command::UpdateGoal { .. }
            | Command::SpawnAgent(_)
            | Command::CompleteAgent { .. }
            | Command::UpdateMetadata(_)
            | Command::LinkChild { .. }
            | Command::Finalize(_)
            | Command::Reopen
            | Command::Delete
            | Command::Retire { .. } => None,
        }
    }

    /// The client's time of the reported event, if the command has one that is not later than
    /// `received`.
    pub fn reported_time(&self, received: Timestamp) -> Option<Timestamp> {
        let reported =
            |body: &Map<String, Value>, key| Timestamp::reported(body.get(key), received);
        match self {
            Command::Create { creation, .. } => creation.began,
            Command::Action(body) | Command::Response(body) => {
                body.timestamp().filter(|reported| *reported <= received)
            }
            Command::AddGoal(goal) => reported(goal, "completedAt"),
            Command::UpdateGoal { update, .. } => reported(update, "completedAt"),
            Command::SpawnAgent(agent) => reported(agent, "spawnedAt"),
            Command::CompleteAgent { outcome, .. } => reported(outcome, "completedAt"),
            Command::Finalize(body) => reported(body, "timestamp"),
            Command::PatchState(_)
            | Command::UpdateMetadata(_)
            | Command::LinkChild { .. }
            | Command::Reopen
            | Command::Delete
            | Command::Retire { .. } => None,
        }
    }

    /// The creation data for a session that this command creates implicitly, received at
    /// `received`.
    pub fn creation(&self, received: Timestamp) -> Creation {
        Creation {
            began: self.reported_time(received),
            ..Creation::default()
        }
    }

    /// Parses a line in the most common form, an action or response with no other field, and so
    /// walks its body once instead of twice. Any other form, and any error, is left to the full
    /// parser.
    fn parse_plain_record(line: &'a str) -> Option<Self> {
        let body =
            |start: &str| RecordBody::parse_text(line.strip_prefix(start)?.strip_suffix('}')?).ok();
        body(r#"{"type":"action","data":"#)
            .map(Command::Action)
            .or_else(|| body(r#"{"type":"response","data":"#).map(Command::Response))
    }

    /// Sets whether the record may contain redaction placeholders, as its redaction found.
    #[must_use]
    pub fn marked(self, marked: bool) -> Self {
        match self {
            Command::Action(body) => Command::Action(body.marked(marked)),
            Command::Response(body) => Command::Response(body.marked(marked)),
            other => other,
        }
    }

    /// Parses one line of a batch.
    pub fn parse_line(line: &'a str) -> Result<Self, Refusal> {
        if let Some(record) = Self::parse_plain_record(line) {
            return Ok(record);
        }
        let line: LineText<'a> = serde_json::from_str(line).map_err(|error| {
            if error.is_data() {
                Refusal::new(
                    Code::InvalidRequest,
                    format!("a line must be {{\"type\", \"data\"}}: {error}"),
                )
            } else {
                crate::json::malformed(&error)
            }
        })?;
        let data = line.data.map_or("{}", serde_json::value::RawValue::get);
        let object = || crate::json::object(data.as_bytes());
        let Some(kind) = BatchLine::parse(&line.kind) else {
            // Data that is no object is reported first, as for the known types.
            object()?;
            return Err(Refusal::new(
                Code::InvalidRequest,
                format!("line has the unknown type `{}`", line.kind),
            ));
        };
        let object_and_id = || {
            let mut data = object()?;
            let id = kind.id_field().map(|field| take_text(&mut data, field));
            Ok::<_, Refusal>((id.transpose()?.unwrap_or_default(), data))
        };
        Ok(match kind {
            BatchLine::Action => Command::Action(RecordBody::parse_text(data)?),
            BatchLine::Response => Command::Response(RecordBody::parse_text(data)?),
            BatchLine::StateUpdate => Command::PatchState(StatePatch {
                format: PatchFormat::DeepMerge,
                patch: Value::Object(object()?),
                if_version: line.if_version,
            }),
            BatchLine::GoalAdd => Command::AddGoal(object()?),
            BatchLine::GoalUpdate => {
                let (goal_id, update) = object_and_id()?;
                Command::UpdateGoal { goal_id, update }
            }
            BatchLine::AgentSpawn => Command::SpawnAgent(object()?),
            BatchLine::AgentComplete => {
                let (agent_id, outcome) = object_and_id()?;
                Command::CompleteAgent { agent_id, outcome }
            }
            BatchLine::MetadataUpdate => Command::UpdateMetadata(object()?),
            BatchLine::Finalize => Command::Finalize(object()?),
            BatchLine::Reopen => {
                object()?;
                Command::Reopen
            }
        })
    }
}

fn take_text(data: &mut Map<String, Value>, key: &str) -> Result<String, Refusal> {
    match data.shift_remove(key) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(Refusal::new(
            Code::InvalidRequest,
            format!("`{key}` must be a string"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(line: &str) -> Result<String, Refusal> {
        let (Command::Action(body) | Command::Response(body)) = Command::parse_line(line)? else {
            return Err(Refusal::new(Code::InvalidRequest, "no record"));
        };
        let mut out = Vec::new();
        body.write_line(&mut out, 1, Timestamp::from_millis(0), 1);
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_record_is_read_alike_whichever_way_its_line_is_written() {
        for body in [
            r#"{"type":"bash_exec","n":[1,{"a":"}"}]}"#,
            "{}",
            r#"{"t":"\ud83d"}"#,
            r#"{"seq":1}"#,
        ] {
            let plain = stored(&format!(r#"{{"type":"action","data":{body}}}"#)).unwrap();
            for line in [
                format!(r#"{{"data":{body},"type":"action"}}"#),
                format!(r#"{{ "type": "action", "data": {body} }}"#),
                format!(r#"{{"type":"action","data":{body},"other":{{}}}}"#),
                format!(r#"{{"type":"action","data": {body} }}"#),
            ] {
                assert_eq!(stored(&line).unwrap(), plain, "{line}");
            }
        }
    }

    #[test]
    fn what_only_looks_like_a_plain_record_is_refused() {
        for line in [
            r#"{"type":"action","data":{}"#,
            r#"{"type":"action","data":{}}}"#,
            r#"{"type":"action","data":{}},{}}"#,
            r#"{"type":"action","data":[]}"#,
            r#"{"type":"action","data":}"#,
            r#"{"type":"response","data":{"a":1,}}"#,
        ] {
            assert!(Command::parse_line(line).is_err(), "{line}");
        }
        // A duplicate key.
        assert!(stored(r#"{"type":"action","data":{"a":1},"data":{"b":2}}"#).is_err());
    }
}
