//! The keys in memory: built from the files, and replaced as a whole when the files change.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ring::hmac;
use session_model::Timestamp;

use super::principal::{Principal, Proof, Used};
use super::record::{Keys, Record, Standing};
use super::secret::{self, Digest};

/// All keys by id, and the key that verifies tokens.
#[derive(Default)]
pub(super) struct KeySet {
    keys: HashMap<String, LoadedKey>,
    signer: Option<(hmac::Key, Digest)>,
}

struct LoadedKey {
    record: Record,
    used: Used,
    /// The principal of each of the key's secrets.
    holders: Vec<(Digest, Arc<Principal>)>,
}

/// The result of looking up a key.
pub(super) enum Found {
    /// A valid key, with its principal.
    Good(Arc<Principal>),
    /// A known key that is no longer valid.
    Ended(Standing),
    /// No known key.
    Unknown,
}

impl KeySet {
    /// Builds the set from the content of the files. Keys that were there before keep their time
    /// of last use.
    pub(super) fn new(
        keys: Keys,
        signer: Option<&[u8]>,
        before: &Self,
        last_used: &BTreeMap<String, i64>,
    ) -> Self {
        let made = keys.keys.into_iter().map(|record| {
            let used = match before.keys.get(&record.id) {
                Some(key) => Arc::clone(&key.used),
                None => Arc::new(last_used.get(&record.id).copied().unwrap_or(0).into()),
            };
            (record.id.clone(), LoadedKey::new(record, used))
        });
        Self {
            keys: made.collect(),
            signer: signer.map(signer_of),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Looks up the principal of a key.
    pub(super) fn key(&self, text: &str, now: Timestamp) -> Found {
        let Some(key) = secret::key_id(text).and_then(|id| self.keys.get(id)) else {
            return Found::Unknown;
        };
        let digest = Digest::of(text);
        let Some((_, who)) = key.holders.iter().find(|(held, _)| held.is(&digest)) else {
            return Found::Unknown;
        };
        match key.record.standing(now) {
            Standing::Active if who.until.is_none_or(|end| end > now) => {
                Found::Good(Arc::clone(who))
            }
            Standing::Active => Found::Ended(Standing::Expired),
            ended @ (Standing::Expired | Standing::Revoked) => Found::Ended(ended),
        }
    }

    /// The key that verifies tokens.
    pub(super) fn signer(&self) -> Option<&(hmac::Key, Digest)> {
        self.signer.as_ref()
    }

    /// Whether a key is valid.
    pub(super) fn is_active(&self, id: &str, now: Timestamp) -> bool {
        self.keys
            .get(id)
            .is_some_and(|key| key.record.standing(now) == Standing::Active)
    }

    /// Whether a principal would be authenticated again now, with the same permissions.
    pub(super) fn still_knows(&self, who: &Principal, now: Timestamp) -> bool {
        match &who.proof {
            Proof::Anonymous => false,
            Proof::UnixSocket => true,
            Proof::Key { id, digest } => self.keys.get(id).is_some_and(|key| {
                let holder = key.holders.iter().find(|(held, _)| held.is(digest));
                let same = |(_, now_is): &(Digest, Arc<Principal>)| {
                    now_is.scopes == who.scopes
                        && now_is.session_scope == who.session_scope
                        && now_is.until.is_none_or(|end| end > now)
                };
                key.record.standing(now) == Standing::Active && holder.is_some_and(same)
            }),
            Proof::Token { issuer, signed_by } => {
                let signed = self
                    .signer
                    .as_ref()
                    .is_some_and(|(_, digest)| digest.is(signed_by));
                let in_time = who.until.is_none_or(|end| end > now);
                signed && in_time && issuer.as_ref().is_none_or(|id| self.is_active(id, now))
            }
        }
    }

    /// When a principal's access ends according to the current keys: a rotation may have added an
    /// expiry.
    pub(super) fn end_of(&self, who: &Principal) -> Option<Timestamp> {
        let Proof::Key { id, digest } = &who.proof else {
            return who.until;
        };
        let holder = self
            .keys
            .get(id)?
            .holders
            .iter()
            .find(|(held, _)| held.is(digest))?;
        holder.1.until
    }

    /// When each key was last used; keys that were never used are left out.
    pub(super) fn last_used(&self) -> BTreeMap<String, i64> {
        let uses = self
            .keys
            .iter()
            .map(|(id, key)| (id.clone(), key.used.load(Ordering::Relaxed)));
        uses.filter(|(_, at)| *at > 0).collect()
    }
}

fn signer_of(secret: &[u8]) -> (hmac::Key, Digest) {
    (
        hmac::Key::new(hmac::HMAC_SHA256, secret),
        Digest::of_bytes(secret),
    )
}

impl LoadedKey {
    fn new(record: Record, used: Used) -> Self {
        let session_scope = record.session_scope().map(Arc::new);
        let holders = record.secrets.iter().filter_map(|stored| {
            let digest = Digest::parse(&stored.sha256)?;
            let who = Principal {
                name: record.id.as_str().into(),
                scopes: record.scopes(),
                session_scope: session_scope.clone(),
                until: [stored.until, record.expires].into_iter().flatten().min(),
                proof: Proof::Key {
                    id: record.id.clone(),
                    digest,
                },
                used: Some(Arc::clone(&used)),
            };
            Some((digest, Arc::new(who)))
        });
        Self {
            holders: holders.collect(),
            used,
            record,
        }
    }
}
