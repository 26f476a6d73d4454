//! A subscriber is a cursor, not a queue: it takes shared batches from the ring or from disk and has
//! no buffer of its own.
//!
//! Invariants:
//! - The cursor only grows. Everything it passes was delivered or reported as a gap, once, in
//!   order.
//! - The ring serves the subscriber as long as its floor is not above the cursor. Otherwise backlog
//!   pages do, until they meet the ring. Where the two overlap, the cursor decides: no gap, no
//!   duplicate.
//! - A slow reader costs a cursor and at most one shared batch. Falling behind is not an error and
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

use super::backlog::{self, Backlog, BacklogPage, Gap};
use super::clamped;
use super::dispatcher::{Dispatcher, WaitSlot};
use super::event_batch::EventBatch;
use super::filter::Filter;
use super::hub::Hub;
use super::registry::Transport;
use super::topic::{Taken, Topic};

/// Limits of one backlog page.
const PAGE_EVENTS: usize = 1024;
const PAGE_BYTES: usize = 64 * 1024;

/// What a subscriber delivers.
#[derive(Debug)]
pub enum Delivery {
    /// Events of this batch that come after this cursor.
    Events(EventBatch, u64),
    /// Events that are no longer retained.
    Gap(Gap),
}

/// Why a subscription ends.
#[derive(Debug)]
pub enum End {
    /// The hub was closed.
    Closed,
    /// The grant to follow has ended.
    GrantEnded,
    /// The backlog could not be read.
    Refused(Refusal),
}

/// A page that is being read. The read is a separate task because it holds a reader permit and must
/// finish even if the connection is stuck and its subscriber is not polled.
type Reading = JoinHandle<Result<(Option<Gap>, BacklogPage), Refusal>>;

/// A batch that is being clamped.
struct Clamping {
    batch: JoinHandle<Result<EventBatch, Refusal>>,
    /// The cursor after the batch.
    next: u64,
}

/// A grant that allows a subscriber to continue.
pub trait Grant {
    /// Returns whether the grant still holds. Called before each delivery.
    fn holds(&mut self) -> bool;
    /// Returns the latest time at which to check the grant, even if nothing happens.
    fn ends(&self) -> Option<Instant>;
}

/// One subscriber to one filter.
pub struct Subscriber {
    dispatcher: Rc<Dispatcher>,
    topic: Arc<Topic>,
    slot: Rc<WaitSlot>,
    backlog: Arc<dyn Backlog>,
    transport: Transport,
    cursor: u64,
    /// Copy of the cursor that the topic reads for its metrics.
    reported: Arc<AtomicU64>,
    /// Whether the subscriber has fallen out of the ring.
    behind: bool,
    gap: Option<Gap>,
    reading: Option<Reading>,
    /// Longer events are clamped to this length.
    max_bytes: Option<usize>,
    clamping: Option<Clamping>,
    grant: Option<Box<dyn Grant>>,
}

impl Subscriber {
    /// Joins the topic, then starts at the newest durable event.
    pub fn live(
        dispatcher: &Rc<Dispatcher>,
        backlog: &Arc<dyn Backlog>,
        filter: &Filter,
        transport: Transport,
    ) -> Self {
        let topic = dispatcher
            .hub
            .join(filter, dispatcher.notifier(), transport, &**backlog);
        let cursor = backlog.durable();
        let reported = Arc::new(AtomicU64::new(cursor));
        topic.enter(&reported);
        Self {
            slot: dispatcher.add(&topic),
            cursor,
            reported,
            behind: false,
            backlog: Arc::clone(backlog),
            dispatcher: Rc::clone(dispatcher),
            topic,
            transport,
            gap: None,
            reading: None,
            max_bytes: None,
            clamping: None,
            grant: None,
        }
    }

    /// Moves the subscriber to another cursor. `gap` is reported first.
    #[must_use]
    pub fn starting_at(mut self, cursor: u64, gap: Option<Gap>) -> Self {
        self.move_to(cursor);
        self.gap = gap;
        self
    }

    /// Ends the subscription when the grant ends.
    #[must_use]
    pub fn with_grant(mut self, grant: Box<dyn Grant>) -> Self {
        self.grant = Some(grant);
        self
    }

    /// Clamps the JSON of longer events to this length.
    #[must_use]
    pub fn clamped_to(mut self, max_bytes: Option<usize>) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    /// Moves the cursor. Returns its previous value.
    fn move_to(&mut self, cursor: u64) -> u64 {
        self.reported.store(cursor, Ordering::Relaxed);
        std::mem::replace(&mut self.cursor, cursor)
    }

    /// Returns the cursor: every matching event up to it was delivered, reported as a gap, or not
    /// requested.
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// Returns the hub that it follows.
    pub fn hub(&self) -> &Hub {
        &self.dispatcher.hub
    }

    /// Returns the epoch of the storage directory.
    pub fn epoch(&self) -> &str {
        self.backlog.epoch()
    }

    /// Asks to be polled at this time even if nothing happens.
    pub fn due(&self, at: Instant) {
        let ends = self.grant.as_ref().and_then(|grant| grant.ends());
        self.slot.due(ends.map_or(at, |ends| ends.min(at)));
    }

    /// Returns the next delivery. Pending means that everything durable and published has been
    /// delivered, or is being read.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Delivery, End>> {
        loop {
            if self.dispatcher.hub.is_closed() {
                return Poll::Ready(Err(End::Closed));
            }
            if self.grant.as_mut().is_some_and(|grant| !grant.holds()) {
                return Poll::Ready(Err(End::GrantEnded));
            }
            if let Some(gap) = self.gap.take() {
                self.dispatcher.hub.metrics().gaps.increment();
                return Poll::Ready(Ok(Delivery::Gap(gap)));
            }
            if self.reading.is_some() {
                self.slot.wait(cx);
                if let Some(delivery) = ready!(self.poll_reading(cx)).map_err(End::Refused)? {
                    return Poll::Ready(Ok(delivery));
                }
                continue;
            }
            if self.clamping.is_some() {
                self.slot.wait(cx);
                let clamped = ready!(self.poll_clamping(cx)).map_err(End::Refused)?;
                return Poll::Ready(Ok(clamped));
            }
            // Read the head before the ring: everything published up to this head is then in the
            // ring.
            let head = self.dispatcher.hub.head();
            match self.topic.take(self.cursor) {
                Taken::Events(batch) => {
                    self.behind = false;
                    let next = batch.last();
                    if let Some(delivery) = self.accept(batch, next) {
                        return Poll::Ready(Ok(delivery));
                    }
                }
                Taken::Nothing => {
                    self.behind = false;
                    self.move_to(self.cursor.max(head));
                    self.slot.wait(cx);
                    return Poll::Pending;
                }
                Taken::Behind => {
                    self.fell_behind();
                    match self.topic.pages.find(self.cursor) {
                        Some(page) => {
                            if let Some(delivery) = self.accept(page.batch, page.next) {
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
        let Some(reading) = &mut self.reading else {
            return Poll::Ready(Ok(None));
        };
        let read = ready!(Pin::new(reading).poll(cx));
        self.reading = None;
        let (gap, page) = read.map_err(|_| interrupted())??;
        if page.next <= self.cursor {
            return Poll::Ready(Err(Refusal::new(
                Code::Internal,
                "reading stored events does not advance",
            )));
        }
        if let Some(gap) = gap {
            // The events after the gap are read again, or taken from the ring, after the gap was
            // reported.
            self.move_to(gap.to);
            self.dispatcher.hub.metrics().gaps.increment();
            return Poll::Ready(Ok(Some(Delivery::Gap(gap))));
        }
        Poll::Ready(Ok(self.accept(page.batch, page.next)))
    }

    fn poll_clamping(&mut self, cx: &mut Context<'_>) -> Poll<Result<Delivery, Refusal>> {
        let Some(clamping) = &mut self.clamping else {
            return Poll::Pending;
        };
        let batch = ready!(Pin::new(&mut clamping.batch).poll(cx));
        let next = clamping.next;
        self.clamping = None;
        let batch = batch.map_err(|_| interrupted())??;
        let after = self.move_to(next);
        Poll::Ready(Ok(Delivery::Events(batch, after)))
    }

    /// Counts each fall out of the ring once, not each page read afterwards.
    fn fell_behind(&mut self) {
        if !std::mem::replace(&mut self.behind, true) {
            self.dispatcher.hub.metrics().catch_ups.increment();
        }
    }

    /// Moves to the end of a batch that begins at or before the cursor, and delivers the events after
    /// the cursor. The cursor stays while the batch is clamped, because these events are not
    /// delivered yet.
    fn accept(&mut self, batch: EventBatch, next: u64) -> Option<Delivery> {
        if batch.last() <= self.cursor {
            self.move_to(next);
            return None;
        }
        let batch = match self
            .max_bytes
            .map(|most| (most, clamped::known(&batch, most)))
        {
            None => batch,
            Some((_, Some(clamped))) => clamped,
            Some((most, None)) => {
                let batch = clamped::spawn(self.dispatcher.hub.clone(), batch, most);
                self.clamping = Some(Clamping { batch, next });
                return None;
            }
        };
        let after = self.move_to(next);
        Some(Delivery::Events(batch, after))
    }

    /// Reads the page after the cursor, unless another subscriber read it while this one waited for
    /// a permit.
    fn read(&self) -> Reading {
        let topic = Arc::clone(&self.topic);
        let backlog = Arc::clone(&self.backlog);
        let hub = self.dispatcher.hub.clone();
        let cursor = self.cursor;
        rt::spawn(async move {
            let turn = Arc::clone(hub.readers())
                .acquire_owned()
                .await
                .map_err(|_| interrupted())?;
            if let Some(page) = topic.pages.find(cursor) {
                return Ok((None, page));
            }
            hub.metrics().pages.increment();
            // The permit is held as long as the read runs, which continues even if the subscriber
            // is gone.
            let read = move || {
                let _turn = turn;
                let read =
                    backlog::read(&*backlog, &topic.filter, cursor, PAGE_EVENTS, PAGE_BYTES)?;
                let (gap, page) = read.into_page(cursor);
                if gap.is_none() {
                    topic.pages.keep(page.clone());
                }
                Ok((gap, page))
            };
            web::block(read).await.map_err(|_| interrupted())?
        })
    }
}

fn interrupted() -> Refusal {
    Refusal::new(
        Code::StorageUnavailable,
        "reading stored events was interrupted: try again",
    )
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        if let Some(reading) = &self.reading {
            reading.abort();
        }
        if let Some(clamping) = &self.clamping {
            clamping.batch.abort();
        }
        self.topic.leave(&self.reported);
        self.dispatcher.remove(self.topic.id, &self.slot);
        self.dispatcher
            .hub
            .leave(&self.topic, self.dispatcher.notifier(), self.transport);
    }
}
