//! Fields that any record may have.

use serde_json::{Map, Value};

use super::field::{field_struct, read_nested};
use super::kind::{FieldValue, Kind};
use super::values::{Lane, TimeSource};

field_struct! {
    /// The fields that any record may have, except `type`.
    Common {
        /// When it happened, by the source's clock, in RFC 3339.
        timestamp "timestamp": String;
        /// The record key, 1–256 characters, unique within the session and log. A second record with the same key is not stored again.
        key "key": String;
        /// The agent of the session that acted: an id of `state.agents`. Absent: the main agent.
        agent_id "agentId": String;
        /// Groups everything that one user prompt led to.
        turn_id "turnId": String;
        /// Joins a call, its result and the file changes that it made.
        call_id "callId": String;
        /// The key of the record that this one follows in a branching history.
        parent_key "parentKey": String;
        /// Where the record comes from: `{agent, agentVersion?, lane, file?, line?, offset?}`.
        origin "origin": Origin;
        /// `{field: originalByteLength}` for each field that was cut. The whole value is a blob if it was kept.
        truncated "truncated": Map<String, Value>;
        /// `{field: blob reference}` for each text that was cut and is whole in a blob.
        blobs "blobs": Map<String, Value>;
        /// `received` if the source has no clock and `timestamp` is when the record was received.
        time_source "timeSource": TimeSource;
    }
}

impl Common {
    /// The rows of the fields.
    pub const fn fields() -> &'static [super::Field] {
        Self::FIELDS
    }
}

field_struct! {
    /// The known fields of an `origin`.
    OriginFields {
        /// The agent: `claude-code`, `codex`, `gemini-cli` and so on.
        agent "agent": String, required;
        /// The version of the agent.
        agent_version "agentVersion": String;
        /// How the record came here.
        lane "lane": Lane, required;
        /// The file that it was read from.
        file "file": String;
        /// The line in the file, from 1.
        line "line": i64;
        /// The byte in the file, from 0.
        offset "offset": i64;
    }
}

/// Where a record comes from.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Origin {
    /// The known fields.
    pub fields: OriginFields,
    /// Other fields, and those of another kind, as they were given.
    pub extra: Map<String, Value>,
}

impl Origin {
    /// The rows of the known fields.
    pub const fn fields() -> &'static [super::Field] {
        OriginFields::FIELDS
    }

    /// The origin of records of this agent that come by this lane.
    pub fn new(agent: impl Into<String>, lane: Lane) -> Self {
        Self {
            fields: OriginFields {
                agent: Some(agent.into()),
                lane: Some(lane),
                ..OriginFields::default()
            },
            extra: Map::new(),
        }
    }
}

impl FieldValue for Origin {
    const KIND: Kind = Kind::Object;
    fn read(value: Value) -> Result<Self, Value> {
        let Value::Object(given) = value else {
            return Err(value);
        };
        let mut fields = OriginFields::default();
        let extra = read_nested(given, |name, value| fields.offer(name, value));
        Ok(Self { fields, extra })
    }
    fn write(self) -> Value {
        let mut out = Map::new();
        self.fields.write(&mut out);
        out.extend(self.extra);
        Value::Object(out)
    }
}
