//! Worker side of the notifier: wakes this worker's subscribers, and checks their timers.
//!
//! There is one task per worker, which runs only while the worker has subscribers. A subscriber
//! keeps its slot from creation to drop. The dispatcher and its subscribers run on the same thread, one
//! after the other, so no wake-up can be lost between a subscriber's look at the ring and its
//! registration of a waker.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;

use super::hub::Hub;
use super::notifier::{Changed, Notifier};
use super::topic::Topic;

/// Longest interval between two checks of the timers.
const LONGEST_TICK: Duration = Duration::from_secs(1);
/// Shortest interval between two checks of the timers.
const SHORTEST_TICK: Duration = Duration::from_millis(5);
/// Number of subscribers woken before the worker serves its sockets again.
const AT_ONCE: usize = 32;

/// Slot in which a subscriber waits: its waker and its timer.
#[derive(Debug)]
pub struct WaitSlot {
    waker: RefCell<Option<Waker>>,
    due: Cell<Option<Instant>>,
    index: Cell<usize>,
}

impl WaitSlot {
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
pub struct Dispatcher {
    /// Hub that the subscribers follow.
    pub hub: Hub,
    notifier: Arc<Notifier>,
    topics: RefCell<HashMap<u64, TopicSlots>>,
    running: Cell<bool>,
}

struct TopicSlots {
    topic: Arc<Topic>,
    slots: Vec<Rc<WaitSlot>>,
}

impl Dispatcher {
    /// Creates a dispatcher for a worker without subscribers.
    pub fn new(hub: Hub) -> Rc<Self> {
        Rc::new(Self {
            hub,
            notifier: Arc::default(),
            topics: RefCell::default(),
            running: Cell::new(false),
        })
    }

    /// Returns the notifier through which the commit thread notifies this worker.
    pub fn notifier(&self) -> &Arc<Notifier> {
        &self.notifier
    }

    /// Adds a slot for a subscriber of this topic. Must be called within the worker's runtime.
    pub fn add(self: &Rc<Self>, topic: &Arc<Topic>) -> Rc<WaitSlot> {
        let mut topics = self.topics.borrow_mut();
        let entry = topics.entry(topic.id).or_insert_with(|| TopicSlots {
            topic: Arc::clone(topic),
            slots: Vec::new(),
        });
        let slot = Rc::new(WaitSlot {
            waker: RefCell::new(None),
            due: Cell::new(None),
            index: Cell::new(entry.slots.len()),
        });
        entry.slots.push(Rc::clone(&slot));
        drop(topics);
        if !self.running.replace(true) {
            actix_web::rt::spawn(run(
                Rc::downgrade(self),
                Arc::clone(&self.notifier),
                self.tick(),
            ));
        }
        slot
    }

    /// Removes a slot. The last slot of the topic moves into its index.
    pub fn remove(&self, topic: u64, slot: &WaitSlot) {
        let mut topics = self.topics.borrow_mut();
        let Some(entry) = topics.get_mut(&topic) else {
            return;
        };
        entry.slots.swap_remove(slot.index.get());
        if let Some(moved) = entry.slots.get(slot.index.get()) {
            moved.index.set(slot.index.get());
        }
        if entry.slots.is_empty() {
            topics.remove(&topic);
        }
    }

    /// Returns a tick interval short enough for the ping interval and the age limit of the rings.
    fn tick(&self) -> Duration {
        (self.hub.config().ping_interval / 8).clamp(SHORTEST_TICK, LONGEST_TICK)
    }

    /// Takes the wakers of all subscribers affected by a change.
    fn collect_changed(&self, changed: &Changed, wakers: &mut VecDeque<Waker>) {
        let topics = self.topics.borrow();
        if changed.everyone {
            wakers.extend(
                topics
                    .values()
                    .flat_map(|entry| &entry.slots)
                    .filter_map(|slot| slot.waker.take()),
            );
            return;
        }
        for entry in changed.topics.iter().filter_map(|id| topics.get(id)) {
            wakers.extend(entry.slots.iter().filter_map(|slot| slot.waker.take()));
        }
    }

    /// Drops old batches, and takes the wakers of the subscribers whose timers are due.
    pub(super) fn collect_due(&self, now: Instant, wakers: &mut VecDeque<Waker>) {
        let age = self.hub.config().ring.age;
        for entry in self.topics.borrow().values() {
            entry.topic.trim(now, age);
            let due = entry
                .slots
                .iter()
                .filter(|slot| slot.due.get().is_some_and(|due| due <= now));
            wakers.extend(due.filter_map(|slot| slot.waker.take()));
        }
    }
}

/// Runs until the worker has no subscribers left.
async fn run(dispatcher: Weak<Dispatcher>, notifier: Arc<Notifier>, tick: Duration) {
    let mut changed = Changed::default();
    let mut wakers = VecDeque::new();
    let mut clock = tokio::time::interval(tick);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let ticked = tokio::select! {
            () = notifier.notified() => false,
            _ = clock.tick() => true,
        };
        {
            let Some(dispatcher) = dispatcher.upgrade() else {
                return;
            };
            notifier.take(&mut changed);
            dispatcher.collect_changed(&changed, &mut wakers);
            if ticked {
                dispatcher.collect_due(Instant::now(), &mut wakers);
            }
            if dispatcher.topics.borrow().is_empty() {
                dispatcher.running.set(false);
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
        wakers
            .drain(..wakers.len().min(AT_ONCE))
            .for_each(Waker::wake);
        tokio::task::yield_now().await;
    }
}
