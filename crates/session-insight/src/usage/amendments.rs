//! What `amend` records add to usage records.
//!
//! A lane that knows more about a request than the one that recorded it amends the record. Only
//! fields that the record lacks are added, those of the earliest amendment first, as in a folded
//! list of records.

use std::collections::HashMap;

use serde_json::{Map, Value};
use session_model::LogKind;
use session_model::record_key::{MAX_AMENDMENTS, is_key};
use session_model::records::RecordType;

/// The amendments of the usage records of a session.
#[derive(Debug, Default)]
pub struct Amendments {
    by_key: HashMap<(LogKind, String), Amendment>,
}

#[derive(Debug, Default)]
struct Amendment {
    fields: Map<String, Value>,
    records: usize,
    is_used: bool,
}

fn type_of(fields: &Map<String, Value>) -> Option<&str> {
    fields.get("type").and_then(Value::as_str)
}

/// A field that is there. One that is null is not.
fn present<'f>(fields: &'f Map<String, Value>, name: &str) -> Option<&'f Value> {
    fields.get(name).filter(|value| !value.is_null())
}

/// A field that is a valid record key.
fn record_key<'f>(fields: &'f Map<String, Value>, name: &str) -> Option<&'f str> {
    let text = fields.get(name).and_then(Value::as_str);
    text.filter(|text| is_key(text))
}

impl Amendments {
    /// Notes a record if it is an amendment that adds to usage. The records of a log are given in
    /// their order.
    pub fn note(&mut self, log: LogKind, fields: &Map<String, Value>) {
        if type_of(fields) != Some("amend") {
            return;
        }
        let Some(of) = record_key(fields, "of") else {
            return;
        };
        let names = RecordType::Usage.fields().iter().map(|field| field.name);
        let mut added = names
            .filter_map(|name| Some((name, present(fields, name)?)))
            .peekable();
        if added.peek().is_none() {
            return;
        }
        let known = self.by_key.entry((log, of.to_owned())).or_default();
        known.records += 1;
        if known.records > MAX_AMENDMENTS {
            return;
        }
        for (name, value) in added {
            if !known.fields.contains_key(name) {
                known.fields.insert(name.to_owned(), value.clone());
            }
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// Adds to a usage record what its amendments say.
    pub fn fold(&mut self, log: LogKind, fields: &mut Map<String, Value>) {
        if self.is_empty() || type_of(fields) != Some("usage") {
            return;
        }
        let Some(key) = record_key(fields, "key") else {
            return;
        };
        let Some(amendment) = self.by_key.get_mut(&(log, key.to_owned())) else {
            return;
        };
        amendment.is_used = true;
        for (name, value) in &amendment.fields {
            if present(fields, name).is_none() {
                fields.insert(name.clone(), value.clone());
            }
        }
    }

    /// Forgets the amendments of records that are no usage, once all records were folded.
    pub fn drop_unused(&mut self) {
        self.by_key.retain(|_, amendment| amendment.is_used);
        self.by_key.shrink_to_fit();
    }
}
