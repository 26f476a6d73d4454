//! Every path on one screen, and what surrounds them: request ids, JSON errors, CORS, the dashboard.

use actix_cors::Cors;
use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Resource};
use session_model::{Code, SessionId};

use crate::error::ApiError;
use crate::routes::{actions, events, health, live, query, sessions, state};

/// Paths and methods, as [`configure`] registers them.
pub const ROUTES: &[(&str, &[&str])] = &[
    ("/", &["GET"]),
    ("/health", &["GET"]),
    ("/api/sessions", &["GET", "POST"]),
    ("/api/sessions/user/{userId}", &["GET"]),
    ("/api/sessions/{id}", &["GET", "DELETE"]),
    ("/api/sessions/{id}/metadata", &["PATCH"]),
    ("/api/sessions/{id}/finalize", &["POST"]),
    ("/api/sessions/{id}/reopen", &["POST"]),
    ("/api/sessions/{id}/events", &["GET", "POST"]),
    ("/api/actions/{id}", &["GET", "POST"]),
    ("/api/actions/{id}/responses", &["GET", "POST"]),
    ("/api/state/{id}", &["GET", "PATCH"]),
    ("/api/state/{id}/goals", &["POST"]),
    ("/api/state/{id}/goals/{goalId}", &["PATCH"]),
    ("/api/state/{id}/agents", &["POST"]),
    ("/api/state/{id}/agents/{agentId}/complete", &["POST"]),
    ("/api/query/recent", &["GET"]),
    ("/api/query/active", &["GET"]),
    ("/api/query/stats", &["GET"]),
    ("/api/events", &["GET"]),
    ("/ws", &["GET"]),
];

/// Registers every path; the same in production and in tests.
pub fn configure(app: &mut ServiceConfig) {
    app.service(at("/api/actions/{id}").get(actions::actions).post(actions::append_action).done())
        .service(
            at("/api/actions/{id}/responses").get(actions::responses).post(actions::append_response).done(),
        )
        .service(at("/api/sessions/{id}/events").get(events::of_session).post(sessions::batch).done())
        .service(at("/api/state/{id}").get(state::read).patch(state::patch).done())
        .service(at("/api/state/{id}/goals").post(state::add_goal).done())
        .service(at("/api/state/{id}/goals/{goalId}").patch(state::update_goal).done())
        .service(at("/api/state/{id}/agents").post(state::spawn_agent).done())
        .service(at("/api/state/{id}/agents/{agentId}/complete").post(state::complete_agent).done())
        .service(at("/api/sessions").get(sessions::list).post(sessions::create).done())
        .service(
            at("/api/sessions/user/{userId}")
                .get(sessions::of_user)
                .resource
                .default_service(web::to(no_session)),
        )
        .service(at("/api/sessions/{id}").get(sessions::read).delete(sessions::delete).done())
        .service(at("/api/sessions/{id}/metadata").patch(sessions::update_metadata).done())
        .service(at("/api/sessions/{id}/finalize").post(sessions::finalize).done())
        .service(at("/api/sessions/{id}/reopen").post(sessions::reopen).done())
        .service(at("/api/query/recent").get(query::recent).done())
        .service(at("/api/query/active").get(query::active).done())
        .service(at("/api/query/stats").get(query::stats).done())
        .service(at("/api/events").get(events::all).done())
        .service(at("/ws").get(live::follow).done())
        .service(at("/health").get(health::health).done())
        .service(at("/").get(health::index).done())
        .default_service(web::to(unknown));
}

async fn unknown() -> Result<HttpResponse, ApiError> {
    Err(ApiError::new(Code::NotFound, "there is no such route"))
}

/// `user` has a route of its own and names no session, whatever is asked of it.
async fn no_session() -> Result<HttpResponse, ApiError> {
    SessionId::parse("user")?;
    Err(ApiError::new(Code::NotFound, "there is no such route"))
}

/// A path being registered; what it does not serve is 405 with the methods that it does.
struct At {
    resource: Resource,
    allow: Vec<&'static str>,
}

fn at(path: &'static str) -> At {
    At { resource: web::resource(path), allow: Vec::new() }
}

macro_rules! methods {
    ($($name:ident => $method:expr, $text:literal;)+) => {
        impl At {
            $(fn $name<F, Args>(mut self, handler: F) -> Self
            where
                F: actix_web::Handler<Args>,
                Args: actix_web::FromRequest + 'static,
                F::Output: actix_web::Responder + 'static,
            {
                self.resource = self.resource.route(web::method($method).to(handler));
                self.allow.push($text);
                self
            })+
        }
    };
}

methods! {
    get => Method::GET, "GET";
    post => Method::POST, "POST";
    patch => Method::PATCH, "PATCH";
    delete => Method::DELETE, "DELETE";
}

impl At {
    fn done(self) -> Resource {
        let allow = self.allow.join(", ");
        self.resource.default_service(web::to(move |req: HttpRequest| {
            let allow = allow.clone();
            async move {
                let message = format!("{} is not allowed here, only {allow}", req.method());
                Err::<HttpResponse, _>(
                    ApiError::new(Code::MethodNotAllowed, message).with_header("Allow", allow),
                )
            }
        }))
    }
}

/// Which pages of other origins may call.
pub fn cors(origins: &[String]) -> Cors {
    let cors = Cors::default()
        .allow_any_method()
        .allow_any_header()
        .expose_headers(["etag", "x-request-id", "producer-epoch", "producer-expected-seq", "retry-after"])
        .max_age(3600);
    if origins.iter().any(|origin| origin == "*") {
        return cors.allow_any_origin();
    }
    // A page of the service's own origin needs no permission; others are simply not given any.
    let cors = cors.block_on_origin_mismatch(false);
    origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
}
