//! A record, read field by field and written as it was.

use std::fmt;

use serde::de::Error;
use serde_json::{Map, Value};

use super::common::Common;
use super::field::Offered;
use super::kind::{FieldValue, Warning};
use super::record_type::{Body, CallType, RecordType};
use crate::json;

/// A record of any type.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Record {
    /// The place in its log, once it is stored.
    pub seq: Option<i64>,
    /// The fields that any record may have.
    pub common: Common,
    /// The type and its fields.
    pub body: Body,
    /// All other fields, and those of another kind than the vocabulary says, as they were given.
    pub extra: Map<String, Value>,
}

/// A record, and what is odd about its fields.
#[derive(Clone, PartialEq, Debug)]
pub struct Parsed {
    /// The record.
    pub record: Record,
    /// The fields of another kind than the vocabulary says; none for a type that it does not list.
    pub warnings: Vec<Warning>,
}

impl Record {
    /// A record of this body, without other fields.
    pub fn new(body: impl Into<Body>) -> Self {
        Self {
            body: body.into(),
            ..Self::default()
        }
    }

    /// Reads the text of a JSON object, for example of a `RawValue`.
    pub fn parse(text: &str) -> Result<Parsed, serde_json::Error> {
        match json::stored(text.as_bytes())? {
            Value::Object(fields) => Ok(Self::of_fields(fields)),
            _ => Err(serde_json::Error::custom("not a JSON object")),
        }
    }

    /// Reads the fields of a record. Every object is one.
    pub fn of_fields(fields: Map<String, Value>) -> Parsed {
        let kind = fields.get("type").and_then(Value::as_str);
        let mut record = Record {
            body: Body::of_type(kind),
            ..Record::default()
        };
        let mut warnings = Vec::new();
        for (name, value) in fields {
            if name == "type" && value.is_string() {
                continue;
            }
            let rest = if value.is_null() {
                Offered::Unknown(value)
            } else {
                record.offer(&name, value)
            };
            match rest {
                Offered::Taken => {}
                Offered::Unknown(value) => {
                    record.extra.insert(name, value);
                }
                Offered::Wrong(value, warning) => {
                    record.extra.insert(name, value);
                    warnings.push(warning);
                }
            }
        }
        if record.record_type().is_none() {
            warnings.clear();
        }
        Parsed { record, warnings }
    }

    fn offer(&mut self, name: &str, value: Value) -> Offered {
        if name == "seq" {
            return match i64::read(value) {
                Ok(seq) => {
                    self.seq = Some(seq);
                    Offered::Taken
                }
                Err(value) => Offered::Unknown(value),
            };
        }
        match self.common.offer(name, value) {
            Offered::Unknown(value) => self.body.offer(name, value),
            offered => offered,
        }
    }

    /// The type, if the vocabulary lists it.
    pub fn record_type(&self) -> Option<RecordType> {
        self.body.record_type()
    }

    /// The type of the call, if the record is one.
    pub fn call_type(&self) -> Option<CallType> {
        self.record_type()?.call_type()
    }

    /// Writes the record as JSON that is equal to what was read.
    pub fn into_fields(self) -> Map<String, Value> {
        let mut out = Map::new();
        if let Some(seq) = self.seq {
            out.insert("seq".to_owned(), seq.into());
        }
        if let Some(name) = self.body.type_name() {
            out.insert("type".to_owned(), name.into());
        }
        self.common.write(&mut out);
        self.body.write(&mut out);
        out.extend(self.extra);
        out
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Value::Object(self.clone().into_fields()).fmt(f)
    }
}
