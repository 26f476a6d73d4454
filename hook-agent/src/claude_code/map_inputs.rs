//! What the records of one hook are made from, besides the payload.

use serde_json::value::RawValue;
use serde_json::{Value, json};
use session_model::records::RecordKey;

use super::digest::digest;
use super::draft::{Draft, Stamp};
use super::meaning::{Meaning, snake_case};
use super::payload::{AgentNote, Payload, shortened};
use super::process::Caller;
use super::run::Run;
use crate::Call;

/// The length of an error in the session's state. The whole text is in its record.
const MAX_ERROR: usize = 2 * 1024;

/// The fields of a payload that are deliberately not in its records: the session's id is that of
/// the session, or in its state; its transcript and working directory are in its state, and the
/// directory of a command is in the command's record.
const LEFT_OUT: [&str; 3] = ["transcript_path", "cwd", "session_id"];

/// The fields that every record has under another name.
const COMMON: [&str; 3] = ["hook_event_name", "prompt_id", "agent_id"];

/// The inputs of the mapping besides the payload.
#[derive(Debug)]
pub(super) struct MapInputs<'a> {
    pub stamp: Stamp<'a>,
    /// The payload, unchanged.
    pub raw: &'a str,
    /// What stood in the payload where it has U+FFFD now.
    pub replaced: &'a [u8],
    /// When the hook started, in milliseconds since 1970.
    pub now: i64,
    /// The owner of the session, if it has to be created.
    pub user: &'a str,
    /// Whether `SESSION_ID` names the session, which then spans several of Claude Code's sessions.
    pub named: bool,
    /// The process that called the hook.
    pub process_id: Option<String>,
    pub note: AgentNote,
    /// The process that runs the session, set where the session begins.
    pub caller: Option<Caller>,
    /// Whether the process that ran the session before has ended.
    pub is_left: bool,
    /// The model of the last answer, set at a call while none is known.
    pub model: Option<String>,
}

impl<'a> MapInputs<'a> {
    /// Returns the key of a payload that has no id of its own. Two processes that run a session one
    /// after the other have hooks with the same payload, so the process counts too.
    pub(super) fn key_of(&self, payload: &Payload<'_>, run: &mut Run) -> RecordKey {
        let is_start = Meaning::of(&payload.hook_event_name) == Meaning::SessionStart;
        let caller = self.caller.as_ref().filter(|_| is_start);
        let process = caller.map(|caller| caller.process.to_string());
        let process = process.or_else(|| self.process_id.clone());
        let replaced = self.replaced.iter().copied();
        let own = self.raw.bytes().chain(replaced);
        let digest = digest(own.chain(process.unwrap_or_default().bytes()));
        let n = run.occurrence(digest, self.now, payload.span());
        let key = format!("hook:{}:{digest:016x}:{n}", payload.hook_event_name);
        RecordKey::own(&key).expect("a key with a prefix is not empty")
    }

    /// Returns the fields of the payload that have no place in its records. The permission mode and
    /// the effort are among them when they have changed.
    pub(super) fn rest(
        &self,
        payload: &'a Payload<'_>,
        run: &mut Run,
        placed: &[&str],
    ) -> Vec<(&'a str, &'a RawValue)> {
        let mut rest = Vec::new();
        for (name, value) in payload.all() {
            let known = match name {
                "permission_mode" => &mut run.mode,
                "effort" => &mut run.effort,
                _ if Payload::is_unread_id(name, value) => {
                    rest.push((name, value));
                    continue;
                }
                "session_id" if self.named => {
                    rest.push((name, value));
                    continue;
                }
                _ if placed.contains(&name)
                    || LEFT_OUT.contains(&name)
                    || COMMON.contains(&name) =>
                {
                    continue;
                }
                _ => {
                    rest.push((name, value));
                    continue;
                }
            };
            if known.as_deref() != Some(value.get()) {
                *known = Some(value.get().to_owned());
                rest.push((name, value));
            }
        }
        rest
    }

    /// Returns the record of a hook that has no type of the vocabulary.
    pub(super) fn other(&self, payload: &'a Payload<'_>, run: &mut Run) -> Draft<'a> {
        let entry = self
            .stamp
            .named(payload, &snake_case(&payload.hook_event_name));
        let key = self.key_of(payload, run);
        let rest = self.rest(payload, run, &["source", "reason", "agent_type"]);
        let entry = entry.extra("source", payload.source.clone());
        let entry = entry.extra("reason", payload.reason.clone());
        let entry = entry.extra("agentType", payload.agent_type.clone());
        entry.key(key).raw(rest).draft()
    }
}

/// Adds an error to the session's state.
pub(super) fn add_error<'a>(run: &mut Run, error: Value) -> Draft<'a> {
    let mut error = error;
    if let Value::Object(fields) = &mut error {
        fields.retain(|_, value| !value.is_null());
    }
    let errors = run.add_error(error);
    Draft::of(
        Call::StateUpdate { if_version: None },
        json!({"errors": errors}),
    )
}

/// Returns an error for the session's state.
pub(super) fn short_error(error: &str) -> String {
    shortened(error.to_owned(), MAX_ERROR)
}
