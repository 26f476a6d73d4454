//! Writes the text of a record: the fields that the helper adds, then the caller's own text.

use std::borrow::Cow;

use serde::Serialize;

use super::super::checked_record::CheckedRecord;
use super::given::Given;

/// The beginning of a record's text.
pub(super) struct Draft {
    text: Vec<u8>,
    /// The names of the fields so far.
    names: Vec<Cow<'static, str>>,
}

impl Draft {
    /// Begins a record of this type.
    pub(super) fn new(record_type: &str) -> Self {
        let mut draft = Self {
            text: Vec::with_capacity(512),
            names: Vec::with_capacity(8),
        };
        draft.text.push(b'{');
        draft.push("type", record_type);
        draft
    }

    /// Adds a field.
    pub(super) fn push(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        value: &(impl Serialize + ?Sized),
    ) {
        let name = name.into();
        let begun = self.text.len();
        self.name(&name);
        if serde_json::to_writer(&mut self.text, value).is_ok() {
            self.names.push(name);
        } else {
            // The values are texts, numbers and JSON: none of them fails.
            self.text.truncate(begun);
        }
    }

    /// Adds a field if there is a value.
    pub(super) fn push_some(
        &mut self,
        name: &'static str,
        value: Option<&(impl Serialize + ?Sized)>,
    ) {
        if let Some(value) = value {
            self.push(name, value);
        }
    }

    /// Adds the fields of the caller that the record does not have yet, and ends the record.
    pub(super) fn completed(mut self, given: &Given<'_>) -> serde_json::Result<CheckedRecord> {
        let mut has_timestamp = false;
        for (name, value) in given.all() {
            if !self.names.iter().any(|known| known == name) {
                has_timestamp |= name == "timestamp";
                self.name(name);
                self.text.extend_from_slice(value.as_bytes());
            }
        }
        self.text.push(b'}');
        let json = String::from_utf8(self.text).map_err(serde::ser::Error::custom)?;
        Ok(CheckedRecord {
            json,
            has_timestamp,
        })
    }

    fn name(&mut self, name: &str) {
        if self.text.len() > 1 {
            self.text.push(b',');
        }
        let plain = |byte: &u8| matches!(byte, b' ' | b'!' | b'#'..=b'[' | b']'..=b'~');
        if name.as_bytes().iter().all(plain) {
            self.text.push(b'"');
            self.text.extend_from_slice(name.as_bytes());
            self.text.push(b'"');
        } else {
            let quoted = serde_json::Value::from(name).to_string();
            self.text.extend_from_slice(quoted.as_bytes());
        }
        self.text.push(b':');
    }
}
