//! Which topics exist, which workers to notify about them, and which topics an event belongs to.
//!
//! A topic exists from its first subscriber to its last. The commit thread holds the registry's
//! lock for the length of a publish; subscribers hold it only to join and leave. No code under the
//! lock waits.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use session_model::{SessionId, UserId};

use super::event_batch::EventBatch;
use super::filter::{Filter, Published};
use super::notifier::Notifier;
use super::topic::{RingLimits, Topic};

/// Maximum bytes of all rings together. With many topics, each ring is smaller.
const ALL_RINGS: usize = 64 * 1024 * 1024;
/// Minimum ring size of a topic, however many topics there are.
const SMALLEST_RING: usize = 64 * 1024;

/// Numbers of subscribers, and of the users and sessions they follow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// WebSocket connections.
    pub connections: usize,
    /// Server-sent event streams.
    pub streams: usize,
    /// Distinct users subscribed to.
    pub users: usize,
    /// Distinct sessions subscribed to.
    pub sessions: usize,
}

/// How a subscriber is connected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// `/ws`
    WebSocket,
    /// `text/event-stream`
    EventStream,
}

#[derive(Default)]
pub(super) struct Registry {
    topics: HashMap<u64, Entry>,
    by_filter: HashMap<Filter, u64>,
    by_session: HashMap<SessionId, Vec<u64>>,
    by_user: HashMap<UserId, Vec<u64>>,
    /// Topics of subscribers to all events. There can be several, because scopes differ.
    everything: Vec<u64>,
    /// Number of topics whose filter has a scope.
    limited: usize,
    next_id: u64,
    connections: usize,
    streams: usize,
}

struct Entry {
    topic: Arc<Topic>,
    notifiers: Vec<Watch>,
    /// Indexes of the topic's events in the batch that is being published.
    indexes: Vec<usize>,
}

/// A worker with subscribers to a topic.
struct Watch {
    notifier: Arc<Notifier>,
    subscribers: usize,
}

impl Registry {
    pub(super) fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            connections: self.connections,
            streams: self.streams,
            users: self.by_user.len(),
            sessions: self.by_session.len(),
        }
    }

    fn transport(&mut self, transport: Transport) -> &mut usize {
        match transport {
            Transport::WebSocket => &mut self.connections,
            Transport::EventStream => &mut self.streams,
        }
    }

    /// Adds a subscriber. A new topic is complete for offsets above `complete_after`.
    pub(super) fn join(
        &mut self,
        filter: &Filter,
        notifier: &Arc<Notifier>,
        how: Transport,
        complete_after: u64,
    ) -> Arc<Topic> {
        *self.transport(how) += 1;
        let id = match self.by_filter.get(filter) {
            Some(id) => *id,
            None => self.create(filter),
        };
        let entry = self.topics.entry(id).or_insert_with(|| Entry {
            topic: Arc::new(Topic::new(id, filter.clone(), complete_after)),
            notifiers: Vec::new(),
            indexes: Vec::new(),
        });
        match entry
            .notifiers
            .iter_mut()
            .find(|watch| Arc::ptr_eq(&watch.notifier, notifier))
        {
            Some(watch) => watch.subscribers += 1,
            None => entry.notifiers.push(Watch {
                notifier: Arc::clone(notifier),
                subscribers: 1,
            }),
        }
        Arc::clone(&entry.topic)
    }

    fn create(&mut self, filter: &Filter) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.by_filter.insert(filter.clone(), id);
        if let Some(session) = &filter.session {
            self.by_session.entry(session.clone()).or_default().push(id);
        }
        if let Some(user) = &filter.user {
            self.by_user.entry(user.clone()).or_default().push(id);
        }
        if filter.session.is_none() && filter.user.is_none() {
            self.everything.push(id);
        }
        self.limited += usize::from(filter.session_scope.is_some());
        id
    }

    /// Removes a subscriber, and the topic with its last subscriber.
    pub(super) fn leave(&mut self, topic: &Topic, notifier: &Arc<Notifier>, how: Transport) {
        *self.transport(how) -= 1;
        let Some(entry) = self.topics.get_mut(&topic.id) else {
            return;
        };
        if let Some(index) = entry
            .notifiers
            .iter()
            .position(|watch| Arc::ptr_eq(&watch.notifier, notifier))
        {
            entry.notifiers[index].subscribers -= 1;
            if entry.notifiers[index].subscribers == 0 {
                entry.notifiers.swap_remove(index);
            }
        }
        if entry.notifiers.is_empty() {
            self.remove(topic);
        }
    }

    fn remove(&mut self, topic: &Topic) {
        self.topics.remove(&topic.id);
        self.by_filter.remove(&topic.filter);
        if let Some(session) = &topic.filter.session {
            forget(&mut self.by_session, session, topic.id);
        }
        if let Some(user) = &topic.filter.user {
            forget(&mut self.by_user, user, topic.id);
        }
        self.everything.retain(|other| *other != topic.id);
        self.limited -= usize::from(topic.filter.session_scope.is_some());
    }

    /// Collects the topics an event belongs to, each topic once.
    pub(super) fn matching(&self, event: &Published, found: &mut Vec<u64>) {
        found.clear();
        found.extend(&self.everything);
        found.extend(self.by_session.get(&event.session).into_iter().flatten());
        for id in self.by_user.get(&event.user).into_iter().flatten() {
            if !found.contains(id) {
                found.push(*id);
            }
        }
        if self.limited > 0 {
            let may_see = |topic: &Topic| topic.filter.may_see(&event.session, &event.user);
            found.retain(|id| {
                self.topics
                    .get(id)
                    .is_some_and(|entry| may_see(&entry.topic))
            });
        }
    }

    /// Records that the event at this index of the coming batch belongs to a topic. Returns true
    /// for the topic's first event.
    pub(super) fn note(&mut self, id: u64, index: usize) -> bool {
        let Some(entry) = self.topics.get_mut(&id) else {
            return false;
        };
        entry.indexes.push(index);
        entry.indexes.len() == 1
    }

    /// Gives a topic its events, and notifies the workers that have subscribers to it.
    pub(super) fn deliver(&mut self, id: u64, batch: &EventBatch, limits: RingLimits) {
        let share = (ALL_RINGS / self.topics.len().max(1)).max(SMALLEST_RING);
        let limits = RingLimits {
            bytes: limits.bytes.min(share),
            ..limits
        };
        let Some(entry) = self.topics.get_mut(&id) else {
            return;
        };
        entry
            .topic
            .push(batch.pick(&entry.indexes), Instant::now(), limits);
        entry.indexes.clear();
        for watch in &entry.notifiers {
            watch.notifier.changed(id);
        }
    }

    /// Returns all topics.
    pub(super) fn topics(&self) -> Vec<Arc<Topic>> {
        self.topics
            .values()
            .map(|entry| Arc::clone(&entry.topic))
            .collect()
    }

    /// Returns the notifiers of all workers that have subscribers.
    pub(super) fn notifiers(&self) -> Vec<Arc<Notifier>> {
        let mut notifiers: Vec<Arc<Notifier>> = Vec::new();
        for watch in self.topics.values().flat_map(|entry| &entry.notifiers) {
            if !notifiers
                .iter()
                .any(|known| Arc::ptr_eq(known, &watch.notifier))
            {
                notifiers.push(Arc::clone(&watch.notifier));
            }
        }
        notifiers
    }
}

fn forget<K: std::hash::Hash + Eq>(index: &mut HashMap<K, Vec<u64>>, key: &K, id: u64) {
    if let Some(ids) = index.get_mut(key) {
        ids.retain(|other| *other != id);
        if ids.is_empty() {
            index.remove(key);
        }
    }
}
