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

use actix_web::dev::Payload;
use actix_web::http::header::HeaderMap;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use bytes::Bytes;
use session_model::{Code, Refusal, UserId};

use super::bounds::Bounds;
use super::redact::Redact;
use crate::access::Denied;
use crate::http::auth::caller::{self, Caller};
use crate::http::auth::permit::Permit;
use crate::http::error::ApiError;
use crate::limits::Limits;
use crate::live::Grant as _;
use crate::sessions::Redaction;
use receiving::Receiving;
pub(in crate::http) use receiving::{Patience, broken};

pub use media::{Accepts, Json, Lines, Media, Patches};

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
        let redaction = Redact::required(request).map(|redact| Arc::clone(redact.redaction()));
        let state = redaction.and_then(|redaction| {
            let bounds = bounds.ok_or_else(unbounded)?;
            let receiving = Receiving::begin::<A>(request.headers(), bounds, payload)?;
            Ok((receiving, redaction))
        });
        let counted = counted(request);
        Reading {
            request: request.clone(),
            state: Some(state),
            screening: None,
            counted,
            accepts: PhantomData,
        }
    }
}

/// Rejects a compressed body, where the bytes are stored as they are sent.
pub(in crate::http) fn refuse_packed(headers: &HeaderMap) -> Result<(), Refusal> {
    if packed::is_packed(headers)? {
        let why =
            "a blob must be sent without `Content-Encoding`: its name is the hash of its bytes";
        return Err(Refusal::new(Code::UnsupportedMediaType, why));
    }
    Ok(())
}

/// Set by the guard: the body's length is not announced, so it is charged to this user once it has
/// been received.
pub struct Unannounced(pub UserId);

pub(super) type Counted = (Data<Limits>, UserId);

/// Takes the user to whom a body is charged once it was received, if its length was not announced.
pub(in crate::http) fn counted(request: &HttpRequest) -> Option<Counted> {
    let limits = request
        .app_data::<Data<Limits>>()
        .filter(|limits| limits.quota.counts_bytes())?;
    let Unannounced(user) = request.extensions_mut().remove()?;
    Some((limits.clone(), user))
}

/// Returns the refusal of an application that has no limits.
pub(in crate::http) fn unbounded() -> Refusal {
    Refusal::new(Code::Internal, "the application has no bounds for bodies")
}

/// Largest body that is redacted inline. A longer one would hold up the other connections of this
/// thread.
const SCREENED_AT_ONCE: usize = 512 << 10;

/// Byte order mark, which some programs write before a text. It is not part of the JSON (RFC 8259,
/// 8.1).
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

fn unmarked(bytes: Bytes) -> Bytes {
    if bytes.starts_with(BYTE_ORDER_MARK) {
        bytes.slice(BYTE_ORDER_MARK.len()..)
    } else {
        bytes
    }
}

type Screening = Pin<Box<dyn Future<Output = Result<(Bytes, bool), Refusal>>>>;

/// Redacts a body on a blocking thread. If `packed` is set, first decompresses it to at most that
/// many bytes.
fn screening(
    redaction: Arc<Redaction>,
    bytes: Bytes,
    lines: bool,
    packed: Option<usize>,
) -> Screening {
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
    state: Option<Result<(Receiving, Arc<Redaction>), Refusal>>,
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
            Some(Ok((receiving, redaction))) => {
                let screened = match &mut this.screening {
                    Some(screening) => ready!(screening.as_mut().poll(context)),
                    None => match ready!(receiving.poll(context)) {
                        Ok(bytes) if receiving.packed || bytes.len() > SCREENED_AT_ONCE => {
                            let packed = receiving.packed.then_some(receiving.bounds.bytes);
                            let screening = this.screening.insert(screening(
                                Arc::clone(redaction),
                                bytes,
                                A::LINES,
                                packed,
                            ));
                            ready!(screening.as_mut().poll(context))
                        }
                        received => {
                            received.map(|bytes| redaction.screen(unmarked(bytes), A::LINES))
                        }
                    },
                };
                let media = receiving.media;
                screened.map(|(bytes, marked)| Body {
                    bytes,
                    marked,
                    media,
                    accepts: PhantomData,
                })
            }
            Some(Err(refusal)) => Err(refusal.clone()),
            None => Err(Refusal::new(Code::Internal, "a body was asked for twice")),
        };
        let waited = matches!(&this.state, Some(Ok((receiving, _))) if receiving.has_waited());
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
pub(in crate::http) fn still_let_in(request: &HttpRequest) -> Result<(), ApiError> {
    let caller = Caller::extract(request).into_inner()?;
    if Permit::new(caller).holds() {
        Ok(())
    } else {
        Err(caller::refused(Denied::Revoked))
    }
}

#[cfg(test)]
mod tests;
