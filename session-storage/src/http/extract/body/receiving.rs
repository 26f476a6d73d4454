//! Receives a body: a single chunk is used as it is, several are joined, and a body that stalls is
//! given up.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_LENGTH, HeaderMap};
use bytes::{Bytes, BytesMut};
use futures_core::Stream as _;
use session_model::{Code, Refusal};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::media::{self, Accepts, Media};
use super::packed;
use crate::http::extract::bounds::{Bounds, too_large};

/// How long a body in transit may stall once the service is stopping.
const GRACE: Duration = Duration::from_millis(500);
/// Maximum number of bytes reserved because of the announced length.
const RESERVE: usize = 256 << 10;

/// A body that is being received.
pub(super) struct Receiving {
    payload: Payload,
    pub(super) media: Media,
    /// Whether the body is compressed.
    pub(super) packed: bool,
    /// The only chunk so far; empty if there is none, or more than one.
    received: Bytes,
    /// All chunks joined, once there are two.
    more: BytesMut,
    announced: usize,
    pub(super) bounds: Bounds,
    patience: Option<Patience>,
    polled: bool,
}

impl Receiving {
    /// Starts to receive a body of an accepted type, unless its announced length is too large.
    pub(super) fn begin<A: Accepts>(
        headers: &HeaderMap,
        bounds: &Bounds,
        payload: &mut Payload,
    ) -> Result<Self, Refusal> {
        let media = media::checked::<A>(headers)?;
        let packed = packed::is_packed(headers)?;
        let announced = headers
            .get(CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|length| length > bounds.bytes) {
            return Err(too_large(bounds.bytes));
        }
        Ok(Self {
            payload: payload.take(),
            media,
            packed,
            received: Bytes::new(),
            more: BytesMut::new(),
            announced: announced.unwrap_or(0),
            bounds: bounds.clone(),
            patience: None,
            polled: false,
        })
    }

    /// Returns whether the service had to wait for the body.
    pub(super) fn has_waited(&self) -> bool {
        self.patience.is_some()
    }

    /// Returns the complete body once it has arrived.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Bytes, Refusal>> {
        loop {
            match Pin::new(&mut self.payload).poll_next(context) {
                Poll::Ready(Some(Ok(chunk))) => self.take(chunk)?,
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(Err(broken(&error, self.bounds.bytes)));
                }
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
            patience.progress();
        }
        if self.received.is_empty() && self.more.is_empty() {
            self.received = chunk;
            return Ok(());
        }
        if self.more.is_empty() {
            self.more.reserve(
                self.announced
                    .min(RESERVE)
                    .max(self.received.len() + chunk.len()),
            );
            self.more.extend_from_slice(&self.received);
            self.received = Bytes::new();
        }
        self.more.extend_from_slice(&chunk);
        Ok(())
    }

    fn whole(&mut self) -> Bytes {
        if self.more.is_empty() {
            std::mem::take(&mut self.received)
        } else {
            self.more.split().freeze()
        }
    }

    /// The connection polls a request once before it feeds in the body that came with the head, and
    /// again right after. Only a body that is pending at the second poll really has to be waited
    /// for.
    fn wait(&mut self, context: &mut Context<'_>) -> Poll<Result<Bytes, Refusal>> {
        if !std::mem::replace(&mut self.polled, true) {
            return Poll::Pending;
        }
        let bounds = &self.bounds;
        let patience = self.patience.get_or_insert_with(|| Patience::new(bounds));
        patience.poll(context).map(Err)
    }
}

/// Timer that expires when no bytes arrive for too long.
pub(in crate::http) struct Patience {
    progress: Instant,
    stall: Duration,
    timer: Pin<Box<Sleep>>,
    draining: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl Patience {
    /// Starts the timer.
    pub(in crate::http) fn new(bounds: &Bounds) -> Self {
        let now = Instant::now();
        Self {
            progress: now,
            stall: bounds.stall,
            timer: Box::pin(sleep_until(now + bounds.stall)),
            draining: Some(Box::pin(bounds.draining.clone().cancelled_owned())),
        }
    }

    /// Notes that bytes arrived.
    pub(in crate::http) fn progress(&mut self) {
        self.progress = Instant::now();
    }

    /// Returns the refusal once the timer expires.
    pub(in crate::http) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Refusal> {
        if self
            .draining
            .as_mut()
            .is_some_and(|draining| draining.as_mut().poll(context).is_ready())
        {
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
        Refusal::new(
            Code::RequestTimeout,
            format!("the body made no progress for {seconds} s"),
        )
    }
}

/// Returns the refusal of a body that broke off, or is larger than the framework allows.
pub(in crate::http) fn broken(error: &PayloadError, bytes: usize) -> Refusal {
    match error {
        PayloadError::Overflow => too_large(bytes),
        _ => Refusal::new(
            Code::InvalidRequest,
            "the body broke off or is not framed as HTTP asks",
        ),
    }
}
