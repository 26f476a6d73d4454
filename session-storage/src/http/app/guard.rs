//! Access guard of every route: checks the route's rule before its handler runs.
//!
//! The guard is an extractor that runs before the handler's own extractors. For a rejected request,
//! nothing of the body is therefore read, and no further future or middleware is involved. With
//! access control off it costs one check of a flag.

use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::{FromRequest, Handler, HttpMessage as _, HttpRequest};
use session_model::{Code, Refusal, SessionId, UserId};

use super::connections::Activity;
use super::endpoints;
use super::hosts::Hosts;
use super::request_id;
use super::trace::Trace;
use crate::access::rule::Verdict;
use crate::access::{Access, Rule, Scope};
use crate::audit::{Audit, AuditEvent};
use crate::config::{AuditLog, Config};
use crate::http::auth::caller::{self, Caller};
use crate::http::error::ApiError;
use crate::http::extract::body::Unannounced;
use crate::http::extract::ids;
use crate::http::routes::events;
use crate::limits::{Budget, Limits, SessionSlot};
use crate::sessions::{Sessions, not_found};

/// A row of the route table, as a type.
pub(super) trait RouteSpec: 'static {
    /// Access rule of the row.
    const RULE: Rule;
    /// HTTP method of the row.
    const METHOD: &'static str;
    /// Path of the row.
    const PATH: &'static str;

    /// Returns whether this route opens a stream. Browsers cannot send custom headers when they
    /// open one.
    fn begins_stream() -> bool {
        endpoints::begins_stream(Self::METHOD, Self::PATH)
    }

    /// Returns whether the request reads so much, or for so long, that no foreign page may trigger
    /// it.
    fn is_heavy(request: &HttpRequest) -> bool {
        Self::METHOD == "GET"
            && (Self::RULE == Rule::Whole(Scope::Admin)
                || (Self::begins_stream() && events::wants_stream(request)))
    }
}

/// The services that the guards consult.
#[derive(Clone)]
pub struct Guards {
    /// Authenticates callers.
    pub access: Arc<Access>,
    /// Rate limits and quotas.
    pub limits: Arc<Limits>,
    /// Audit log, if there is one.
    pub audit: Option<Arc<Audit>>,
}

/// What a guard needs; the same for every row.
#[derive(Clone)]
pub(super) struct AccessGuard {
    pub(super) guards: Guards,
    hosts: Hosts,
    pub(super) sessions: Arc<Sessions>,
    /// Whether callers through this listener need no key.
    pub(super) trusted: bool,
    /// Whether there is something to check even while access control is off.
    always: bool,
    audit_always: bool,
}

impl AccessGuard {
    pub(super) fn new(config: &Config, guards: Guards, sessions: Arc<Sessions>) -> Self {
        let audit_always = config.audit_log == AuditLog::On;
        let always = audit_always || guards.limits.any();
        let hosts = Hosts::new(config);
        Self {
            guards,
            hosts,
            sessions,
            trusted: false,
            always,
            audit_always,
        }
    }

    fn admit<R: RouteSpec>(&self, request: &HttpRequest) -> Result<(), ApiError> {
        let on = self.guards.access.is_on();
        let page = if R::is_heavy(request) {
            self.hosts.check_heavy(request)
        } else {
            Ok(())
        };
        if !on && !self.always {
            return Ok(page?);
        }
        let session = ids::session_of(request).ok();
        let mut trace = self.trace::<R>(request, session.as_ref(), on);
        let admitted = page
            .map_err(ApiError::from)
            .and_then(|()| self.judge::<R>(request, session.as_ref(), &mut trace));
        if R::RULE != Rule::Open {
            request.extensions_mut().insert(trace);
        }
        admitted
    }

    fn trace<R: RouteSpec>(
        &self,
        request: &HttpRequest,
        session: Option<&SessionId>,
        on: bool,
    ) -> Trace {
        let audit = if R::RULE != Rule::Open && (on || self.audit_always) {
            self.guards.audit.clone()
        } else {
            None
        };
        // A request whose session id contains a secret is rejected. That id must not reach the
        // audit log either.
        let is_harmless =
            |id: &&SessionId| self.sessions.redaction().text(id.as_str()) == id.as_str();
        let session = session
            .filter(|id| audit.is_some() && is_harmless(id))
            .cloned();
        let in_body = matches!(R::RULE, Rule::Filtered(_)) && R::METHOD == "POST";
        Trace {
            named: (audit.is_some() && in_body).then(Arc::default),
            audit,
            event: AuditEvent {
                who: None,
                method: R::METHOD,
                route: R::PATH,
                session,
                address: caller::address(request),
                ..AuditEvent::default()
            },
            budget: None,
            slot: None,
            request_id: request_id::given(request),
        }
    }

    /// Returns the trace of a request that is rejected before routing.
    pub(super) fn trace_unrouted(&self, request: &HttpRequest) -> Option<Trace> {
        if !self.guards.access.is_on() && !self.audit_always {
            return None;
        }
        let audit = self.guards.audit.clone()?;
        let method = known(request.method());
        let address = caller::address(request);
        let event = AuditEvent {
            method,
            route: endpoints::UNMATCHED,
            address,
            ..AuditEvent::default()
        };
        let request_id = request_id::given(request);
        Some(Trace {
            audit: Some(audit),
            event,
            named: None,
            budget: None,
            slot: None,
            request_id,
        })
    }

    fn judge<R: RouteSpec>(
        &self,
        request: &HttpRequest,
        session: Option<&SessionId>,
        trace: &mut Trace,
    ) -> Result<(), ApiError> {
        let access = &self.guards.access;
        let limits = &self.guards.limits;
        let counted = R::RULE != Rule::Open;
        if counted && let Some(address) = trace.event.address {
            within(limits.of_address.count(&address), trace)?;
        }
        let mut caller = match Caller::recognise(access, request, self.trusted, R::begins_stream())
        {
            Ok(caller) => caller,
            Err(_) if !counted => return Ok(()),
            Err(denied) => return Err(caller::refused(denied)),
        };
        if access.is_on()
            && let Some(activity) = request.conn_data::<Arc<Activity>>()
        {
            activity.has_shown_a_key();
        }
        trace.event.who = Some(Arc::clone(&caller.who.name));
        caller.named.clone_from(&trace.named);
        if counted {
            within(limits.of_key.count(&caller.who.name), trace)?;
        }
        let verdict = R::RULE.judge(&caller.who, session, |id| self.sessions.user_of(id));
        request.extensions_mut().insert(caller);
        match (verdict, session) {
            (Verdict::Allowed, Some(id)) if R::RULE == Rule::Session(Scope::Append) => {
                trace.slot = self.within_quota(request, id)?;
                Ok(())
            }
            (Verdict::Allowed, _) => Ok(()),
            // A legacy session id that is out of scope gets the same error as a legacy id that does
            // not exist, which is an invalid id.
            (Verdict::Unknown, Some(id)) => Err(ids::parse(request)
                .err()
                .unwrap_or_else(|| not_found(id))
                .into()),
            (Verdict::Forbidden | Verdict::Unknown, _) => Err(forbidden(R::RULE).into()),
        }
    }

    /// Checks the quota. A write may create its session, and it takes space: as much as its
    /// `Content-Length` announces or, without one, as much as the body turns out to have.
    fn within_quota(
        &self,
        request: &HttpRequest,
        id: &SessionId,
    ) -> Result<Option<SessionSlot>, ApiError> {
        let quota = &self.guards.limits.quota;
        if !quota.is_on() {
            return Ok(None);
        }
        let owner = self.sessions.user_of(id);
        let user = owner.clone().unwrap_or_else(UserId::unknown);
        match caller::announced(request) {
            Some(bytes) => quota.admit_bytes(&user, bytes)?,
            None => drop(request.extensions_mut().insert(Unannounced(user.clone()))),
        }
        if owner.is_some() {
            return Ok(None);
        }
        Ok(quota.admit_session(&user, id, |making| self.sessions.count_of(&user, making))?)
    }
}

/// Returns the name of a known method, or `other`, because a client may send any word as the
/// method.
fn known(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN
        .into_iter()
        .find(|known| *known == method.as_str())
        .unwrap_or("other")
}

/// Records a budget in the trace, and rejects the request if the budget is exceeded.
fn within(budget: Option<Budget>, trace: &mut Trace) -> Result<(), Refusal> {
    let Some(budget) = budget else { return Ok(()) };
    trace.budget = Some(budget);
    let Some(seconds) = budget.retry_after else {
        return Ok(());
    };
    let sentence = format!(
        "too many requests: at most {} at once, the next in {seconds} s",
        budget.limit
    );
    Err(Refusal::new(Code::RateLimited, sentence))
}

fn forbidden(rule: Rule) -> Refusal {
    Refusal::new(
        Code::Forbidden,
        format!("this request needs a key or token with the scope `{rule}`"),
    )
}

/// Proof that a row's guard has passed.
pub(super) struct Passed<R>(PhantomData<R>);

impl<R: RouteSpec> FromRequest for Passed<R> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Some(access_guard) = request.app_data::<AccessGuard>() else {
            let missing = Refusal::new(Code::Internal, "the application has no access guard");
            return ready(Err(missing.into()));
        };
        ready(access_guard.admit::<R>(request).map(|()| Self(PhantomData)))
    }
}

/// A row's handler behind its guard.
pub(super) struct Guarded<R, H> {
    handler: H,
    row: PhantomData<R>,
}

impl<R, H> Guarded<R, H> {
    pub(super) fn new(_: R, handler: H) -> Self {
        Self {
            handler,
            row: PhantomData,
        }
    }
}

impl<R, H: Clone> Clone for Guarded<R, H> {
    fn clone(&self) -> Self {
        Self {
            handler: self.handler.clone(),
            row: PhantomData,
        }
    }
}

impl<R: RouteSpec, H: Handler<A>, A: FromRequest> Handler<(Passed<R>, A)> for Guarded<R, H> {
    type Output = H::Output;
    type Future = H::Future;

    fn call(&self, (_, arguments): (Passed<R>, A)) -> Self::Future {
        self.handler.call(arguments)
    }
}
