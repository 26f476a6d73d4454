//! An in-memory backlog that separates the commit thread's two steps: an event is first durable,
//! then published.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use session_model::{LogKind, Refusal, SessionId, SessionScope, UserId, line, wire};

use crate::live::{Backlog, EventNumber, Filter, Hub, Published, StoredEvents};

/// Epoch used by every test.
pub(super) const EPOCH: &str = "7f3a9c";

/// The stand-in for a store.
#[derive(Default)]
pub(super) struct MemoryBacklog {
    events: Mutex<Vec<Published>>,
    durable: AtomicU64,
    oldest: AtomicU64,
    /// Number of pages that were read.
    pub(super) pages: AtomicUsize,
    /// Error that every read returns, if set.
    pub(super) broken: Mutex<Option<Refusal>>,
}

pub(super) fn session(name: &str) -> SessionId {
    SessionId::parse(name).unwrap()
}

pub(super) fn filter(session_name: &str, user: &str) -> Filter {
    Filter {
        session: (!session_name.is_empty()).then(|| session(session_name)),
        user: (!user.is_empty()).then(|| UserId::stored(user)),
        session_scope: None,
    }
}

/// A filter whose scope covers only the sessions of one user, or one session.
pub(super) fn limited(filter: Filter, may_see: &str) -> Filter {
    let (sessions, users) = match may_see.strip_prefix('s') {
        Some(_) => (vec![session(may_see)], Vec::new()),
        None => (Vec::new(), vec![UserId::stored(may_see)]),
    };
    Filter {
        session_scope: Some(Arc::new(SessionScope::new(users, Vec::new(), sessions))),
        ..filter
    }
}

pub(super) fn matches(filter: &Filter, event: &Published) -> bool {
    let session = filter
        .session
        .as_ref()
        .is_some_and(|session| *session == event.session);
    let user = filter.user.as_ref().is_some_and(|user| *user == event.user);
    let everything = filter.session.is_none() && filter.user.is_none();
    let seen = filter
        .session_scope
        .as_ref()
        .is_none_or(|session_scope| session_scope.covers(&event.session, &event.user));
    seen && (everything || session || user)
}

fn stored_line(offset: u64, filler: usize) -> Bytes {
    let mut out = Vec::new();
    line::open(&mut out, offset, "2026-11-21T04:00:00.000Z", offset);
    out.extend_from_slice(format!(r#","filler":"{}""#, "x".repeat(filler)).as_bytes());
    line::seal(&mut out, 0);
    out.pop();
    out.into()
}

impl MemoryBacklog {
    /// Makes an event durable, without publishing it.
    pub(super) fn commit(&self, session_name: &str, user: &str, filler: usize) -> Published {
        let mut events = self.events.lock();
        let offset = self.durable.load(Ordering::Acquire) + 1;
        let event = Published {
            offset,
            session: session(session_name),
            user: UserId::stored(user),
            log: LogKind::Actions,
            line: stored_line(offset, filler),
        };
        events.push(event.clone());
        self.durable.store(offset, Ordering::Release);
        event
    }

    /// Makes events of one session durable and publishes each one separately.
    pub(super) fn tell(&self, hub: &Hub, session_name: &str, user: &str, count: usize) {
        for _ in 0..count {
            hub.publish(&[self.commit(session_name, user, 10)]);
        }
    }

    /// Drops everything up to this offset.
    pub(super) fn forget(&self, to: u64) {
        let mut events = self.events.lock();
        events.retain(|event| event.offset > to);
        self.oldest.fetch_max(to, Ordering::AcqRel);
    }

    pub(super) fn all(&self) -> Vec<Published> {
        self.events.lock().clone()
    }
}

impl Backlog for MemoryBacklog {
    fn epoch(&self) -> &str {
        EPOCH
    }

    fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    fn oldest(&self, _filter: &Filter) -> Result<u64, Refusal> {
        Ok(self.oldest.load(Ordering::Acquire))
    }

    fn page(
        &self,
        filter: &Filter,
        after: u64,
        limit: usize,
        max_bytes: usize,
    ) -> Result<StoredEvents, Refusal> {
        self.pages.fetch_add(1, Ordering::Relaxed);
        if let Some(refusal) = &*self.broken.lock() {
            return Err(refusal.clone());
        }
        let stored = self.events.lock();
        let mut page = StoredEvents {
            events: Vec::new(),
            next: self.durable(),
        };
        let mut bytes = 0;
        let first = stored.partition_point(|event| event.offset <= after);
        for event in stored[first..]
            .iter()
            .filter(|event| matches(filter, event))
        {
            if page.events.len() == limit || (bytes >= max_bytes && !page.events.is_empty()) {
                page.next = page.events.last().map_or(after, |(offset, _)| *offset);
                break;
            }
            let mut json = Vec::new();
            wire::write_event(&mut json, &event.session, event.log, &event.line).unwrap();
            bytes += json.len();
            page.events.push((event.offset, json.into()));
        }
        Ok(page)
    }

    fn place(&self, session: &SessionId, at: i64) -> Result<EventNumber, Refusal> {
        let stored = self.events.lock();
        let offsets: Vec<u64> = stored
            .iter()
            .filter(|e| e.session == *session)
            .map(|e| e.offset)
            .collect();
        let total = offsets.len() as u64;
        let at = if at < 0 {
            total.saturating_add_signed(at)
        } else {
            total.min(at.unsigned_abs())
        };
        let after = at.checked_sub(1).map_or(0, |n| offsets[n as usize]);
        Ok(EventNumber { after, at, total })
    }
}

pub(super) fn memory_backlog() -> Arc<MemoryBacklog> {
    Arc::default()
}
