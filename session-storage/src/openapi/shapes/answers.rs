//! What is answered.

use utoipa::ToSchema;

use super::{ErrorCode, EventType, Goal, Metadata};
use serde_json::Value;

/// An error.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::openapi) struct Error {
    /// A sentence for people.
    error: String,
    #[schema(inline = false)]
    code: ErrorCode,
    /// Finds the request in the service's log.
    request_id: String,
}

/// The producer has sent these numbers before, and others since: it was stored then, its answer is forgotten.
#[derive(ToSchema)]
pub(in crate::openapi) struct Duplicate {
    success: bool,
    duplicate: bool,
}

/// Done.
#[derive(ToSchema)]
pub(in crate::openapi) struct Done {
    success: bool,
}

/// A record was stored.
#[derive(ToSchema)]
pub(in crate::openapi) struct Appended {
    success: bool,
    /// Its number in its log.
    #[schema(minimum = 1)]
    seq: i64,
}

/// There is such a session now.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::openapi) struct Created {
    success: bool,
    session_id: String,
    /// Its folder, as the service's configuration names it.
    path: String,
    /// It was there; nothing was overwritten.
    existing: Option<bool>,
    /// A first write had made it; now it is this user's.
    claimed: Option<bool>,
}

/// The state has a new version.
#[derive(ToSchema)]
pub(in crate::openapi) struct Versioned {
    success: bool,
    #[schema(minimum = 1)]
    version: i64,
}

/// A goal was added.
#[derive(ToSchema)]
pub(in crate::openapi) struct GoalAdded {
    success: bool,
    goal: Goal,
}

/// What became of each line, in order: what the single route answers, or `{error, code}`.
#[derive(ToSchema)]
pub(in crate::openapi) struct BatchAnswer {
    #[schema(value_type = Vec<Object>)]
    results: Vec<Value>,
    /// The offset of the last event of the batch.
    offset: i64,
}

/// A session in a list.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::openapi) struct SessionRow {
    session_id: String,
    user_id: String,
    created: String,
}

/// A page of sessions, newest first.
#[derive(ToSchema)]
pub(in crate::openapi) struct SessionPage {
    sessions: Vec<Metadata>,
    /// The `cursor` of the next page; null at the end.
    #[schema(required)]
    next: Option<String>,
}

/// How many sessions there are.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::openapi) struct Stats {
    total: i64,
    active: i64,
    completed: i64,
    /// Ids, newest first.
    active_sessions: Vec<String>,
    /// The last ten.
    completed_sessions: Vec<String>,
}

/// What happened, once it is durable.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::openapi) struct Event {
    /// Its place among all events; strictly increasing.
    #[schema(minimum = 1)]
    offset: i64,
    #[schema(inline = false)]
    r#type: EventType,
    session_id: String,
    /// The stored record, the goal, the agent, or what was asked.
    data: Value,
    timestamp: String,
    /// Of `state_updated`: how `data.patch` is to be read, if it is no deep merge.
    #[schema(nullable = false)]
    format: Option<String>,
}

/// Events, oldest first.
#[derive(ToSchema)]
pub(in crate::openapi) struct EventPage {
    events: Vec<Event>,
    /// The position after them.
    next: String,
    /// What is no longer kept, in front of them.
    #[schema(nullable = false)]
    gap: Option<Gap>,
    /// With `at`: the number of the first one in its session, from 0.
    #[schema(nullable = false)]
    at: Option<i64>,
    /// With `at`: how many there are.
    #[schema(nullable = false)]
    total: Option<i64>,
}

/// Events that are no longer kept: after `from`, up to `to`.
#[derive(ToSchema)]
pub(in crate::openapi) struct Gap {
    from: i64,
    to: i64,
}

/// How the service is.
#[derive(ToSchema)]
pub(in crate::openapi) struct Health {
    /// `ok`, or `failed` once a sync has failed.
    status: String,
    /// Seconds since the start.
    uptime: f64,
    /// Only for those to whom everything may be shown.
    websocket: Option<Followers>,
    /// Only for those to whom everything may be shown.
    storage: Option<Storage>,
}

/// Who follows.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::openapi) struct Followers {
    total_connections: i64,
    users: i64,
    sessions: i64,
}

/// How the storage is.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::openapi) struct Storage {
    status: String,
    /// The life of the storage directory.
    epoch: String,
    /// The newest durable event.
    offset: i64,
    sessions: i64,
    active: i64,
    /// Sessions in memory.
    resident: i64,
    free_bytes: i64,
    journal_bytes: i64,
    /// Sessions that are set aside because their files are damaged.
    quarantined: i64,
    /// Sessions whose files cannot be read, written or completed now.
    behind: i64,
}

/// The process goes on.
#[derive(ToSchema)]
pub(in crate::openapi) struct Alive {
    /// `alive`
    status: String,
}

/// Writes are taken.
#[derive(ToSchema)]
pub(in crate::openapi) struct Ready {
    /// `ready`
    status: String,
    checks: Checks,
}

/// Each check: `ok`, or what is wrong.
#[derive(ToSchema)]
pub(in crate::openapi) struct Checks {
    /// The journal is recovered and no sync has failed.
    journal: String,
    /// There is room, and a file can be written.
    disk: String,
    /// The service is not stopping.
    accepting: String,
}

/// What the service offers.
#[derive(ToSchema)]
pub(in crate::openapi) struct About {
    service: String,
    version: String,
    endpoints: Vec<Route>,
}

/// A route.
#[derive(ToSchema)]
pub(in crate::openapi) struct Route {
    method: String,
    path: String,
    /// The scope that it takes, once there are keys.
    access: String,
    about: String,
}

/// A session token.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::openapi) struct Token {
    /// A JSON Web Token.
    token: String,
    session_id: String,
    scopes: Vec<String>,
    expires: String,
}

/// A ticket for one stream.
#[derive(ToSchema)]
pub(in crate::openapi) struct Ticket {
    ticket: String,
    expires: String,
}
