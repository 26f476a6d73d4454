//! Worker side of the gate: wakes this worker's subscribers, and checks their timers.
//!
//! There is one task per worker, which runs only while the worker has subscribers. A subscriber
//! keeps its slot from creation to drop. The pump and its subscribers run on the same thread, one
//! after the other, so no wake-up can be lost between a subscriber's look at the ring and its
//! registration of a waker.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;

use super::gate::{Changed, Gate};
use super::hub::Hub;
use super::topic::Topic;

/// Longest interval between two checks of the timers.
const LONGEST_TICK: Duration = Duration::from_secs(1);
/// Shortest interval between two checks of the timers.
const SHORTEST_TICK: Duration = Duration::from_millis(5);
/// Number of subscribers woken before the worker serves its sockets again.
const AT_ONCE: usize = 32;

/// Slot in which a subscriber waits: its waker and its timer.
#[derive(Debug)]
pub struct Seat {
    waker: RefCell<Option<Waker>>,
    due: Cell<Option<Instant>>,
    place: Cell<usize>,
}

impl Seat {
    /// Registers the task to be woken when its topic has more events, when the hub closes, or when
    /// its timer is due.
    pub fn wait(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        match &mut *waker {
            Some(known) => known.clone_from(cx.waker()),
            None => *waker = Some(cx.waker().clone()),
        }
    }

    /// Sets the next time at which the subscriber is woken in any case.
    pub fn due(&self, at: Instant) {
        self.due.set(Some(at));
    }
}

/// Subscribers of one worker, by topic.
pub struct Pump {
    /// Hub that the subscribers follow.
    pub hub: Hub,
    gate: Arc<Gate>,
    rows: RefCell<HashMap<u64, Row>>,
    running: Cell<bool>,
}

struct Row {
    topic: Arc<Topic>,
    seats: Vec<Rc<Seat>>,
}

impl Pump {
    /// Creates a pump for a worker without subscribers.
    pub fn new(hub: Hub) -> Rc<Self> {
        Rc::new(Self { hub, gate: Arc::default(), rows: RefCell::default(), running: Cell::new(false) })
    }

    /// Returns the gate through which the commit thread notifies this worker.
    pub fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Adds a slot for a subscriber of this topic. Must be called within the worker's runtime.
    pub fn sit(self: &Rc<Self>, topic: &Arc<Topic>) -> Rc<Seat> {
        let mut rows = self.rows.borrow_mut();
        let row = rows.entry(topic.id).or_insert_with(|| Row { topic: Arc::clone(topic), seats: Vec::new() });
        let seat = Rc::new(Seat {
            waker: RefCell::new(None),
            due: Cell::new(None),
            place: Cell::new(row.seats.len()),
        });
        row.seats.push(Rc::clone(&seat));
        drop(rows);
        if !self.running.replace(true) {
            actix_web::rt::spawn(run(Rc::downgrade(self), Arc::clone(&self.gate), self.tick()));
        }
        seat
    }

    /// Removes a slot. The last slot of the topic moves into its index.
    pub fn stand_up(&self, topic: u64, seat: &Seat) {
        let mut rows = self.rows.borrow_mut();
        let Some(row) = rows.get_mut(&topic) else { return };
        row.seats.swap_remove(seat.place.get());
        if let Some(moved) = row.seats.get(seat.place.get()) {
            moved.place.set(seat.place.get());
        }
        if row.seats.is_empty() {
            rows.remove(&topic);
        }
    }

    /// Returns a tick interval short enough for the ping interval and the age limit of the rings.
    fn tick(&self) -> Duration {
        (self.hub.config().ping_interval / 8).clamp(SHORTEST_TICK, LONGEST_TICK)
    }

    /// Takes the wakers of all subscribers affected by a change.
    fn collect_changed(&self, changed: &Changed, wakers: &mut VecDeque<Waker>) {
        let rows = self.rows.borrow();
        if changed.everyone {
            wakers.extend(rows.values().flat_map(|row| &row.seats).filter_map(|seat| seat.waker.take()));
            return;
        }
        for row in changed.topics.iter().filter_map(|id| rows.get(id)) {
            wakers.extend(row.seats.iter().filter_map(|seat| seat.waker.take()));
        }
    }

    /// Drops old blocks, and takes the wakers of the subscribers whose timers are due.
    pub(super) fn collect_due(&self, now: Instant, wakers: &mut VecDeque<Waker>) {
        let age = self.hub.config().ring.age;
        for row in self.rows.borrow().values() {
            row.topic.trim(now, age);
            let due = row.seats.iter().filter(|seat| seat.due.get().is_some_and(|due| due <= now));
            wakers.extend(due.filter_map(|seat| seat.waker.take()));
        }
    }
}

/// Runs until the worker has no subscribers left.
async fn run(pump: Weak<Pump>, gate: Arc<Gate>, tick: Duration) {
    let (mut changed, mut wakers) = (Changed::default(), VecDeque::new());
    let mut clock = tokio::time::interval(tick);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let ticked = tokio::select! {
            () = gate.rung() => false,
            _ = clock.tick() => true,
        };
        {
            let Some(pump) = pump.upgrade() else { return };
            gate.take(&mut changed);
            pump.collect_changed(&changed, &mut wakers);
            if ticked {
                pump.collect_due(Instant::now(), &mut wakers);
            }
            if pump.rows.borrow().is_empty() {
                pump.running.set(false);
                return;
            }
        }
        wake(&mut wakers).await;
    }
}

/// Wakes all, a few at a time, so that a request that arrives meanwhile waits for those few and not
/// for all.
async fn wake(wakers: &mut VecDeque<Waker>) {
    while !wakers.is_empty() {
        wakers.drain(..wakers.len().min(AT_ONCE)).for_each(Waker::wake);
        tokio::task::yield_now().await;
    }
}
