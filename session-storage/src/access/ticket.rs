//! Tickets: single-use, short-lived credentials that a browser puts into a URL, where a key must
//! never be.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use session_model::Timestamp;

use super::principal::Principal;
use super::secret::{self, Digest, NoRandomness};

/// How long an unused ticket is valid.
pub(super) const LIFETIME: Duration = Duration::from_secs(30);
/// The maximum number of unused tickets.
const WAITING: usize = 10_000;

/// The unused tickets.
#[derive(Default)]
pub(super) struct Tickets(Mutex<HashMap<[u8; 32], Waiting>>);

struct Waiting {
    who: Arc<Principal>,
    until: Timestamp,
}

impl Tickets {
    /// Issues a ticket for a principal, with its expiry; `None` if there are too many unused
    /// tickets.
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
        waiting.insert(
            Digest::of(&ticket).bytes(),
            Waiting {
                who: Arc::clone(who),
                until,
            },
        );
        Ok(Some((ticket, until)))
    }

    /// Returns the principal of a ticket and uses the ticket up, even if it has expired. Tickets
    /// are looked up by hash, so that the time of the lookup reveals nothing about a valid ticket.
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
        let tickets = Tickets::default();
        let who = Principal::anonymous();
        let at = Timestamp::from_millis;
        let (ticket, until) = tickets.issue(&who, at(0)).unwrap().unwrap();
        assert_eq!(until, at(30_000));
        assert!(tickets.redeem("other", at(1)).is_none());
        assert!(
            tickets.redeem(&ticket, at(29_999)).is_some()
                && tickets.redeem(&ticket, at(1)).is_none()
        );
        let (late, _) = tickets.issue(&who, at(0)).unwrap().unwrap();
        assert!(tickets.redeem(&late, at(30_000)).is_none());
    }

    #[test]
    fn unused_tickets_are_removed_when_they_expire() {
        let tickets = Tickets::default();
        let who = Principal::anonymous();
        let at = Timestamp::from_millis;
        for _ in 0..WAITING {
            assert!(tickets.issue(&who, at(0)).unwrap().is_some());
        }
        assert!(tickets.issue(&who, at(1)).unwrap().is_none());
        assert!(tickets.issue(&who, at(30_000)).unwrap().is_some());
    }
}
