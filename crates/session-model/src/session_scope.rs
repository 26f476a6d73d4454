//! Access scopes: sessions selected by user, by the start of their id, or one by one.

use crate::id::{SessionId, UserId};

/// A set of existing and future sessions. A session is in the set if any of the three lists selects
/// it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct SessionScope {
    users: Vec<UserId>,
    prefixes: Vec<String>,
    sessions: Vec<SessionId>,
}

impl SessionScope {
    /// Selects the sessions of these users, those whose id has one of these prefixes, and these
    /// sessions.
    pub fn new(
        mut users: Vec<UserId>,
        mut prefixes: Vec<String>,
        mut sessions: Vec<SessionId>,
    ) -> Self {
        users.sort_unstable();
        prefixes.sort_unstable();
        sessions.sort_unstable();
        Self {
            users,
            prefixes,
            sessions,
        }
    }

    /// Selects one session.
    pub fn session(id: SessionId) -> Self {
        Self::new(Vec::new(), Vec::new(), vec![id])
    }

    /// Whether nothing is selected. In written-down limits this means that there is no limit.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.prefixes.is_empty() && self.sessions.is_empty()
    }

    /// Whether the session is selected by its id or a prefix, whoever owns it.
    pub fn names(&self, id: &SessionId) -> bool {
        self.sessions.binary_search(id).is_ok()
            || self
                .prefixes
                .iter()
                .any(|prefix| id.as_str().starts_with(prefix.as_str()))
    }

    /// Whether every session of this user is selected.
    pub fn has_user(&self, user: &UserId) -> bool {
        self.users.binary_search(user).is_ok()
    }

    /// Whether the session with this id and user is selected.
    pub fn covers(&self, id: &SessionId, user: &UserId) -> bool {
        self.names(id) || self.has_user(user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_reached_by_any_of_its_names() {
        let id = |text: &str| SessionId::parse(text).unwrap();
        let user = |text: &str| UserId::parse(text).unwrap();
        let session_scope = SessionScope::new(
            vec![user("zoe"), user("ann")],
            vec!["ci-".into()],
            vec![id("b"), id("a")],
        );
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
            assert_eq!(
                session_scope.covers(&id(session), &user(owner)),
                covered,
                "{session} of {owner}"
            );
        }
        assert!(
            !session_scope.names(&id("x"))
                && SessionScope::default().is_empty()
                && !session_scope.is_empty()
        );
    }
}
