//! The HTTP application, with every path in one table.
//!
//! [`app`] is used both in production and in tests. The table below is also the source of the list
//! at `GET /`, of the `Allow` header sent for a wrong method, and of what each route's guard
//! requires; a row without a rule does not compile. The order matters only for speed: the router
//! tries the paths one by one, so the paths that agents write to come first.

pub(crate) mod connections;
mod dashboard;
mod edge;
mod guard;
mod hosts;
mod parts;
pub(crate) mod request_id;
mod trace;
mod watch;

use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::guard::{Guard, fn_guard};
use actix_web::http::Method;
use actix_web::{App, Error, HttpResponse, Resource, Route, web};
use serde::Serialize;
use session_model::{Code, Refusal};

use crate::access::{Rule, Scope};
use crate::error::ApiError;
use crate::metrics::RouteId;
use crate::routes::{actions, admin, describe, events, health, live, probes, query, sessions, state, tokens};

pub use guard::Guards;
pub use parts::Parts;

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

fn begins_stream(method: &str, path: &str) -> bool {
    method == "GET" && (path == "/ws" || path.ends_with("/events"))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn as_text<S: serde::Serializer>(rule: &Rule, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(rule)
}

macro_rules! endpoints {
    ($($path:literal { $($method:ident $handler:path, $rule:expr, $about:literal;)+ })+) => {
        /// All paths and methods.
        pub const ENDPOINTS: &[Endpoint] =
            &[$($(Endpoint {
                method: stringify!($method), path: $path, access: $rule, about: $about,
            },)+)+];

        /// All route labels that requests are counted by.
        const ROUTES: &[&str] = &[$($path,)+ dashboard::ROUTE, UNMATCHED];

        fn endpoints(config: &mut web::ServiceConfig) {
            $(config.service(
                web::resource($path)
                    .app_data(route_id($path))
                    $(.route({
                        struct This;
                        impl guard::Row for This {
                            const METHOD: &'static str = stringify!($method);
                            const PATH: &'static str = $path;
                            const RULE: Rule = $rule;
                        }
                        route(<This as guard::Row>::METHOD).to(guard::Guarded::new(This, $handler))
                    }))+
                    .default_service(web::to(|| async { wrong_method($path) })),
            );)+
        }
    };
}

/// Appends to the session in the path.
const APPEND: Rule = Rule::Session(Scope::Append);
/// Deletes the session in the path.
const WRITE: Rule = Rule::Session(Scope::Write);
/// Reads the session in the path.
const READ: Rule = Rule::Session(Scope::Read);
/// Creates a session, if the client may access it.
const CREATE: Rule = Rule::Filtered(Scope::Append);
/// Lists those sessions that the client may access.
const LIST: Rule = Rule::Filtered(Scope::Read);
/// Copies all sessions at once.
const BACKUP: Rule = Rule::Whole(Scope::Admin);

endpoints! {
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
        POST state::complete_agent, APPEND, "notes that an agent is done";
    }
    "/api/sessions" {
        POST sessions::create, CREATE, "creates or claims a session";
        GET sessions::list, LIST, "pages of metadata; ?user, status, tag, q, limit, cursor";
    }
    "/api/sessions/{id}" {
        GET sessions::read, READ, "the whole session; ?logs=false leaves the logs out";
        DELETE sessions::delete, WRITE, "removes a session";
    }
    "/api/sessions/{id}/metadata" {
        PATCH sessions::update_metadata, APPEND, "sets dotted keys of the metadata";
    }
    "/api/sessions/{id}/finalize" {
        POST sessions::finalize, APPEND, "closes a session";
    }
    "/api/sessions/{id}/reopen" {
        POST sessions::reopen, APPEND, "opens a session again";
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
        GET query::stats, LIST, "how many sessions there are";
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
        GET health::health, Rule::Open, "whether the service is well";
    }
    "/livez" {
        GET probes::alive, Rule::Open, "whether the service needs a restart";
    }
    "/readyz" {
        GET probes::ready, Rule::Open, "whether the service takes writes, check by check";
    }
    "/metrics" {
        GET probes::metrics, Rule::Whole(Scope::Read), "figures in the text format of Prometheus";
    }
    "/openapi.json" {
        GET describe::document, Rule::Open, "this API as OpenAPI 3.1";
    }
    "/docs" {
        GET describe::page, Rule::Open, "this API as a page for people";
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

/// The label under which requests are counted that match no route.
const UNMATCHED: &str = "unmatched";

/// The index of a route in the list of labels.
fn route_id(path: &str) -> RouteId {
    RouteId(ROUTES.iter().position(|route| *route == path).unwrap_or(ROUTES.len() - 1))
}

/// Configures everything inside the middleware.
fn configure(config: &mut web::ServiceConfig, parts: &Parts) {
    config
        .app_data(web::Data::from(Arc::clone(&parts.sessions)))
        .app_data(web::Data::new(parts.live()))
        .app_data(parts.bodies.clone())
        .app_data(parts.started)
        .app_data(Arc::clone(&parts.gatekeeper.guards.access))
        .app_data(web::Data::from(Arc::clone(&parts.gatekeeper.guards.limits)))
        .app_data(parts.gatekeeper.clone())
        .app_data(health::About::new(&ENDPOINTS))
        .app_data(route_id(UNMATCHED))
        .app_data(web::Data::new(parts.probed()));
    config.service(users());
    endpoints(config);
    dashboard::configure(config, parts.dashboard.as_deref(), parts.sessions.readers());
    config.default_service(web::to(|| async { no_route() }));
}

/// Registered before the table, for reading only: a user may be called `events`, a session may not
/// be called `user`.
fn users() -> Resource {
    struct OfUser;
    impl guard::Row for OfUser {
        const METHOD: &'static str = "GET";
        const PATH: &'static str = "/api/sessions/user/{user}";
        const RULE: Rule = LIST;
    }
    let (path, of_user) = (<OfUser as guard::Row>::PATH, guard::Guarded::new(OfUser, sessions::of_user));
    web::resource(path).app_data(route_id(path)).guard(reading()).route(web::route().to(of_user))
}

/// Builds the application of one worker.
pub fn app(
    parts: &Parts,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody + use<>>,
        Error = Error,
        InitError = (),
    > + use<>,
> {
    App::new().configure(|config| configure(config, parts)).wrap(edge::Edge::new(parts))
}

/// A route guard for one method. The framework's own guard records every method that it tries in
/// the request, which costs some allocations each; here, the table already says which methods a
/// path accepts.
fn asks(method: Method) -> impl Guard {
    fn_guard(move |context| context.head().method == method)
}

/// Accepts GET and HEAD: every route for GET also answers HEAD.
fn reading() -> impl Guard {
    fn_guard(|context| matches!(context.head().method, Method::GET | Method::HEAD))
}

/// Creates the route for a method of the table.
fn route(method: &str) -> Route {
    match method {
        "GET" => web::route().guard(reading()),
        "POST" => web::route().guard(asks(Method::POST)),
        "PATCH" => web::route().guard(asks(Method::PATCH)),
        _ => web::route().guard(asks(Method::DELETE)),
    }
}

fn allowed(path: &str) -> String {
    let mut methods: Vec<&str> = ENDPOINTS.iter().filter(|e| e.path == path).map(|e| e.method).collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.join(", ")
}

fn wrong_method(path: &'static str) -> Result<HttpResponse, ApiError> {
    let allowed = allowed(path);
    let refusal = Refusal::new(Code::MethodNotAllowed, format!("this path takes {allowed}"));
    Err(ApiError::with_header(refusal, "Allow", allowed))
}

fn no_route() -> Result<HttpResponse, ApiError> {
    Err(Refusal::new(Code::NotFound, "no route has this path; `GET /` lists them all").into())
}

#[cfg(test)]
mod tests;
