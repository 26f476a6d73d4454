//! Server-sent events as a response body, cut out of the same batches that WebSockets get.
//!
//! Every event has its position as `id`. Heartbeats have one too, which keeps an idle client's
//! position recent. A gap is sent as `event: gap`. Before a stream that cannot continue ends, it
//! sends `event: close` with the reason.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use actix_http::body::{BodySize, MessageBody};
use bytes::Bytes;
use session_model::{Code, Refusal};

use super::close_code;
use super::event_batch::EventBatch;
use super::outbox::Outbox;
use super::subscriber::{Delivery, End, Subscriber};

/// How long a client waits before it reconnects, in milliseconds.
const RETRY_MS: u32 = 2000;
/// Maximum number of bytes copied out of a batch at once; the last event may exceed it.
const BATCH: usize = 16 * 1024;

/// One server-sent event stream.
pub struct EventStream {
    subscriber: Subscriber,
    outbox: Outbox,
    /// Rest of a batch that is being copied, with the cursor within it.
    held: Option<(EventBatch, u64)>,
    next_beat: Instant,
    ended: bool,
}

impl EventStream {
    /// Starts the stream with the retry hint and its start position.
    pub fn new(subscriber: Subscriber) -> Self {
        let next_beat = Instant::now() + subscriber.hub().config().ping_interval;
        let mut outbox = Outbox::default();
        outbox.put(format!(
            "retry: {RETRY_MS}\n{}\n",
            id(subscriber.epoch(), subscriber.cursor())
        ));
        subscriber.due(next_beat);
        Self {
            subscriber,
            outbox,
            held: None,
            next_beat,
            ended: false,
        }
    }

    /// Puts the next item into the empty outbox.
    fn refill(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some((batch, after)) = self.held.take() {
            self.copy(batch, after);
            return Poll::Ready(());
        }
        match self.subscriber.poll_next(cx) {
            Poll::Ready(Ok(Delivery::Events(batch, after))) => self.copy(batch, after),
            Poll::Ready(Ok(Delivery::Gap(gap))) => {
                let id = id(self.subscriber.epoch(), gap.to);
                self.outbox
                    .put(format!("{id}event: gap\ndata: {}\n\n", gap.json()));
            }
            Poll::Ready(Err(end)) => {
                self.ended = true;
                match end {
                    End::Closed => {}
                    End::GrantEnded => self.outbox.put(refused(&grant_ended())),
                    End::Refused(refusal) => self.outbox.put(refused(&refusal)),
                }
            }
            Poll::Pending => return self.beat(),
        }
        Poll::Ready(())
    }

    /// Sends a comment when it is due. It keeps proxies from closing the stream and detects a
    /// client that is gone.
    fn beat(&mut self) -> Poll<()> {
        let now = Instant::now();
        let beats = now >= self.next_beat;
        if beats {
            self.next_beat = now + self.subscriber.hub().config().ping_interval;
            self.outbox.put(format!(
                ": \n{}\n",
                id(self.subscriber.epoch(), self.subscriber.cursor())
            ));
        }
        self.subscriber.due(self.next_beat);
        if beats {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    fn copy(&mut self, batch: EventBatch, mut after: u64) {
        let mut out = Vec::new();
        while let Some((offset, json)) = batch.event_after(after) {
            if out.len() >= BATCH {
                self.held = Some((batch, after));
                break;
            }
            out.extend_from_slice(id(self.subscriber.epoch(), offset).as_bytes());
            out.extend_from_slice(b"data: ");
            out.extend_from_slice(json);
            out.extend_from_slice(b"\n\n");
            after = offset;
        }
        self.outbox.put(out);
    }
}

fn id(epoch: &str, offset: u64) -> String {
    format!("id: {epoch}-{offset}\n")
}

fn grant_ended() -> Refusal {
    Refusal::new(Code::Unauthorized, close_code::ACCESS_ENDED.reason)
}

fn refused(refusal: &Refusal) -> String {
    let body = serde_json::json!({"error": refusal.message, "code": refusal.code.as_str()});
    format!("event: close\ndata: {body}\n\n")
}

impl MessageBody for EventStream {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.get_mut();
        loop {
            if let Some(slice) = ready!(this.outbox.poll(cx)) {
                return Poll::Ready(Some(Ok(slice)));
            }
            if this.ended {
                return Poll::Ready(None);
            }
            if this.refill(cx).is_pending() {
                this.outbox.rested();
                return Poll::Pending;
            }
        }
    }
}
