//! Somebody who was recognised, and what they may do.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use session_model::{Reach, SessionId, Timestamp, UserId};

use super::scope::{Role, Scope, Scopes};
use super::secret::Digest;

/// How somebody was recognised; what their leave hangs on.
#[derive(Clone, Debug)]
pub(super) enum Proof {
    /// Not at all: access control is off.
    Anonymous,
    /// By the door they came through.
    Door,
    /// By this secret of this key.
    Key {
        /// The key's id.
        id: String,
        /// The hash of the secret.
        digest: Digest,
    },
    /// By a token.
    Token {
        /// The key that asked for it; none: the operator, at the command line.
        issuer: Option<String>,
        /// The hash of the secret that signed it.
        signed_by: Digest,
    },
}

/// When a key was last used, in milliseconds since 1970; 0: never.
pub(super) type Used = Arc<AtomicI64>;

/// Somebody.
#[derive(Debug)]
pub struct Principal {
    /// The name in the audit log: the key's id, `token:<id>`, `socket` or `anonymous`. Never a secret.
    pub name: Arc<str>,
    /// What they may do.
    pub scopes: Scopes,
    /// To which sessions; `None`: all.
    pub reach: Option<Arc<Reach>>,
    /// Until when.
    pub until: Option<Timestamp>,
    pub(super) proof: Proof,
    pub(super) used: Option<Used>,
}

impl Principal {
    /// Everybody, while access control is off.
    pub(super) fn anonymous() -> Arc<Self> {
        Self::unlimited("anonymous", Proof::Anonymous)
    }

    /// Whoever may open the Unix socket.
    pub(super) fn of_the_socket() -> Arc<Self> {
        Self::unlimited("socket", Proof::Door)
    }

    fn unlimited(name: &str, proof: Proof) -> Arc<Self> {
        let scopes = Role::Admin.scopes();
        Arc::new(Self { name: name.into(), scopes, reach: None, until: None, proof, used: None })
    }

    /// Notes that the key is in use; to the second, so that a busy key is seldom written to.
    pub(super) fn touch(&self, now: Timestamp) {
        let Some(used) = &self.used else { return };
        if now.as_millis() - used.load(Ordering::Relaxed) >= 1000 {
            used.store(now.as_millis(), Ordering::Relaxed);
        }
    }

    /// Whether they may do this at all.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.allow(scope)
    }

    /// Whether this session, of this user, concerns them.
    pub fn reaches(&self, id: &SessionId, user: &UserId) -> bool {
        self.reach.as_ref().is_none_or(|reach| reach.covers(id, user))
    }
}
