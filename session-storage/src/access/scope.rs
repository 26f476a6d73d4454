//! What one may do at all; which sessions it may be done to is another question, see [`session_model::Reach`].

use serde::{Deserialize, Serialize};

/// A kind of doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Add to a session's history: create it, append to it, change its state, end it. Nothing is taken away and
    /// nothing of it is read.
    Append,
    /// See sessions, lists, statistics, events.
    Read,
    /// Append, and delete sessions.
    Write,
    /// Everything, and issue session tokens.
    Admin,
}

impl Scope {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Append, Self::Read, Self::Write, Self::Admin];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }

    /// The scope of this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Some scopes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Scopes(u8);

impl Scopes {
    /// These.
    pub fn of(scopes: impl IntoIterator<Item = Scope>) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }

    /// Whether one of them allows this: `write` includes `append`, `admin` everything.
    pub const fn allow(self, scope: Scope) -> bool {
        let enough = match scope {
            Scope::Append => Scope::Append.bit() | Scope::Write.bit() | Scope::Admin.bit(),
            Scope::Read | Scope::Write | Scope::Admin => scope.bit() | Scope::Admin.bit(),
        };
        self.0 & enough != 0
    }

    /// Each of them as it was given.
    pub fn list(self) -> Vec<Scope> {
        Scope::ALL.into_iter().filter(|scope| self.0 & scope.bit() != 0).collect()
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// A set of scopes with a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Looks.
    Viewer,
    /// Looks and changes.
    Editor,
    /// Everything.
    Admin,
}

impl Role {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Editor, Self::Admin];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Admin => "admin",
        }
    }

    /// The role of this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// What it may do.
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
            Scope::ALL.into_iter().filter(|scope| scopes.allow(*scope)).map(Scope::as_str).collect::<Vec<_>>()
        };
        assert_eq!(allowed(&[]), Vec::<&str>::new());
        assert_eq!(allowed(&[Scope::Append]), ["append"]);
        assert_eq!(allowed(&[Scope::Read]), ["read"]);
        assert_eq!(allowed(&[Scope::Write]), ["append", "write"]);
        assert_eq!(allowed(&[Scope::Admin]), ["append", "read", "write", "admin"]);
        assert_eq!(allowed(&Role::Viewer.scopes().list()), ["read"]);
        assert_eq!(allowed(&Role::Editor.scopes().list()), ["append", "read", "write"]);
    }

    #[test]
    fn names_are_read_back() {
        assert!(Scope::ALL.into_iter().all(|scope| Scope::parse(scope.as_str()) == Some(scope)));
        assert!(Role::ALL.into_iter().all(|role| Role::parse(role.as_str()) == Some(role)));
        assert_eq!((Scope::parse("Read"), Role::parse("")), (None, None));
    }
}
