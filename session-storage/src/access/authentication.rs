//! Authentication: turns the credentials of a request into a [`Principal`].

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use lru::LruCache;
use parking_lot::Mutex;
use session_model::{SessionId, SessionScope, Timestamp};

use super::key_file::{FileError, Folder};
use super::key_set::{Found, KeySet};
use super::last_used;
use super::principal::{Principal, Proof};
use super::record::Standing;
use super::scope::Scopes;
use super::secret::{self, Digest, NoRandomness};
use super::ticket::Tickets;
use super::token::{self, ANYBODY, Claims, OPERATOR};
use crate::clock::now;

/// Capacity of the cache of verified tokens.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");

/// Why a request is not authenticated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Denied {
    /// The request has no credentials.
    #[error("a key or token is required: `Authorization: Bearer …`")]
    Missing,
    /// The credentials match no key, token or ticket of this service.
    #[error("the key, token or ticket is not valid")]
    Invalid,
    /// The credentials were valid and have expired.
    #[error("the key or token has expired")]
    Expired,
    /// The key was revoked, or the key or secret that a token or ticket depends on is no longer
    /// valid.
    #[error("the key was revoked")]
    Revoked,
}

/// Access control as the files define it now. One instance per service.
pub struct Access {
    folder: Folder,
    key_set: ArcSwap<KeySet>,
    /// Whether requests need credentials; once set, it stays set.
    on: AtomicBool,
    /// Incremented by every reload of the files.
    generation: AtomicU64,
    reloading: Mutex<()>,
    tokens: Mutex<LruCache<[u8; 32], Arc<Principal>>>,
    tickets: Tickets,
    anonymous: Arc<Principal>,
    socket: Arc<Principal>,
}

impl Access {
    /// Reads the files. Access control is off if there is no key.
    pub fn open(folder: Folder) -> Result<Self, FileError> {
        let access = Self {
            folder,
            key_set: ArcSwap::default(),
            on: AtomicBool::new(false),
            generation: AtomicU64::new(0),
            reloading: Mutex::new(()),
            tokens: Mutex::new(LruCache::new(REMEMBERED)),
            tickets: Tickets::default(),
            anonymous: Principal::anonymous(),
            socket: Principal::of_the_socket(),
        };
        access.reload()?;
        Ok(access)
    }

    /// Reads the files again. On an error, the keys that were read before stay in force.
    pub fn reload(&self) -> Result<(), FileError> {
        // Reloads run one at a time, so that the newest reading is the one that stays in force.
        let _alone = self.reloading.lock();
        let keys = self.folder.read_keys()?;
        let signer = self.folder.read_token_secret()?;
        let before = self.key_set.load();
        let key_set = KeySet::new(
            keys,
            signer.as_deref(),
            &before,
            &last_used::read(&self.folder),
        );
        let on = !key_set.is_empty();
        self.key_set.store(Arc::new(key_set));
        self.tokens.lock().clear();
        if on {
            self.on.store(true, Ordering::Release);
        }
        self.generation.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    /// Whether requests need a key.
    pub fn is_on(&self) -> bool {
        self.on.load(Ordering::Acquire)
    }

    /// A counter that grows with every change.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(super) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The principal of every request while access control is off.
    pub fn anonymous(&self) -> &Arc<Principal> {
        &self.anonymous
    }

    /// Authenticates a key or token, or a request without credentials. `trusted` means that the
    /// request came over a listener that only permitted users can reach (the Unix socket).
    pub fn recognise(&self, shown: Option<&str>, trusted: bool) -> Result<Arc<Principal>, Denied> {
        if !self.is_on() {
            return Ok(Arc::clone(&self.anonymous));
        }
        let Some(shown) = shown else {
            return if trusted {
                Ok(Arc::clone(&self.socket))
            } else {
                Err(Denied::Missing)
            };
        };
        let now = now();
        let who = if token::is_token(shown) {
            self.token(shown, now)?
        } else {
            self.key(shown, now)?
        };
        who.touch(now);
        Ok(who)
    }

    fn key(&self, shown: &str, now: Timestamp) -> Result<Arc<Principal>, Denied> {
        match self.key_set.load().key(shown, now) {
            Found::Good(who) => Ok(who),
            Found::Ended(Standing::Revoked) => Err(Denied::Revoked),
            Found::Ended(Standing::Expired | Standing::Active) => Err(Denied::Expired),
            Found::Unknown => Err(Denied::Invalid),
        }
    }

    /// Verifies a token. A recently verified token is recognised by its hash.
    fn token(&self, shown: &str, now: Timestamp) -> Result<Arc<Principal>, Denied> {
        let digest = Digest::of(shown).bytes();
        let remembered = self.tokens.lock().get(&digest).cloned();
        let key_set = self.key_set.load();
        let who = match remembered {
            Some(who) => who,
            None => Arc::new(verified(&key_set, shown)?),
        };
        if who.until.is_some_and(|end| end <= now) {
            return Err(Denied::Expired);
        }
        if !key_set.still_knows(&who, now) {
            return Err(Denied::Revoked);
        }
        self.tokens.lock().put(digest, Arc::clone(&who));
        Ok(who)
    }

    /// Authenticates a ticket and uses it up.
    pub fn redeem(&self, ticket: &str) -> Result<Arc<Principal>, Denied> {
        let now = now();
        let who = self.tickets.redeem(ticket, now).ok_or(Denied::Invalid)?;
        if self.still_holds(&who, now) {
            Ok(who)
        } else {
            Err(Denied::Revoked)
        }
    }

    /// Issues a ticket for a principal and returns it with its expiry; `None` if too many tickets
    /// are pending.
    pub fn ticket(
        &self,
        who: &Arc<Principal>,
    ) -> Result<Option<(String, Timestamp)>, NoRandomness> {
        self.tickets.issue(who, now())
    }

    /// Issues a session token on behalf of a principal and returns it with its expiry. Blocks on
    /// the disk; the first call ever also creates the signing secret.
    pub fn issue(
        &self,
        who: &Principal,
        session: SessionId,
        scopes: Scopes,
        lifetime: Duration,
    ) -> Result<(String, Timestamp), FileError> {
        let subject = match &who.proof {
            Proof::Key { id, .. } => id.as_str(),
            // No key has this id, so a token issued while no key was needed ends once keys are
            // required.
            Proof::Anonymous => ANYBODY,
            Proof::UnixSocket | Proof::Token { .. } => OPERATOR,
        };
        let secret = self.folder.token_secret_or_new()?;
        if self.key_set.load().signer().is_none() {
            self.reload()?;
        }
        let claims = Claims::new(subject, session, scopes, now(), lifetime)?;
        Ok((token::sign(&secret, &claims), claims.ends()))
    }

    /// Whether an authenticated principal still has access.
    pub fn still_holds(&self, who: &Principal, now: Timestamp) -> bool {
        match who.proof {
            Proof::Anonymous => !self.is_on(),
            Proof::UnixSocket | Proof::Key { .. } | Proof::Token { .. } => {
                self.key_set.load().still_knows(who, now)
            }
        }
    }

    /// When an authenticated principal's access ends, according to the current keys.
    pub fn ends(&self, who: &Principal) -> Option<Timestamp> {
        self.key_set.load().end_of(who)
    }

    /// Stores when each key was last used, if that changed.
    pub fn write_last_used(&self) -> Result<(), FileError> {
        let times = self.key_set.load().last_used();
        if times == last_used::read(&self.folder) {
            return Ok(());
        }
        last_used::write(&self.folder, &times)
    }
}

fn verified(key_set: &KeySet, shown: &str) -> Result<Principal, Denied> {
    let (key, signed_by) = key_set.signer().ok_or(Denied::Invalid)?;
    let claims = token::verify(key, shown).ok_or(Denied::Invalid)?;
    let scopes = claims.scopes().ok_or(Denied::Invalid)?;
    let until = Some(claims.ends());
    let issuer = (claims.sub != OPERATOR).then_some(claims.sub);
    Ok(Principal {
        name: format!("token:{}", claims.jti).into(),
        scopes,
        session_scope: Some(Arc::new(SessionScope::session(claims.sid))),
        until,
        proof: Proof::Token {
            issuer,
            signed_by: *signed_by,
        },
        used: None,
    })
}

/// An issued token.
pub struct Issued {
    /// The token itself, which is stored nowhere.
    pub token: String,
    /// Its name in the audit log: `token:<id>`.
    pub name: String,
    /// When it expires.
    pub ends: Timestamp,
}

/// Issues a token on behalf of the operator, at the command line.
pub fn issue_as_operator(
    folder: &Folder,
    session: SessionId,
    scopes: Scopes,
    lifetime: Duration,
) -> Result<Issued, FileError> {
    let claims = Claims::new(OPERATOR, session, scopes, now(), lifetime)?;
    let token = token::sign(&folder.token_secret_or_new()?, &claims);
    Ok(Issued {
        token,
        name: format!("token:{}", claims.jti),
        ends: claims.ends(),
    })
}

/// Generates a key: its whole text, which is stored nowhere, and its id.
pub fn new_key() -> Result<(String, String), NoRandomness> {
    let id = secret::new_id()?;
    Ok((secret::key_text(&id, &secret::new_secret()?), id))
}
