//! Tickets: what a browser puts into an address, where a key must never be. Good once, and for a moment.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use session_model::Timestamp;

use super::principal::Principal;
use super::secret::{self, Digest, NoRandomness};

/// How long a ticket may wait for its use.
pub(super) const LIFETIME: Duration = Duration::from_secs(30);
/// How many may wait at a time.
const WAITING: usize = 10_000;

/// The tickets that wait.
#[derive(Default)]
pub(super) struct Tickets(Mutex<HashMap<[u8; 32], Waiting>>);

struct Waiting {
    who: Arc<Principal>,
    until: Timestamp,
}

impl Tickets {
    /// One for somebody, with its end; `None` if too many wait.
    pub(super) fn issue(
        &self,
        who: &Arc<Principal>,
        now: Timestamp,
    ) -> Result<Option<(String, Timestamp)>, NoRandomness> {
        let ticket = secret::new_secret()?;
        let until = Timestamp::from_millis(now.as_millis() + LIFETIME.as_millis() as i64);
        let mut waiting = self.0.lock();
        if waiting.len() >= WAITING {
            waiting.retain(|_, ticket| ticket.until > now);
        }
        if waiting.len() >= WAITING {
            return Ok(None);
        }
        waiting.insert(Digest::of(&ticket).bytes(), Waiting { who: Arc::clone(who), until });
        Ok(Some((ticket, until)))
    }

    /// Whose it is; it is used up whatever comes of it. It is looked for by its hash, so that how long that takes
    /// tells nothing about it.
    pub(super) fn redeem(&self, ticket: &str, now: Timestamp) -> Option<Arc<Principal>> {
        let waiting = self.0.lock().remove(&Digest::of(ticket).bytes())?;
        (waiting.until > now).then_some(waiting.who)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_good_once_and_not_for_long() {
        let (tickets, who, at) = (Tickets::default(), Principal::anonymous(), Timestamp::from_millis);
        let (ticket, until) = tickets.issue(&who, at(0)).unwrap().unwrap();
        assert_eq!(until, at(30_000));
        assert!(tickets.redeem("other", at(1)).is_none());
        assert!(tickets.redeem(&ticket, at(29_999)).is_some() && tickets.redeem(&ticket, at(1)).is_none());
        let (late, _) = tickets.issue(&who, at(0)).unwrap().unwrap();
        assert!(tickets.redeem(&late, at(30_000)).is_none());
    }

    #[test]
    fn those_that_nobody_uses_make_room_when_their_time_is_over() {
        let (tickets, who, at) = (Tickets::default(), Principal::anonymous(), Timestamp::from_millis);
        for _ in 0..WAITING {
            assert!(tickets.issue(&who, at(0)).unwrap().is_some());
        }
        assert!(tickets.issue(&who, at(1)).unwrap().is_none());
        assert!(tickets.issue(&who, at(30_000)).unwrap().is_some());
    }
}
