//! What the service says of itself.

use std::time::Instant;

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde_json::json;

use super::Answer;
use crate::app::ROUTES;
use crate::sessions::Sessions;

/// When the service started.
#[derive(Clone, Copy, Debug)]
pub struct Started(pub Instant);

/// `GET /health`
pub async fn health(sessions: Data<Sessions>, started: Data<Started>) -> Answer {
    let storage = sessions.storage_health();
    let counts = sessions.hub().counts();
    let status = storage["status"].clone();
    let body = json!({
        "status": status, "uptime": started.0.elapsed().as_secs_f64(),
        "websocket": {"totalConnections": counts.connections, "users": counts.users, "sessions": counts.sessions},
        "storage": storage,
    });
    let mut response = if status == "ok" { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    Ok(response.json(body))
}

/// `GET /`
pub async fn index() -> HttpResponse {
    let endpoints: Vec<String> = ROUTES
        .iter()
        .flat_map(|(path, methods)| methods.iter().map(move |m| format!("{m} {path}")))
        .collect();
    HttpResponse::Ok().json(json!({
        "service": "session-storage", "version": env!("CARGO_PKG_VERSION"), "endpoints": endpoints,
    }))
}
