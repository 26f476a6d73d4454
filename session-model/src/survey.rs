//! One pass over a record's body: checks that it is JSON, an object and not nested too deeply;
//! finds its `type`, and whether it contains keys that a stored line reserves.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use crate::json::MAX_DEPTH;
use crate::metric::{Tally, is_error_status};
use crate::scanner::Scanner;

/// Which reserved keys a body contains: keys that have a meaning of their own in a stored line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Reserved {
    /// None.
    #[default]
    None,
    /// Only `timestamp`, once, as the first key.
    TimeFirst,
    /// Any other reserved key, or `timestamp` in another position.
    Some,
}

/// The result of one pass over a body.
#[derive(Default)]
pub(crate) struct Survey {
    /// How a record of this `type` is counted.
    kind: Tally,
    /// Whether `success` is false.
    failed: bool,
    /// Whether `status` reports an error; `None` if it does not decide that.
    status: Option<bool>,
    /// Which reserved keys the body contains.
    pub(crate) reserved: Reserved,
}

/// Walks a body once. A refused body is walked a second time, for the place and the reason.
pub(crate) fn survey(text: &str) -> Result<Survey, serde_json::Error> {
    scanned(text).map_or_else(|| serde_json::from_str(text), Ok)
}

fn scanned(text: &str) -> Option<Survey> {
    let mut scanner = Scanner::new(text, MAX_DEPTH);
    let mut survey = Survey::default();
    let mut is_first = true;
    scanner.peek()?;
    scanner.object(|scanner, key| {
        let key = Key::of(&key.decoded()?);
        let walked = match scanner.peek()? {
            b'"' if matches!(key, Key::Type | Key::Status) => Walked::text(&scanner.string()?.decoded()?),
            // `false` is the only literal that begins with `f`.
            b'f' => scanner.skip().map(|()| Walked::False)?,
            _ => scanner.skip().map(|()| Walked::Other)?,
        };
        survey.note(&key, walked, std::mem::take(&mut is_first));
        Some(())
    })?;
    scanner.end()?;
    Some(survey)
}

impl Survey {
    fn note(&mut self, key: &Key, walked: Walked, is_first: bool) {
        match (key, walked) {
            (Key::Type, Walked::Text { kind, .. }) => self.kind = kind,
            (Key::Type, _) => self.kind = Tally::default(),
            (Key::Status, Walked::Text { status, .. }) => self.status = status,
            (Key::Status, _) => self.status = None,
            (Key::Success, walked) => self.failed = matches!(walked, Walked::False),
            (Key::Timestamp, _) if is_first => self.reserved = Reserved::TimeFirst,
            (Key::Timestamp | Key::Reserved, _) => self.reserved = Reserved::Some,
            (Key::Other, _) => {}
        }
    }

    /// How the record is counted.
    pub(crate) fn tally(&self) -> Tally {
        Tally { is_error: self.status.unwrap_or(self.kind.is_error || self.failed), ..self.kind }
    }
}

impl<'de> Deserialize<'de> for Survey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SurveyVisitor;
        impl<'de> Visitor<'de> for SurveyVisitor {
            type Value = Survey;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Survey, A::Error> {
                let mut survey = Survey::default();
                let mut is_first = true;
                while let Some(key) = map.next_key::<Key>()? {
                    let walked: Walked = map.next_value()?;
                    survey.note(&key, walked, std::mem::take(&mut is_first));
                }
                Ok(survey)
            }
        }
        deserializer.deserialize_map(SurveyVisitor)
    }
}

enum Key {
    Type,
    Status,
    Success,
    Timestamp,
    Reserved,
    Other,
}

impl Key {
    fn of(key: &str) -> Self {
        match key {
            "type" => Key::Type,
            "status" => Key::Status,
            "success" => Key::Success,
            "timestamp" => Key::Timestamp,
            key if reserved_as(key).is_some() => Key::Reserved,
            _ => Key::Other,
        }
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl Visitor<'_> for KeyVisitor {
            type Value = Key;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_str<E>(self, key: &str) -> Result<Key, E> {
                Ok(Key::of(key))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

/// Any value, checked for validity (including strings and depth) and then dropped. A string is
/// looked up both as a record's type and as its status.
enum Walked {
    /// A string, interpreted as a `type` and as a `status`.
    Text {
        kind: Tally,
        status: Option<bool>,
    },
    False,
    Other,
}

impl Walked {
    fn text(text: &str) -> Self {
        Walked::Text { kind: Tally::of_type(text), status: is_error_status(text) }
    }
}

impl<'de> Deserialize<'de> for Walked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WalkVisitor;
        macro_rules! plain {
            ($($visit:ident: $type:ty),+) => {$(
                fn $visit<E>(self, _: $type) -> Result<Walked, E> { Ok(Walked::Other) }
            )+};
        }
        impl<'de> Visitor<'de> for WalkVisitor {
            type Value = Walked;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any JSON value")
            }
            // Numbers other than 64-bit integers arrive as a map, because serde_json keeps their
            // digits.
            plain!(visit_i64: i64, visit_u64: u64, visit_f64: f64);
            fn visit_bool<E>(self, value: bool) -> Result<Walked, E> {
                Ok(if value { Walked::Other } else { Walked::False })
            }
            fn visit_unit<E>(self) -> Result<Walked, E> {
                Ok(Walked::Other)
            }
            fn visit_str<E>(self, text: &str) -> Result<Walked, E> {
                Ok(Walked::text(text))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Walked, A::Error> {
                while seq.next_element::<Walked>()?.is_some() {}
                Ok(Walked::Other)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Walked, A::Error> {
                while map.next_entry::<Walked, Walked>()?.is_some() {}
                Ok(Walked::Other)
            }
        }
        deserializer.deserialize_any(WalkVisitor)
    }
}

/// The name under which a caller's reserved key is stored.
pub(crate) fn reserved_as(key: &str) -> Option<&'static str> {
    match key {
        "seq" => Some("clientSeq"),
        "timestamp" => Some("clientTimestamp"),
        "$offset" => Some("clientOffset"),
        "$crc" => Some("clientCrc"),
        _ => None,
    }
}
