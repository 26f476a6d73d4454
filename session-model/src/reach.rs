//! What somebody may touch: sessions by their user, by how their id begins, or one by one.

use crate::id::{SessionId, UserId};

/// A set of sessions, known and yet to come. A session is in it if any of the three names it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Reach {
    users: Vec<UserId>,
    prefixes: Vec<String>,
    sessions: Vec<SessionId>,
}

impl Reach {
    /// The sessions of these users, those whose id begins so, and these.
    pub fn new(mut users: Vec<UserId>, mut prefixes: Vec<String>, mut sessions: Vec<SessionId>) -> Self {
        users.sort_unstable();
        prefixes.sort_unstable();
        sessions.sort_unstable();
        Self { users, prefixes, sessions }
    }

    /// One session.
    pub fn session(id: SessionId) -> Self {
        Self::new(Vec::new(), Vec::new(), vec![id])
    }

    /// Whether nothing is named, which stands for no limit where limits are written down.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.prefixes.is_empty() && self.sessions.is_empty()
    }

    /// Whether a session is in it whosever it is.
    pub fn names(&self, id: &SessionId) -> bool {
        self.sessions.binary_search(id).is_ok()
            || self.prefixes.iter().any(|prefix| id.as_str().starts_with(prefix.as_str()))
    }

    /// Whether every session of this user is in it.
    pub fn has_user(&self, user: &UserId) -> bool {
        self.users.binary_search(user).is_ok()
    }

    /// Whether the session of this id and user is in it.
    pub fn covers(&self, id: &SessionId, user: &UserId) -> bool {
        self.names(id) || self.has_user(user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_reached_by_any_of_its_names() {
        let (id, user) =
            (|text: &str| SessionId::parse(text).unwrap(), |text: &str| UserId::parse(text).unwrap());
        let reach = Reach::new(vec![user("zoe"), user("ann")], vec!["ci-".into()], vec![id("b"), id("a")]);
        for (session, owner, covered) in [
            ("x", "ann", true),
            ("x", "zoe", true),
            ("ci-7", "bob", true),
            ("a", "bob", true),
            ("b", "bob", true),
            ("x", "bob", false),
            ("ci", "bob", false),
            ("a1", "an", false),
        ] {
            assert_eq!(reach.covers(&id(session), &user(owner)), covered, "{session} of {owner}");
        }
        assert!(!reach.names(&id("x")) && Reach::default().is_empty() && !reach.is_empty());
    }
}
