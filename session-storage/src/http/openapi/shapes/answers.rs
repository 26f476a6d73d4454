//! What is answered.

use utoipa::ToSchema;

use super::{ErrorCode, EventType, Goal, Metadata};
use serde_json::Value;

/// An error.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http::openapi) struct Error {
    /// A message for people.
    error: String,
    #[schema(inline = false)]
    code: ErrorCode,
    /// Id of the request in the service's log.
    request_id: String,
}

/// A repeat of an earlier request of this producer: it was stored then, and its response is no
/// longer known.
#[derive(ToSchema)]
pub(in crate::http::openapi) struct Duplicate {
    success: bool,
    duplicate: bool,
}

/// Done.
#[derive(ToSchema)]
pub(in crate::http::openapi) struct Done {
    success: bool,
}

/// A record was stored.
#[derive(ToSchema)]
pub(in crate::http::openapi) struct Appended {
    success: bool,
    /// Number of the record in its log.
    #[schema(minimum = 1)]
    seq: i64,
    /// The first fields that are of another kind than the record's type says. The record is stored as it was given.
    vocabulary: Option<Vec<Warning>>,
    /// The record's key was stored before: `seq` is the number of that record, and nothing was
    /// stored now.
    duplicate: Option<bool>,
}

/// A field of a record that is of another kind than its type says.
#[derive(ToSchema)]
pub(in crate::http::openapi) struct Warning {
    /// The name of the field.
    field: String,
    /// The kind that the vocabulary says.
    expected: String,
    /// The kind that was found.
    found: String,
}

/// The session exists now.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http::openapi) struct Created {
    success: bool,
    session_id: String,
    /// Path of the session's folder on the service's machine.
    path: String,
    /// The session existed before; nothing was overwritten.
    existing: Option<bool>,
    /// A first write had created the session; now it belongs to this user.
    claimed: Option<bool>,
}

/// The state has a new version.
#[derive(ToSchema)]
pub(in crate::http::openapi) struct Versioned {
    success: bool,
    #[schema(minimum = 1)]
    version: i64,
}

/// How a record refers to a blob.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http::openapi) struct BlobReference {
    /// `sha256:` and the hash in the path.
    #[schema(rename = "$blob")]
    blob: String,
    /// Length of the stored bytes.
    #[schema(minimum = 0)]
    bytes: i64,
    media_type: String,
}

/// A blob is stored.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http::openapi) struct BlobStored {
    success: bool,
    #[schema(inline = false)]
    blob: BlobReference,
    /// It was stored before.
    existing: Option<bool>,
    /// Number of secrets that were replaced.
    redacted: Option<i64>,
    /// Hash of the stored bytes, if secrets were replaced in them.
    stored_as: Option<String>,
}

/// A goal was added.
#[derive(ToSchema)]
pub(in crate::http::openapi) struct GoalAdded {
    success: bool,
    goal: Goal,
}

/// The result of each line, in order: the response of the single route, or `{error, code}`.
#[derive(ToSchema)]
pub(in crate::http::openapi) struct BatchAnswer {
    #[schema(value_type = Vec<Object>)]
    results: Vec<Value>,
    /// The offset of the last event of the batch.
    offset: i64,
}

/// A session in a list.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http::openapi) struct SessionRow {
    session_id: String,
    user_id: String,
    created: String,
}

/// A page of sessions, newest first.
#[derive(ToSchema)]
pub(in crate::http::openapi) struct SessionPage {
    sessions: Vec<Metadata>,
    /// The `cursor` of the next page; null at the end.
    #[schema(required)]
    next: Option<String>,
}

/// Numbers of sessions.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http::openapi) struct Stats {
    total: i64,
    active: i64,
    completed: i64,
    /// Ids, newest first.
    active_sessions: Vec<String>,
    /// The newest ten.
    completed_sessions: Vec<String>,
}

/// A durable event.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http::openapi) struct Event {
    /// Offset of the event in the history of the service; strictly increasing.
    #[schema(minimum = 1)]
    offset: i64,
    #[schema(inline = false)]
    r#type: EventType,
    session_id: String,
    /// The stored record, the goal, the agent, or the requested change.
    data: Value,
    timestamp: String,
    /// Of `state_updated`: the form of `data.patch`, if it is not a deep merge.
    #[schema(nullable = false)]
    format: Option<String>,
}

/// Events, oldest first.
#[derive(ToSchema)]
pub(in crate::http::openapi) struct EventPage {
    events: Vec<Event>,
    /// Position after these events.
    next: String,
    /// Events before these that are no longer retained.
    #[schema(nullable = false)]
    gap: Option<Gap>,
    /// With `at`: number of the first event in its session, from 0.
    #[schema(nullable = false)]
    at: Option<i64>,
    /// With `at`: number of all events of the session.
    #[schema(nullable = false)]
    total: Option<i64>,
}

/// Events that are no longer retained: after `from`, up to `to`.
#[derive(ToSchema)]
pub(in crate::http::openapi) struct Gap {
    from: i64,
    to: i64,
}

/// Health of the service.
#[derive(ToSchema)]
pub(in crate::http::openapi) struct Health {
    /// `ok`, or `failed` once a sync has failed.
    status: String,
    /// Seconds since the start.
    uptime: f64,
    /// Only for callers that may read everything.
    websocket: Option<Followers>,
    /// Only for callers that may read everything.
    storage: Option<Storage>,
}

/// Numbers of live subscribers.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http::openapi) struct Followers {
    total_connections: i64,
    users: i64,
    sessions: i64,
}

/// State of the storage.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http::openapi) struct Storage {
    status: String,
    /// Epoch of the storage directory.
    epoch: String,
    /// Offset of the newest durable event.
    offset: i64,
    sessions: i64,
    active: i64,
    /// Sessions in memory.
    resident: i64,
    free_bytes: i64,
    journal_bytes: i64,
    /// Quarantined sessions: their files are damaged.
    quarantined: i64,
    /// Sessions whose files cannot be read, written or completed now.
    behind: i64,
}

/// The process runs.
#[derive(ToSchema)]
pub(in crate::http::openapi) struct Alive {
    /// `alive`
    status: String,
}

/// The service accepts writes.
#[derive(ToSchema)]
pub(in crate::http::openapi) struct Ready {
    /// `ready`
    status: String,
    checks: Checks,
}

/// Each check: `ok`, or the reason why it fails.
#[derive(ToSchema)]
pub(in crate::http::openapi) struct Checks {
    /// The journal is recovered and no sync has failed.
    journal: String,
    /// There is free space, and a file can be written.
    disk: String,
    /// The service is not stopping.
    accepting: String,
}

/// Information about the service.
#[derive(ToSchema)]
pub(in crate::http::openapi) struct About {
    service: String,
    version: String,
    endpoints: Vec<Route>,
}

/// A route.
#[derive(ToSchema)]
pub(in crate::http::openapi) struct Route {
    method: String,
    path: String,
    /// The required scope, once there are keys.
    access: String,
    about: String,
}

/// A session token.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http::openapi) struct Token {
    /// A JSON Web Token.
    token: String,
    session_id: String,
    scopes: Vec<String>,
    expires: String,
}

/// A ticket for one stream.
#[derive(ToSchema)]
pub(in crate::http::openapi) struct Ticket {
    ticket: String,
    expires: String,
}
