//! A subscriber is a cursor, not a queue: it takes what is there, from the ring or from disk, and owns nothing.
//!
//! Invariants:
//! - The cursor only grows, and everything it passes was given out or told as a gap, once, in order.
//! - The ring serves it while the ring reaches back to it; otherwise pages of the past do, until they meet the
//!   ring. Where the two overlap, the cursor decides: no gap, no duplicate.
//! - A slow reader costs a cursor and at most one shared block: falling behind is not an error and has no limit.

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

/// How much of the past is read at once.
const PAGE_EVENTS: usize = 1024;
const PAGE_BYTES: usize = 64 * 1024;

/// What a subscriber gives out.
#[derive(Debug)]
pub enum Delivery {
    /// The events of this chunk that come after this cursor.
    Events(Chunk, u64),
    /// These events are no longer kept.
    Gap(Gap),
}

/// Why a subscriber ends.
#[derive(Debug)]
pub enum End {
    /// The hub was closed.
    Closed,
    /// The leave to follow has ended.
    LeaveEnded,
    /// The past could not be read.
    Refused(Refusal),
}

/// A page on its way. It is a task of its own: it holds one of the readers' turns, and must finish even when the
/// connection is stuck and its subscriber is not polled.
type Reading = JoinHandle<Result<(Option<Gap>, Page), Refusal>>;

/// One follower of one filter.
pub struct Subscriber {
    pump: Rc<Pump>,
    topic: Arc<Topic>,
    seat: Rc<Seat>,
    history: Arc<dyn History>,
    transport: Transport,
    cursor: u64,
    /// The cursor as others see it.
    seen: Arc<AtomicU64>,
    /// Whether it has left the ring.
    behind: bool,
    gap: Option<Gap>,
    reading: Option<Reading>,
    leave: Option<Box<dyn Leave>>,
}

impl Subscriber {
    /// Joins the topic, then stands at the newest durable event.
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

    /// Stands at another cursor; `gap` is told first.
    #[must_use]
    pub fn standing_at(mut self, cursor: u64, gap: Option<Gap>) -> Self {
        self.stand_at(cursor);
        self.gap = gap;
        self
    }

    /// Follows for as long as this leave holds.
    #[must_use]
    pub fn with_leave(mut self, leave: Box<dyn Leave>) -> Self {
        self.leave = Some(leave);
        self
    }

    /// Moves the cursor; answers where it was.
    fn stand_at(&mut self, cursor: u64) -> u64 {
        self.seen.store(cursor, Ordering::Relaxed);
        std::mem::replace(&mut self.cursor, cursor)
    }

    /// Everything that matches up to here was given out, told as a gap, or not asked for.
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// The hub it follows.
    pub fn hub(&self) -> &Hub {
        &self.pump.hub
    }

    /// The life of the storage directory.
    pub fn epoch(&self) -> &str {
        self.history.epoch()
    }

    /// Asks to be polled at this time even if nothing happened.
    pub fn due(&self, at: Instant) {
        let ends = self.leave.as_ref().and_then(|leave| leave.ends());
        self.seat.due(ends.map_or(at, |ends| ends.min(at)));
    }

    /// The next piece. Pending means: everything durable and published has been given out, or is being read.
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
            // Before the look at the ring: what was published up to this head is in the ring by then.
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
            // The events behind the gap are read again, or taken from the ring, after it was told.
            self.stand_at(gap.to);
            self.pump.hub.figures().gaps.increment();
            return Poll::Ready(Ok(Some(Delivery::Gap(gap))));
        }
        Poll::Ready(Ok(self.accept(page)))
    }

    /// Counts the way out of the ring, not each page that is read there.
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

    /// Reads the page after the cursor, unless one who waited before read it meanwhile.
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
            // The turn lasts as long as the read, which goes on when the subscriber has gone.
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
