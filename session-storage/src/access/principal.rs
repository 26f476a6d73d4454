//! An authenticated client and what it may do.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use session_model::{SessionId, SessionScope, Timestamp, UserId};

use super::scope::{Role, Scope, Scopes};
use super::secret::Digest;

/// How a principal was authenticated; its access lasts as long as this is valid.
#[derive(Clone, Debug)]
pub(super) enum Proof {
    /// Not authenticated: access control is off.
    Anonymous,
    /// Authenticated by the listener: the Unix socket.
    UnixSocket,
    /// Authenticated by this secret of this key.
    Key {
        /// The key's id.
        id: String,
        /// The hash of the secret.
        digest: Digest,
    },
    /// Authenticated by a token.
    Token {
        /// The key that issued the token; `None` if the operator issued it at the command line.
        issuer: Option<String>,
        /// The hash of the secret that signed the token.
        signed_by: Digest,
    },
}

/// When a key was last used, in milliseconds since 1970; 0 means never.
pub(super) type Used = Arc<AtomicI64>;

/// An authenticated client.
#[derive(Debug)]
pub struct Principal {
    /// The name in the audit log: the key's id, `token:<id>`, `socket` or `anonymous`. Never a
    /// secret.
    pub name: Arc<str>,
    /// The permitted kinds of operation.
    pub scopes: Scopes,
    /// The sessions it may access; `None` means all.
    pub session_scope: Option<Arc<SessionScope>>,
    /// When its access expires.
    pub until: Option<Timestamp>,
    pub(super) proof: Proof,
    pub(super) used: Option<Used>,
}

impl Principal {
    /// The principal of every request while access control is off.
    pub(super) fn anonymous() -> Arc<Self> {
        Self::unlimited("anonymous", Proof::Anonymous)
    }

    /// The principal of every process that may open the Unix socket.
    pub(super) fn of_the_socket() -> Arc<Self> {
        Self::unlimited("socket", Proof::UnixSocket)
    }

    fn unlimited(name: &str, proof: Proof) -> Arc<Self> {
        let scopes = Role::Admin.scopes();
        Arc::new(Self {
            name: name.into(),
            scopes,
            session_scope: None,
            until: None,
            proof,
            used: None,
        })
    }

    /// Records that the key was used. Updates at most once a second, so that a busy key rarely
    /// causes a write.
    pub(super) fn touch(&self, now: Timestamp) {
        let Some(used) = &self.used else { return };
        if now.as_millis() - used.load(Ordering::Relaxed) >= 1000 {
            used.store(now.as_millis(), Ordering::Relaxed);
        }
    }

    /// Whether it may perform this kind of operation on some session.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.allow(scope)
    }

    /// Whether it may access this session of this user.
    pub fn covers(&self, id: &SessionId, user: &UserId) -> bool {
        self.session_scope
            .as_ref()
            .is_none_or(|session_scope| session_scope.covers(id, user))
    }
}
