//! One walk over a record's body: is it JSON, an object, not too deep; what is its `type`; does it bear a key that a
//! stored line has a meaning of its own for.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use crate::json::MAX_DEPTH;
use crate::metric::{Tally, is_error_status};
use crate::scanner::Scanner;

/// Which keys a body bears that a line has a meaning of its own for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Reserved {
    /// None.
    #[default]
    None,
    /// `timestamp`, once, ahead of all others.
    TimeFirst,
    /// Any other of them, or in another place.
    Some,
}

/// What one walk over a body finds.
#[derive(Default)]
pub(crate) struct Survey {
    /// What a record of this `type` counts as.
    kind: Tally,
    /// `success` is false.
    failed: bool,
    /// What `status` says of that.
    status: Option<bool>,
    /// Which of the reserved keys it bears.
    pub(crate) reserved: Reserved,
}

/// Walks over a body once; over one that is refused a second time, for the place and the reason.
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
            // Of the literals one alone begins so.
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

    /// What the record counts as.
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

/// Any value, walked for well-formedness (strings and depth included) and otherwise dropped; a text is looked
/// up as a record's type and its status.
enum Walked {
    /// As a `type` and as a `status`.
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
            // A number that is no whole one of 64 bits comes as a map, since serde_json keeps its digits.
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

/// The name under which a reserved key of the caller is kept.
pub(crate) fn reserved_as(key: &str) -> Option<&'static str> {
    match key {
        "seq" => Some("clientSeq"),
        "timestamp" => Some("clientTimestamp"),
        "$offset" => Some("clientOffset"),
        "$crc" => Some("clientCrc"),
        _ => None,
    }
}
