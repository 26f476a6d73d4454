//! `/health`: health check; `/`: service information.

use std::time::Instant;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{FromRequest as _, HttpRequest, HttpResponse, web};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use session_model::{Code, Refusal};

use super::answer::{Answer, json as answer};
use super::caller::Caller;
use crate::error::ApiError;
use crate::sessions::Sessions;

/// Header with the id of the service's run. It is new at each start and carries no other
/// information.
pub const STORAGE_RUN: HeaderName = HeaderName::from_static("storage-run");

/// Time at which the service started.
#[derive(Clone, Copy, Debug)]
pub struct Started(pub Instant);

impl Started {
    /// Returns the seconds since the start, to the millisecond.
    fn uptime(self) -> f64 {
        self.0.elapsed().as_millis() as f64 / 1000.0
    }
}

/// Returns the health of the service.
pub async fn health(request: HttpRequest, sessions: web::Data<Sessions>) -> Answer {
    let caller = Caller::extract(&request).await.ok();
    let uptime = request.app_data::<Started>().map_or(0.0, |started| started.uptime());
    let mut report = report(uptime, &sessions);
    if !caller.is_some_and(|caller| caller.sees_everything()) {
        // The status is public. The amount of data and the number of connections are not.
        report.retain(|field, _| field == "status" || field == "uptime");
    }
    if report["status"] == "ok" {
        let mut well = answer(Value::Object(report).to_string());
        well.headers_mut().insert(STORAGE_RUN, run_of(&sessions)?);
        return Ok(well);
    }
    let failed = Refusal::new(Code::StorageUnavailable, "storage failed and needs a restart");
    Err(ApiError::with_fields(failed, report))
}

fn run_of(sessions: &Sessions) -> Result<HeaderValue, Refusal> {
    HeaderValue::from_str(sessions.run())
        .map_err(|_| Refusal::new(Code::Internal, "the run is no header value"))
}

fn report(uptime: f64, sessions: &Sessions) -> Map<String, Value> {
    let (storage, counts) = (sessions.storage_health(), sessions.hub().counts());
    let status = if storage["status"] == "failed" { "failed" } else { "ok" };
    let websocket =
        json!({"totalConnections": counts.connections, "users": counts.users, "sessions": counts.sessions});
    let mut report = Map::new();
    report.insert("status".into(), status.into());
    report.insert("uptime".into(), uptime.into());
    report.insert("websocket".into(), websocket);
    report.insert("storage".into(), storage);
    report
}

/// Response body of `GET /`.
#[derive(Clone, Debug)]
pub struct About(Bytes);

impl About {
    /// Creates the body with the list of the routes.
    pub fn new(endpoints: &impl serde::Serialize) -> Self {
        let about = json!({
            "service": env!("CARGO_PKG_NAME"),
            "version": env!("CARGO_PKG_VERSION"),
            "endpoints": endpoints,
        });
        Self(about.to_string().into())
    }
}

/// Returns the service name, version and endpoints.
pub async fn about(request: HttpRequest) -> HttpResponse {
    answer(request.app_data::<About>().map_or_else(Bytes::new, |about| about.0.clone()))
}
