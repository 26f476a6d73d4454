//! Event history by position: one session's from its three logs, all others from the journal.

use std::sync::Arc;

use session_model::{Refusal, SessionId};
use session_store::engine::{Engine, Entry, EventPage, PageLimit};
use session_store::refusals::unread_events;
use session_store::{event_number, session_events};

use super::service::Sessions;
use crate::live::{Backlog, EventNumber, Filter, StoredEvents};

fn page_of(found: EventPage) -> StoredEvents {
    StoredEvents {
        events: found.events,
        next: found.next,
    }
}

/// The stored events as an event history for the live feed.
pub(super) struct StoredBacklog {
    engine: Arc<dyn Engine>,
}

impl StoredBacklog {
    pub(super) fn new(engine: Arc<dyn Engine>) -> Self {
        Self { engine }
    }

    /// Returns the session whose own logs contain everything the filter asks for, and the offset of
    /// its creation.
    fn whole_session<'f>(&self, filter: &'f Filter) -> Option<(&'f SessionId, u64)> {
        if filter.user.is_some() {
            return None;
        }
        let id = filter.session.as_ref()?;
        let row = self.engine.index().get(id.as_str())?;
        filter
            .may_see(id, &row.user)
            .then_some((id, row.created_offset))
    }

    /// Returns the journal's events for a filter, after a position.
    fn journaled(
        &self,
        filter: &Filter,
        after: u64,
        until: u64,
        limit: PageLimit,
    ) -> Result<StoredEvents, Refusal> {
        let wanted = |entry: &Entry| filter.wants(&entry.session, &entry.user);
        let page = self.engine.events(after, until, limit, &wanted);
        page.map(page_of).map_err(|e| unread_events(&e))
    }

    /// Returns whether a position lies before the session's creation and the journal still has all
    /// events since that position, so that those of earlier sessions with the same id can be
    /// returned. Position 0 asks for the current session only.
    fn starts_before_creation(&self, after: u64, born: u64) -> bool {
        after > 0 && after + 1 < born && after >= self.engine.oldest()
    }
}

impl Backlog for StoredBacklog {
    fn epoch(&self) -> &str {
        self.engine.epoch()
    }

    fn durable(&self) -> u64 {
        self.engine.journal().durable()
    }

    fn oldest(&self, filter: &Filter) -> Result<u64, Refusal> {
        if self.whole_session(filter).is_some() {
            return Ok(0);
        }
        Ok(self.engine.oldest())
    }

    fn page(
        &self,
        filter: &Filter,
        after: u64,
        limit: usize,
        max_bytes: usize,
    ) -> Result<StoredEvents, Refusal> {
        let until = self.engine.journal().durable();
        let limit = PageLimit {
            events: limit,
            bytes: max_bytes,
        };
        let Some((id, born)) = self.whole_session(filter) else {
            return self.journaled(filter, after, until, limit);
        };
        if !self.starts_before_creation(after, born) {
            return session_events::page(&*self.engine, id, after, until, limit).map(page_of);
        }
        // The cost is the distance from the position to the creation. An empty page means that the
        // part before the creation is done.
        let earlier = self.journaled(filter, after, born - 1, limit)?;
        if earlier.events.is_empty() {
            return session_events::page(&*self.engine, id, born - 1, until, limit).map(page_of);
        }
        Ok(earlier)
    }

    fn place(&self, session: &SessionId, at: i64) -> Result<EventNumber, Refusal> {
        let until = self.engine.journal().durable();
        let found = event_number::find(&*self.engine, session, at, until)?;
        Ok(EventNumber {
            after: found.after,
            at: found.at,
            total: found.total,
        })
    }
}

impl Sessions {
    /// Returns the event history, which is read by position.
    pub fn history(&self) -> Arc<dyn Backlog> {
        Arc::new(StoredBacklog::new(Arc::clone(&self.engine)))
    }
}
