//! A subscriber is a cursor, not a queue: it takes shared blocks from the ring or from disk and has
//! no buffer of its own.
//!
//! Invariants:
//! - The cursor only grows. Everything it passes was delivered or reported as a gap, once, in
//!   order.
//! - The ring serves the subscriber as long as its floor is not above the cursor. Otherwise backlog
//!   pages do, until they meet the ring. Where the two overlap, the cursor decides: no gap, no
//!   duplicate.
//! - A slow reader costs a cursor and at most one shared block. Falling behind is not an error and
//!   has no limit.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use actix_web::rt;
use actix_web::web;
use session_model::{Code, Refusal};
use tokio::task::JoinHandle;

use super::catch_up::{self, Gap};
use super::chunk::Chunk;
use super::history::{Filter, History};
use super::hub::Hub;
use super::leave::Leave;
use super::past::Page;
use super::pump::{Pump, Seat};
use super::registry::Transport;
use super::topic::{Taken, Topic};

/// Limits of one backlog page.
const PAGE_EVENTS: usize = 1024;
const PAGE_BYTES: usize = 64 * 1024;

/// What a subscriber delivers.
#[derive(Debug)]
pub enum Delivery {
    /// Events of this chunk that come after this cursor.
    Events(Chunk, u64),
    /// Events that are no longer retained.
    Gap(Gap),
}

/// Why a subscription ends.
#[derive(Debug)]
pub enum End {
    /// The hub was closed.
    Closed,
    /// The grant to follow has ended.
    LeaveEnded,
    /// The backlog could not be read.
    Refused(Refusal),
}

/// A page that is being read. The read is a separate task because it holds a reader permit and must
/// finish even if the connection is stuck and its subscriber is not polled.
type Reading = JoinHandle<Result<(Option<Gap>, Page), Refusal>>;

/// One subscriber to one filter.
pub struct Subscriber {
    pump: Rc<Pump>,
    topic: Arc<Topic>,
    seat: Rc<Seat>,
    history: Arc<dyn History>,
    transport: Transport,
    cursor: u64,
    /// Copy of the cursor that the topic reads for its metrics.
    seen: Arc<AtomicU64>,
    /// Whether the subscriber has fallen out of the ring.
    behind: bool,
    gap: Option<Gap>,
    reading: Option<Reading>,
    leave: Option<Box<dyn Leave>>,
}

impl Subscriber {
    /// Joins the topic, then starts at the newest durable event.
    pub fn live(pump: &Rc<Pump>, history: &Arc<dyn History>, filter: &Filter, transport: Transport) -> Self {
        let topic = pump.hub.join(filter, pump.gate(), transport, &**history);
        let cursor = history.durable();
        let seen = Arc::new(AtomicU64::new(cursor));
        topic.enter(&seen);
        Self {
            seat: pump.sit(&topic),
            cursor,
            seen,
            behind: false,
            history: Arc::clone(history),
            pump: Rc::clone(pump),
            topic,
            transport,
            gap: None,
            reading: None,
            leave: None,
        }
    }

    /// Moves the subscriber to another cursor. `gap` is reported first.
    #[must_use]
    pub fn standing_at(mut self, cursor: u64, gap: Option<Gap>) -> Self {
        self.stand_at(cursor);
        self.gap = gap;
        self
    }

    /// Ends the subscription when the grant ends.
    #[must_use]
    pub fn with_leave(mut self, leave: Box<dyn Leave>) -> Self {
        self.leave = Some(leave);
        self
    }

    /// Moves the cursor. Returns its previous value.
    fn stand_at(&mut self, cursor: u64) -> u64 {
        self.seen.store(cursor, Ordering::Relaxed);
        std::mem::replace(&mut self.cursor, cursor)
    }

    /// Returns the cursor: every matching event up to it was delivered, reported as a gap, or not
    /// requested.
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// Returns the hub that it follows.
    pub fn hub(&self) -> &Hub {
        &self.pump.hub
    }

    /// Returns the epoch of the storage directory.
    pub fn epoch(&self) -> &str {
        self.history.epoch()
    }

    /// Asks to be polled at this time even if nothing happens.
    pub fn due(&self, at: Instant) {
        let ends = self.leave.as_ref().and_then(|leave| leave.ends());
        self.seat.due(ends.map_or(at, |ends| ends.min(at)));
    }

    /// Returns the next delivery. Pending means that everything durable and published has been
    /// delivered, or is being read.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Delivery, End>> {
        loop {
            if self.pump.hub.is_closed() {
                return Poll::Ready(Err(End::Closed));
            }
            if self.leave.as_mut().is_some_and(|leave| !leave.holds()) {
                return Poll::Ready(Err(End::LeaveEnded));
            }
            if let Some(gap) = self.gap.take() {
                self.pump.hub.figures().gaps.increment();
                return Poll::Ready(Ok(Delivery::Gap(gap)));
            }
            if self.reading.is_some() {
                self.seat.wait(cx);
                if let Some(delivery) = ready!(self.poll_reading(cx)).map_err(End::Refused)? {
                    return Poll::Ready(Ok(delivery));
                }
                continue;
            }
            // Read the head before the ring: everything published up to this head is then in the
            // ring.
            let head = self.pump.hub.head();
            match self.topic.take(self.cursor) {
                Taken::Chunk(chunk) => {
                    self.behind = false;
                    let after = self.stand_at(chunk.last());
                    return Poll::Ready(Ok(Delivery::Events(chunk, after)));
                }
                Taken::Nothing => {
                    self.behind = false;
                    self.stand_at(self.cursor.max(head));
                    self.seat.wait(cx);
                    return Poll::Pending;
                }
                Taken::Behind => {
                    self.fell_behind();
                    match self.topic.past.find(self.cursor) {
                        Some(page) => {
                            if let Some(delivery) = self.accept(page) {
                                return Poll::Ready(Ok(delivery));
                            }
                        }
                        None => self.reading = Some(self.read()),
                    }
                }
            }
        }
    }

    fn poll_reading(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Delivery>, Refusal>> {
        let Some(reading) = &mut self.reading else { return Poll::Ready(Ok(None)) };
        let read = ready!(Pin::new(reading).poll(cx));
        self.reading = None;
        let (gap, page) = read.map_err(|_| interrupted())??;
        if page.next <= self.cursor {
            return Poll::Ready(Err(Refusal::new(Code::Internal, "the history does not advance")));
        }
        if let Some(gap) = gap {
            // The events after the gap are read again, or taken from the ring, after the gap was
            // reported.
            self.stand_at(gap.to);
            self.pump.hub.figures().gaps.increment();
            return Poll::Ready(Ok(Some(Delivery::Gap(gap))));
        }
        Poll::Ready(Ok(self.accept(page)))
    }

    /// Counts each fall out of the ring once, not each page read afterwards.
    fn fell_behind(&mut self) {
        if !std::mem::replace(&mut self.behind, true) {
            self.pump.hub.figures().catch_ups.increment();
        }
    }

    /// Moves to the end of a page that begins at or before the cursor.
    fn accept(&mut self, page: Page) -> Option<Delivery> {
        let after = self.stand_at(page.next);
        (page.chunk.last() > after).then_some(Delivery::Events(page.chunk, after))
    }

    /// Reads the page after the cursor, unless another subscriber read it while this one waited for
    /// a permit.
    fn read(&self) -> Reading {
        let (topic, history, hub) =
            (Arc::clone(&self.topic), Arc::clone(&self.history), self.pump.hub.clone());
        let cursor = self.cursor;
        rt::spawn(async move {
            let turn = Arc::clone(hub.readers()).acquire_owned().await.map_err(|_| interrupted())?;
            if let Some(page) = topic.past.find(cursor) {
                return Ok((None, page));
            }
            hub.figures().pages.increment();
            // The permit is held as long as the read runs, which continues even if the subscriber
            // is gone.
            let read = move || {
                let _turn = turn;
                let piece = catch_up::read(&*history, &topic.filter, cursor, PAGE_EVENTS, PAGE_BYTES)?;
                let (gap, page) = piece.into_page(cursor);
                if gap.is_none() {
                    topic.past.keep(page.clone());
                }
                Ok((gap, page))
            };
            web::block(read).await.map_err(|_| interrupted())?
        })
    }
}

fn interrupted() -> Refusal {
    Refusal::new(Code::StorageUnavailable, "reading the history was interrupted")
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        if let Some(reading) = &self.reading {
            reading.abort();
        }
        self.topic.leave(&self.seen);
        self.pump.stand_up(self.topic.id, &self.seat);
        self.pump.hub.leave(&self.topic, self.pump.gate(), self.transport);
    }
}
