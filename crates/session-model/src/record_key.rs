//! The counts of keyed records that a session keeps.
//!
//! A client chooses a record's `key`, which is unique within the session and log. A record whose
//! key is stored already is not stored again. A key of another type or length is stored as given
//! and is no record key.

use serde::{Deserialize, Serialize};

use crate::event::LogKind;
pub use crate::records::{MAX_KEY_CHARS as MAX_CHARS, is_key};

/// The most amendments of one record that are folded into it.
pub const MAX_AMENDMENTS: usize = 100;
/// The longest line of an amendment that is folded, in bytes. With [`MAX_AMENDMENTS`], this bounds
/// the memory per reader.
pub const MAX_AMENDMENT: usize = 64 << 10;

/// The entries that a record has in the index of record keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Indexed {
    /// It has a record key.
    pub key: bool,
    /// It amends the record with another key.
    pub amends: bool,
}

impl Indexed {
    /// Whether it has any entry.
    pub const fn any(self) -> bool {
        self.key || self.amends
    }
}

/// The number of records of a log that the index of record keys names, and where they end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct KeyCount {
    /// The number of records with a key.
    pub keys: u64,
    /// The number of `amend` records.
    pub amends: u64,
    /// The length of the log up to and including the last of them, in bytes.
    pub end: u64,
}

/// The counts of the logs of actions and responses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct KeyCounts {
    /// In `actions.jsonl`.
    pub actions: KeyCount,
    /// In `responses.jsonl`.
    pub responses: KeyCount,
}

impl KeyCounts {
    /// The counts of one log. The log of changes has no keys.
    pub fn of(&self, log: LogKind) -> KeyCount {
        match log {
            LogKind::Actions => self.actions,
            LogKind::Responses => self.responses,
            LogKind::Changes => KeyCount::default(),
        }
    }

    /// Counts a record after which the log is `end` bytes long.
    pub(crate) fn count(&mut self, log: LogKind, indexed: Indexed, end: u64) {
        let count = match log {
            LogKind::Actions => &mut self.actions,
            LogKind::Responses => &mut self.responses,
            LogKind::Changes => return,
        };
        if indexed.any() {
            count.keys += u64::from(indexed.key);
            count.amends += u64::from(indexed.amends);
            count.end = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RecordBody;

    #[test]
    fn a_key_has_1_to_256_characters_however_many_bytes_they_take() {
        assert!(!is_key(""));
        assert!(is_key("k"));
        assert!(is_key(&"k".repeat(256)));
        assert!(!is_key(&"k".repeat(257)));
        assert!(is_key(&"\u{1F980}".repeat(256)));
        assert!(!is_key(&"\u{1F980}".repeat(257)));
    }

    #[test]
    fn the_key_of_a_body_is_its_last_string_of_that_name() {
        let long = format!(r#"{{"key":"{}"}}"#, "x".repeat(257));
        for (body, key, amends) in [
            (r#"{"type":"x"}"#, None, None),
            (r#"{"key":"a"}"#, Some("a"), None),
            (r#" { "x" : [1] , "key" : "a b" } "#, Some("a b"), None),
            (r#"{"k\u0065y":"\u00e4\n"}"#, Some("\u{e4}\n"), None),
            (r#"{"key":"a","key":"b"}"#, Some("b"), None),
            (r#"{"key":"a","key":7}"#, None, None),
            (r#"{"key":""}"#, None, None),
            (r#"{"key":null}"#, None, None),
            (r#"{"key":["a"]}"#, None, None),
            (r#"{"in":{"key":"a"}}"#, None, None),
            (&long, None, None),
            (r#"{"key":"\ud800"}"#, None, None),
            (r#"{"seq":1,"key":"a"}"#, Some("a"), None),
            (r#"{"type":"amend","of":"a"}"#, None, Some("a")),
            (
                r#"{"of":"a","key":"b","type":"amend"}"#,
                Some("b"),
                Some("a"),
            ),
            (r#"{"type":"amend","of":{}}"#, None, None),
            (r#"{"type":"amend","type":"x","of":"a"}"#, None, None),
            (r#"{"type":"other","of":"a"}"#, None, None),
        ] {
            let parsed = RecordBody::parse(body.as_bytes()).unwrap();
            assert_eq!(parsed.key(), key, "{body}");
            assert_eq!(parsed.amends(), amends, "{body}");
        }
    }

    #[test]
    fn a_stored_line_has_the_key_of_its_body() {
        for body in [
            r#"{"key":"a","timestamp":"2026-01-01T00:00:00.000Z","seq":9}"#,
            r#"{"k\u0065y":"\ud800","$crc":"x"}"#,
            r#"{"key":"a","key":"b"}"#,
        ] {
            let parsed = RecordBody::parse(body.as_bytes()).unwrap();
            let mut line = Vec::new();
            parsed.write_line(&mut line, 1, crate::Timestamp::from_millis(0), 1);
            let stored = RecordBody::parse(&line).unwrap();
            assert_eq!(stored.key(), parsed.key(), "{body}");
        }
    }
}
