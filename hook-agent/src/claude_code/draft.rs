//! One record in the making: the call, and its JSON with the payload spliced in as it came.

use serde_json::{Map, Value};

use crate::Call;

/// A call and its data.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub call: Call<'a>,
    pub json: String,
}

/// What every record of one hook has in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp<'a> {
    /// RFC 3339, when the hook started.
    pub at: &'a str,
    /// The payload as it came.
    pub raw: &'a str,
}

impl Stamp<'_> {
    /// A log record: the time, the fields that are there, the payload.
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
    /// What is no log record: the fields that are there.
    pub(super) fn of(call: Call<'a>, fields: Value) -> Self {
        Self { call, json: Value::Object(present(fields)).to_string() }
    }
}

fn present(fields: Value) -> Map<String, Value> {
    let Value::Object(fields) = fields else { return Map::new() };
    fields.into_iter().filter(|(_, value)| !value.is_null()).collect()
}
