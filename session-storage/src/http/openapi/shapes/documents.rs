//! What is kept: a session's documents and records.

use utoipa::ToSchema;

use super::Status;
use serde_json::Value;

/// User, times, status and metrics of a session: `metadata.json`.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http::openapi) struct Metadata {
    #[schema(rename = "$schema")]
    schema: Value,
    session_id: String,
    user_id: String,
    sandbox_id: Value,
    created: String,
    updated: String,
    #[schema(inline = false)]
    status: Status,
    /// A string, unless a caller has set another type; the same holds for all fields without a type.
    model: Value,
    yolo_mode: Value,
    token_usage: TokenUsage,
    metrics: Metrics,
    tags: Vec<String>,
    parent_session: Value,
    subsessions: Vec<String>,
    /// Milliseconds from creation to the end; null while the session is active.
    duration: Value,
    /// Status of the end: `success`, `error`, `interrupted`, `cancelled` or another one; null while
    /// the session is active. Missing if an earlier version ended the session.
    #[schema(nullable = false)]
    outcome: Option<Value>,
    /// Number of records that report an error: by the `status` `error` or `timeout`, or, unless the
    /// status is `ok`, `denied`, `interrupted` or `cancelled`, by the type `error`, `tool_error` or
    /// `stop_failure` or by `"success": false`. Missing if an earlier version began the session.
    #[schema(nullable = false)]
    error_count: Option<Value>,
    /// Time of receipt, if the client sent the time at which the session began.
    #[schema(nullable = false)]
    received_at: Option<String>,
    /// Name of the session in the older service, if that is not a valid session id; requests may
    /// use this name too.
    #[schema(nullable = false)]
    original_id: Option<String>,
}

/// Token counts: the sums of the session's `usage` records, with further fields, or, without such
/// records, the three counts that callers have set. `exact` is false if the sums are not those of all
/// records, which only happens in long lists and if a record is damaged; otherwise it is absent.
#[derive(ToSchema)]
pub(in crate::http::openapi) struct TokenUsage {
    input: Option<Value>,
    output: Option<Value>,
    total: Option<Value>,
}

/// Number of actions, by their `type`.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http::openapi) struct Metrics {
    agents_spawned: Option<Value>,
    tool_calls: Option<Value>,
    mcp_calls: Option<Value>,
    files_modified: Option<Value>,
    bash_commands: Option<Value>,
}

/// Phase, goals, agents and workspace of a session: `state.json`.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http::openapi) struct State {
    #[schema(rename = "$schema")]
    schema: Value,
    /// Starts at 1 and is incremented by every change.
    #[schema(minimum = 1)]
    version: i64,
    timestamp: String,
    phase: String,
    current_step: Option<Value>,
    goals: Vec<Goal>,
    #[schema(value_type = Object)]
    priorities: Value,
    expected_outcome: Option<Value>,
    agents: Agents,
    #[schema(value_type = Object)]
    mcp: Value,
    #[schema(value_type = Object)]
    workspace: Value,
    errors: Vec<Value>,
}

/// The agents of a session.
#[derive(ToSchema)]
pub(in crate::http::openapi) struct Agents {
    spawned: Vec<Agent>,
    /// Ids.
    active: Vec<String>,
    /// Ids.
    completed: Vec<String>,
}

/// A goal.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http::openapi) struct Goal {
    id: String,
    description: Option<Value>,
    /// `pending`, `in_progress`, `completed`, or any other text.
    status: Option<Value>,
    priority: Option<Value>,
    completed_at: Option<Value>,
}

/// An agent.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http::openapi) struct Agent {
    agent_id: String,
    r#type: Option<Value>,
    task: Option<Value>,
    /// `spawned` or `completed`.
    status: Option<Value>,
    spawned_at: Option<Value>,
    completed_at: Option<Value>,
    /// When the agent was last started again, if it was.
    #[schema(nullable = false)]
    resumed_at: Option<String>,
    /// How often the agent was started again, if it was.
    #[schema(nullable = false)]
    resumes: Option<i64>,
    /// Id of the agent's own session.
    subsession: Option<Value>,
}

/// A stored action or response: the caller's fields, and these.
#[derive(ToSchema)]
pub(in crate::http::openapi) struct Record {
    /// Number of the record in its log, from 1, without gaps.
    #[schema(minimum = 1)]
    seq: i64,
    timestamp: String,
    /// Offset of its event; missing in records of the older service.
    #[schema(rename = "$offset", nullable = false)]
    offset: Option<i64>,
    /// CRC-32C of the line up to this field.
    #[schema(rename = "$crc", nullable = false)]
    crc: Option<Value>,
}

/// What a session started from: `initial.json`.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http::openapi) struct Initial {
    #[schema(rename = "$schema")]
    schema: Value,
    /// When the session began.
    timestamp: String,
    /// Time of receipt, if the client sent the time at which the session began.
    #[schema(nullable = false)]
    received_at: Option<String>,
    /// Present if it was given, like the next two.
    source: Option<Value>,
    input: Option<Value>,
    config: Option<Value>,
}

/// How a session ended: `final.json`.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http::openapi) struct Final {
    #[schema(rename = "$schema")]
    schema: Value,
    timestamp: Value,
    /// `success` unless the caller sent another status.
    status: Value,
    outcome: Value,
    goals_achieved: Value,
    final_response: Value,
    metrics: Value,
    subsessions: Value,
    /// Time of receipt, if the client sent the time at which the session ended.
    #[schema(nullable = false)]
    received_at: Option<String>,
    /// Ids of the agents that were active at the end, if any.
    #[schema(nullable = false)]
    agents_not_ended: Option<Vec<String>>,
}

/// A whole session.
#[derive(ToSchema)]
pub(in crate::http::openapi) struct Session {
    metadata: Metadata,
    #[schema(nullable)]
    initial: Option<Initial>,
    state: State,
    /// Missing with `logs=false`.
    #[schema(nullable = false)]
    actions: Option<Vec<Record>>,
    /// Missing with `logs=false`.
    #[schema(nullable = false)]
    responses: Option<Vec<Record>>,
    /// Null while the session is active.
    r#final: Option<Final>,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Map, Value};
    use session_model::event::Creation;
    use session_model::state::State;
    use session_model::{SessionId, Timestamp, UserId, initial, metadata};

    fn described(shape: &str) -> BTreeSet<String> {
        let document: Value = serde_json::from_str(crate::http::openapi::json()).unwrap();
        let properties = document["components"]["schemas"][shape]["properties"]
            .as_object()
            .unwrap()
            .clone();
        properties.into_iter().map(|(name, _)| name).collect()
    }

    fn names(document: &Map<String, Value>) -> BTreeSet<String> {
        document.keys().cloned().collect()
    }

    #[test]
    fn a_new_session_has_the_fields_that_are_described() {
        let at = Timestamp::from_millis(0);
        let id = SessionId::parse("s").unwrap();
        let user = UserId::parse("u").unwrap();
        let given = ["source", "input", "config"].map(|name| (name.to_owned(), Value::Null));
        let creation = Creation {
            initial: Map::from_iter(given),
            began: Some(at),
            ..Creation::default()
        };
        let mut metadata = metadata::Metadata::at_creation(&id, &user, &creation, at);
        metadata.adopt(&id, "s:1");
        assert_eq!(names(metadata.doc()), described("Metadata"));
        assert_eq!(
            names(metadata.doc()["metrics"].as_object().unwrap()),
            described("Metrics")
        );
        assert_eq!(
            names(metadata.doc()["tokenUsage"].as_object().unwrap()),
            described("TokenUsage")
        );
        let state = State::at_creation(at);
        assert_eq!(names(state.doc()), described("State"));
        assert_eq!(
            names(state.doc()["agents"].as_object().unwrap()),
            described("Agents")
        );
        let initial = initial::document(&creation, at);
        assert_eq!(names(initial.as_object().unwrap()), described("Initial"));
    }
}
