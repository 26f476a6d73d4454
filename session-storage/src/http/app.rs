//! The HTTP application: the routes of the table in [`endpoints`], behind the middleware.
//!
//! [`app`] is used both in production and in tests. The table is also the source of the list at
//! `GET /`, of the `Allow` header sent for a wrong method, and of what each route's guard requires.

mod app_state;
pub(crate) mod connections;
mod dashboard;
pub(crate) mod endpoints;
mod guard;
mod hosts;
mod middleware;
pub(crate) mod request_id;
mod trace;
mod watch;

use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::guard::{Guard, fn_guard};
use actix_web::http::Method;
use actix_web::{App, Error, HttpResponse, Resource, Route, web};
use session_model::{Code, Refusal};

use crate::access::{Rule, Scope};
use crate::http::error::ApiError;
use crate::http::routes::{
    actions, admin, blobs, describe, events, health, live, probes, query, sessions, state, tokens,
};

pub use app_state::AppState;
use endpoints::{APPEND, BACKUP, CREATE, LIST, READ, UNMATCHED, WRITE, route_id};
pub use endpoints::{ENDPOINTS, Endpoint};
pub use guard::Guards;

macro_rules! register {
    ($($path:literal { $($method:ident $handler:path, $rule:expr, $about:literal;)+ })+) => {
        /// Registers the handlers of the table.
        fn register(config: &mut web::ServiceConfig) {
            $(config.service(
                web::resource($path)
                    .app_data(route_id($path))
                    $(.route({
                        struct This;
                        impl guard::RouteSpec for This {
                            const METHOD: &'static str = stringify!($method);
                            const PATH: &'static str = $path;
                            const RULE: Rule = $rule;
                        }
                        route(<This as guard::RouteSpec>::METHOD).to(guard::Guarded::new(This, $handler))
                    }))+
                    .default_service(web::to(|| async { wrong_method($path) })),
            );)+
        }
    };
}

endpoints::endpoints!(register);

/// Configures everything inside the middleware.
fn configure(config: &mut web::ServiceConfig, state: &AppState) {
    config
        .app_data(web::Data::from(Arc::clone(&state.sessions)))
        .app_data(web::Data::new(state.live()))
        .app_data(state.bodies.clone())
        .app_data(state.redact.clone())
        .app_data(state.started)
        .app_data(Arc::clone(&state.access_guard.guards.access))
        .app_data(web::Data::from(Arc::clone(
            &state.access_guard.guards.limits,
        )))
        .app_data(state.access_guard.clone())
        .app_data(health::About::new(&ENDPOINTS))
        .app_data(route_id(UNMATCHED))
        .app_data(web::Data::new(state.probed()));
    config.service(users());
    register(config);
    dashboard::configure(config, state.dashboard.as_deref(), state.sessions.readers());
    config.default_service(web::to(|| async { no_route() }));
}

/// Registered before the table, for reading only: a user may be called `events`, a session may not
/// be called `user`.
fn users() -> Resource {
    struct OfUser;
    impl guard::RouteSpec for OfUser {
        const METHOD: &'static str = "GET";
        const PATH: &'static str = "/api/sessions/user/{user}";
        const RULE: Rule = LIST;
    }
    let path = <OfUser as guard::RouteSpec>::PATH;
    let of_user = guard::Guarded::new(OfUser, sessions::of_user);
    web::resource(path)
        .app_data(route_id(path))
        .guard(reading())
        .route(web::route().to(of_user))
}

/// Builds the application of one worker.
pub fn app(
    state: &AppState,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody + use<>>,
        Error = Error,
        InitError = (),
    > + use<>,
> {
    App::new()
        .configure(|config| configure(config, state))
        .wrap(middleware::Middleware::new(state))
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
        "PUT" => web::route().guard(asks(Method::PUT)),
        "PATCH" => web::route().guard(asks(Method::PATCH)),
        _ => web::route().guard(asks(Method::DELETE)),
    }
}

fn allowed(path: &str) -> String {
    let mut methods: Vec<&str> = ENDPOINTS
        .iter()
        .filter(|e| e.path == path)
        .map(|e| e.method)
        .collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.join(", ")
}

fn wrong_method(path: &'static str) -> Result<HttpResponse, ApiError> {
    let allowed = allowed(path);
    let refusal = Refusal::new(
        Code::MethodNotAllowed,
        format!("this path supports {allowed}"),
    );
    Err(ApiError::with_header(refusal, "Allow", allowed))
}

fn no_route() -> Result<HttpResponse, ApiError> {
    Err(Refusal::new(Code::NotFound, "unknown path: `GET /` lists all paths").into())
}

#[cfg(test)]
mod tests;
