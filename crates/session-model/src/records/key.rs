//! Record keys, and how they are built.
//!
//! All lanes must build the same key for the same thing, so the builders are the only place that
//! knows the forms. A key that would be longer than 256 characters, or that contains the replacement
//! character U+FFFD, is written as its first 191 characters, `~`, and the SHA-256 of the whole key
//! in UTF-8 as 64 lower-case hexadecimal digits; `_` stands for each U+FFFD among these characters.
//! Characters are Unicode scalar values.

use std::fmt;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::hex::hex;

/// The greatest length of a key, in characters.
pub const MAX_CHARS: usize = 256;
/// The characters that a shortened key keeps.
const KEPT_CHARS: usize = MAX_CHARS - 1 - 64;

/// The key of a record: 1–256 characters, unique within the session and log.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize)]
#[serde(transparent)]
pub struct RecordKey(String);

/// The error for a key that is empty or too long.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("invalid record key: give 1 to 256 characters")]
pub struct InvalidKey;

impl RecordKey {
    /// Checks a key that a caller chose.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidKey> {
        let text = text.into();
        is_key(&text).then_some(Self(text)).ok_or(InvalidKey)
    }

    /// The key of a call.
    pub fn call(call_id: &str) -> Self {
        Self::built(["call:", call_id].concat())
    }

    /// The key of the result of a call.
    pub fn result(call_id: &str) -> Self {
        Self::built(["result:", call_id].concat())
    }

    /// The key of a file change that a call made.
    pub fn change(call_id: &str, path: &str) -> Self {
        Self::built(["change:", call_id, ":", path].concat())
    }

    /// The key of a block of a message: text, thinking. The first block has the index 0.
    pub fn message(message_id: &str, block: usize) -> Self {
        Self::built(format!("msg:{message_id}:{block}"))
    }

    /// The key of the usage of a model request.
    pub fn usage(message_id: &str, request_id: Option<&str>) -> Self {
        Self::built(match request_id {
            Some(request_id) => ["usage:", message_id, ":", request_id].concat(),
            None => ["usage:", message_id].concat(),
        })
    }

    /// The key of the user message that begins a turn.
    pub fn prompt(turn_id: &str) -> Self {
        Self::built(["prompt:", turn_id].concat())
    }

    /// The key of the n-th start of a subagent, from 1.
    pub fn agent_start(agent_id: &str, n: usize) -> Self {
        Self::built(format!("agent:{agent_id}:start:{n}"))
    }

    /// The key of the n-th stop of a subagent, from 1.
    pub fn agent_stop(agent_id: &str, n: usize) -> Self {
        Self::built(format!("agent:{agent_id}:stop:{n}"))
    }

    /// The agent's own id of a record that has none of the other ids.
    pub fn own(id: &str) -> Result<Self, InvalidKey> {
        if id.is_empty() {
            return Err(InvalidKey);
        }
        Ok(Self::built(id.to_owned()))
    }

    /// The key of a record whose source has no id at all: the file and the byte where it begins.
    pub fn source(file: &str, offset: u64) -> Self {
        Self::built(format!("src:{file}:{offset}"))
    }

    /// The key as a text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A key that a caller builds from a prefix of its own and an id.
    pub fn built(whole: String) -> Self {
        if is_key(&whole) {
            return Self(whole);
        }
        let kept = whole.chars().take(KEPT_CHARS);
        let mut key: String = kept
            .map(|char| match char {
                char::REPLACEMENT_CHARACTER => '_',
                char => char,
            })
            .collect();
        key.push('~');
        key.push_str(&hex(&Sha256::digest(whole.as_bytes())));
        Self(key)
    }
}

/// Whether a string can be a record key. One with the replacement character cannot: halves of
/// surrogate pairs are stored as that character, so different keys would be taken as equal.
pub fn is_key(text: &str) -> bool {
    !text.is_empty()
        && !is_too_long(text)
        && (text.is_ascii() || !text.contains(char::REPLACEMENT_CHARACTER))
}

fn is_too_long(text: &str) -> bool {
    text.len() > MAX_CHARS && text.chars().nth(MAX_CHARS).is_some()
}

impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<RecordKey> for String {
    fn from(key: RecordKey) -> Self {
        key.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_forms_of_the_specification() {
        for (key, text) in [
            (RecordKey::call("toolu_1"), "call:toolu_1"),
            (RecordKey::result("toolu_1"), "result:toolu_1"),
            (
                RecordKey::change("toolu_1", "/a/b.rs"),
                "change:toolu_1:/a/b.rs",
            ),
            (RecordKey::message("msg_1", 0), "msg:msg_1:0"),
            (RecordKey::usage("msg_1", None), "usage:msg_1"),
            (
                RecordKey::usage("msg_1", Some("req_1")),
                "usage:msg_1:req_1",
            ),
            (RecordKey::prompt("t1"), "prompt:t1"),
            (RecordKey::agent_start("a1", 1), "agent:a1:start:1"),
            (RecordKey::agent_stop("a1", 2), "agent:a1:stop:2"),
            (RecordKey::own("uuid-1").unwrap(), "uuid-1"),
            (RecordKey::source("/a/b.jsonl", 512), "src:/a/b.jsonl:512"),
        ] {
            assert_eq!(key.as_str(), text);
        }
    }

    #[test]
    fn a_key_of_a_caller_has_1_to_256_characters() {
        assert!(RecordKey::parse("").is_err());
        assert!(RecordKey::own("").is_err());
        assert!(RecordKey::parse("é".repeat(256)).is_ok());
        assert!(RecordKey::parse("é".repeat(257)).is_err());
    }

    #[test]
    fn a_longer_key_is_shortened_to_a_prefix_and_the_digest_of_the_whole() {
        let fits = "x".repeat(256 - "call:".len());
        assert_eq!(RecordKey::call(&fits).as_str(), format!("call:{fits}"));
        let key = RecordKey::call(&"é".repeat(300));
        assert_eq!(key.as_str().chars().count(), 256);
        let (prefix, digest) = key.as_str().split_once('~').unwrap();
        assert_eq!(prefix, format!("call:{}", "é".repeat(186)));
        // printf 'call:%s' "$(printf 'é%.0s' $(seq 300))" | sha256sum
        assert_eq!(
            digest,
            "3824902305153ccbc96c9a9160fad8630ec34a018a725dc13dbeafc013f10487"
        );
        assert_ne!(key, RecordKey::call(&"é".repeat(301)));
    }

    #[test]
    fn a_key_with_the_replacement_character_is_written_with_its_digest() {
        let key = RecordKey::own("a\u{fffd}b").unwrap();
        // printf 'a\357\277\275b' | sha256sum
        assert_eq!(
            key.as_str(),
            "a_b~05087813392efc16fe8ff448920c6328e53af865df39419436659d9ffda90f7b"
        );
        assert_ne!(key, RecordKey::own("a_b").unwrap());
        for id in ["\u{fffd}", &"\u{fffd}".repeat(300), &"é".repeat(300), "\n"] {
            assert!(is_key(RecordKey::own(id).unwrap().as_str()), "{id}");
            assert!(is_key(RecordKey::change(id, id).as_str()), "{id}");
        }
    }
}
