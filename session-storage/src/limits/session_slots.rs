//! Sessions that are being created. They count together with the existing ones until the index
//! contains them, so that of many simultaneous creations exactly as many succeed as the limit
//! permits.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use session_model::{SessionId, UserId};

/// How long a session counts if its client disconnected before the response; a session that was
/// appended is in the index by then.
const LINGER: Duration = Duration::from_secs(5);

/// The sessions that are being created, by user.
#[derive(Clone, Default)]
pub(super) struct SessionSlots(Arc<Mutex<HashMap<UserId, BeingCreated>>>);

/// The sessions that one user is creating.
type BeingCreated = HashMap<SessionId, Creating>;

#[derive(Default)]
struct Creating {
    /// The number of requests that are creating the session.
    requests: usize,
    /// When one of them last ended without a response.
    left: Option<Instant>,
}

/// The reservation of one session that is being created, held while its request runs.
pub struct SessionSlot {
    slots: SessionSlots,
    user: UserId,
    id: SessionId,
    answered: bool,
}

impl SessionSlots {
    /// Reserves a session unless the user has `most` already. `count` returns how many sessions the
    /// user has, including those being created, each counted once; it runs under the lock, so no
    /// other reservation can be made meanwhile.
    pub(super) fn take(
        &self,
        (user, id): (&UserId, &SessionId),
        most: u64,
        count: impl FnOnce(&mut dyn Iterator<Item = &SessionId>) -> usize,
    ) -> Option<SessionSlot> {
        let mut slots = self.0.lock();
        let made = slots.entry(user.clone()).or_default();
        made.retain(|_, creating| {
            creating.requests > 0 || creating.left.is_some_and(|left| left.elapsed() < LINGER)
        });
        let further = !made.contains_key(id);
        if further && count(&mut made.keys()) as u64 >= most {
            return None;
        }
        made.entry(id.clone()).or_default().requests += 1;
        Some(SessionSlot {
            slots: self.clone(),
            user: user.clone(),
            id: id.clone(),
            answered: false,
        })
    }
}

impl SessionSlot {
    /// Releases the reservation after the response: a created session is in the index, and any
    /// other no longer counts.
    pub fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for SessionSlot {
    fn drop(&mut self) {
        let mut slots = self.slots.0.lock();
        let Some(made) = slots.get_mut(&self.user) else {
            return;
        };
        let Some(creating) = made.get_mut(&self.id) else {
            return;
        };
        creating.requests -= 1;
        if !self.answered {
            creating.left = Some(Instant::now());
        }
        if creating.requests == 0 && creating.left.is_none() {
            made.remove(&self.id);
        }
        if made.is_empty() {
            slots.remove(&self.user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> SessionId {
        SessionId::parse(text).unwrap()
    }

    #[test]
    fn a_session_that_is_being_created_holds_the_last_slot_until_its_response() {
        let slots = SessionSlots::default();
        let ann = UserId::stored("ann");
        let take = |name: &str, there: usize| {
            slots.take((&ann, &id(name)), 3, |creating| there + creating.count())
        };
        let first = take("a", 2).unwrap();
        let same = take("a", 2).unwrap();
        assert!(take("b", 2).is_none(), "the third is being made");
        first.answered();
        assert!(take("b", 2).is_none(), "by the other request still");
        same.answered();
        let refused = take("b", 2).unwrap();
        refused.answered();
        assert!(slots.0.lock().is_empty());
        // The session may have been appended although its client disconnected.
        drop(take("c", 2).unwrap());
        assert!(take("d", 2).is_none());
        assert!(take("d", 1).is_some());
    }
}
