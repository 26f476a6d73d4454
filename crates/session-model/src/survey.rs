//! One pass over a record's body: checks that it is JSON, an object and not nested too deeply;
//! finds its `type`, its record key, and whether it contains keys that a stored line reserves.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::json::MAX_DEPTH;
use crate::records::{KnownType, Noted, RecordType, Values, is_key};
use crate::scanner::{Quoted, Scanner};
use crate::tally::{Tally, is_error_status};

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
pub(crate) struct Survey<'t> {
    /// The meaning of its `type`.
    known: Option<KnownType>,
    /// How a record of this `type` is counted.
    kind: Tally,
    /// Whether `success` is false.
    failed: bool,
    /// Whether `status` reports an error; `None` if it does not decide that.
    status: Option<bool>,
    /// Which reserved keys the body contains.
    pub(crate) reserved: Reserved,
    /// The type, if the vocabulary lists it and a field may be of another kind than it says.
    pub(crate) suspect: Option<RecordType>,
    /// The record key, if there is a valid one.
    pub(crate) key: Option<Cow<'t, str>>,
    /// The record key in `of`, if there is a valid one.
    of: Option<Cow<'t, str>>,
}

/// Walks a body once. A refused body is walked a second time, for the place and the reason.
pub(crate) fn survey(text: &str) -> Result<Survey<'_>, serde_json::Error> {
    scanned(text).ok_or_else(|| refusal(text))
}

fn scanned(text: &str) -> Option<Survey<'_>> {
    let mut scanner = Scanner::new(text, MAX_DEPTH);
    let mut survey = Survey::default();
    let mut values = Values::default();
    let mut is_first = true;
    scanner.peek()?;
    scanner.object(|scanner, key| {
        let key = Noted::of(&key.decoded()?);
        let first = scanner.peek()?;
        let start = scanner.position();
        let text = match first {
            b'"' => Some(scanner.string()?),
            _ => scanner.skip().map(|()| None)?,
        };
        let is_first = std::mem::take(&mut is_first);
        if let Some(key) = key {
            values.note(key, first, || scanner.since(start));
            values.choose(key, text);
            survey.note(key, first, text, is_first)?;
        }
        Some(())
    })?;
    scanner.end()?;
    survey.suspect = match survey.known {
        Some(KnownType::Listed(kind)) if values.is_suspect(kind) => Some(kind),
        Some(_) | None => None,
    };
    Some(survey)
}

impl<'t> Survey<'t> {
    /// Notes a value by its key and its first byte, and, if it is a string, by its content.
    fn note(
        &mut self,
        key: Noted,
        first: u8,
        text: Option<Quoted<'t>>,
        is_first: bool,
    ) -> Option<()> {
        match key {
            Noted::TYPE => {
                self.known = None;
                self.kind = Tally::default();
                if let Some(text) = text {
                    let name = text.decoded()?;
                    self.known = KnownType::of(&name);
                    self.kind = Tally::of_known(self.known, &name);
                }
            }
            Noted::STATUS => {
                self.status = match text {
                    Some(text) => is_error_status(&text.decoded()?),
                    None => None,
                };
            }
            // `false` is the only literal that begins with `f`.
            Noted::SUCCESS => self.failed = first == b'f',
            Noted::TIMESTAMP if is_first => self.reserved = Reserved::TimeFirst,
            Noted::TIMESTAMP | Noted::SEQ | Noted::OFFSET | Noted::CRC => {
                self.reserved = Reserved::Some;
            }
            Noted::RECORD_KEY => self.key = record_key(text)?,
            Noted::OF => self.of = record_key(text)?,
            _ => {}
        }
        Some(())
    }

    /// Whether the record says what a model request used.
    pub(crate) fn is_usage(&self) -> bool {
        self.known == Some(KnownType::Listed(RecordType::Usage))
    }

    /// How the record is counted.
    pub(crate) fn tally(&self) -> Tally {
        Tally {
            is_error: self.status.unwrap_or(self.kind.is_error || self.failed),
            ..self.kind
        }
    }

    /// The key of the record that this one amends.
    pub(crate) fn amends(&mut self) -> Option<Cow<'t, str>> {
        let is_amend = match self.known {
            Some(KnownType::Listed(kind)) => kind == RecordType::Amend,
            Some(KnownType::Earlier) | None => false,
        };
        self.of.take().filter(|_| is_amend)
    }

    /// Copies what it borrows from the text.
    pub(crate) fn into_owned(self) -> Survey<'static> {
        let owned = |text: Cow<'t, str>| Cow::Owned(text.into_owned());
        Survey {
            known: self.known,
            kind: self.kind,
            failed: self.failed,
            status: self.status,
            reserved: self.reserved,
            suspect: self.suspect,
            key: self.key.map(owned),
            of: self.of.map(owned),
        }
    }
}

/// The content of a value that is a valid record key.
#[expect(
    clippy::option_option,
    reason = "a text that is not JSON and a value that is no key are different things"
)]
fn record_key(text: Option<Quoted<'_>>) -> Option<Option<Cow<'_, str>>> {
    let Some(text) = text else { return Some(None) };
    Some(Some(text.decoded()?).filter(|text| is_key(text)))
}

/// The error of serde_json for a text that the scanner refuses. The scanner accepts exactly what
/// serde_json accepts, so there is one.
fn refusal(text: &str) -> serde_json::Error {
    match serde_json::from_str::<Object>(text) {
        Err(error) => error,
        Ok(_) => serde_json::Error::custom("not JSON"),
    }
}

/// A JSON object, checked for validity (including strings and depth) and then dropped.
struct Object;

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;
        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Object;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                while map.next_entry::<Anything, Anything>()?.is_some() {}
                Ok(Object)
            }
        }
        deserializer.deserialize_map(ObjectVisitor)
    }
}

/// Any JSON value, checked in the same way.
struct Anything;

impl<'de> Deserialize<'de> for Anything {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnythingVisitor;
        macro_rules! plain {
            ($($visit:ident: $type:ty),+) => {$(
                fn $visit<E>(self, _: $type) -> Result<Anything, E> { Ok(Anything) }
            )+};
        }
        impl<'de> Visitor<'de> for AnythingVisitor {
            type Value = Anything;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any JSON value")
            }
            // Numbers other than 64-bit integers arrive as a map, because serde_json keeps their
            // digits.
            plain!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);
            fn visit_unit<E>(self) -> Result<Anything, E> {
                Ok(Anything)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Anything, A::Error> {
                while seq.next_element::<Anything>()?.is_some() {}
                Ok(Anything)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Anything, A::Error> {
                while map.next_entry::<Anything, Anything>()?.is_some() {}
                Ok(Anything)
            }
        }
        deserializer.deserialize_any(AnythingVisitor)
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
