//! What is sent. Where the service takes any object, so does the description.

use utoipa::ToSchema;

use serde_json::Value;

/// A session to create.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http::openapi) struct NewSession {
    /// Generated if it is missing; required with the headers of a producer.
    #[schema(
        pattern = "^(?!user$)[A-Za-z0-9][A-Za-z0-9._-]{0,127}$",
        max_length = 128
    )]
    session_id: Option<String>,
    /// At most 256 bytes, without control characters.
    #[schema(
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$",
        min_length = 1,
        max_length = 256
    )]
    user_id: String,
    /// What the session starts from: `source`, `input`, `config` and any other field; stored as given.
    #[schema(value_type = Object)]
    initial: Value,
    /// When the session began, by the client's clock; the time of receipt if it is missing or in the
    /// future.
    timestamp: Option<Value>,
    /// The parent session.
    #[schema(
        pattern = "^(?!user$)[A-Za-z0-9][A-Za-z0-9._-]{0,127}$",
        max_length = 128
    )]
    parent_session: Option<String>,
}

/// Any object. The `type` of an action is counted in the metrics; a valid `timestamp` is kept; a
/// `seq` is stored as `clientSeq`.
#[derive(ToSchema)]
pub(in crate::http::openapi) struct NewRecord {
    r#type: Option<Value>,
    timestamp: Option<Value>,
}

/// A goal: any object.
#[derive(ToSchema)]
pub(in crate::http::openapi) struct NewGoal {
    /// `goal-<n>` if it is missing; `goalId` is another name for it.
    #[schema(min_length = 1)]
    id: Option<String>,
    description: Option<Value>,
    /// `pending` if it is missing.
    status: Option<Value>,
    priority: Option<Value>,
}

/// Fields of the goal to set.
#[derive(ToSchema)]
pub(in crate::http::openapi) struct GoalUpdate {
    /// `completed` sets `completedAt`.
    status: Option<Value>,
}

/// An agent: any object.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http::openapi) struct NewAgent {
    r#type: Option<Value>,
    task: Option<Value>,
    /// Generated if it is missing. A completed agent with this id is started again.
    #[schema(min_length = 1)]
    agent_id: Option<String>,
    /// When it happened, by the client's clock; the time of receipt if it is missing or in the
    /// future.
    spawned_at: Option<Value>,
    /// Id of the agent's own session.
    #[schema(
        pattern = "^(?!user$)[A-Za-z0-9][A-Za-z0-9._-]{0,127}$",
        max_length = 128
    )]
    subsession: Option<String>,
}

/// Fields of the agent to set.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http::openapi) struct Outcome {
    result: Option<Value>,
    /// When it happened, by the client's clock; the time of receipt if it is missing or in the
    /// future.
    completed_at: Option<Value>,
}

/// How a session ends.
#[derive(ToSchema)]
pub(in crate::http::openapi) struct Ending {
    /// `success` if it is missing.
    status: Option<Value>,
    outcome: Option<Value>,
    response: Option<Value>,
    /// When it happened, by the client's clock; the time of receipt if it is missing or in the
    /// future.
    timestamp: Option<Value>,
}

/// Dotted keys and their values. A string `+N` adds exactly N to a number: to an existing number,
/// and in `duration` and below `tokenUsage` and `metrics` also to a missing one. In those fields,
/// digits in a string are read as a number, and the fields that the service knows accept only a
/// number or null. In any other field, a string stays a string.
#[derive(ToSchema)]
pub(in crate::http::openapi) struct MetadataPatch {
    tags: Option<Value>,
}

/// Merged into the state. `version`, `timestamp` and `$schema` are ignored.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http::openapi) struct StatePatch {
    phase: Option<Value>,
    current_step: Option<Value>,
}

/// A step of a JSON Patch (RFC 6902).
#[derive(ToSchema)]
pub(in crate::http::openapi) struct JsonPatchStep {
    op: String,
    path: String,
    from: Option<String>,
    value: Option<Value>,
}

/// One line of a batch.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http::openapi) struct BatchLine {
    /// `action`, `response`, `state_update`, `goal_add`, `goal_update`, `agent_spawn`,
    /// `agent_complete`, `metadata_update`, `finalize` or `reopen`.
    r#type: String,
    /// The body of the single route, with `goalId` or `agentId` where that route has one in its path.
    #[schema(value_type = Option<Object>)]
    data: Option<Value>,
    /// Of `state_update`: the version that must be the current one.
    if_version: Option<i64>,
}

/// Anything; the body is ignored.
#[derive(ToSchema)]
pub(in crate::http::openapi) struct Empty {}

/// A session token to issue.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http::openapi) struct NewToken {
    session_id: String,
    /// Some of `append`, `read`, `write`, separated by spaces or commas; `append` if it is missing.
    scope: Option<String>,
    /// How long the token is valid, from `1s` to `31d`; `1h` if it is missing.
    ttl: Option<String>,
}
