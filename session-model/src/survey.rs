//! One walk over a record's body: is it JSON, an object, not too deep; what is its `type`; does it bear a key that a
//! stored line has a meaning of its own for.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use crate::json::MAX_DEPTH;
use crate::metric::Metric;
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
pub(crate) struct Survey {
    /// Which counter an action of this `type` moves.
    pub(crate) metric: Option<Metric>,
    /// Which of the reserved keys it bears.
    pub(crate) reserved: Reserved,
}

impl Default for Survey {
    fn default() -> Self {
        Self { metric: Some(Metric::default()), reserved: Reserved::default() }
    }
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
        let metric = match scanner.peek()? {
            b'"' if matches!(key, Key::Type) => Metric::of_action(&scanner.string()?.decoded()?),
            _ => scanner.skip().map(|()| Some(Metric::default()))?,
        };
        survey.note(&key, metric, std::mem::take(&mut is_first));
        Some(())
    })?;
    scanner.end()?;
    Some(survey)
}

impl Survey {
    fn note(&mut self, key: &Key, metric: Option<Metric>, is_first: bool) {
        match key {
            Key::Type => self.metric = metric,
            Key::Timestamp if is_first => self.reserved = Reserved::TimeFirst,
            Key::Timestamp | Key::Reserved => self.reserved = Reserved::Some,
            Key::Other => {}
        }
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
                    survey.note(&key, walked.0, std::mem::take(&mut is_first));
                }
                Ok(survey)
            }
        }
        deserializer.deserialize_map(SurveyVisitor)
    }
}

enum Key {
    Type,
    Timestamp,
    Reserved,
    Other,
}

impl Key {
    fn of(key: &str) -> Self {
        match key {
            "type" => Key::Type,
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
/// up as an action's type.
struct Walked(Option<Metric>);

impl<'de> Deserialize<'de> for Walked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WalkVisitor;
        macro_rules! plain {
            ($($visit:ident: $type:ty),+) => {$(
                fn $visit<E>(self, _: $type) -> Result<Walked, E> { Ok(Walked(Some(Metric::default()))) }
            )+};
        }
        impl<'de> Visitor<'de> for WalkVisitor {
            type Value = Walked;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any JSON value")
            }
            // A number that is no whole one of 64 bits comes as a map, since serde_json keeps its digits.
            plain!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64);
            fn visit_unit<E>(self) -> Result<Walked, E> {
                Ok(Walked(Some(Metric::default())))
            }
            fn visit_str<E>(self, text: &str) -> Result<Walked, E> {
                Ok(Walked(Metric::of_action(text)))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Walked, A::Error> {
                while seq.next_element::<Walked>()?.is_some() {}
                Ok(Walked(Some(Metric::default())))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Walked, A::Error> {
                while map.next_entry::<Walked, Walked>()?.is_some() {}
                Ok(Walked(Some(Metric::default())))
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
