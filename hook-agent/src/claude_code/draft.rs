//! A record before it is framed: the call, and its JSON with the payload spliced in unchanged.

use serde_json::{Map, Value};

use crate::Call;

/// A call and its data.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub call: Call<'a>,
    pub json: String,
}

/// What all records of one hook have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp<'a> {
    /// When the hook started, in RFC 3339.
    pub at: &'a str,
    /// The payload, unchanged.
    pub raw: &'a str,
}

impl Stamp<'_> {
    /// Returns a log record: the time, the non-null fields, the payload.
    pub(super) fn record<'c>(&self, call: Call<'c>, fields: Value) -> Draft<'c> {
        let mut all = Map::from_iter([("timestamp".to_owned(), self.at.into())]);
        all.extend(present(fields));
        let mut json = Value::Object(all).to_string();
        json.pop();
        json.push_str(r#","payload":"#);
        json.push_str(self.raw);
        json.push('}');
        Draft { call, json }
    }
}

impl<'a> Draft<'a> {
    /// Returns a record that is not a log record: only the non-null fields.
    pub(super) fn of(call: Call<'a>, fields: Value) -> Self {
        Self { call, json: Value::Object(present(fields)).to_string() }
    }
}

fn present(fields: Value) -> Map<String, Value> {
    let Value::Object(fields) = fields else { return Map::new() };
    fields.into_iter().filter(|(_, value)| !value.is_null()).collect()
}
