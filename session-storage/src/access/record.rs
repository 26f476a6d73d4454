//! The stored form of a key and the operations on the list of keys. Pure.
//!
//! The names of fields are on disk: only add fields, with a default; never rename or reorder them.

use serde::{Deserialize, Serialize};
use session_model::{SessionId, SessionScope, Timestamp, UserId};

use super::scope::{Scope, Scopes};
use super::secret::Digest;

/// The content of `keys.json`.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct Keys {
    /// The schema name and version.
    #[serde(rename = "$schema")]
    schema: String,
    /// The keys, oldest first. A revoked key stays, so that its id can be resolved in the audit
    /// log.
    pub keys: Vec<Record>,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            schema: "access-keys-v1".into(),
            keys: Vec::new(),
        }
    }
}

/// A stored key.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The id, used in lists and in the audit log.
    pub id: String,
    /// The human-readable name.
    pub name: String,
    /// The permitted kinds of operation.
    pub scopes: Vec<Scope>,
    /// Users whose sessions it may access. If all three lists are empty, it may access every
    /// session.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    /// Prefixes of the ids of sessions that it may access.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<String>,
    /// Ids of single sessions that it may access.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<SessionId>,
    /// When it was created.
    #[serde(with = "text")]
    pub created: Timestamp,
    /// When it expires.
    #[serde(
        default,
        with = "text_or_none",
        skip_serializing_if = "Option::is_none"
    )]
    pub expires: Option<Timestamp>,
    /// When it was revoked.
    #[serde(
        default,
        with = "text_or_none",
        skip_serializing_if = "Option::is_none"
    )]
    pub revoked: Option<Timestamp>,
    /// Its secrets: one, and after a rotation also the previous ones until they expire.
    pub secrets: Vec<Stored>,
}

/// A stored secret.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Stored {
    /// The hash of the whole key.
    pub sha256: String,
    /// When it expires, once a newer secret has replaced it.
    #[serde(
        default,
        with = "text_or_none",
        skip_serializing_if = "Option::is_none"
    )]
    pub until: Option<Timestamp>,
}

impl Stored {
    /// Creates the stored form of a whole key as it is shown to people.
    pub fn of(key: &str) -> Self {
        Self {
            sha256: Digest::of(key).hex(),
            until: None,
        }
    }
}

/// The status of a key at a point in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Valid.
    Active,
    /// Past its expiry.
    Expired,
    /// Revoked.
    Revoked,
}

impl Record {
    /// The status of the key at this time.
    pub fn standing(&self, now: Timestamp) -> Standing {
        if self.revoked.is_some() {
            return Standing::Revoked;
        }
        if self.expires.is_some_and(|end| end <= now) {
            Standing::Expired
        } else {
            Standing::Active
        }
    }

    /// The permitted kinds of operation as a set.
    pub fn scopes(&self) -> Scopes {
        Scopes::of(self.scopes.iter().copied())
    }

    /// The sessions that it may access; `None` means all.
    pub fn session_scope(&self) -> Option<SessionScope> {
        let users = self.users.iter().map(|user| UserId::stored(user)).collect();
        let session_scope = SessionScope::new(users, self.prefixes.clone(), self.sessions.clone());
        (!session_scope.is_empty()).then_some(session_scope)
    }

    /// Adds a new secret in first place; the older ones expire at `until` at the latest.
    pub fn rotate(&mut self, key: &str, now: Timestamp, until: Timestamp) {
        self.secrets
            .retain(|secret| secret.until.is_none_or(|end| end > now));
        for old in &mut self.secrets {
            old.until = Some(old.until.map_or(until, |end| end.min(until)));
        }
        self.secrets.insert(0, Stored::of(key));
    }
}

impl Keys {
    /// Finds the key with this id.
    pub fn find(&mut self, id: &str) -> Option<&mut Record> {
        self.keys.iter_mut().find(|key| key.id == id)
    }
}

/// Serializes a timestamp as text.
mod text {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use session_model::Timestamp;

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the signature that serde asks for"
    )]
    pub(super) fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(at)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(from)?;
        Timestamp::parse(&text).ok_or_else(|| D::Error::custom(format!("invalid time `{text}`")))
    }
}

/// Serializes an optional timestamp as text.
mod text_or_none {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use session_model::Timestamp;

    #[expect(clippy::ref_option, reason = "the signature that serde asks for")]
    pub(super) fn serialize<S: Serializer>(
        at: &Option<Timestamp>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => to.collect_str(at),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        let Some(text) = Option::<String>::deserialize(from)? else {
            return Ok(None);
        };
        let at = Timestamp::parse(&text);
        at.map(Some)
            .ok_or_else(|| D::Error::custom(format!("invalid time `{text}`")))
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
        let mut key = record();
        let at = Timestamp::from_millis;
        assert_eq!(key.standing(at(999)), Standing::Active);
        assert_eq!(key.standing(at(1000)), Standing::Expired);
        key.revoked = Some(at(5));
        assert_eq!(key.standing(at(6)), Standing::Revoked);
    }

    #[test]
    fn a_rotation_leaves_the_old_secret_its_time_and_forgets_those_whose_time_is_over() {
        let mut key = record();
        let at = Timestamp::from_millis;
        key.rotate("two", at(10), at(100));
        key.rotate("three", at(50), at(500));
        let untils: Vec<_> = key.secrets.iter().map(|secret| secret.until).collect();
        assert_eq!(untils, [None, Some(at(500)), Some(at(100))]);
        key.rotate("four", at(200), at(200));
        let left: Vec<_> = key
            .secrets
            .iter()
            .map(|secret| secret.sha256.clone())
            .collect();
        assert_eq!(
            left,
            ["four", "three", "two"].map(|key| Digest::of(key).hex())
        );
    }

    #[test]
    fn a_stored_key_reads_the_same_and_holds_no_secret() {
        let keys = Keys {
            keys: vec![record()],
            ..Keys::default()
        };
        let text = serde_json::to_string(&keys).unwrap();
        assert_eq!(serde_json::from_str::<Keys>(&text).unwrap().keys, keys.keys);
        assert!(
            text.contains("1970-01-01T00:00:01.000Z") && !text.contains("one"),
            "{text}"
        );
    }
}
