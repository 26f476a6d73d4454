//! What the live feed asks of whoever keeps the events: the past, by position.

use std::sync::Arc;

use bytes::Bytes;
use session_model::{LogKind, Reach, Refusal, SessionId, UserId};

/// Whose events a subscriber wants. With both, either matches; with neither, every event does. Of those that match,
/// only the ones within reach.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Filter {
    /// Events of this session.
    pub session: Option<SessionId>,
    /// Events of this user's sessions.
    pub user: Option<UserId>,
    /// What the subscriber may see; `None`: everything.
    pub reach: Option<Arc<Reach>>,
}

impl Filter {
    /// Whether an event of this session and user is for the subscriber.
    pub fn wants(&self, session: &SessionId, user: &UserId) -> bool {
        let asked = match (&self.session, &self.user) {
            (None, None) => true,
            (asked, of) => asked.as_ref() == Some(session) || of.as_ref() == Some(user),
        };
        asked && self.may_see(session, user)
    }

    /// Whether it is within reach.
    pub fn may_see(&self, session: &SessionId, user: &UserId) -> bool {
        self.reach.as_ref().is_none_or(|reach| reach.covers(session, user))
    }
}

/// One durable event, as the commit thread hands it to the hub: in order of `offset`.
#[derive(Clone, Debug)]
pub struct Published {
    /// Its service-wide offset.
    pub offset: u64,
    /// Its session.
    pub session: SessionId,
    /// The session's user at that moment.
    pub user: UserId,
    /// Which log keeps it.
    pub log: LogKind,
    /// The stored line, without its newline. `session_model::wire::write_event` makes the event from it.
    pub line: Bytes,
}

/// A piece of the past.
#[derive(Debug, Default)]
pub struct HistoryPage {
    /// Events (the JSON of the wire) with their offsets, ascending.
    pub events: Vec<(u64, Bytes)>,
    /// Everything up to and including this offset that matches the filter has been given.
    pub next: u64,
}

/// A place in one session's history, counted in events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// The cursor of one who has been given the events before it.
    pub after: u64,
    /// How many events come before it.
    pub at: u64,
    /// How many events the session has.
    pub total: u64,
}

/// The keeper of the past. All calls may block on the disk.
pub trait History: Send + Sync + 'static {
    /// The life of the storage directory, e.g. `7f3a9c…`; constant while the service runs.
    fn epoch(&self) -> &str;
    /// The offset of the newest durable event; every event up to it can be read through [`History::page`].
    fn durable(&self) -> u64;
    /// The lowest `after` for which nothing that matches is missing.
    fn oldest(&self, filter: &Filter) -> Result<u64, Refusal>;
    /// Events with `offset > after`, at most `limit` of them and about `max_bytes`; when none is left,
    /// `next` is at least the value of [`History::durable`] when the call began.
    fn page(
        &self,
        filter: &Filter,
        after: u64,
        limit: usize,
        max_bytes: usize,
    ) -> Result<HistoryPage, Refusal>;

    /// Where the session's event number `at` stands, from 0; a negative number counts from the end. Beyond
    /// either end it is that end.
    fn place(&self, session: &SessionId, at: i64) -> Result<Place, Refusal>;
}
