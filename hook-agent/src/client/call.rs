//! Turns a call into the bytes that the service receives. The text is checked and spliced, never
//! parsed into a tree.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use session_model::json::repair_surrogates;
use session_model::{BatchLine, Timestamp};

use super::checked_record::CheckedRecord;
use crate::Error;
use crate::config::MAX_EVENT_BYTES;
use crate::kind::Kind;
use crate::offload::Offload;
use crate::redaction::Redaction;
use crate::spool::{begin_frame, finish_frame, now_millis};

/// What a write does to its session. Its data is passed beside it as JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call<'a> {
    /// Appends to the actions; adds `timestamp` if it is missing.
    Action,
    /// Appends to the responses; adds `timestamp` if it is missing.
    Response,
    /// Merges into the state. Refused if the state no longer has the expected version.
    StateUpdate {
        /// The version that the caller has read.
        if_version: Option<u64>,
    },
    /// Adds a goal.
    GoalAdd,
    /// Changes a goal.
    GoalUpdate {
        /// The goal's id.
        goal_id: &'a str,
    },
    /// Records a sub-agent's start.
    AgentSpawn,
    /// Records a sub-agent's end.
    AgentComplete {
        /// The sub-agent's id.
        agent_id: &'a str,
    },
    /// Sets dotted keys of the metadata.
    MetadataUpdate,
    /// Ends the session.
    Finalize,
    /// Makes an ended session active again.
    Reopen,
    /// Creates the session; the data is its `initial` document.
    CreateSession {
        /// The session's owner.
        user_id: &'a str,
        /// The parent session.
        parent: Option<&'a str>,
    },
}

impl<'a> Call<'a> {
    /// Returns the call that writes this line. `id` is what its [`BatchLine::id_field`] has to be.
    pub(crate) fn of_line(line: BatchLine, id: &'a str, if_version: Option<u64>) -> Self {
        match line {
            BatchLine::Action => Self::Action,
            BatchLine::Response => Self::Response,
            BatchLine::StateUpdate => Self::StateUpdate { if_version },
            BatchLine::GoalAdd => Self::GoalAdd,
            BatchLine::GoalUpdate => Self::GoalUpdate { goal_id: id },
            BatchLine::AgentSpawn => Self::AgentSpawn,
            BatchLine::AgentComplete => Self::AgentComplete { agent_id: id },
            BatchLine::MetadataUpdate => Self::MetadataUpdate,
            BatchLine::Finalize => Self::Finalize,
            BatchLine::Reopen => Self::Reopen,
        }
    }

    /// Returns the call's name in errors: the `type` of its batch line, or `create_session`.
    pub fn name(&self) -> &'static str {
        self.kind().name()
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Action => Kind::Line(BatchLine::Action),
            Self::Response => Kind::Line(BatchLine::Response),
            Self::StateUpdate { .. } => Kind::Line(BatchLine::StateUpdate),
            Self::GoalAdd => Kind::Line(BatchLine::GoalAdd),
            Self::GoalUpdate { .. } => Kind::Line(BatchLine::GoalUpdate),
            Self::AgentSpawn => Kind::Line(BatchLine::AgentSpawn),
            Self::AgentComplete { .. } => Kind::Line(BatchLine::AgentComplete),
            Self::MetadataUpdate => Kind::Line(BatchLine::MetadataUpdate),
            Self::Finalize => Kind::Line(BatchLine::Finalize),
            Self::Reopen => Kind::Line(BatchLine::Reopen),
            Self::CreateSession { .. } => Kind::CreateSession,
        }
    }

    /// Returns the framed record for the spool, with secrets replaced.
    pub(crate) fn frame(
        &self,
        session: &str,
        json: &str,
        redaction: &Redaction,
        offload: Offload,
    ) -> Result<Vec<u8>, Error> {
        self.check_size(json, offload)?;
        let (json, keys) = checked(json).map_err(|error| Error::NotJson {
            call: self.name(),
            reason: error.to_string(),
        })?;
        self.frame_checked(session, &json, &keys, redaction, offload)
    }

    /// Like [`frame`](Self::frame), for a record that is known to be a JSON object.
    pub(crate) fn frame_record(
        &self,
        session: &str,
        record: &CheckedRecord,
        redaction: &Redaction,
        offload: Offload,
    ) -> Result<Vec<u8>, Error> {
        self.check_size(&record.json, offload)?;
        let keys = Keys {
            timestamp: record.has_timestamp,
            ..Keys::default()
        };
        self.frame_checked(session, &record.json, &keys, redaction, offload)
    }

    fn check_size(&self, json: &str, offload: Offload) -> Result<(), Error> {
        let limit = offload.largest(self.kind());
        if json.len() <= limit {
            return Ok(());
        }
        Err(Error::TooLarge {
            call: self.name(),
            bytes: json.len(),
            limit,
        })
    }

    fn frame_checked(
        &self,
        session: &str,
        json: &str,
        keys: &Keys,
        redaction: &Redaction,
        offload: Offload,
    ) -> Result<Vec<u8>, Error> {
        let time = now_millis();
        let mut frame = begin_frame(self.kind(), session, time, json.len() + 160);
        let line = frame.len();
        self.write_line(&mut frame, session, time, json, keys);
        if let Some(clean) = redaction.json(&frame[line..]) {
            frame.truncate(line);
            frame.extend_from_slice(&clean);
        }
        let sent = self.largest_sent(&frame[line..], offload);
        if sent > MAX_EVENT_BYTES {
            return Err(Error::TooLarge {
                call: self.name(),
                bytes: sent,
                limit: MAX_EVENT_BYTES,
            });
        }
        finish_frame(&mut frame);
        Ok(frame)
    }

    /// Returns how many bytes of a line are sent as one event, at most.
    fn largest_sent(&self, line: &[u8], offload: Offload) -> usize {
        if line.len() <= MAX_EVENT_BYTES {
            return line.len();
        }
        let shortened = offload.shorten(self.kind(), line);
        shortened.map_or(line.len(), |(line, _)| line.len())
    }

    fn write_line(&self, out: &mut Vec<u8>, session: &str, time: u64, json: &str, keys: &Keys) {
        match self {
            Self::CreateSession { user_id, parent } => {
                return write_create(out, session, time, user_id, *parent, json);
            }
            Self::StateUpdate {
                if_version: Some(version),
            } => {
                let name = self.name();
                out.extend_from_slice(
                    format!(r#"{{"type":"{name}","ifVersion":{version}"#).as_bytes(),
                );
            }
            _ => {
                out.extend_from_slice(br#"{"type":""#);
                out.extend_from_slice(self.name().as_bytes());
                out.push(b'"');
            }
        }
        out.extend_from_slice(br#","data":"#);
        match self {
            Self::Action | Self::Response | Self::Finalize if !keys.timestamp => {
                write_stamped(out, "timestamp", time, json);
            }
            Self::AgentSpawn if !keys.spawned_at => write_stamped(out, "spawnedAt", time, json),
            Self::GoalAdd if keys.completes() => write_stamped(out, "completedAt", time, json),
            Self::GoalUpdate { goal_id } => {
                let time = keys.completes().then_some(time);
                write_with(out, json, ("goalId", goal_id), keys.goal_id, time);
            }
            Self::AgentComplete { agent_id } => {
                let time = (!keys.completed_at).then_some(time);
                write_with(out, json, ("agentId", agent_id), keys.agent_id, time);
            }
            _ => write_flat(out, json),
        }
        out.push(b'}');
    }
}

fn write_create(
    out: &mut Vec<u8>,
    session: &str,
    time: u64,
    user_id: &str,
    parent: Option<&str>,
    initial: &str,
) {
    let stamp = stamp("timestamp", time);
    let head = format!(
        r#"{{"sessionId":"{session}","userId":{},{stamp}"#,
        quoted(user_id)
    );
    out.extend_from_slice(head.as_bytes());
    if let Some(parent) = parent {
        out.extend_from_slice(format!(r#","parentSession":{}"#, quoted(parent)).as_bytes());
    }
    out.extend_from_slice(br#","initial":"#);
    write_flat(out, initial);
    out.push(b'}');
}

fn write_stamped(out: &mut Vec<u8>, key: &str, time: u64, json: &str) {
    splice(out, json, &stamp(key, time));
}

/// Returns a field with the time of the call: the service may receive the record much later.
fn stamp(key: &str, time: u64) -> String {
    let time = Timestamp::from_millis(time.cast_signed());
    time.with_text(|time| ["\"", key, "\":\"", time, "\""].concat())
}

/// Adds the id, and the completion time if any, before the caller's fields. A field of the caller
/// with the id's name is replaced, which requires parsing.
fn write_with(
    out: &mut Vec<u8>,
    json: &str,
    (key, id): (&str, &str),
    given: bool,
    completed: Option<u64>,
) {
    let completed = completed
        .map(|time| stamp("completedAt", time) + ",")
        .unwrap_or_default();
    let field = format!(r#"{completed}"{key}":{}"#, quoted(id));
    if given && let Ok(mut fields) = session_model::json::object(json.as_bytes()) {
        fields.shift_remove(key);
        splice(out, &Value::Object(fields).to_string(), &field);
        return;
    }
    splice(out, json, &field);
}

fn splice(out: &mut Vec<u8>, json: &str, field: &str) {
    let rest = json.trim_start().get(1..).unwrap_or_default().trim_start();
    out.push(b'{');
    out.extend_from_slice(field.as_bytes());
    if !rest.starts_with('}') {
        out.push(b',');
    }
    write_flat(out, rest);
}

/// Writes the JSON on one line: a raw line break in JSON is always whitespace between tokens.
fn write_flat(out: &mut Vec<u8>, json: &str) {
    let from = out.len();
    out.extend_from_slice(json.as_bytes());
    if memchr::memchr2(b'\n', b'\r', json.as_bytes()).is_some() {
        for byte in &mut out[from..] {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// Returns the text, which must be an object, and its keys. An unpaired surrogate in a key is
/// replaced, as the service replaces it everywhere.
fn checked(json: &str) -> serde_json::Result<(Cow<'_, str>, Keys)> {
    let error = match Keys::of(json) {
        Ok(keys) => return Ok((Cow::Borrowed(json), keys)),
        Err(error) => error,
    };
    let repaired = repair_surrogates(json).ok_or(error)?;
    let keys = Keys::of(&repaired)?;
    Ok((Cow::Owned(repaired), keys))
}

/// Which of the relevant keys an object has. Reading them also checks that the text is an object.
#[derive(Default)]
struct Keys {
    timestamp: bool,
    spawned_at: bool,
    completed_at: bool,
    goal_id: bool,
    agent_id: bool,
    /// Whether `status` is `completed`.
    completed: bool,
}

impl Keys {
    /// Returns whether the object completes a goal without saying when.
    fn completes(&self) -> bool {
        self.completed && !self.completed_at
    }

    fn of(json: &str) -> serde_json::Result<Self> {
        let mut parser = serde_json::Deserializer::from_str(json);
        let keys = parser.deserialize_map(KeysVisitor)?;
        parser.end().map(|()| keys)
    }
}

struct KeysVisitor;

#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Visitor<'de> for KeysVisitor {
    type Value = Keys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
        let mut keys = Keys::default();
        while let Some(Key(key)) = map.next_key()? {
            match &*key {
                "timestamp" => keys.timestamp = true,
                "spawnedAt" => keys.spawned_at = true,
                "completedAt" => keys.completed_at = true,
                "goalId" => keys.goal_id = true,
                "agentId" => keys.agent_id = true,
                "status" => {
                    keys.completed = map.next_value::<&RawValue>()?.get() == "\"completed\"";
                    continue;
                }
                _ => {}
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offload() -> Offload {
        Offload::of(&crate::Config::new("http://a:1").unwrap())
    }

    fn redaction() -> Redaction {
        let mut config = crate::Config::new("http://a:1").unwrap();
        config.spool_dirs.clear();
        Redaction::of(&config)
    }

    fn line(call: Call<'_>, json: &str) -> String {
        let frame = call.frame("s", json, &redaction(), offload()).unwrap();
        let start = frame.windows(2).position(|pair| pair == b"{\"").unwrap();
        String::from_utf8(frame[start..].to_vec()).unwrap()
    }

    #[test]
    fn a_call_becomes_one_line() {
        let own = r#"{"timestamp":"2026-01-01T00:00:00.000Z","a":1}"#;
        assert_eq!(
            line(Call::Action, own),
            format!(r#"{{"type":"action","data":{own}}}"#)
        );
        assert_eq!(
            line(Call::GoalAdd, "{\n \"a\": 1\r\n}"),
            r#"{"type":"goal_add","data":{  "a": 1  }}"#
        );
        let update = Call::StateUpdate {
            if_version: Some(3),
        };
        assert_eq!(
            line(update, "{}"),
            r#"{"type":"state_update","ifVersion":3,"data":{}}"#
        );
        assert_eq!(
            line(Call::Finalize, own),
            format!(r#"{{"type":"finalize","data":{own}}}"#)
        );
        let goal = Call::GoalUpdate { goal_id: "g\"1" };
        assert_eq!(
            line(goal, r#"{"a":1}"#),
            r#"{"type":"goal_update","data":{"goalId":"g\"1","a":1}}"#
        );
        assert_eq!(
            line(goal, r#"{"goalId":"x"}"#),
            r#"{"type":"goal_update","data":{"goalId":"g\"1"}}"#
        );
        assert!(
            line(Call::Response, " { } ")
                .starts_with(r#"{"type":"response","data":{"timestamp":"2"#)
        );
        serde_json::from_str::<Value>(&line(Call::Response, " { } ")).unwrap();
    }

    #[test]
    fn every_call_says_when_it_was_unless_its_caller_does() {
        let agent = Call::AgentComplete { agent_id: "a" };
        let goal = Call::GoalUpdate { goal_id: "g" };
        for (call, json, stamped) in [
            (Call::Finalize, "{}", r#""data":{"timestamp":"2"#),
            (
                Call::AgentSpawn,
                r#"{"type":"t"}"#,
                r#""data":{"spawnedAt":"2"#,
            ),
            (agent, "{}", r#""data":{"completedAt":"2"#),
            (
                goal,
                r#"{"status":"completed"}"#,
                r#""data":{"completedAt":"2"#,
            ),
            (
                Call::GoalAdd,
                r#"{"status" : "completed"}"#,
                r#""data":{"completedAt":"2"#,
            ),
            (
                Call::CreateSession {
                    user_id: "u",
                    parent: None,
                },
                "{}",
                r#""userId":"u","timestamp":"2"#,
            ),
        ] {
            let line = line(call, json);
            assert!(line.contains(stamped), "{line}");
            serde_json::from_str::<Value>(&line).unwrap();
        }
        for (call, json) in [
            (Call::Finalize, r#"{"timestamp":"own"}"#),
            (Call::AgentSpawn, r#"{"spawnedAt":"own"}"#),
            (agent, r#"{"agentId":"a","completedAt":"own"}"#),
            (
                Call::GoalAdd,
                r#"{"status":"completed","completedAt":"own"}"#,
            ),
            (goal, r#"{"goalId":"g","status":"pending"}"#),
            (goal, r#"{"goalId":"g","title":"completed"}"#),
        ] {
            assert!(
                !line(call, json).contains(r#"":"2"#),
                "{}",
                line(call, json)
            );
        }
    }

    #[test]
    fn half_a_surrogate_pair_in_a_key_is_replaced() {
        let line = line(Call::StateUpdate { if_version: None }, r#"{"caf\udce9":1}"#);
        assert_eq!(line, r#"{"type":"state_update","data":{"caf\ufffd":1}}"#);
    }

    #[test]
    fn no_secret_is_framed_wherever_it_stands() {
        let secret = format!("gh{}_{}", "p", "a1B2c3D4e5F6".repeat(3));
        let json = format!("{{\n\"{secret}\":[\"x {secret}\"]}}");
        let goal = Call::GoalUpdate { goal_id: &secret };
        let create = Call::CreateSession {
            user_id: &secret,
            parent: None,
        };
        for call in [
            Call::Action,
            Call::StateUpdate {
                if_version: Some(1),
            },
            goal,
            create,
            Call::Finalize,
        ] {
            let line = line(call, &json);
            assert!(!line.contains("a1B2c3D4e5F6"), "{line}");
            assert!(
                line.matches("[redacted:github_token:").count() >= 2,
                "{line}"
            );
            serde_json::from_str::<Value>(&line).unwrap();
        }
    }

    #[test]
    fn what_is_no_object_is_refused_by_name() {
        for json in [
            "",
            "[]",
            "1",
            "null",
            "{",
            r#"{"a":NaN}"#,
            r#"{"a":1} x"#,
            r#"{"a":1,}"#,
            "\"{}\"",
        ] {
            let error = Call::Action
                .frame("s", json, &redaction(), offload())
                .unwrap_err();
            assert_eq!(error.code(), "invalid_json", "{json}");
            assert!(error.to_string().contains("`action`"), "{error}");
        }
    }
}
