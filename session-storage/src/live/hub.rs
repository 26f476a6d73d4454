//! The hub: passes events that the commit thread made durable to the topics that have subscribers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use session_model::wire;
use tokio::sync::Semaphore;

use super::backlog::Backlog;
use super::event_batch::EventBatchBuilder;
use super::filter::{Filter, Published};
use super::notifier::Notifier;
use super::registry::{Counts, Registry, Transport};
use super::topic::{Lag, RingLimits, Topic};
use session_model::instrument::Counter;

/// Configuration of the live feed.
#[derive(Clone, Copy, Debug)]
pub struct LiveConfig {
    /// Interval between WebSocket pings, and between comments on an event stream.
    pub ping_interval: Duration,
    /// How long a WebSocket may stay silent before it is closed.
    pub idle_timeout: Duration,
    /// Limits of one topic's ring.
    pub ring: RingLimits,
    /// Maximum number of concurrent backlog reads from disk, and of clampings.
    pub readers: usize,
}

impl Default for LiveConfig {
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(25),
            idle_timeout: Duration::from_secs(75),
            ring: RingLimits {
                bytes: 4 * 1024 * 1024,
                events: 16_384,
                age: Duration::from_secs(10),
            },
            readers: 2,
        }
    }
}

/// Live fan-out hub. Cheap to clone; all clones share the same state.
#[derive(Clone)]
pub struct Hub(Arc<HubState>);

/// Counters of one hub.
#[derive(Debug, Default)]
pub struct HubMetrics {
    /// Events that matched at least one subscription when they became durable.
    pub published: Counter,
    /// How often a subscriber fell out of the ring and continued from disk, or started from an old
    /// position.
    pub catch_ups: Counter,
    /// Backlog pages that were read from disk.
    pub pages: Counter,
    /// Gaps reported to subscribers, because events were no longer retained.
    pub gaps: Counter,
    /// Batches that were clamped for subscribers with a limit.
    pub clampings: Counter,
}

struct HubState {
    config: LiveConfig,
    registry: Mutex<Registry>,
    /// Last offset that was offered to the topics.
    head: AtomicU64,
    closed: AtomicBool,
    readers: Arc<Semaphore>,
    metrics: HubMetrics,
}

impl Hub {
    /// Creates a hub without subscribers.
    pub fn new(config: LiveConfig) -> Self {
        Self(Arc::new(HubState {
            registry: Mutex::default(),
            head: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            readers: Arc::new(Semaphore::new(config.readers.max(1))),
            metrics: HubMetrics::default(),
            config,
        }))
    }

    /// Returns the configuration.
    pub fn config(&self) -> &LiveConfig {
        &self.0.config
    }

    /// Offers durable events to the topics, in ascending order of their offsets.
    ///
    /// Called by one thread, the commit thread. Without subscribers it costs one uncontended lock.
    /// An event that matches no topic is not encoded. It never waits for a subscriber.
    pub fn publish(&self, events: &[Published]) {
        let Some(last) = events.last() else { return };
        let mut registry = self.0.registry.lock();
        if !registry.is_empty() {
            self.0
                .metrics
                .published
                .add(offer(&mut registry, events, self.0.config.ring));
        }
        // Stored after the topics have the events, and under the lock: a reader of this head finds
        // the events in the ring, and a topic created later starts after it.
        self.0.head.store(last.offset, Ordering::Release);
    }

    /// Records that everything up to `last` is durable. Returns false if there are subscribers, in
    /// which case the events must be passed to [`Hub::publish`].
    ///
    /// The commit thread calls this before it builds anything for [`Hub::publish`].
    pub fn pass(&self, last: u64) -> bool {
        let registry = self.0.registry.lock();
        if registry.is_empty() {
            self.0.head.store(last, Ordering::Release);
        }
        registry.is_empty()
    }

    /// Returns the last offset offered. A subscriber whose topic has nothing more for it has
    /// received everything up to this offset.
    pub(super) fn head(&self) -> u64 {
        self.0.head.load(Ordering::Acquire)
    }

    /// Adds a subscriber to the topic of its filter.
    ///
    /// A new topic is complete above the higher of two offsets: the last durable one and the last
    /// offered one, both read before the topic is created. An event above both is offered later,
    /// and the topic gets it.
    pub(super) fn join(
        &self,
        filter: &Filter,
        notifier: &Arc<Notifier>,
        how: Transport,
        backlog: &dyn Backlog,
    ) -> Arc<Topic> {
        let durable = backlog.durable();
        let mut registry = self.0.registry.lock();
        let complete_after = durable.max(self.head());
        registry.join(filter, notifier, how, complete_after)
    }

    /// Removes a subscriber.
    pub(super) fn leave(&self, topic: &Topic, notifier: &Arc<Notifier>, how: Transport) {
        self.0.registry.lock().leave(topic, notifier, how);
    }

    /// Returns the numbers of subscribers, users and sessions.
    pub fn counts(&self) -> Counts {
        self.0.registry.lock().counts()
    }

    /// Returns the hub's metrics.
    pub fn metrics(&self) -> &HubMetrics {
        &self.0.metrics
    }

    /// Returns how far behind all subscribers are.
    pub fn lag(&self) -> Lag {
        let topics = self.0.registry.lock().topics();
        topics
            .iter()
            .map(|topic| topic.lag())
            .fold(Lag::default(), |all, lag| Lag {
                lagging: all.lagging + lag.lagging,
                furthest: all.furthest.max(lag.furthest),
            })
    }

    /// Ends every stream and admits no new ones. Sockets get a close frame that asks the client to
    /// reconnect.
    pub fn close_all(&self) {
        self.0.closed.store(true, Ordering::Release);
        self.wake_all();
    }

    /// Wakes every subscriber so that it checks whether it may continue.
    pub fn wake_all(&self) {
        let notifiers = self.0.registry.lock().notifiers();
        for notifier in notifiers {
            notifier.everyone();
        }
    }

    /// Whether [`Hub::close_all`] was called.
    pub fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::Acquire)
    }

    /// Returns the semaphore that limits concurrent backlog reads and clampings.
    pub(super) fn readers(&self) -> &Arc<Semaphore> {
        &self.0.readers
    }
}

/// Encodes each wanted event once and gives each topic its events. Returns the number of events
/// encoded.
fn offer(registry: &mut Registry, events: &[Published], limits: RingLimits) -> u64 {
    let mut found = Vec::new();
    let mut touched = Vec::new();
    let mut json = Vec::new();
    let mut batch = EventBatchBuilder::default();
    for event in events {
        registry.matching(event, &mut found);
        if found.is_empty() {
            continue;
        }
        json.clear();
        if wire::write_event(&mut json, &event.session, event.log, &event.line).is_none() {
            tracing::error!(offset = event.offset, session = %event.session, "a published line is not an event");
            continue;
        }
        let index = batch.push(event.offset, &json);
        touched.extend(found.iter().copied().filter(|id| registry.note(*id, index)));
    }
    if touched.is_empty() {
        return 0;
    }
    let batch = batch.finish();
    for id in touched {
        registry.deliver(id, &batch, limits);
    }
    batch.len() as u64
}
