//! The hub: takes what the commit thread made durable to the topics that somebody follows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use session_model::wire;
use tokio::sync::Semaphore;

use super::chunk::ChunkBuilder;
use super::figures::{Figures, Lag};
use super::gate::Gate;
use super::history::{Filter, History, Published};
use super::registry::{Counts, Registry, Transport};
use super::topic::{RingLimits, Topic};

/// How the live feed behaves.
#[derive(Clone, Copy, Debug)]
pub struct LiveConfig {
    /// How often a WebSocket is pinged and an event stream gets a comment.
    pub ping_interval: Duration,
    /// After how long without a sign of life a WebSocket is closed.
    pub idle_timeout: Duration,
    /// What the ring of one topic may hold.
    pub ring: RingLimits,
    /// How many may read the past from disk at the same time.
    pub readers: usize,
}

impl Default for LiveConfig {
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(25),
            idle_timeout: Duration::from_secs(75),
            ring: RingLimits { bytes: 4 * 1024 * 1024, events: 16_384, age: Duration::from_secs(10) },
            readers: 2,
        }
    }
}

/// The fan-out. Cheap to clone; all clones are the same hub.
#[derive(Clone)]
pub struct Hub(Arc<Shared>);

struct Shared {
    config: LiveConfig,
    registry: Mutex<Registry>,
    /// The last offset that was offered to the topics.
    head: AtomicU64,
    closed: AtomicBool,
    readers: Arc<Semaphore>,
    figures: Figures,
}

impl Hub {
    /// A hub without subscribers.
    pub fn new(config: LiveConfig) -> Self {
        Self(Arc::new(Shared {
            registry: Mutex::default(),
            head: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            readers: Arc::new(Semaphore::new(config.readers.max(1))),
            figures: Figures::default(),
            config,
        }))
    }

    /// How it behaves.
    pub fn config(&self) -> &LiveConfig {
        &self.0.config
    }

    /// Offers events that have become durable, in the order of their offsets.
    ///
    /// Called by one thread, the commit thread. When nobody watches it costs one uncontended lock; an event
    /// nobody wants is not even built; and it never waits for a subscriber.
    pub fn publish(&self, events: &[Published]) {
        let Some(last) = events.last() else { return };
        let mut registry = self.0.registry.lock();
        if !registry.is_empty() {
            self.0.figures.published.add(offer(&mut registry, events, self.0.config.ring));
        }
        // After the topics have them, and under the lock: a reader of this head finds the events in the ring,
        // and a topic that is made later starts behind it.
        self.0.head.store(last.offset, Ordering::Release);
    }

    /// Notes that everything up to `last` is durable; false if somebody watches and has to be offered it.
    ///
    /// What the commit thread asks before it makes anything for [`Hub::publish`].
    pub fn pass(&self, last: u64) -> bool {
        let registry = self.0.registry.lock();
        if registry.is_empty() {
            self.0.head.store(last, Ordering::Release);
        }
        registry.is_empty()
    }

    /// The last offset offered: a subscriber that finds nothing more in its topic has everything up to here.
    pub(super) fn head(&self) -> u64 {
        self.0.head.load(Ordering::Acquire)
    }

    /// Adds a subscriber to the topic of its filter.
    ///
    /// A new topic is complete from the higher of two offsets on: what was durable before it was made, and
    /// what was offered before it was made. An event above both is offered later, and the topic gets it.
    pub(super) fn join(
        &self,
        filter: &Filter,
        gate: &Arc<Gate>,
        how: Transport,
        history: &dyn History,
    ) -> Arc<Topic> {
        let durable = history.durable();
        let mut registry = self.0.registry.lock();
        let floor = durable.max(self.head());
        registry.join(filter, gate, how, floor)
    }

    /// Takes a subscriber away.
    pub(super) fn leave(&self, topic: &Topic, gate: &Arc<Gate>, how: Transport) {
        self.0.registry.lock().leave(topic, gate, how);
    }

    /// How many follow, and whom.
    pub fn counts(&self) -> Counts {
        self.0.registry.lock().counts()
    }

    /// What it counts.
    pub fn figures(&self) -> &Figures {
        &self.0.figures
    }

    /// How far behind its subscribers are.
    pub fn lag(&self) -> Lag {
        let topics = self.0.registry.lock().topics();
        topics.iter().map(|topic| topic.lag()).fold(Lag::default(), |all, lag| Lag {
            lagging: all.lagging + lag.lagging,
            furthest: all.furthest.max(lag.furthest),
        })
    }

    /// Ends every stream: sockets get a close frame that asks them to reconnect. Nobody is let in again.
    pub fn close_all(&self) {
        self.0.closed.store(true, Ordering::Release);
        self.wake_all();
    }

    /// Lets every subscriber look whether it may go on.
    pub fn wake_all(&self) {
        let gates = self.0.registry.lock().gates();
        for gate in gates {
            gate.everyone();
        }
    }

    /// Whether [`Hub::close_all`] was called.
    pub fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::Acquire)
    }

    /// Who may read the past from disk.
    pub(super) fn readers(&self) -> &Arc<Semaphore> {
        &self.0.readers
    }
}

/// Encodes the events somebody wants, each once, and gives each topic its share; says how many there were.
fn offer(registry: &mut Registry, events: &[Published], limits: RingLimits) -> u64 {
    let (mut found, mut touched, mut json) = (Vec::new(), Vec::new(), Vec::new());
    let mut chunk = ChunkBuilder::default();
    for event in events {
        registry.matching(event, &mut found);
        if found.is_empty() {
            continue;
        }
        json.clear();
        if wire::write_event(&mut json, &event.session, event.log, &event.line).is_none() {
            tracing::error!(offset = event.offset, session = %event.session, "published line is no event");
            continue;
        }
        let place = chunk.push(event.offset, &json);
        touched.extend(found.iter().copied().filter(|id| registry.note(*id, place)));
    }
    if touched.is_empty() {
        return 0;
    }
    let chunk = chunk.finish();
    for id in touched {
        registry.deliver(id, &chunk, limits);
    }
    chunk.len() as u64
}
