//! The keys in memory: made whole from the files, and replaced whole when they change.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ring::hmac;
use session_model::Timestamp;

use super::principal::{Principal, Proof, Used};
use super::record::{Keys, Record, Standing};
use super::secret::{self, Digest};

/// Every key by its id, and what tokens are signed with.
#[derive(Default)]
pub(super) struct Ring {
    keys: HashMap<String, Key>,
    signer: Option<(hmac::Key, Digest)>,
}

struct Key {
    record: Record,
    used: Used,
    /// Who comes with each of its secrets.
    holders: Vec<(Digest, Arc<Principal>)>,
}

/// What became of a credential.
pub(super) enum Found {
    /// Somebody.
    Good(Arc<Principal>),
    /// A key of ours that is no longer good.
    Past(Standing),
    /// None of ours.
    Unknown,
}

impl Ring {
    /// From what the files hold. The keys that were there before keep their last use.
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
            (record.id.clone(), Key::new(record, used))
        });
        Self { keys: made.collect(), signer: signer.map(signer_of) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whose key this is.
    pub(super) fn key(&self, text: &str, now: Timestamp) -> Found {
        let Some(key) = secret::key_id(text).and_then(|id| self.keys.get(id)) else { return Found::Unknown };
        let digest = Digest::of(text);
        let Some((_, who)) = key.holders.iter().find(|(held, _)| held.is(&digest)) else {
            return Found::Unknown;
        };
        match key.record.standing(now) {
            Standing::Active if who.until.is_none_or(|end| end > now) => Found::Good(Arc::clone(who)),
            Standing::Active => Found::Past(Standing::Expired),
            past @ (Standing::Expired | Standing::Revoked) => Found::Past(past),
        }
    }

    /// What tokens are verified with.
    pub(super) fn signer(&self) -> Option<&(hmac::Key, Digest)> {
        self.signer.as_ref()
    }

    /// Whether a key may still be used.
    pub(super) fn is_active(&self, id: &str, now: Timestamp) -> bool {
        self.keys.get(id).is_some_and(|key| key.record.standing(now) == Standing::Active)
    }

    /// Whether somebody who was recognised before would be recognised again, with the same rights.
    pub(super) fn still_knows(&self, who: &Principal, now: Timestamp) -> bool {
        match &who.proof {
            Proof::Anonymous => false,
            Proof::Door => true,
            Proof::Key { id, digest } => self.keys.get(id).is_some_and(|key| {
                let holder = key.holders.iter().find(|(held, _)| held.is(digest));
                let same = |(_, now_is): &(Digest, Arc<Principal>)| {
                    now_is.scopes == who.scopes
                        && now_is.reach == who.reach
                        && now_is.until.is_none_or(|end| end > now)
                };
                key.record.standing(now) == Standing::Active && holder.is_some_and(same)
            }),
            Proof::Token { issuer, signed_by } => {
                let signed = self.signer.as_ref().is_some_and(|(_, digest)| digest.is(signed_by));
                let in_time = who.until.is_none_or(|end| end > now);
                signed && in_time && issuer.as_ref().is_none_or(|id| self.is_active(id, now))
            }
        }
    }

    /// When somebody's leave ends as things stand now: a rotation may have set an end that was not there before.
    pub(super) fn end_of(&self, who: &Principal) -> Option<Timestamp> {
        let Proof::Key { id, digest } = &who.proof else { return who.until };
        let holder = self.keys.get(id)?.holders.iter().find(|(held, _)| held.is(digest))?;
        holder.1.until
    }

    /// When each key was last used, as far as it ever was.
    pub(super) fn last_used(&self) -> BTreeMap<String, i64> {
        let uses = self.keys.iter().map(|(id, key)| (id.clone(), key.used.load(Ordering::Relaxed)));
        uses.filter(|(_, at)| *at > 0).collect()
    }
}

fn signer_of(secret: &[u8]) -> (hmac::Key, Digest) {
    (hmac::Key::new(hmac::HMAC_SHA256, secret), Digest::of_bytes(secret))
}

impl Key {
    fn new(record: Record, used: Used) -> Self {
        let reach = record.reach().map(Arc::new);
        let holders = record.secrets.iter().filter_map(|stored| {
            let digest = Digest::parse(&stored.sha256)?;
            let who = Principal {
                name: record.id.as_str().into(),
                scopes: record.scopes(),
                reach: reach.clone(),
                until: [stored.until, record.expires].into_iter().flatten().min(),
                proof: Proof::Key { id: record.id.clone(), digest },
                used: Some(Arc::clone(&used)),
            };
            Some((digest, Arc::new(who)))
        });
        Self { holders: holders.collect(), used, record }
    }
}
