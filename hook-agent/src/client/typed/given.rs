//! The fields that a caller gave, each as its JSON text.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// The fields that a caller gave, in their order.
pub(super) struct Given<'j>(Vec<(Cow<'j, str>, &'j str)>);

impl<'j> Given<'j> {
    pub(super) fn of(json: &'j str) -> serde_json::Result<Self> {
        let mut parser = serde_json::Deserializer::from_str(json);
        let fields = parser.deserialize_map(GivenVisitor)?;
        parser.end().map(|()| fields)
    }

    /// Fields whose values are known to be JSON.
    pub(super) fn of_json(fields: impl Iterator<Item = (&'static str, &'j str)>) -> Self {
        let mut given = Vec::with_capacity(8);
        given.extend(fields.map(|(name, value)| (Cow::Borrowed(name), value)));
        Self(given)
    }

    /// Adds the fields that are not there yet.
    pub(super) fn add(&mut self, more: Self) {
        for (name, value) in more.0 {
            if !self.0.iter().any(|(known, _)| *known == name) {
                self.0.push((name, value));
            }
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.0.retain(|(known, _)| known != name);
    }

    /// Returns a field unless it is null.
    pub(super) fn raw(&self, name: &str) -> Option<&'j str> {
        let (_, value) = self.0.iter().find(|(known, _)| known == name)?;
        (*value != "null").then_some(*value)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.raw(name).is_some()
    }

    pub(super) fn value(&self, name: &str) -> Option<Value> {
        serde_json::from_str(self.raw(name)?).ok()
    }

    /// Returns a text. One without escapes is not copied.
    pub(super) fn text(&self, name: &str) -> Option<Cow<'j, str>> {
        let raw = self.raw(name)?;
        let plain = raw.strip_prefix('"')?.strip_suffix('"')?;
        if memchr::memchr(b'\\', plain.as_bytes()).is_none() {
            return Some(Cow::Borrowed(plain));
        }
        serde_json::from_str(raw).ok().map(Cow::Owned)
    }

    /// Returns an id; one that is a number becomes its text.
    pub(super) fn id(&self, name: &str) -> Option<Cow<'j, str>> {
        let id = match self.number(name) {
            Some(number) => Cow::Borrowed(number),
            None => self.text(name)?,
        };
        (!id.is_empty()).then_some(id)
    }

    /// Returns the text of a number.
    pub(super) fn number(&self, name: &str) -> Option<&'j str> {
        let raw = self.raw(name)?;
        raw.starts_with(|char: char| char == '-' || char.is_ascii_digit())
            .then_some(raw)
    }

    /// Returns all fields, in their order.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &'j str)> {
        self.0.iter().map(|(name, value)| (&**name, *value))
    }
}

struct GivenVisitor;

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Visitor<'de> for GivenVisitor {
    type Value = Given<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Given<'de>, A::Error> {
        let mut fields = Vec::with_capacity(map.size_hint().unwrap_or(8));
        while let Some(Name(name)) = map.next_key()? {
            fields.push((name, map.next_value::<&RawValue>()?.get()));
        }
        Ok(Given(fields))
    }
}
