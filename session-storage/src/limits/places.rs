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
pub(super) struct Places(Arc<Mutex<HashMap<UserId, Made>>>);

/// The sessions that one user is creating.
type Made = HashMap<SessionId, Making>;

#[derive(Default)]
struct Making {
    /// The number of requests that are creating the session.
    requests: usize,
    /// When one of them last ended without a response.
    left: Option<Instant>,
}

/// The reservation of one session that is being created, held while its request runs.
pub struct Place {
    places: Places,
    user: UserId,
    id: SessionId,
    answered: bool,
}

impl Places {
    /// Reserves a session unless the user has `most` already. `count` returns how many sessions the
    /// user has, including those being created, each counted once; it runs under the lock, so no
    /// other reservation can be made meanwhile.
    pub(super) fn take(
        &self,
        (user, id): (&UserId, &SessionId),
        most: u64,
        count: impl FnOnce(&mut dyn Iterator<Item = &SessionId>) -> usize,
    ) -> Option<Place> {
        let mut places = self.0.lock();
        let made = places.entry(user.clone()).or_default();
        made.retain(|_, making| {
            making.requests > 0 || making.left.is_some_and(|left| left.elapsed() < LINGER)
        });
        let further = !made.contains_key(id);
        if further && count(&mut made.keys()) as u64 >= most {
            return None;
        }
        made.entry(id.clone()).or_default().requests += 1;
        Some(Place { places: self.clone(), user: user.clone(), id: id.clone(), answered: false })
    }
}

impl Place {
    /// Releases the reservation after the response: a created session is in the index, and any
    /// other no longer counts.
    pub fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.places.0.lock();
        let Some(made) = places.get_mut(&self.user) else { return };
        let Some(making) = made.get_mut(&self.id) else { return };
        making.requests -= 1;
        if !self.answered {
            making.left = Some(Instant::now());
        }
        if making.requests == 0 && making.left.is_none() {
            made.remove(&self.id);
        }
        if made.is_empty() {
            places.remove(&self.user);
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
    fn whoever_is_making_one_takes_the_last_place_until_it_is_answered() {
        let (places, ann) = (Places::default(), UserId::stored("ann"));
        let take =
            |name: &str, there: usize| places.take((&ann, &id(name)), 3, |making| there + making.count());
        let (first, same) = (take("a", 2).unwrap(), take("a", 2).unwrap());
        assert!(take("b", 2).is_none(), "the third is being made");
        first.answered();
        assert!(take("b", 2).is_none(), "by the other request still");
        same.answered();
        let refused = take("b", 2).unwrap();
        refused.answered();
        assert!(places.0.lock().is_empty());
        // The session may have been appended although its client disconnected.
        drop(take("c", 2).unwrap());
        assert!(take("d", 2).is_none());
        assert!(take("d", 1).is_some());
    }
}
