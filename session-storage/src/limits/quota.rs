//! How many sessions and bytes one user has.
//!
//! Sessions are counted by the index, which knows one as soon as it is committed: requests at the very same moment may
//! pass together. Bytes are those of the files, measured every [`MEASURE_EVERY`] (or less often, where that takes long), and in
//! between what the requests announce.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use session_model::{Code, Refusal, UserId};

/// How often files are measured at most.
pub const MEASURE_EVERY: Duration = Duration::from_secs(5);

/// The most of one user.
pub struct Quota {
    sessions: Option<u64>,
    bytes: Option<u64>,
    used: Mutex<HashMap<UserId, u64>>,
}

impl Quota {
    pub(super) fn new(sessions: Option<u64>, bytes: Option<u64>) -> Self {
        Self { sessions, bytes, used: Mutex::default() }
    }

    /// Whether there is any.
    pub fn is_on(&self) -> bool {
        self.sessions.is_some() || self.bytes.is_some()
    }

    /// Whether bytes are counted.
    pub fn counts_bytes(&self) -> bool {
        self.bytes.is_some()
    }

    /// Refuses one more session of a user who has as many as there may be.
    pub fn admit_session(&self, has: impl FnOnce() -> usize) -> Result<(), Refusal> {
        match self.sessions {
            Some(most) if has() as u64 >= most => {
                Err(exceeded(format!("the user has as many sessions as one may have: {most}")))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Counts bytes of a user, or refuses them.
    pub fn admit_bytes(&self, user: &UserId, bytes: u64) -> Result<(), Refusal> {
        let Some(most) = self.bytes else { return Ok(()) };
        let mut used = self.used.lock();
        let of_user = used.entry(user.clone()).or_default();
        if of_user.saturating_add(bytes) > most {
            return Err(exceeded(format!(
                "the sessions of one user may take {most} bytes, and these are full"
            )));
        }
        *of_user += bytes;
        Ok(())
    }

    /// Takes over what was measured.
    pub fn measured(&self, used: HashMap<UserId, u64>) {
        *self.used.lock() = used;
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
        let quota = Quota::new(Some(2), None);
        assert!(quota.admit_session(|| 1).is_ok());
        let refusal = quota.admit_session(|| 2).unwrap_err();
        assert!(refusal.code == Code::QuotaExceeded && refusal.message.contains('2'), "{refusal}");
        assert!(Quota::new(None, None).admit_session(|| usize::MAX).is_ok());
    }

    #[test]
    fn bytes_are_counted_between_two_measurements() {
        let (quota, ann, bob) = (Quota::new(None, Some(100)), UserId::stored("ann"), UserId::stored("bob"));
        assert!(quota.admit_bytes(&ann, 60).is_ok());
        let refusal = quota.admit_bytes(&ann, 41).unwrap_err();
        assert!(refusal.message.contains("100"), "{refusal}");
        assert!(quota.admit_bytes(&ann, 40).is_ok() && quota.admit_bytes(&bob, 100).is_ok());
        quota.measured([(ann.clone(), 10)].into());
        assert!(quota.admit_bytes(&ann, 90).is_ok() && quota.admit_bytes(&ann, 1).is_err());
    }
}
