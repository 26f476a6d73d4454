//! A WebSocket as a response body: the connection's own task pulls the frames, with no task and no
//! queue in between.
//!
//! The body also reads what the client sends, so one wake-up serves both directions. Precedence at
//! each frame boundary: the reply to the client, our ping, the close frame, then events. A client
//! that does not read is no longer polled once its connection's buffer is full; the `live` module
//! describes what happens then.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use actix_http::body::{BodySize, MessageBody};
use actix_web::dev::Payload;
use bytes::Bytes;
use session_model::Timestamp;

use super::close_code::{self, CloseCode};
use super::filter::Filter;
use super::frame;
use super::incoming::{Incoming, Received};
use super::outbox::Outbox;
use super::subscriber::{Delivery, End, Subscriber};

/// State of the closing handshake.
enum Phase {
    Open,
    /// The close frame still has to be sent.
    Closing(Vec<u8>),
    Ended,
}

/// One WebSocket.
pub struct Socket {
    subscriber: Subscriber,
    incoming: Incoming,
    outbox: Outbox,
    answer: Option<Vec<u8>>,
    phase: Phase,
    last_received: Instant,
    next_ping: Instant,
    /// Called once the last frame has been handed over.
    at_end: Option<Box<dyn FnOnce()>>,
}

impl Socket {
    /// Starts with the `connected` frame.
    pub fn new(subscriber: Subscriber, filter: &Filter, payload: Payload, at: Timestamp) -> Self {
        let now = Instant::now();
        let next_ping = now + subscriber.hub().config().ping_interval;
        let mut outbox = Outbox::default();
        outbox.put(frame::text(connected(&subscriber, filter, at).as_bytes()));
        let incoming = Incoming::new(payload);
        Self {
            subscriber,
            incoming,
            outbox,
            answer: None,
            phase: Phase::Open,
            last_received: now,
            next_ping,
            at_end: None,
        }
    }

    /// Sets a callback that runs once the last frame has been handed over.
    #[must_use]
    pub fn at_end(self, at_end: impl FnOnce() + 'static) -> Self {
        Self {
            at_end: Some(Box::new(at_end)),
            ..self
        }
    }

    fn close(&mut self, code: CloseCode) {
        if matches!(self.phase, Phase::Open) {
            self.phase = Phase::Closing(frame::close(code.code, code.reason));
        }
    }

    /// Processes everything the client has sent. A close frame is answered with its own code.
    fn listen(&mut self, cx: &mut Context<'_>, now: Instant) {
        while matches!(self.phase, Phase::Open)
            && let Poll::Ready(received) = self.incoming.poll_next(cx)
        {
            self.last_received = now;
            match received {
                Received::Ignored => {}
                Received::Ping(payload) => self.answer = Some(frame::pong(&payload)),
                Received::Close(code) => {
                    self.phase = Phase::Closing(frame::close(code.unwrap_or(NORMAL), ""));
                }
                Received::Fault(code) => self.close(code),
                Received::Gone => {
                    self.outbox = Outbox::default();
                    self.phase = Phase::Ended;
                }
            }
        }
    }

    /// Sends a ping when it is due, and closes the socket if the client has been silent for too
    /// long.
    fn keep_time(&mut self, now: Instant) {
        let config = self.subscriber.hub().config();
        let ping = config.ping_interval;
        let idle = config.idle_timeout;
        if now >= self.last_received + idle {
            self.close(close_code::IDLE);
        }
        if now >= self.next_ping {
            self.next_ping = now + ping;
            self.answer.get_or_insert_with(frame::ping);
        }
        self.set_alarm();
    }

    fn set_alarm(&mut self) {
        let idle = self.subscriber.hub().config().idle_timeout;
        self.subscriber
            .due(self.next_ping.min(self.last_received + idle));
    }

    /// Puts the next frame into the empty outbox.
    fn refill(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(answer) = self.answer.take() {
            self.outbox.put(answer);
            return Poll::Ready(());
        }
        if let Phase::Closing(close) = &mut self.phase {
            self.outbox.put(std::mem::take(close));
            self.phase = Phase::Ended;
            return Poll::Ready(());
        }
        match ready!(self.subscriber.poll_next(cx)) {
            Ok(Delivery::Events(batch, after)) => self.outbox.put(batch.frames_after(after)),
            Ok(Delivery::Gap(gap)) => self.outbox.put(frame::text(gap.frame_json().as_bytes())),
            Err(End::Closed) => self.close(close_code::GOING_AWAY),
            Err(End::GrantEnded) => self.close(close_code::ACCESS_ENDED),
            Err(End::Refused(refusal)) => self.close(close_code::for_refusal(&refusal)),
        }
        Poll::Ready(())
    }
}

/// Code of the reply to a close frame that has no code.
const NORMAL: u16 = 1000;

fn connected(subscriber: &Subscriber, filter: &Filter, at: Timestamp) -> String {
    serde_json::json!({
        "type": "connected",
        "userId": filter.user.as_ref().map(session_model::UserId::as_str),
        "sessionId": filter.session.as_ref().map(session_model::SessionId::as_str),
        "timestamp": at.to_string(),
        "epoch": subscriber.epoch(),
        "offset": subscriber.cursor(),
    })
    .to_string()
}

impl MessageBody for Socket {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.get_mut();
        let now = Instant::now();
        this.listen(cx, now);
        this.keep_time(now);
        loop {
            if let Some(slice) = ready!(this.outbox.poll(cx)) {
                return Poll::Ready(Some(Ok(slice)));
            }
            if matches!(this.phase, Phase::Ended) {
                if let Some(at_end) = this.at_end.take() {
                    at_end();
                }
                return Poll::Ready(None);
            }
            if this.refill(cx).is_pending() {
                // Checking the grant may have moved its end to an earlier time.
                this.set_alarm();
                this.outbox.rested();
                return Poll::Pending;
            }
        }
    }
}
