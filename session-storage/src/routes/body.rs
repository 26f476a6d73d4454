//! Reads request bodies: checks the type, and limits the size and the stall time.
//!
//! A body that arrives together with its head, as most do, is used as it is: no copy, no timer. A
//! timer is set only if the service has to wait for the body. The timer requires progress, not
//! completion: large bodies over slow connections are accepted. While the service is stopping, a
//! body that stalls for half a second is given up.

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

/// Limits of request bodies.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Maximum number of bytes.
    pub bytes: usize,
    /// Longest time without progress.
    pub stall: Duration,
    /// Cancelled when the service stops.
    pub draining: CancellationToken,
    /// Redacts secrets in bodies.
    pub redaction: Arc<Redaction>,
}

/// A complete, redacted body of a type that the route accepts.
pub struct Body<A> {
    /// The bytes, with secrets redacted.
    pub bytes: Bytes,
    /// Whether the bytes may contain placeholders of redacted secrets.
    pub marked: bool,
    /// Media type of the body.
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

/// Set by the guard: the body's length is not announced, so it is charged to this user once it has
/// been received.
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

/// Largest body that is redacted inline. A longer one would hold up the other connections of this
/// thread.
const SCREENED_AT_ONCE: usize = 512 << 10;

/// Byte order mark, which some programs write before a text. It is not part of the JSON (RFC 8259,
/// 8.1).
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

fn unmarked(bytes: Bytes) -> Bytes {
    if bytes.starts_with(BYTE_ORDER_MARK) { bytes.slice(BYTE_ORDER_MARK.len()..) } else { bytes }
}

type Screening = Pin<Box<dyn Future<Output = Result<(Bytes, bool), Refusal>>>>;

/// Redacts a body on a blocking thread. If `packed` is set, first decompresses it to at most that
/// many bytes.
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

/// A body that is being received.
pub struct Reading<A> {
    request: HttpRequest,
    state: Option<Result<Receiving, Refusal>>,
    /// A large or compressed body that is being redacted on a blocking thread.
    screening: Option<Screening>,
    counted: Option<Counted>,
    accepts: PhantomData<A>,
}

// Nothing in it relies on pinning: the payload and the timers are `Unpin` or boxed.
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

/// Checks the caller's grant again: during a slow upload the key or token may have been revoked or
/// expired.
fn still_let_in(request: &HttpRequest) -> Result<(), ApiError> {
    let caller = Caller::extract(request).into_inner()?;
    if Permit::new(caller).holds() { Ok(()) } else { Err(caller::refused(Denied::Revoked)) }
}

#[cfg(test)]
mod tests;
