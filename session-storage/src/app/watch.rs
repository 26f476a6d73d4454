//! What is noted of every request once its answer is there: a count, how long it took, and a line in the log.
//!
//! Each request leaves one line at most: an error that only an operator can mend as ERROR, any other as DEBUG, or
//! all of them as INFO if the access log is wanted.

use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServiceResponse;
use session_model::Code;

use crate::error::Fault;
use crate::metrics::{Requests, RouteId, Shard};

/// A worker's notes.
pub(super) struct Watch {
    requests: Arc<Requests>,
    shard: Arc<Shard>,
    access_log: bool,
}

/// Where the lines of the access log come from, for `RUST_LOG`.
const ACCESS: &str = "session_storage::access";

impl Watch {
    /// The notes of one more worker.
    pub(super) fn new(requests: &Arc<Requests>, access_log: bool) -> Self {
        Self { requests: Arc::clone(requests), shard: requests.shard(), access_log }
    }

    /// An answer is there.
    pub(super) fn answered<B>(
        &self,
        response: &ServiceResponse<B>,
        id: &str,
        fault: Option<&Fault>,
        took: Duration,
    ) {
        let request = response.request();
        let route = request.app_data::<RouteId>().copied().unwrap_or(RouteId(usize::MAX));
        self.shard.answered(route, request.method(), response.status(), took);
        if let Some(fault) = fault {
            self.requests.errors.count(fault.code);
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
        let (request, status) = (response.request(), response.status().as_u16());
        let (route, session) = (self.requests.pattern(route), request.match_info().get("id"));
        let (method, path, code) =
            (request.method().as_str(), request.path(), fault.map(|f| f.code.as_str()));
        let (error, source) = (fault.map(|f| f.message.as_str()), fault.map(|f| f.source.as_str()));
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
            Some(Code::Internal | Code::RecordDamaged) => note!(error, module_path!(), "request failed"),
            _ if self.access_log => note!(info, ACCESS, "request"),
            _ => note!(debug, module_path!(), "request refused"),
        }
    }
}
