//! Request bodies: the right type, not too large, and not too slow.
//!
//! A body that arrives with its head, as most do, is taken as it is: no copy, no timer. Only one that lets the
//! service wait gets a timer, which asks for progress, not for an end: large bodies over slow lines are welcome.
//! Once the service is stopping a body that stalls is given up after [`GRACE`].

use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use bytes::{Bytes, BytesMut};
use futures_core::Stream as _;
use session_model::{Code, Refusal, UserId};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::caller::{self, Caller};
use super::permit::Permit;
use crate::access::Denied;
use crate::error::ApiError;
use crate::limits::Limits;
use crate::live::Leave as _;
use crate::sessions::Redaction;

/// How long a body in flight may stall once the service is stopping.
const GRACE: Duration = Duration::from_millis(500);
/// The most that is reserved because a client has announced it.
const RESERVE: usize = 256 << 10;

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

/// What a body's content type says it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Media {
    /// `application/json`, another `+json`, or no type at all.
    Json,
    /// `application/merge-patch+json`
    MergePatch,
    /// `application/json-patch+json`
    JsonPatch,
    /// `application/x-ndjson` and its other names.
    Lines,
    /// Not said.
    Unsaid,
    /// None of these.
    Other,
}

/// Which types a route reads.
pub trait Accepts {
    /// Whether it reads this one.
    fn accepts(media: Media) -> bool;
    /// Whether it reads lines, each a document.
    const LINES: bool = false;
    /// What it reads, for people.
    const READS: &'static str;
}

/// Reads JSON.
pub struct Json;
/// Reads JSON and the patches of it.
pub struct Patches;
/// Reads lines of JSON.
pub struct Lines;

impl Accepts for Json {
    fn accepts(media: Media) -> bool {
        matches!(media, Media::Json | Media::Unsaid)
    }
    const READS: &'static str = "application/json";
}

impl Accepts for Patches {
    fn accepts(media: Media) -> bool {
        matches!(media, Media::Json | Media::MergePatch | Media::JsonPatch | Media::Unsaid)
    }
    const READS: &'static str =
        "application/json, application/merge-patch+json or application/json-patch+json";
}

impl Accepts for Lines {
    fn accepts(media: Media) -> bool {
        matches!(media, Media::Lines | Media::Unsaid)
    }
    const LINES: bool = true;
    const READS: &'static str = "application/x-ndjson";
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
        let state = bounds.map_or_else(unbounded, |bounds| begin::<A>(request.headers(), bounds, payload));
        let (request, counted) = (request.clone(), counted(request));
        Reading { request, state: Some(state), counted, accepts: PhantomData }
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

fn begin<A: Accepts>(
    headers: &HeaderMap,
    bounds: &Bounds,
    payload: &mut Payload,
) -> Result<Receiving, Refusal> {
    let media = checked::<A>(headers)?;
    let announced =
        headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > bounds.bytes) {
        return Err(too_large(bounds.bytes));
    }
    Ok(Receiving {
        payload: payload.take(),
        media,
        received: Bytes::new(),
        more: BytesMut::new(),
        announced: announced.unwrap_or(0),
        bounds: bounds.clone(),
        patience: None,
        polled: false,
    })
}

/// The type of the body, if the route reads it.
fn checked<A: Accepts>(headers: &HeaderMap) -> Result<Media, Refusal> {
    let media = headers.get(CONTENT_TYPE).map_or(Media::Unsaid, |value| media(value.as_bytes()));
    if !A::accepts(media) {
        let why = format!("the content type must be {}", A::READS);
        return Err(Refusal::new(Code::UnsupportedMediaType, why));
    }
    let plain = |value: &[u8]| value.is_empty() || value.eq_ignore_ascii_case(b"identity");
    if headers.get(CONTENT_ENCODING).is_some_and(|encoding| !plain(encoding.as_bytes())) {
        return Err(Refusal::new(Code::UnsupportedMediaType, "the body must not be compressed"));
    }
    Ok(media)
}

fn media(value: &[u8]) -> Media {
    let end = value.iter().position(|b| *b == b';').unwrap_or(value.len());
    let name = value[..end].trim_ascii();
    let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    let is_json_of_a_kind = || {
        let suffix = name.len().checked_sub(5).map(|at| &name[at..]);
        name.contains(&b'/') && suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case(b"+json"))
    };
    match () {
        () if is("application/json") => Media::Json,
        () if name.is_empty() => Media::Unsaid,
        () if is("application/merge-patch+json") => Media::MergePatch,
        () if is("application/json-patch+json") => Media::JsonPatch,
        () if is("application/x-ndjson") || is("application/ndjson") => Media::Lines,
        () if is("application/json-lines") || is("application/jsonl") => Media::Lines,
        () if is_json_of_a_kind() => Media::Json,
        () => Media::Other,
    }
}

fn too_large(bytes: usize) -> Refusal {
    Refusal::new(Code::PayloadTooLarge, format!("the body is larger than {bytes} bytes"))
}

fn broken(error: &PayloadError, bytes: usize) -> Refusal {
    match error {
        PayloadError::Overflow => too_large(bytes),
        _ => Refusal::new(Code::InvalidRequest, "the body broke off or is not framed as HTTP asks"),
    }
}

/// A body on its way.
pub struct Reading<A> {
    request: HttpRequest,
    state: Option<Result<Receiving, Refusal>>,
    counted: Option<Counted>,
    accepts: PhantomData<A>,
}

// Nothing in it is pinned in place: the payload and the timers are `Unpin` or boxed.
impl<A> Unpin for Reading<A> {}

impl<A: Accepts> Future for Reading<A> {
    type Output = Result<Body<A>, ApiError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let result = match self.state.as_mut() {
            Some(Ok(receiving)) => ready!(receiving.poll(context)).map(|bytes| {
                let (bytes, marked) = receiving.bounds.redaction.screen(bytes, A::LINES);
                Body { bytes, marked, media: receiving.media, accepts: PhantomData }
            }),
            Some(Err(refusal)) => Err(refusal.clone()),
            None => Err(Refusal::new(Code::Internal, "a body was asked for twice")),
        };
        let waited = matches!(&self.state, Some(Ok(receiving)) if receiving.patience.is_some());
        self.state = None;
        if waited && result.is_ok() {
            still_let_in(&self.request)?;
        }
        let admitted = |body: &Body<A>| match &self.counted {
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

struct Receiving {
    payload: Payload,
    media: Media,
    /// The only chunk, or none.
    received: Bytes,
    /// All of them, once there are two.
    more: BytesMut,
    announced: usize,
    bounds: Bounds,
    patience: Option<Patience>,
    polled: bool,
}

impl Receiving {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Bytes, Refusal>> {
        loop {
            match Pin::new(&mut self.payload).poll_next(context) {
                Poll::Ready(Some(Ok(chunk))) => self.take(chunk)?,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(broken(&error, self.bounds.bytes))),
                Poll::Ready(None) => return Poll::Ready(Ok(self.whole())),
                Poll::Pending => return self.wait(context),
            }
        }
    }

    fn take(&mut self, chunk: Bytes) -> Result<(), Refusal> {
        if self.received.len() + self.more.len() + chunk.len() > self.bounds.bytes {
            return Err(too_large(self.bounds.bytes));
        }
        if let Some(patience) = &mut self.patience {
            patience.progress = Instant::now();
        }
        if self.received.is_empty() && self.more.is_empty() {
            self.received = chunk;
            return Ok(());
        }
        if self.more.is_empty() {
            self.more.reserve(self.announced.min(RESERVE).max(self.received.len() + chunk.len()));
            self.more.extend_from_slice(&self.received);
            self.received = Bytes::new();
        }
        self.more.extend_from_slice(&chunk);
        Ok(())
    }

    fn whole(&mut self) -> Bytes {
        if self.more.is_empty() { std::mem::take(&mut self.received) } else { self.more.split().freeze() }
    }

    /// The connection polls a request once before it feeds it the body that came with the head, and again right
    /// after: only who waits at the second time really waits.
    fn wait(&mut self, context: &mut Context<'_>) -> Poll<Result<Bytes, Refusal>> {
        if !std::mem::replace(&mut self.polled, true) {
            return Poll::Pending;
        }
        let bounds = &self.bounds;
        let patience = self.patience.get_or_insert_with(|| Patience::new(bounds));
        patience.poll(context).map(Err)
    }
}

/// Runs out when nothing arrives for too long.
struct Patience {
    progress: Instant,
    stall: Duration,
    timer: Pin<Box<Sleep>>,
    draining: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl Patience {
    fn new(bounds: &Bounds) -> Self {
        let now = Instant::now();
        Self {
            progress: now,
            stall: bounds.stall,
            timer: Box::pin(sleep_until(now + bounds.stall)),
            draining: Some(Box::pin(bounds.draining.clone().cancelled_owned())),
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Refusal> {
        if self.draining.as_mut().is_some_and(|draining| draining.as_mut().poll(context).is_ready()) {
            self.draining = None;
            self.stall = GRACE;
            self.timer.as_mut().reset(Instant::now() + GRACE);
        }
        loop {
            ready!(self.timer.as_mut().poll(context));
            let deadline = self.progress + self.stall;
            if deadline <= Instant::now() {
                return Poll::Ready(self.refusal());
            }
            self.timer.as_mut().reset(deadline);
        }
    }

    fn refusal(&self) -> Refusal {
        if self.draining.is_none() {
            return Refusal::new(Code::StorageUnavailable, "the service is stopping");
        }
        let seconds = self.stall.as_secs_f32();
        Refusal::new(Code::RequestTimeout, format!("the body made no progress for {seconds} s"))
    }
}

#[cfg(test)]
mod tests;
