//! What is known of a request when its response is sent, for the audit log and for the headers that
//! report the client's remaining budget. Created by the guard, and only if needed.

use std::sync::{Arc, OnceLock};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use session_model::SessionId;

use super::request_id;
use crate::audit::{Audit, AuditEvent};
use crate::clock::now;
use crate::limits::{Budget, SessionSlot};

static LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
static REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
static RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// Trace of one request.
pub(super) struct Trace {
    pub(super) audit: Option<Arc<Audit>>,
    /// The audit event, without the parts that depend on the response.
    pub(super) event: AuditEvent,
    /// The session, if the request body names it.
    pub(super) named: Option<Arc<OnceLock<SessionId>>>,
    pub(super) budget: Option<Budget>,
    /// Reservation for the session that a write may create.
    pub(super) slot: Option<SessionSlot>,
    /// The request id, once it is known.
    pub(super) request_id: Option<HeaderValue>,
}

/// Status in the audit log for a request whose client disconnected before the response. The
/// requested change may have been made.
const GONE: u16 = 499;

impl Trace {
    /// Completes the trace with the response: sets the budget headers and writes the audit event.
    pub(super) fn finish(
        mut self,
        (status, code): (u16, Option<&'static str>),
        headers: &mut HeaderMap,
        request_id: &HeaderValue,
    ) {
        self.request_id = Some(request_id.clone());
        self.event.code = code;
        self.slot.take().into_iter().for_each(SessionSlot::answered);
        if let Some(budget) = self.budget {
            announce(budget, headers);
        }
        self.note(status);
    }

    /// Writes the audit event, once.
    fn note(&mut self, status: u16) {
        let Some(audit) = self.audit.take() else {
            return;
        };
        let named = self.named.as_ref().and_then(|named| named.get().cloned());
        let session = self.event.session.clone().or(named);
        let event = AuditEvent {
            session,
            status,
            ..self.event.clone()
        };
        let request_id = self.request_id.take().unwrap_or_else(request_id::fresh);
        audit.note(event, now(), request_id.to_str().unwrap_or_default());
    }
}

impl Drop for Trace {
    /// A trace that is dropped without a response belongs to an aborted request.
    fn drop(&mut self) {
        self.note(GONE);
    }
}

fn announce(budget: Budget, headers: &mut HeaderMap) {
    headers.insert(LIMIT.clone(), budget.limit.into());
    headers.insert(REMAINING.clone(), budget.remaining.into());
    headers.insert(RESET.clone(), budget.reset.into());
    if let Some(seconds) = budget.retry_after {
        headers.insert(RETRY_AFTER, seconds.into());
    }
}
