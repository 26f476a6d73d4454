//! Passes durable events from the commit thread to the hub.

use std::sync::Arc;

use bytes::Bytes;

use crate::live::{Hub, Published};
use session_store::engine::{Observer, PendingEvent};

/// Observer of commits that publishes their events to the hub.
pub(super) struct Feed {
    hub: Arc<Hub>,
}

impl Feed {
    pub(super) fn new(hub: Arc<Hub>) -> Self {
        Self { hub }
    }
}

impl Observer for Feed {
    fn committed(&self, events: &[PendingEvent], buffer: &[u8]) {
        if events.last().is_none_or(|last| self.hub.pass(last.offset)) {
            return;
        }
        // One copy of the group's bytes, shared by all its events.
        let buffer = Bytes::copy_from_slice(buffer);
        let published: Vec<Published> = events
            .iter()
            .map(|event| Published {
                offset: event.offset,
                session: event.session.clone(),
                user: event.user.clone(),
                log: event.kind.log(),
                line: buffer.slice(event.line.start..event.line.end - 1),
            })
            .collect();
        self.hub.publish(&published);
    }
}
