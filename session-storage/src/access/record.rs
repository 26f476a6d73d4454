//! A key as it is stored, and what can be done to the list of them. Pure.

use serde::{Deserialize, Serialize};
use session_model::{Reach, SessionId, Timestamp, UserId};

use super::scope::{Scope, Scopes};
use super::secret::Digest;

/// What `keys.json` holds.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct Keys {
    /// Its kind and version.
    #[serde(rename = "$schema")]
    schema: String,
    /// The keys, the oldest first; a revoked one stays, so that its name is known in the audit log.
    pub keys: Vec<Record>,
}

impl Default for Keys {
    fn default() -> Self {
        Self { schema: "access-keys-v1".into(), keys: Vec::new() }
    }
}

/// One key.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Its name in lists and in the audit log.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Whose sessions it may touch. With all three lists empty: every session.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    /// How the ids begin of those that it may touch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<String>,
    /// Which it may touch by their ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<SessionId>,
    /// When it was made.
    #[serde(with = "text")]
    pub created: Timestamp,
    /// From when on it is no longer valid.
    #[serde(default, with = "text_or_none", skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// When it was revoked.
    #[serde(default, with = "text_or_none", skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Timestamp>,
    /// Its secrets: one, and after a rotation for a while the one before.
    pub secrets: Vec<Stored>,
}

/// A secret as it is stored.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Stored {
    /// The hash of the whole key.
    pub sha256: String,
    /// Until when it is good, once another has taken its place.
    #[serde(default, with = "text_or_none", skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Stored {
    /// Of a key as it is shown.
    pub fn of(key: &str) -> Self {
        Self { sha256: Digest::of(key).hex(), until: None }
    }
}

/// How a key stands at a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Good.
    Active,
    /// Its time is over.
    Expired,
    /// Taken back.
    Revoked,
}

impl Record {
    /// Whether it is good at this moment.
    pub fn standing(&self, now: Timestamp) -> Standing {
        if self.revoked.is_some() {
            return Standing::Revoked;
        }
        if self.expires.is_some_and(|end| end <= now) { Standing::Expired } else { Standing::Active }
    }

    /// What it may do.
    pub fn scopes(&self) -> Scopes {
        Scopes::of(self.scopes.iter().copied())
    }

    /// What it may touch; `None`: everything.
    pub fn reach(&self) -> Option<Reach> {
        let users = self.users.iter().map(|user| UserId::stored(user)).collect();
        let reach = Reach::new(users, self.prefixes.clone(), self.sessions.clone());
        (!reach.is_empty()).then_some(reach)
    }

    /// Puts another secret first; those before it are good until `until`.
    pub fn rotate(&mut self, key: &str, now: Timestamp, until: Timestamp) {
        self.secrets.retain(|secret| secret.until.is_none_or(|end| end > now));
        for old in &mut self.secrets {
            old.until = Some(old.until.map_or(until, |end| end.min(until)));
        }
        self.secrets.insert(0, Stored::of(key));
    }
}

impl Keys {
    /// The key of this id.
    pub fn find(&mut self, id: &str) -> Option<&mut Record> {
        self.keys.iter_mut().find(|key| key.id == id)
    }
}

/// A point in time as text.
mod text {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use session_model::Timestamp;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
    pub(super) fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(at)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(from)?;
        Timestamp::parse(&text).ok_or_else(|| D::Error::custom(format!("`{text}` is no point in time")))
    }
}

/// The same where there may be none.
mod text_or_none {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use session_model::Timestamp;

    #[expect(clippy::ref_option, reason = "the signature that serde asks for")]
    pub(super) fn serialize<S: Serializer>(at: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => to.collect_str(at),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
        let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
        let at = Timestamp::parse(&text);
        at.map(Some).ok_or_else(|| D::Error::custom(format!("`{text}` is no point in time")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            id: "k".into(),
            name: "ci".into(),
            scopes: vec![Scope::Append],
            users: vec!["ann".into()],
            prefixes: Vec::new(),
            sessions: Vec::new(),
            created: Timestamp::from_millis(0),
            expires: Some(Timestamp::from_millis(1000)),
            revoked: None,
            secrets: vec![Stored::of("one")],
        }
    }

    #[test]
    fn a_key_is_good_until_it_expires_or_is_revoked() {
        let (mut key, at) = (record(), Timestamp::from_millis);
        assert_eq!((key.standing(at(999)), key.standing(at(1000))), (Standing::Active, Standing::Expired));
        key.revoked = Some(at(5));
        assert_eq!(key.standing(at(6)), Standing::Revoked);
    }

    #[test]
    fn a_rotation_leaves_the_old_secret_its_time_and_forgets_those_whose_time_is_over() {
        let (mut key, at) = (record(), Timestamp::from_millis);
        key.rotate("two", at(10), at(100));
        key.rotate("three", at(50), at(500));
        let untils: Vec<_> = key.secrets.iter().map(|secret| secret.until).collect();
        assert_eq!(untils, [None, Some(at(500)), Some(at(100))]);
        key.rotate("four", at(200), at(200));
        let left: Vec<_> = key.secrets.iter().map(|secret| secret.sha256.clone()).collect();
        assert_eq!(left, ["four", "three", "two"].map(|key| Digest::of(key).hex()));
    }

    #[test]
    fn what_is_stored_reads_the_same_and_holds_no_secret() {
        let keys = Keys { keys: vec![record()], ..Keys::default() };
        let text = serde_json::to_string(&keys).unwrap();
        assert_eq!(serde_json::from_str::<Keys>(&text).unwrap().keys, keys.keys);
        assert!(text.contains("1970-01-01T00:00:01.000Z") && !text.contains("one"), "{text}");
    }
}
