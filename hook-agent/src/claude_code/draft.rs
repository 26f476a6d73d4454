//! A record before it is framed: the call, and its JSON. Large values are spliced in unchanged.

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use session_model::records::{Body, Lane, Log, Origin, Record, RecordKey, RecordType};

use super::payload::Payload;
use crate::Call;

/// The agent's name in the table of tools and in `origin`.
pub(super) const AGENT: &str = "claude-code";

/// A call and its data.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub call: Call<'a>,
    pub json: String,
}

/// What all records of one hook have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp<'a> {
    /// When the hook started, in RFC 3339.
    pub at: &'a str,
    /// The version of Claude Code, if it tells it.
    pub version: Option<&'a str>,
}

/// A log record that is being made.
#[derive(Clone)]
pub(super) struct Entry<'a> {
    record: Record,
    spliced: Vec<(&'static str, &'a RawValue)>,
    raw: Vec<(&'a str, &'a RawValue)>,
}

impl Stamp<'_> {
    /// Begins a record of this hook.
    pub(super) fn entry<'r>(&self, payload: &Payload<'_>, body: impl Into<Body>) -> Entry<'r> {
        let mut entry = Entry::new(Record::new(body), Lane::Hook, self.version);
        let common = &mut entry.record.common;
        common.timestamp = Some(self.at.to_owned());
        common.agent_id = payload.agent().map(str::to_owned);
        common.turn_id.clone_from(&payload.prompt_id);
        entry.extra("event", payload.hook_event_name.as_str())
    }

    /// Begins a record of this hook whose type the vocabulary does not list.
    pub(super) fn named<'r>(&self, payload: &Payload<'_>, kind: &str) -> Entry<'r> {
        self.entry(payload, Body::Other(Some(kind.to_owned())))
    }
}

impl<'a> Entry<'a> {
    /// Begins a record that came by this lane.
    pub(super) fn new(mut record: Record, lane: Lane, version: Option<&str>) -> Self {
        let mut origin = Origin::new(AGENT, lane);
        origin.fields.agent_version = version.map(str::to_owned);
        record.common.origin = Some(origin);
        Self {
            record,
            spliced: Vec::new(),
            raw: Vec::new(),
        }
    }

    pub(super) fn key(mut self, key: RecordKey) -> Self {
        self.record.common.key = Some(key.into());
        self
    }

    pub(super) fn call_id(mut self, id: Option<&str>) -> Self {
        self.record.common.call_id = id.map(str::to_owned);
        self
    }

    pub(super) fn agent(mut self, agent: Option<&str>) -> Self {
        self.record.common.agent_id = agent.map(str::to_owned);
        self
    }

    pub(super) fn truncated(mut self, fields: Option<Map<String, Value>>) -> Self {
        self.record.common.truncated = fields;
        self
    }

    /// Sets fields of the type by name, for example those that the table of tools returns.
    pub(super) fn fields(mut self, fields: Map<String, Value>) -> Self {
        let mut all = self.record.into_fields();
        all.extend(fields);
        self.record = Record::of_fields(all).record;
        self
    }

    /// Adds a field that the type does not have.
    pub(super) fn extra(mut self, name: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        if !value.is_null() {
            self.record.extra.insert(name.to_owned(), value);
        }
        self
    }

    /// Adds a field whose value is a part of the payload.
    pub(super) fn splice(mut self, name: &'static str, value: Option<&'a RawValue>) -> Self {
        self.spliced.extend(value.map(|value| (name, value)));
        self
    }

    /// Adds fields of the payload that have no other place.
    pub(super) fn raw(mut self, fields: impl IntoIterator<Item = (&'a str, &'a RawValue)>) -> Self {
        self.raw.extend(fields);
        self
    }

    /// Writes the record for the log that its type belongs to.
    pub(super) fn draft<'c>(self) -> Draft<'c> {
        let call = match self.record.record_type().map(RecordType::log) {
            Some(Log::Said) => Call::Response,
            Some(Log::Done | Log::Either) | None => Call::Action,
        };
        self.draft_as(call)
    }

    pub(super) fn draft_as(self, call: Call<'_>) -> Draft<'_> {
        let mut json = Value::Object(self.record.into_fields()).to_string();
        json.pop();
        for (name, value) in self.spliced {
            push(&mut json, name, value);
        }
        if !self.raw.is_empty() {
            json.push_str(r#","raw":{"#);
            for (at, (name, value)) in self.raw.into_iter().enumerate() {
                if at > 0 {
                    json.push(',');
                }
                push_member(&mut json, name, value);
            }
            json.push('}');
        }
        json.push('}');
        Draft { call, json }
    }
}

/// Adds a member to an object that has one already.
fn push(json: &mut String, name: &str, value: &RawValue) {
    json.push(',');
    push_member(json, name, value);
}

fn push_member(json: &mut String, name: &str, value: &RawValue) {
    json.push_str(&Value::from(name).to_string());
    json.push(':');
    json.push_str(value.get());
}

impl<'a> Draft<'a> {
    /// Returns a record that is not a log record: only the non-null fields.
    pub(super) fn of(call: Call<'a>, fields: Value) -> Self {
        let Value::Object(mut fields) = fields else {
            unreachable!("every caller passes an object");
        };
        fields.retain(|_, value| !value.is_null());
        Self {
            call,
            json: Value::Object(fields).to_string(),
        }
    }
}
