//! Which events a subscriber wants, and an event as the commit thread publishes it.

use std::sync::Arc;

use bytes::Bytes;
use session_model::{LogKind, SessionId, SessionScope, UserId};

/// Which events a subscriber wants. With both a session and a user, an event that matches either
/// one is wanted; with neither, every event is. Events outside `reach` are always excluded.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Filter {
    /// Include events of this session.
    pub session: Option<SessionId>,
    /// Include events of this user's sessions.
    pub user: Option<UserId>,
    /// Scope: what the subscriber may see. `None` means everything.
    pub session_scope: Option<Arc<SessionScope>>,
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
        self.session_scope
            .as_ref()
            .is_none_or(|session_scope| session_scope.covers(session, user))
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
