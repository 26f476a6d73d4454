//! The table of all paths: method, handler, access rule, description.
//!
//! The table is a macro that another macro expands, because its rows are used twice: here as data
//! ([`ENDPOINTS`], [`ROUTES`]) that the description of the API and the metrics read, and in the
//! parent module as the registration of the handlers. So the data depends on no handler.

use serde::Serialize;

use crate::access::{Rule, Scope};
use crate::observability::metrics::RouteId;

/// A row of the table of routes.
#[derive(Debug, Serialize)]
pub struct Endpoint {
    /// The HTTP method.
    pub method: &'static str,
    /// The path.
    pub path: &'static str,
    /// What the route requires of the key or token, once there are keys.
    #[serde(serialize_with = "as_text")]
    pub access: Rule,
    /// What the route does.
    pub about: &'static str,
}

impl Endpoint {
    /// Whether the route starts a stream, for which browsers can send no header.
    pub fn begins_stream(&self) -> bool {
        begins_stream(self.method, self.path)
    }
}

pub(super) fn begins_stream(method: &str, path: &str) -> bool {
    method == "GET" && (path == "/ws" || path.ends_with("/events"))
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
fn as_text<S: serde::Serializer>(rule: &Rule, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(rule)
}

/// Appends to the session in the path.
pub(super) const APPEND: Rule = Rule::Session(Scope::Append);
/// Deletes the session in the path.
pub(super) const WRITE: Rule = Rule::Session(Scope::Write);
/// Reads the session in the path.
pub(super) const READ: Rule = Rule::Session(Scope::Read);
/// Creates a session, if the client may access it.
pub(super) const CREATE: Rule = Rule::Filtered(Scope::Append);
/// Lists those sessions that the client may access.
pub(super) const LIST: Rule = Rule::Filtered(Scope::Read);
/// Copies all sessions at once.
pub(super) const BACKUP: Rule = Rule::Whole(Scope::Admin);

/// Calls the macro `$expand` with the rows of the table. A row without a rule does not compile. The
/// order matters only for speed: the router tries the paths one by one, so the paths that agents
/// write to come first.
macro_rules! endpoints {
    ($expand:ident) => {
        $expand! {
            "/api/actions/{id}" {
                POST actions::append_action, APPEND, "appends an action";
                GET actions::actions, READ, "the actions; ?limit, after, before, order, type";
            }
            "/api/actions/{id}/responses" {
                POST actions::append_response, APPEND, "appends a response";
                GET actions::responses, READ, "the responses; parameters as for actions";
            }
            "/api/sessions/{id}/events" {
                POST sessions::batch, APPEND, "applies a batch of NDJSON lines in order";
                GET events::of_session, READ, "the session's events as a page or, with Accept: text/event-stream, as a stream";
            }
            "/api/state/{id}" {
                PATCH state::patch, APPEND, "merges into the state; If-Match names the version";
                GET state::read, READ, "the state; ?version for an earlier one";
            }
            "/api/state/{id}/goals" {
                POST state::add_goal, APPEND, "adds a goal";
            }
            "/api/state/{id}/goals/{goal}" {
                PATCH state::update_goal, APPEND, "changes a goal";
            }
            "/api/state/{id}/agents" {
                POST state::spawn_agent, APPEND, "adds an agent";
            }
            "/api/state/{id}/agents/{agent}/complete" {
                POST state::complete_agent, APPEND, "marks an agent as completed";
            }
            "/api/sessions" {
                POST sessions::create, CREATE, "creates or claims a session";
                GET sessions::list, LIST, "pages of metadata; ?user, status, tag, q, limit, cursor";
            }
            "/api/sessions/{id}" {
                GET sessions::read, READ, "the whole session; ?logs=false omits the logs, ?format=hail returns a HAIL file";
                DELETE sessions::delete, WRITE, "deletes a session";
            }
            "/api/sessions/{id}/blobs/{blob}" {
                PUT blobs::store, APPEND, "stores bytes under their SHA-256; Content-Type is kept";
                GET blobs::read, READ, "the bytes, as a download; Range for a part of them";
            }
            "/api/sessions/{id}/metadata" {
                PATCH sessions::update_metadata, APPEND, "sets dotted keys of the metadata";
            }
            "/api/sessions/{id}/usage" {
                GET sessions::usage, READ, "the tokens and cost of the session's model requests; ?explain=true says why each record counts";
            }
            "/api/sessions/{id}/finalize" {
                POST sessions::finalize, APPEND, "finalizes a session";
            }
            "/api/sessions/{id}/reopen" {
                POST sessions::reopen, APPEND, "reopens a session";
            }
            "/api/sessions/user/{user}" {
                GET sessions::of_user, LIST, "the user's sessions; ?limit, cursor";
            }
            "/api/query/recent" {
                GET query::recent, LIST, "metadata of the newest sessions";
            }
            "/api/query/active" {
                GET query::active, LIST, "metadata of the active sessions; ?limit, cursor";
            }
            "/api/query/stats" {
                GET query::stats, LIST, "the number of sessions";
            }
            "/api/events" {
                GET events::all, LIST, "all events as a page or, with Accept: text/event-stream, as a stream";
            }
            "/api/tokens" {
                POST tokens::issue, Rule::Filtered(Scope::Admin), "issues a token for one session; sessionId, scope, ttl";
            }
            "/api/tickets" {
                POST tokens::ticket, LIST, "issues a ticket that opens one stream: ?ticket=";
            }
            "/ws" {
                GET live::follow, LIST, "the live feed; ?session, user, since";
            }
            "/api/admin/export" {
                GET admin::export, BACKUP, "sessions as a bundle; ?session (repeatable), user";
            }
            "/api/admin/backup" {
                GET admin::backup, BACKUP, "the whole directory as of one position, as a bundle";
            }
            "/health" {
                GET health::health, Rule::Open, "the health of the service";
            }
            "/livez" {
                GET probes::alive, Rule::Open, "whether the service needs a restart";
            }
            "/readyz" {
                GET probes::ready, Rule::Open, "whether the service accepts writes, check by check";
            }
            "/metrics" {
                GET probes::metrics, Rule::Whole(Scope::Read), "metrics in the text format of Prometheus";
            }
            "/openapi.json" {
                GET describe::document, Rule::Open, "this API as OpenAPI 3.1";
            }
            "/schemas/records.json" {
                GET describe::records, Rule::Open, "the types of records as JSON Schema";
            }
            "/docs" {
                GET describe::page, Rule::Open, "this API as an HTML page";
            }
            "/docs/style.css" {
                GET describe::style, Rule::Open, "the page's style sheet";
            }
            "/llms.txt" {
                GET describe::llms, Rule::Open, "this API as a text for language models";
            }
            "/" {
                GET health::about, Rule::Open, "this list";
            }
        }
    };
}
pub(super) use endpoints;

macro_rules! describe {
    ($($path:literal { $($method:ident $handler:path, $rule:expr, $about:literal;)+ })+) => {
        /// All paths and methods.
        pub const ENDPOINTS: &[Endpoint] =
            &[$($(Endpoint {
                method: stringify!($method), path: $path, access: $rule, about: $about,
            },)+)+];

        /// All route labels that requests are counted by.
        pub(super) const ROUTES: &[&str] = &[$($path,)+ DASHBOARD, UNMATCHED];
    };
}

endpoints!(describe);

/// The label of the dashboard's files, and the path below which they are served.
pub(super) const DASHBOARD: &str = "/dashboard/";
/// The label under which requests are counted that match no route.
pub(super) const UNMATCHED: &str = "unmatched";

/// The index of a route in the list of labels.
pub(super) fn route_id(path: &str) -> RouteId {
    RouteId(
        ROUTES
            .iter()
            .position(|route| *route == path)
            .unwrap_or(ROUTES.len() - 1),
    )
}
