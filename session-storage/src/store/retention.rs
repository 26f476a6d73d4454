//! Which completed sessions to let go of: a pure choice.

use std::time::Duration;

use session_model::{SessionId, Timestamp};

/// What is kept; nothing is deleted by a bound that is not set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Policy {
    /// The most sessions.
    pub max_sessions: Option<u64>,
    /// The longest time since a session was created.
    pub max_age: Option<Duration>,
    /// The most bytes of all sessions together.
    pub max_bytes: Option<u64>,
}

impl Policy {
    /// Whether anything is ever deleted.
    pub fn is_active(&self) -> bool {
        self.max_sessions.is_some() || self.max_age.is_some() || self.max_bytes.is_some()
    }
}

/// A session to be judged.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its name.
    pub id: SessionId,
    /// When it was created.
    pub created: Timestamp,
    /// Only completed ones are ever let go.
    pub completed: bool,
    /// Its size.
    pub bytes: u64,
}

/// The sessions to delete, oldest first. `sessions` are ordered newest first and are all there are.
pub fn pick(sessions: &[Candidate], policy: Policy, now: Timestamp) -> Vec<SessionId> {
    let mut count = sessions.len() as u64;
    let mut bytes: u64 = sessions.iter().map(|s| s.bytes).sum();
    let mut picked = Vec::new();
    for session in sessions.iter().rev().filter(|s| s.completed) {
        let age =
            Duration::from_millis((now.as_millis() - session.created.as_millis()).max(0).unsigned_abs());
        let too_many = policy.max_sessions.is_some_and(|max| count > max);
        let too_old = policy.max_age.is_some_and(|max| age > max);
        let too_large = policy.max_bytes.is_some_and(|max| bytes > max);
        if too_many || too_old || too_large {
            count -= 1;
            bytes -= session.bytes;
            picked.push(session.id.clone());
        }
    }
    picked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions() -> Vec<Candidate> {
        let one = |n: i64, completed| Candidate {
            id: SessionId::parse(&format!("s{n}")).unwrap(),
            created: Timestamp::from_millis(n * 1000),
            completed,
            bytes: 100,
        };
        vec![one(5, true), one(4, false), one(3, true), one(2, false), one(1, true)]
    }

    #[test]
    fn only_completed_sessions_go_and_the_oldest_first() {
        let now = Timestamp::from_millis(6000);
        let picked =
            |policy| pick(&sessions(), policy, now).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert!(picked(Policy::default()).is_empty());
        assert_eq!(picked(Policy { max_sessions: Some(4), ..Policy::default() }), ["s1"]);
        assert_eq!(picked(Policy { max_sessions: Some(0), ..Policy::default() }), ["s1", "s3", "s5"]);
        assert_eq!(picked(Policy { max_bytes: Some(300), ..Policy::default() }), ["s1", "s3"]);
        let aged = Policy { max_age: Some(Duration::from_millis(2500)), ..Policy::default() };
        assert_eq!(picked(aged), ["s1", "s3"]);
    }
}
