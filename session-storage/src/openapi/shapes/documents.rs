//! What is kept: a session's documents and records.

use utoipa::ToSchema;

use super::Status;
use serde_json::Value;

/// Who, when, status and metrics of a session: `metadata.json`.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::openapi) struct Metadata {
    #[schema(rename = "$schema")]
    schema: Value,
    session_id: String,
    user_id: String,
    sandbox_id: Value,
    created: String,
    updated: String,
    #[schema(inline = false)]
    status: Status,
    /// A text, unless a caller has set something else; so are the other fields without a type.
    model: Value,
    yolo_mode: Value,
    token_usage: TokenUsage,
    metrics: Metrics,
    tags: Vec<String>,
    parent_session: Value,
    subsessions: Vec<String>,
    /// Milliseconds from creation to the end; null while it goes on.
    duration: Value,
    /// The status of its end: `success`, `error`, `interrupted`, `cancelled` or another one; null while it goes on. One
    /// that an earlier version ended has none.
    #[schema(nullable = false)]
    outcome: Option<Value>,
    /// How many of its records tell of an error: by `status` `error` or `timeout`, or, unless it is `ok`, `denied`,
    /// `interrupted` or `cancelled`, by type `error`, `tool_error` or `stop_failure` or by `"success": false`.
    /// One that an earlier version began has none.
    #[schema(nullable = false)]
    error_count: Option<Value>,
    /// When the service heard of it, if its client said when it began.
    #[schema(nullable = false)]
    received_at: Option<String>,
    /// The name that the older service kept it under, where that is no session id; requests may name it by this, too.
    #[schema(nullable = false)]
    original_id: Option<String>,
}

/// Tokens, as callers count them.
#[derive(ToSchema)]
pub(in crate::openapi) struct TokenUsage {
    input: Option<Value>,
    output: Option<Value>,
    total: Option<Value>,
}

/// What actions were counted, by their `type`.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::openapi) struct Metrics {
    agents_spawned: Option<Value>,
    tool_calls: Option<Value>,
    mcp_calls: Option<Value>,
    files_modified: Option<Value>,
    bash_commands: Option<Value>,
}

/// Phase, goals, agents and workspace of a session: `state.json`.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::openapi) struct State {
    #[schema(rename = "$schema")]
    schema: Value,
    /// Starts at 1 and grows by 1 with every change.
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
pub(in crate::openapi) struct Agents {
    spawned: Vec<Agent>,
    /// Ids.
    active: Vec<String>,
    /// Ids.
    completed: Vec<String>,
}

/// A goal.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::openapi) struct Goal {
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
pub(in crate::openapi) struct Agent {
    agent_id: String,
    r#type: Option<Value>,
    task: Option<Value>,
    /// `spawned` or `completed`.
    status: Option<Value>,
    spawned_at: Option<Value>,
    completed_at: Option<Value>,
    /// When it was started again last, if it was.
    #[schema(nullable = false)]
    resumed_at: Option<String>,
    /// How often it was started again, if it was.
    #[schema(nullable = false)]
    resumes: Option<i64>,
    /// The id of its own session.
    subsession: Option<Value>,
}

/// A stored action or response: the caller's fields, and these.
#[derive(ToSchema)]
pub(in crate::openapi) struct Record {
    /// Its number in its log, from 1, without gaps.
    #[schema(minimum = 1)]
    seq: i64,
    timestamp: String,
    /// Its place among all events; records of the older service have none.
    #[schema(rename = "$offset", nullable = false)]
    offset: Option<i64>,
    /// CRC-32C over the line before it.
    #[schema(rename = "$crc", nullable = false)]
    crc: Option<Value>,
}

/// What a session was born from: `initial.json`.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::openapi) struct Initial {
    #[schema(rename = "$schema")]
    schema: Value,
    /// When it began.
    timestamp: String,
    /// When the service heard of it, if its client said when it began.
    #[schema(nullable = false)]
    received_at: Option<String>,
    /// These three are there if they were given.
    source: Option<Value>,
    input: Option<Value>,
    config: Option<Value>,
}

/// How a session ended: `final.json`.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::openapi) struct Final {
    #[schema(rename = "$schema")]
    schema: Value,
    timestamp: Value,
    /// `success` unless the caller says otherwise.
    status: Value,
    outcome: Value,
    goals_achieved: Value,
    final_response: Value,
    metrics: Value,
    subsessions: Value,
    /// When the service heard of it, if its client said when it ended.
    #[schema(nullable = false)]
    received_at: Option<String>,
    /// The ids of the agents that were active then, if any were.
    #[schema(nullable = false)]
    agents_not_ended: Option<Vec<String>>,
}

/// A whole session.
#[derive(ToSchema)]
pub(in crate::openapi) struct Session {
    metadata: Metadata,
    #[schema(nullable)]
    initial: Option<Initial>,
    state: State,
    /// Left out with `logs=false`.
    #[schema(nullable = false)]
    actions: Option<Vec<Record>>,
    /// Left out with `logs=false`.
    #[schema(nullable = false)]
    responses: Option<Vec<Record>>,
    /// Null while the session goes on.
    r#final: Option<Final>,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Map, Value};
    use session_model::event::Birth;
    use session_model::state::State;
    use session_model::{SessionId, Timestamp, UserId, initial, metadata};

    fn described(shape: &str) -> BTreeSet<String> {
        let document: Value = serde_json::from_str(crate::openapi::json()).unwrap();
        let properties = document["components"]["schemas"][shape]["properties"].as_object().unwrap().clone();
        properties.into_iter().map(|(name, _)| name).collect()
    }

    fn names(document: &Map<String, Value>) -> BTreeSet<String> {
        document.keys().cloned().collect()
    }

    #[test]
    fn a_newborn_session_has_the_fields_that_are_described() {
        let (at, id, user) =
            (Timestamp::from_millis(0), SessionId::parse("s").unwrap(), UserId::parse("u").unwrap());
        let given = ["source", "input", "config"].map(|name| (name.to_owned(), Value::Null));
        let birth = Birth { initial: Map::from_iter(given), began: Some(at), ..Birth::default() };
        let mut metadata = metadata::Metadata::at_birth(&id, &user, &birth, at);
        metadata.adopt(&id, "s:1");
        assert_eq!(names(metadata.doc()), described("Metadata"));
        assert_eq!(names(metadata.doc()["metrics"].as_object().unwrap()), described("Metrics"));
        assert_eq!(names(metadata.doc()["tokenUsage"].as_object().unwrap()), described("TokenUsage"));
        let state = State::at_birth(at);
        assert_eq!(names(state.doc()), described("State"));
        assert_eq!(names(state.doc()["agents"].as_object().unwrap()), described("Agents"));
        let initial = initial::document(&birth, at);
        assert_eq!(names(initial.as_object().unwrap()), described("Initial"));
    }
}
