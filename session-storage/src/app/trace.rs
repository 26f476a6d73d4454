//! What is known of a request by the time it is answered: for the audit log, and for the headers that tell a client
//! how much of its budget is left. Made by the guard, and only if somebody wants it.

use std::sync::{Arc, OnceLock};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use session_model::SessionId;

use super::request_id;
use crate::audit::{Audit, Deed};
use crate::clock::now;
use crate::limits::Budget;

static LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
static REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
static RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// One request's.
pub(super) struct Trace {
    pub(super) audit: Option<Arc<Audit>>,
    /// What is done, but for the answer.
    pub(super) deed: Deed,
    /// The session, where a body names it.
    pub(super) named: Option<Arc<OnceLock<SessionId>>>,
    pub(super) budget: Option<Budget>,
    /// The request's name, once it is known.
    pub(super) request_id: Option<HeaderValue>,
}

/// What stands in the audit log for a request whose client went away before its answer: what it has asked for may have
/// been done.
const GONE: u16 = 499;

impl Trace {
    /// Tells what there is to tell about an answer.
    pub(super) fn finish(mut self, status: u16, headers: &mut HeaderMap, request_id: &HeaderValue) {
        self.request_id = Some(request_id.clone());
        if let Some(budget) = self.budget {
            announce(budget, headers);
        }
        self.note(status);
    }

    /// Notes the deed, once.
    fn note(&mut self, status: u16) {
        let Some(audit) = self.audit.take() else { return };
        let named = self.named.as_ref().and_then(|named| named.get().cloned());
        let session = self.deed.session.clone().or(named);
        let deed = Deed { session, status, ..self.deed.clone() };
        let request_id = self.request_id.take().unwrap_or_else(request_id::fresh);
        audit.note(deed, now(), request_id.to_str().unwrap_or_default());
    }
}

impl Drop for Trace {
    /// Without an answer the request was broken off.
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
