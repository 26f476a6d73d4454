//! Limits on the number of sessions and bytes per user.
//!
//! Sessions are counted exactly: those in the index and those being created ([`SessionSlot`]), under one
//! lock. Bytes are the size of the files, measured every [`MEASURE_EVERY`] (or less often, if
//! measuring takes long), plus the size of the bodies accepted since. What the service adds to a
//! body in the files (its seq and time, the snapshots) is only known at the next measurement, and
//! bodies accepted during a measurement are added to its result. So the bodies of a user never
//! exceed the limit together, and the files may exceed it by what the service itself adds within
//! one interval.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use session_model::{Code, Refusal, SessionId, UserId};

use super::session_slots::{SessionSlot, SessionSlots};

/// The minimum interval between two measurements of the files.
pub const MEASURE_EVERY: Duration = Duration::from_secs(5);

/// The limits of each user.
pub struct Quota {
    sessions: Option<u64>,
    bytes: Option<u64>,
    creating: SessionSlots,
    used: Mutex<HashMap<UserId, Used>>,
}

/// The bytes of one user.
#[derive(Clone, Copy, Default)]
struct Used {
    /// Bytes of the files and of the bodies accepted since the files were measured.
    total: u64,
    /// Bytes of the bodies accepted since the running measurement began.
    since: u64,
}

impl Quota {
    pub(super) fn new(sessions: Option<u64>, bytes: Option<u64>) -> Self {
        Self {
            sessions,
            bytes,
            creating: SessionSlots::default(),
            used: Mutex::default(),
        }
    }

    /// Whether any limit is set.
    pub fn is_on(&self) -> bool {
        self.sessions.is_some() || self.bytes.is_some()
    }

    /// Whether bytes are limited.
    pub fn counts_bytes(&self) -> bool {
        self.bytes.is_some()
    }

    /// Reserves a session for a user, or refuses it if the user has reached the limit. `count`
    /// returns how many sessions the user has, including those being created, each counted once.
    pub fn admit_session(
        &self,
        user: &UserId,
        id: &SessionId,
        count: impl FnOnce(&mut dyn Iterator<Item = &SessionId>) -> usize,
    ) -> Result<Option<SessionSlot>, Refusal> {
        let Some(most) = self.sessions else {
            return Ok(None);
        };
        let full = || {
            exceeded(format!(
                "the user has the maximum number of sessions, {most}: delete some"
            ))
        };
        self.creating
            .take((user, id), most, count)
            .map(Some)
            .ok_or_else(full)
    }

    /// Adds bytes to a user's total, or refuses them.
    pub fn admit_bytes(&self, user: &UserId, bytes: u64) -> Result<(), Refusal> {
        let Some(most) = self.bytes else {
            return Ok(());
        };
        let mut used = self.used.lock();
        let of_user = used.entry(user.clone()).or_default();
        if of_user.total.saturating_add(bytes) > most {
            return Err(exceeded(format!(
                "the sessions of a user may take at most {most} bytes: delete some"
            )));
        }
        of_user.total += bytes;
        of_user.since += bytes;
        Ok(())
    }

    /// Starts a measurement: it may or may not include the bytes accepted from now on.
    pub fn measuring(&self) {
        self.used
            .lock()
            .values_mut()
            .for_each(|used| used.since = 0);
    }

    /// Takes over the measured totals and adds the bytes accepted meanwhile.
    pub fn measured(&self, measured: HashMap<UserId, u64>) {
        let mut used = self.used.lock();
        let mut fresh: HashMap<UserId, Used> = measured
            .into_iter()
            .map(|(user, total)| (user, Used { total, since: 0 }))
            .collect();
        for (user, Used { since, .. }) in used.drain().filter(|(_, used)| used.since > 0) {
            let of_user = fresh.entry(user).or_default();
            *of_user = Used {
                total: of_user.total + since,
                since,
            };
        }
        *used = fresh;
    }
}

fn exceeded(why: String) -> Refusal {
    Refusal::new(Code::QuotaExceeded, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_session_is_let_in_and_the_next_is_not() {
        let ann = UserId::stored("ann");
        let id = SessionId::parse("s").unwrap();
        let quota = Quota::new(Some(2), None);
        assert!(quota.admit_session(&ann, &id, |_| 1).is_ok());
        let refusal = quota
            .admit_session(&ann, &SessionId::parse("t").unwrap(), |_| 2)
            .err()
            .unwrap();
        assert!(
            refusal.code == Code::QuotaExceeded && refusal.message.contains('2'),
            "{refusal}"
        );
        assert!(
            Quota::new(None, None)
                .admit_session(&ann, &id, |_| usize::MAX)
                .is_ok()
        );
    }

    #[test]
    fn bodies_accepted_during_a_measurement_are_added_to_it() {
        let quota = Quota::new(None, Some(100));
        let ann = UserId::stored("ann");
        assert!(quota.admit_bytes(&ann, 50).is_ok());
        quota.measuring();
        assert!(quota.admit_bytes(&ann, 30).is_ok());
        quota.measured([(ann.clone(), 50)].into());
        assert!(quota.admit_bytes(&ann, 21).is_err() && quota.admit_bytes(&ann, 20).is_ok());
        quota.measuring();
        quota.measured([(ann.clone(), 60)].into());
        assert!(quota.admit_bytes(&ann, 41).is_err() && quota.admit_bytes(&ann, 40).is_ok());
    }

    #[test]
    fn bytes_are_counted_between_two_measurements() {
        let quota = Quota::new(None, Some(100));
        let ann = UserId::stored("ann");
        let bob = UserId::stored("bob");
        assert!(quota.admit_bytes(&ann, 60).is_ok());
        let refusal = quota.admit_bytes(&ann, 41).unwrap_err();
        assert!(refusal.message.contains("100"), "{refusal}");
        assert!(quota.admit_bytes(&ann, 40).is_ok() && quota.admit_bytes(&bob, 100).is_ok());
        quota.measuring();
        quota.measured([(ann.clone(), 10)].into());
        assert!(quota.admit_bytes(&ann, 90).is_ok() && quota.admit_bytes(&ann, 1).is_err());
    }
}
