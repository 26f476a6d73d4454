//! What is sent. Where the service takes any object, so does the description.

use utoipa::ToSchema;

use serde_json::Value;

/// A session to be made.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::openapi) struct NewSession {
    /// One is made if it is left out; with a producer's numbers it is required.
    #[schema(pattern = "^(?!user$)[A-Za-z0-9][A-Za-z0-9._-]{0,127}$", max_length = 128)]
    session_id: Option<String>,
    /// At most 256 bytes, without control characters.
    #[schema(pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$", min_length = 1, max_length = 256)]
    user_id: String,
    /// What it is born from: `source`, `input`, `config` and whatever else; kept as given.
    #[schema(value_type = Object)]
    initial: Value,
    /// When it began by the client's clock; when the service hears of it if that is left out, or still to come.
    timestamp: Option<Value>,
    /// The session that it is a child of.
    #[schema(pattern = "^(?!user$)[A-Za-z0-9][A-Za-z0-9._-]{0,127}$", max_length = 128)]
    parent_session: Option<String>,
}

/// Any object. An action's `type` is counted in the metrics; a valid `timestamp` is kept, a `seq` becomes `clientSeq`.
#[derive(ToSchema)]
pub(in crate::openapi) struct NewRecord {
    r#type: Option<Value>,
    timestamp: Option<Value>,
}

/// A goal: any object.
#[derive(ToSchema)]
pub(in crate::openapi) struct NewGoal {
    /// `goal-<n>` if it is left out; `goalId` is another name of it.
    #[schema(min_length = 1)]
    id: Option<String>,
    description: Option<Value>,
    /// `pending` if it is left out.
    status: Option<Value>,
    priority: Option<Value>,
}

/// Fields of the goal to be set.
#[derive(ToSchema)]
pub(in crate::openapi) struct GoalUpdate {
    /// `completed` sets `completedAt`.
    status: Option<Value>,
}

/// An agent: any object.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::openapi) struct NewAgent {
    r#type: Option<Value>,
    task: Option<Value>,
    /// One is made if it is left out. An agent of that id that has ended is started again.
    #[schema(min_length = 1)]
    agent_id: Option<String>,
    /// When it was by the client's clock; when the service hears of it if that is left out, or still to come.
    spawned_at: Option<Value>,
    /// The id of its own session.
    #[schema(pattern = "^(?!user$)[A-Za-z0-9][A-Za-z0-9._-]{0,127}$", max_length = 128)]
    subsession: Option<String>,
}

/// Fields to be set on the agent's record.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::openapi) struct Outcome {
    result: Option<Value>,
    /// When it was by the client's clock; when the service hears of it if that is left out, or still to come.
    completed_at: Option<Value>,
}

/// How a session ends.
#[derive(ToSchema)]
pub(in crate::openapi) struct Ending {
    /// `success` if it is left out.
    status: Option<Value>,
    outcome: Option<Value>,
    response: Option<Value>,
    /// When it was by the client's clock; when the service hears of it if that is left out, or still to come.
    timestamp: Option<Value>,
}

/// Dotted keys and their values. A text `+N` adds to a number, exactly: to one that is there, and in `duration` and below
/// `tokenUsage` and `metrics` to nothing too. There, digits given as text are read as a number, and the fields that the
/// service knows take nothing but a number or null. In any other field a text is a text.
#[derive(ToSchema)]
pub(in crate::openapi) struct MetadataPatch {
    tags: Option<Value>,
}

/// What is merged into the state. `version`, `timestamp` and `$schema` are ignored.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::openapi) struct StatePatch {
    phase: Option<Value>,
    current_step: Option<Value>,
}

/// A step of a JSON Patch (RFC 6902).
#[derive(ToSchema)]
pub(in crate::openapi) struct JsonPatchStep {
    op: String,
    path: String,
    from: Option<String>,
    value: Option<Value>,
}

/// One line of a batch.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::openapi) struct BatchLine {
    /// `action`, `response`, `state_update`, `goal_add`, `goal_update`, `agent_spawn`, `agent_complete`,
    /// `metadata_update`, `finalize` or `reopen`.
    r#type: String,
    /// What the single route takes, with `goalId` or `agentId` where that has one in its path.
    #[schema(value_type = Option<Object>)]
    data: Option<Value>,
    /// Of `state_update`: the version that must be the current one.
    if_version: Option<i64>,
}

/// Anything; it counts for nothing.
#[derive(ToSchema)]
pub(in crate::openapi) struct Empty {}

/// A session token to be issued.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::openapi) struct NewToken {
    session_id: String,
    /// Some of `append`, `read`, `write`, with blanks or commas between; `append` if not said.
    scope: Option<String>,
    /// How long it is good, from `1s` to `31d`; `1h` if not said.
    ttl: Option<String>,
}
