//! Kinds of JSON values that fields have, and the warning about a field of another kind.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Number, Value};

use super::blob::BlobRef;
use super::integer::integer;

/// The kind of JSON value that a field has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A string.
    Text,
    /// A string, or a reference to the blob that holds it.
    Content,
    /// An integer of 64 bits.
    Integer,
    /// A number with any digits.
    Number,
    /// `true` or `false`.
    Bool,
    /// An object.
    Object,
    /// An array.
    Array,
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// Any value.
    Any,
}

impl Kind {
    /// Whether a value is of this kind. `null` is of every kind: it means that the field is absent.
    pub fn accepts(self, value: &Value) -> bool {
        if value.is_null() {
            return true;
        }
        match self {
            Kind::Text => value.is_string(),
            Kind::Content => value.is_string() || BlobRef::is(value),
            Kind::Integer => value.as_number().and_then(integer).is_some(),
            Kind::Number => value.is_number(),
            Kind::Bool => value.is_boolean(),
            Kind::Object => value.is_object(),
            Kind::Array => value.is_array(),
            Kind::OneOf(names) => value.as_str().is_some_and(|text| names.contains(&text)),
            Kind::Any => true,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Text => f.write_str("string"),
            Kind::Content => f.write_str("string or blob reference"),
            Kind::Integer => f.write_str("integer"),
            Kind::Number => f.write_str("number"),
            Kind::Bool => f.write_str("boolean"),
            Kind::Object => f.write_str("object"),
            Kind::Array => f.write_str("array"),
            Kind::OneOf(names) => write!(f, "one of {}", names.join(", ")),
            Kind::Any => f.write_str("any value"),
        }
    }
}

/// A field of a known type that has another kind of value than the vocabulary says. The record is
/// stored and read nevertheless.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Warning {
    /// The name of the field.
    pub field: &'static str,
    /// The kind that the vocabulary says.
    pub expected: String,
    /// The kind that was found.
    pub found: String,
}

/// The length to which a found string is shown.
const SHOWN: usize = 40;

impl Warning {
    /// The warning about a field that has this value instead of one of the kind.
    pub(crate) fn new(field: &'static str, kind: Kind, value: &Value) -> Self {
        let found = match (kind, value) {
            (Kind::OneOf(_), Value::String(text)) => {
                let shown: String = text.chars().take(SHOWN).collect();
                format!("\"{shown}\"")
            }
            (_, value) => name_of(value).to_owned(),
        };
        Self {
            field,
            expected: kind.to_string(),
            found,
        }
    }
}

fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if integer(number).is_some() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A Rust type for the values of a field.
pub(crate) trait FieldValue: Sized {
    /// The kind of JSON value.
    const KIND: Kind;
    /// Reads a value that is not null; gives it back if it is of another kind.
    fn read(value: Value) -> Result<Self, Value>;
    /// Writes the value that was read.
    fn write(self) -> Value;
}

macro_rules! field_values {
    ($($type:ty, $kind:ident, $variant:ident;)+) => {$(
        impl FieldValue for $type {
            const KIND: Kind = Kind::$kind;
            fn read(value: Value) -> Result<Self, Value> {
                match value {
                    Value::$variant(value) => Ok(value),
                    other => Err(other),
                }
            }
            fn write(self) -> Value {
                Value::$variant(self)
            }
        }
    )+};
}

field_values! {
    String, Text, String;
    Number, Number, Number;
    bool, Bool, Bool;
    Map<String, Value>, Object, Object;
    Vec<Value>, Array, Array;
}

impl FieldValue for i64 {
    const KIND: Kind = Kind::Integer;
    fn read(value: Value) -> Result<Self, Value> {
        value.as_number().and_then(integer).ok_or(value)
    }
    fn write(self) -> Value {
        self.into()
    }
}

impl FieldValue for Value {
    const KIND: Kind = Kind::Any;
    fn read(value: Value) -> Result<Self, Value> {
        Ok(value)
    }
    fn write(self) -> Value {
        self
    }
}
