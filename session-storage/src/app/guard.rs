//! The guard of every row of the table: asks of whoever comes what the row's rule says, before its handler runs.
//!
//! It is an extractor ahead of the handler's own, so that nothing of the body is read for those who may not, and no
//! further future or layer is between. While access control is off it costs one look at a flag.

use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, Handler, HttpMessage as _, HttpRequest};
use session_model::{Code, Refusal, SessionId};

use crate::access::rule::Verdict;
use crate::access::{Access, Rule};
use crate::error::ApiError;
use crate::routes::caller::{self, Caller};
use crate::sessions::{Sessions, not_found};

/// A row of the table, as a type.
pub(super) trait Row: 'static {
    /// What it asks.
    const RULE: Rule;
    /// Its method.
    const METHOD: &'static str;
    /// Its path.
    const PATH: &'static str;

    /// Whether a stream begins here, which is where browsers can send no header.
    fn begins_stream() -> bool {
        Self::METHOD == "GET" && (Self::PATH == "/ws" || Self::PATH.ends_with("/events"))
    }
}

/// What a guard needs; the same for every row.
#[derive(Clone)]
pub(super) struct Watch {
    pub(super) access: Arc<Access>,
    pub(super) sessions: Arc<Sessions>,
    /// Whoever comes through this listener needs no key.
    pub(super) trusted: bool,
}

impl Watch {
    fn admit<R: Row>(&self, request: &HttpRequest) -> Result<(), ApiError> {
        if !self.access.is_on() {
            return Ok(());
        }
        let known = Caller::recognise(&self.access, request, self.trusted, R::begins_stream());
        let caller = match known {
            Ok(caller) => caller,
            Err(_) if R::RULE == Rule::Open => return Ok(()),
            Err(denied) => return Err(caller::refused(denied)),
        };
        let session = request.match_info().get("id").and_then(|id| SessionId::parse(id).ok());
        let verdict = R::RULE.judge(&caller.who, session.as_ref(), |id| self.sessions.user_of(id));
        request.extensions_mut().insert(caller);
        match (verdict, session) {
            (Verdict::Allowed, _) => Ok(()),
            (Verdict::Unknown, Some(id)) => Err(not_found(&id).into()),
            (Verdict::Forbidden | Verdict::Unknown, _) => Err(forbidden(R::RULE).into()),
        }
    }
}

fn forbidden(rule: Rule) -> Refusal {
    Refusal::new(Code::Forbidden, format!("this takes a key or token with the scope `{rule}`"))
}

/// Proof that the guard of a row was passed.
pub(super) struct Passed<R>(PhantomData<R>);

impl<R: Row> FromRequest for Passed<R> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Some(watch) = request.app_data::<Watch>() else {
            let missing = Refusal::new(Code::Internal, "the application has no guard");
            return ready(Err(missing.into()));
        };
        ready(watch.admit::<R>(request).map(|()| Self(PhantomData)))
    }
}

/// A row's handler behind its guard.
pub(super) struct Guarded<R, H> {
    handler: H,
    row: PhantomData<R>,
}

impl<R, H> Guarded<R, H> {
    pub(super) fn new(_: R, handler: H) -> Self {
        Self { handler, row: PhantomData }
    }
}

impl<R, H: Clone> Clone for Guarded<R, H> {
    fn clone(&self) -> Self {
        Self { handler: self.handler.clone(), row: PhantomData }
    }
}

impl<R: Row, H: Handler<A>, A: FromRequest> Handler<(Passed<R>, A)> for Guarded<R, H> {
    type Output = H::Output;
    type Future = H::Future;

    fn call(&self, (_, arguments): (Passed<R>, A)) -> Self::Future {
        self.handler.call(arguments)
    }
}
