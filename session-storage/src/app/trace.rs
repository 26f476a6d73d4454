//! What is known of a request by the time it is answered: for the audit log, and for the headers that tell a client
//! how much of its budget is left. Made by the guard, and only if somebody wants it.

use std::sync::{Arc, OnceLock};

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use session_model::SessionId;

use crate::audit::{Audit, Deed};
use crate::clock::now;
use crate::limits::{Budget, Place};
use crate::routes::body::Bounds;

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
    /// The place of the session that a write may make.
    pub(super) place: Option<Place>,
}

impl Trace {
    /// Without a session's id that is a secret: such a session is refused, and its name is not to be kept either.
    pub(super) fn screened(mut self, request: &HttpRequest) -> Self {
        if let (Some(session), Some(bounds)) = (&self.deed.session, request.app_data::<Bounds>())
            && bounds.redaction.text(session.as_str()) != session.as_str()
        {
            self.deed.session = None;
        }
        self
    }

    /// Tells what there is to tell about an answer.
    pub(super) fn finish(
        self,
        (status, code): (u16, Option<&'static str>),
        headers: &mut HeaderMap,
        request_id: &HeaderValue,
    ) {
        self.place.into_iter().for_each(Place::answered);
        if let Some(budget) = self.budget {
            announce(budget, headers);
        }
        let Some(audit) = self.audit else { return };
        let named = self.named.and_then(|named| named.get().cloned());
        let session = self.deed.session.clone().or(named);
        let deed = Deed { session, status, code, ..self.deed };
        audit.note(deed, now(), request_id.to_str().unwrap_or_default());
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
