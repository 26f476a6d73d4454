//! Probes and metrics for operators: liveness, readiness, `/metrics`.

use std::sync::Arc;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpResponse, web};
use serde_json::{Map, Value, json};
use session_model::{Code, Refusal};
use tokio_util::sync::CancellationToken;

use crate::http::app::connections::Connections;
use crate::http::error::ApiError;
use crate::http::respond::{Answer, json as answer};
use crate::observability::metrics::{self, Requests, exposition};
use crate::sessions::Sessions;
use crate::sessions::metrics::Check;

/// State that the probes check in addition to the sessions.
#[derive(Clone)]
pub struct Probed {
    /// Request counters.
    pub(crate) requests: Arc<Requests>,
    /// Open connections.
    pub(crate) connections: Connections,
    /// Cancelled when the service stops.
    pub(crate) draining: CancellationToken,
}

/// Liveness: whether the service can continue without a restart. A full disk or a failed sync does
/// not count against it, because reads still work.
pub async fn alive(sessions: web::Data<Sessions>) -> Answer {
    if sessions.is_alive() {
        return Ok(answer(json!({"status": "alive"}).to_string()));
    }
    let mut report = Map::new();
    report.insert("status".into(), "dead".into());
    let dead = Refusal::new(Code::StorageUnavailable, "a thread of the store has ended");
    Err(ApiError::with_fields(dead, report))
}

/// Readiness: whether the service accepts writes.
pub async fn ready(probed: web::Data<Probed>, sessions: web::Data<Sessions>) -> Answer {
    let mut checks = sessions.checks().await;
    let draining = probed
        .draining
        .is_cancelled()
        .then_some("the service is stopping");
    checks.push(Check {
        name: "accepting",
        fault: draining,
    });
    let is_ready = checks.iter().all(|check| check.fault.is_none());
    let report = report(is_ready, checks);
    if is_ready {
        return Ok(answer(Value::Object(report).to_string()));
    }
    Err(ApiError::with_fields(
        Refusal::new(Code::StorageUnavailable, "the service is not ready"),
        report,
    ))
}

fn report(is_ready: bool, checks: Vec<Check>) -> Map<String, Value> {
    let named = |check: Check| (check.name.to_owned(), check.fault.unwrap_or("ok").into());
    let mut report = Map::new();
    report.insert(
        "status".into(),
        if is_ready { "ready" } else { "unready" }.into(),
    );
    report.insert(
        "checks".into(),
        checks
            .into_iter()
            .map(named)
            .collect::<Map<String, Value>>()
            .into(),
    );
    report
}

/// Returns the metrics.
pub async fn metrics(probed: web::Data<Probed>, sessions: web::Data<Sessions>) -> Answer {
    let read = move || metrics::report(&probed.requests, &probed.connections, &sessions.metrics());
    let page = web::block(read).await;
    let page = page.map_err(|_| Refusal::new(Code::Internal, "the figures could not be read"))?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, exposition::CONTENT_TYPE))
        .body(page))
}
