//! Kinds of operation that a client may perform. Which sessions it may perform them on is separate,
//! see [`session_model::SessionScope`].

use serde::{Deserialize, Serialize};

/// A kind of operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Adds to a session: creates it, appends to it, changes its state, ends it. Removes nothing
    /// and reads nothing.
    Append,
    /// Reads sessions, lists, statistics and events.
    Read,
    /// Everything that `append` permits, and deletes sessions.
    Write,
    /// Everything, including issuing session tokens.
    Admin,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 4] = [Self::Append, Self::Read, Self::Write, Self::Admin];

    /// The name of the scope.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }

    /// Returns the scope with this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of scopes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Scopes(u8);

impl Scopes {
    /// Creates a set.
    pub fn of(scopes: impl IntoIterator<Item = Scope>) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }

    /// Whether the set permits this scope: `write` includes `append`, and `admin` includes
    /// everything.
    pub const fn allow(self, scope: Scope) -> bool {
        let enough = match scope {
            Scope::Append => Scope::Append.bit() | Scope::Write.bit() | Scope::Admin.bit(),
            Scope::Read | Scope::Write | Scope::Admin => scope.bit() | Scope::Admin.bit(),
        };
        self.0 & enough != 0
    }

    /// Lists the scopes as they were given, without those that they include.
    pub fn list(self) -> Vec<Scope> {
        Scope::ALL
            .into_iter()
            .filter(|scope| self.0 & scope.bit() != 0)
            .collect()
    }

    /// Whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// A named set of scopes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Reads.
    Viewer,
    /// Reads and writes.
    Editor,
    /// May do everything.
    Admin,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Editor, Self::Admin];

    /// The name of the role.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Admin => "admin",
        }
    }

    /// Returns the role with this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// The scopes of the role.
    pub fn scopes(self) -> Scopes {
        match self {
            Self::Viewer => Scopes::of([Scope::Read]),
            Self::Editor => Scopes::of([Scope::Read, Scope::Write]),
            Self::Admin => Scopes::of([Scope::Admin]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_includes_what_it_says_and_no_more() {
        let allowed = |given: &[Scope]| {
            let scopes = Scopes::of(given.iter().copied());
            Scope::ALL
                .into_iter()
                .filter(|scope| scopes.allow(*scope))
                .map(Scope::as_str)
                .collect::<Vec<_>>()
        };
        assert_eq!(allowed(&[]), Vec::<&str>::new());
        assert_eq!(allowed(&[Scope::Append]), ["append"]);
        assert_eq!(allowed(&[Scope::Read]), ["read"]);
        assert_eq!(allowed(&[Scope::Write]), ["append", "write"]);
        assert_eq!(
            allowed(&[Scope::Admin]),
            ["append", "read", "write", "admin"]
        );
        assert_eq!(allowed(&Role::Viewer.scopes().list()), ["read"]);
        assert_eq!(
            allowed(&Role::Editor.scopes().list()),
            ["append", "read", "write"]
        );
    }

    #[test]
    fn names_are_read_back() {
        assert!(
            Scope::ALL
                .into_iter()
                .all(|scope| Scope::parse(scope.as_str()) == Some(scope))
        );
        assert!(
            Role::ALL
                .into_iter()
                .all(|role| Role::parse(role.as_str()) == Some(role))
        );
        assert_eq!(Scope::parse("Read"), None);
        assert_eq!(Role::parse(""), None);
    }
}
