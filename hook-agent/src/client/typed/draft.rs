//! Writes the text of a record: the fields that the helper adds, then the caller's own text.

use serde::Serialize;

use super::given::Given;

/// The beginning of a record's text.
pub(super) struct Draft {
    text: Vec<u8>,
    /// The names of the fields so far.
    names: Vec<String>,
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
    pub(super) fn push(&mut self, name: &str, value: &(impl Serialize + ?Sized)) {
        let begun = self.text.len();
        self.comma();
        let written = serde_json::to_writer(&mut self.text, name).and_then(|()| {
            self.text.push(b':');
            serde_json::to_writer(&mut self.text, value)
        });
        if written.is_ok() {
            self.names.push(name.to_owned());
        } else {
            // The values are texts, numbers and JSON: none of them fails.
            self.text.truncate(begun);
        }
    }

    /// Adds a field if there is a value.
    pub(super) fn push_some(&mut self, name: &str, value: Option<&(impl Serialize + ?Sized)>) {
        if let Some(value) = value {
            self.push(name, value);
        }
    }

    /// Adds the fields of the caller that the record does not have yet, and ends the record.
    pub(super) fn completed(mut self, given: &Given<'_>) -> serde_json::Result<String> {
        for (name, value) in given.all() {
            if !self.names.iter().any(|known| known == name) {
                self.comma();
                serde_json::to_writer(&mut self.text, name)?;
                self.text.push(b':');
                self.text.extend_from_slice(value.get().as_bytes());
            }
        }
        self.text.push(b'}');
        String::from_utf8(self.text).map_err(serde::ser::Error::custom)
    }

    fn comma(&mut self) {
        if self.text.len() > 1 {
            self.text.push(b',');
        }
    }
}
