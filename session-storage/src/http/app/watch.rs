//! Records each request once its response exists: a count, its duration, and a log line.
//!
//! Each request writes at most one line. Errors that only an operator can fix are logged as ERROR
//! and all others as DEBUG; with the access log enabled, those others and all successful requests
//! are logged as INFO.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServiceResponse;
use session_model::Code;

use super::app_state::AppState;
use crate::http::error::Fault;
use crate::http::extract::redact::Redact;
use crate::observability::metrics::{Requests, RouteId, Shard};
use crate::observability::traces::{Answered, Traces};

/// Request recorder of one worker.
pub(super) struct Watch {
    requests: Arc<Requests>,
    shard: Arc<Shard>,
    access_log: bool,
    traces: Option<Traces>,
    /// Whether responses are sent over TLS.
    pub(super) encrypted: bool,
}

/// Target of the access log lines, for use in `RUST_LOG`.
const ACCESS: &str = "session_storage::access";

impl Watch {
    /// Creates the recorder of one more worker.
    pub(super) fn new(state: &AppState) -> Self {
        let requests = Arc::clone(&state.requests);
        let shard = requests.shard();
        Self {
            requests,
            shard,
            access_log: state.access_log,
            traces: state.traces.clone(),
            encrypted: state.encrypted,
        }
    }

    /// Records a response.
    pub(super) fn answered<B>(
        &self,
        response: &ServiceResponse<B>,
        id: &str,
        fault: Option<&Fault>,
        took: Duration,
    ) {
        let request = response.request();
        let route = request
            .app_data::<RouteId>()
            .copied()
            .unwrap_or(RouteId(usize::MAX));
        self.shard
            .answered(route, request.method(), response.status(), took);
        if let Some(fault) = fault {
            self.requests.errors.count(fault.code);
        }
        if let Some(traces) = &self.traces {
            let screened = screen(response);
            let session = request.match_info().get("id").map(&screened);
            traces.answered(&Answered {
                method: request.method(),
                route: self.requests.pattern(route),
                path: &screened(request.path()),
                headers: request.headers(),
                session: session.as_deref(),
                id,
                status: response.status().as_u16(),
                code: fault.map(|fault| fault.code.as_str()),
                took,
            });
        }
        if fault.is_some() || self.access_log {
            self.log(response, route, id, fault, took);
        }
    }

    fn log<B>(
        &self,
        response: &ServiceResponse<B>,
        route: RouteId,
        id: &str,
        fault: Option<&Fault>,
        took: Duration,
    ) {
        let request = response.request();
        let status = response.status().as_u16();
        let screened = screen(response);
        let route = self.requests.pattern(route);
        let session = request.match_info().get("id").map(&screened);
        let session = session.as_deref();
        let path = &*screened(request.path());
        let method = &*screened(request.method().as_str());
        let code = fault.map(|f| f.code.as_str());
        // The message about an invalid name, header or query may quote it.
        let error = fault.map(|f| screened(&f.message));
        let source = fault.map(|f| screened(&f.source));
        let error = error.as_deref();
        let source = source.as_deref();
        let took_ms = took.as_micros() as f64 / 1000.0;
        macro_rules! note {
            ($level:ident, $target:expr, $text:literal) => {
                tracing::$level!(
                    target: $target, requestId = id, method, route, path, session, status, durationMs = took_ms, code,
                    error, source, $text
                )
            };
        }
        match fault.map(|fault| fault.code) {
            Some(Code::Internal | Code::RecordDamaged) => {
                note!(error, module_path!(), "request failed");
            }
            _ if self.access_log => note!(info, ACCESS, "request"),
            _ => note!(debug, module_path!(), "request refused"),
        }
    }
}

/// Returns a function that removes secrets from texts sent by the client.
fn screen<B>(response: &ServiceResponse<B>) -> impl for<'t> Fn(&'t str) -> Cow<'t, str> {
    let redact = Redact::of(response.request());
    move |text| redact.map_or(Cow::Borrowed("-"), |redact| redact.text(text))
}
