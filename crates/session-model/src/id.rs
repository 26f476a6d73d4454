//! Identifiers, parsed where requests enter: a [`SessionId`] is always safe as a file name.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher24;

use crate::code::{Code, Refusal};

/// The longest session id, in bytes.
pub const MAX_SESSION_ID: usize = 128;
/// How many bytes [`SessionId::adopt`] keeps of an invalid name: a dash and twelve hex digits
/// follow.
const MAX_STEM: usize = MAX_SESSION_ID - 13;
/// The longest user id, in bytes.
pub const MAX_USER_ID: usize = 256;

/// A session id: `[A-Za-z0-9][A-Za-z0-9._-]{0,127}`, but not the word `user`, which is part of a
/// route.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionId(Arc<str>);

impl SessionId {
    /// Parses a session id; a refusal explains the allowed form.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let bytes = text.as_bytes();
        let starts_well = bytes.first().is_some_and(u8::is_ascii_alphanumeric);
        let all_allowed = bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if !starts_well || !all_allowed || bytes.len() > MAX_SESSION_ID || text == "user" {
            return Err(Refusal::new(
                Code::InvalidSessionId,
                "session id must match [A-Za-z0-9][A-Za-z0-9._-]{0,127} and not be `user`",
            ));
        }
        Ok(Self(text.into()))
    }

    /// Converts the name of a legacy session to a session id. A valid name stays. Otherwise the id
    /// is made of the characters that are allowed and a hash, which distinguishes it from names
    /// that leave the same characters.
    pub fn adopt(text: &str) -> Self {
        Self::parse(text).unwrap_or_else(|_| {
            let plain = |c: char| {
                if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') {
                    c
                } else {
                    '-'
                }
            };
            let plain: String = text.chars().map(plain).take(MAX_SESSION_ID).collect();
            let stem = plain.trim_matches(['-', '_', '.']);
            let stem = if stem.is_empty() {
                "session"
            } else {
                &stem[..stem.len().min(MAX_STEM)]
            };
            Self(
                format!(
                    "{stem}-{:012x}",
                    SipHasher24::new().hash(text.as_bytes()) >> 16
                )
                .into(),
            )
        })
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for SessionId {
    type Error = Refusal;
    fn try_from(text: String) -> Result<Self, Refusal> {
        Self::parse(&text)
    }
}

impl From<SessionId> for String {
    fn from(id: SessionId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl std::borrow::Borrow<str> for SessionId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The owner of a session: any text of 1 to 256 bytes without control characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct UserId(Arc<str>);

impl UserId {
    /// Parses a user id; a refusal explains the allowed form.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        if text.is_empty() || text.len() > MAX_USER_ID || text.chars().any(char::is_control) {
            return Err(Refusal::new(
                Code::InvalidRequest,
                "`userId` must be 1 to 256 bytes of text without control characters",
            ));
        }
        Ok(Self(text.into()))
    }

    /// The owner of a session that a first write created.
    pub fn unknown() -> Self {
        Self("unknown".into())
    }

    /// A user id read from our own files, which is never refused.
    pub fn stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the placeholder that a later creation may replace.
    pub fn is_unknown(&self) -> bool {
        &*self.0 == "unknown"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_safe_in_a_path_are_accepted() {
        for good in [
            "a",
            "0",
            "test-customer-1",
            "A.b_c-d",
            "user1",
            "users",
            &"x".repeat(128),
        ] {
            assert!(SessionId::parse(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn names_that_climb_or_surprise_are_refused() {
        let long = "x".repeat(129);
        for bad in [
            "", ".", "..", "../a", "a/b", "/a", "a\\b", "a\0", "-a", "_a", ".a", "a b", "ä",
            "a%2e", "user", &long,
        ] {
            assert_eq!(
                SessionId::parse(bad).map_err(|r| r.code),
                Err(Code::InvalidSessionId),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn a_name_of_the_older_service_leads_to_one_that_is_safe() {
        // Folders have these names, so they must never change.
        let long = "x".repeat(200);
        let names = [
            "plain",
            "wf:1:2",
            "wf/1/2",
            "with space",
            "_x",
            "user",
            ":::",
            "\u{e4}",
            &long,
        ]
        .map(SessionId::adopt);
        let safe = [
            "plain",
            "wf-1-2-7a667b2c0001",
            "wf-1-2-491650f0566f",
            "with-space-f21a624992c5",
            "x-d7d5f3d2c844",
            "user-d90f381adab8",
            "session-d4532e1555ae",
            "session-3679dacfdfba",
            &format!("{}-3bd4ca436fc9", "x".repeat(115)),
        ];
        assert_eq!(names.each_ref().map(SessionId::as_str), safe);
        for name in names {
            assert_eq!(SessionId::parse(name.as_str()), Ok(name));
        }
    }

    #[test]
    fn user_ids_refuse_control_characters_and_excess() {
        assert!(UserId::parse("Zoë <zoe@example.org>").is_ok());
        for bad in ["", "a\nb", &"x".repeat(257)] {
            assert!(UserId::parse(bad).is_err(), "{bad:?}");
        }
    }
}
