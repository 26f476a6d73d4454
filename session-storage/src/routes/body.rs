//! Request bodies: the right type, not too large, and not too slow.
//!
//! A body that arrives with its head, as most do, is taken as it is: no copy, no timer. Only one that lets the
//! service wait gets a timer, which asks for progress, not for an end: large bodies over slow lines are welcome.
//! Once the service is stopping a body that stalls is given up after half a second.

mod media;
mod packed;
mod receiving;

use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use bytes::Bytes;
use session_model::{Code, Refusal, UserId};
use tokio_util::sync::CancellationToken;

use super::caller::{self, Caller};
use super::permit::Permit;
use crate::access::Denied;
use crate::error::ApiError;
use crate::limits::Limits;
use crate::live::Leave as _;
use crate::sessions::Redaction;
use receiving::Receiving;

pub use media::{Accepts, Json, Lines, Media, Patches};

/// What a body may take.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// The most bytes.
    pub bytes: usize,
    /// The longest time without progress.
    pub stall: Duration,
    /// Cancelled when the service stops.
    pub draining: CancellationToken,
    /// What takes secrets out of them.
    pub redaction: Arc<Redaction>,
}

/// A whole body of a type that the route reads, screened.
pub struct Body<A> {
    /// The bytes, without their secrets.
    pub bytes: Bytes,
    /// Whether they may bear tags in the place of secrets.
    pub marked: bool,
    /// What they are.
    pub media: Media,
    accepts: PhantomData<A>,
}

impl<A: Accepts> FromRequest for Body<A> {
    type Error = ApiError;
    type Future = Reading<A>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Reading<A> {
        let bounds = request.app_data::<Bounds>();
        let state =
            bounds.map_or_else(unbounded, |bounds| Receiving::begin::<A>(request.headers(), bounds, payload));
        let (request, counted) = (request.clone(), counted(request));
        Reading { request, state: Some(state), screening: None, counted, accepts: PhantomData }
    }
}

/// Left by the guard: the body does not say how long it is, and counts for this user once it is there.
pub struct Unannounced(pub UserId);

type Counted = (Data<Limits>, UserId);

fn counted(request: &HttpRequest) -> Option<Counted> {
    let limits = request.app_data::<Data<Limits>>().filter(|limits| limits.quota.counts_bytes())?;
    let Unannounced(user) = request.extensions_mut().remove()?;
    Some((limits.clone(), user))
}

fn unbounded() -> Result<Receiving, Refusal> {
    Err(Refusal::new(Code::Internal, "the application has no bounds for bodies"))
}

/// The longest body that is screened at once: a longer one would hold up the others on this thread.
const SCREENED_AT_ONCE: usize = 512 << 10;

/// What some programs write before a text, and what is no part of it (RFC 8259, 8.1).
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

fn unmarked(bytes: Bytes) -> Bytes {
    if bytes.starts_with(BYTE_ORDER_MARK) { bytes.slice(BYTE_ORDER_MARK.len()..) } else { bytes }
}

type Screening = Pin<Box<dyn Future<Output = Result<(Bytes, bool), Refusal>>>>;

/// Screens a body on a thread of its own; `packed`: of how many bytes at most it is to be unpacked first.
fn screening(redaction: Arc<Redaction>, bytes: Bytes, lines: bool, packed: Option<usize>) -> Screening {
    let screened = actix_web::web::block(move || {
        let bytes = packed.map_or(Ok(bytes.clone()), |most| packed::unpack(&bytes, most))?;
        Ok(redaction.screen(unmarked(bytes), lines))
    });
    Box::pin(async move {
        let failed = |_| Refusal::new(Code::Internal, "the body could not be screened");
        screened.await.map_err(failed)?
    })
}

/// A body on its way.
pub struct Reading<A> {
    request: HttpRequest,
    state: Option<Result<Receiving, Refusal>>,
    /// A large or compressed body that is being screened on a thread of its own.
    screening: Option<Screening>,
    counted: Option<Counted>,
    accepts: PhantomData<A>,
}

// Nothing in it is pinned in place: the payload and the timers are `Unpin` or boxed.
impl<A> Unpin for Reading<A> {}

impl<A: Accepts> Future for Reading<A> {
    type Output = Result<Body<A>, ApiError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let result = match this.state.as_mut() {
            Some(Ok(receiving)) => {
                let screened = match &mut this.screening {
                    Some(screening) => ready!(screening.as_mut().poll(context)),
                    None => match ready!(receiving.poll(context)) {
                        Ok(bytes) if receiving.packed || bytes.len() > SCREENED_AT_ONCE => {
                            let redaction = Arc::clone(&receiving.bounds.redaction);
                            let packed = receiving.packed.then_some(receiving.bounds.bytes);
                            let screening =
                                this.screening.insert(screening(redaction, bytes, A::LINES, packed));
                            ready!(screening.as_mut().poll(context))
                        }
                        received => {
                            received.map(|bytes| receiving.bounds.redaction.screen(unmarked(bytes), A::LINES))
                        }
                    },
                };
                let media = receiving.media;
                screened.map(|(bytes, marked)| Body { bytes, marked, media, accepts: PhantomData })
            }
            Some(Err(refusal)) => Err(refusal.clone()),
            None => Err(Refusal::new(Code::Internal, "a body was asked for twice")),
        };
        let waited = matches!(&this.state, Some(Ok(receiving)) if receiving.has_waited());
        this.state = None;
        if waited && result.is_ok() {
            still_let_in(&this.request)?;
        }
        let admitted = |body: &Body<A>| match &this.counted {
            Some((limits, user)) => limits.quota.admit_bytes(user, body.bytes.len() as u64),
            None => Ok(()),
        };
        let result = result.and_then(|body| admitted(&body).map(|()| body));
        Poll::Ready(result.map_err(ApiError::from))
    }
}

/// Whoever sends slowly may have lost their key or token on the way.
fn still_let_in(request: &HttpRequest) -> Result<(), ApiError> {
    let caller = Caller::extract(request).into_inner()?;
    if Permit::new(caller).holds() { Ok(()) } else { Err(caller::refused(Denied::Revoked)) }
}

#[cfg(test)]
mod tests;
