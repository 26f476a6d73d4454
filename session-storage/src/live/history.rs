//! Interface through which the live feed reads stored events by position.

use std::sync::Arc;

use bytes::Bytes;
use session_model::{LogKind, Reach, Refusal, SessionId, UserId};

/// Which events a subscriber wants. With both a session and a user, an event that matches either
/// one is wanted; with neither, every event is. Events outside `reach` are always excluded.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Filter {
    /// Include events of this session.
    pub session: Option<SessionId>,
    /// Include events of this user's sessions.
    pub user: Option<UserId>,
    /// Scope: what the subscriber may see. `None` means everything.
    pub reach: Option<Arc<Reach>>,
}

impl Filter {
    /// Returns whether the subscriber wants, and may see, an event of this session and user.
    pub fn wants(&self, session: &SessionId, user: &UserId) -> bool {
        let asked = match (&self.session, &self.user) {
            (None, None) => true,
            (asked, of) => asked.as_ref() == Some(session) || of.as_ref() == Some(user),
        };
        asked && self.may_see(session, user)
    }

    /// Returns whether an event of this session and user is within the subscriber's scope.
    pub fn may_see(&self, session: &SessionId, user: &UserId) -> bool {
        self.reach.as_ref().is_none_or(|reach| reach.covers(session, user))
    }
}

/// One durable event as passed from the commit thread to the hub, in `offset` order.
#[derive(Clone, Debug)]
pub struct Published {
    /// Service-wide offset of the event.
    pub offset: u64,
    /// Session of the event.
    pub session: SessionId,
    /// The session's user at the time of the event.
    pub user: UserId,
    /// Log in which the event is stored.
    pub log: LogKind,
    /// Stored line, without its newline. `session_model::wire::write_event` builds the event from
    /// it.
    pub line: Bytes,
}

/// A page of stored events.
#[derive(Debug, Default)]
pub struct HistoryPage {
    /// Events (their wire JSON) with their offsets, ascending.
    pub events: Vec<(u64, Bytes)>,
    /// Every matching event up to and including this offset has been returned.
    pub next: u64,
}

/// A place in one session's event history, counted in events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Cursor of a subscriber that has received all earlier events of the session.
    pub after: u64,
    /// Number of events before this place.
    pub at: u64,
    /// Total number of events in the session.
    pub total: u64,
}

/// Source of stored events. All calls may block on the disk.
pub trait History: Send + Sync + 'static {
    /// Epoch of the storage directory, e.g. `7f3a9c…`; constant while the service runs.
    fn epoch(&self) -> &str;
    /// Offset of the newest durable event. Every event up to it can be read through
    /// [`History::page`].
    fn durable(&self) -> u64;
    /// Lowest `after` for which no matching event is missing.
    fn oldest(&self, filter: &Filter) -> Result<u64, Refusal>;
    /// Returns events with `offset > after`, at most `limit` of them and about `max_bytes`. When
    /// none is left, `next` is at least the value of [`History::durable`] at the start of the call.
    fn page(
        &self,
        filter: &Filter,
        after: u64,
        limit: usize,
        max_bytes: usize,
    ) -> Result<HistoryPage, Refusal>;

    /// Returns the place of the session's event number `at`, counted from 0. A negative number
    /// counts from the end. A number beyond either end gives that end.
    fn place(&self, session: &SessionId, at: i64) -> Result<Place, Refusal>;
}
