//! JSON parsing: the one place where a client's body is checked for valid UTF-8 and JSON.
//!
//! The [`Scanner`] reads every document, received or stored, so that numbers keep the digits that
//! were sent. Reading a [`Value`] with serde_json itself rewrites exponents. Derived types
//! therefore read their documents with [`exact`] and [`exact_object`], and a client's `Value` is
//! put into another one by hand, never by `json!` or `to_value`, which would read it once more.

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::code::{Code, Refusal};
use crate::scanner::Scanner;

/// The deepest nesting accepted; most clients could not read deeper bodies back.
pub const MAX_DEPTH: usize = 127;
/// The deepest nesting read from our own files, which wrap accepted bodies in a few more levels.
pub const MAX_STORED_DEPTH: usize = 256;

/// The body as text, or a refusal that names the byte where it stops being UTF-8.
pub fn text(bytes: &[u8]) -> Result<&str, Refusal> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        Refusal::new(
            Code::InvalidJson,
            format!("body is not valid UTF-8 at byte {at}"),
        )
    })
}

/// A refusal that names the place where the JSON is malformed.
pub fn malformed(error: &serde_json::Error) -> Refusal {
    let text = error.to_string();
    if text.starts_with("recursion limit exceeded") {
        let line = error.line();
        let column = error.column();
        return Refusal::new(
            Code::InvalidJson,
            format!("body is nested deeper than {MAX_DEPTH} levels at line {line} column {column}"),
        );
    }
    Refusal::new(Code::InvalidJson, format!("body is not valid JSON: {text}"))
}

/// Parses any JSON value.
pub fn value(bytes: &[u8]) -> Result<Value, Refusal> {
    let text = text(bytes)?;
    match read(text, MAX_DEPTH) {
        Ok(value) => Ok(value),
        Err(error) => match repair_surrogates(text) {
            Some(repaired) => read(&repaired, MAX_DEPTH).map_err(|e| malformed(&e)),
            None => Err(malformed(&error)),
        },
    }
}

/// Parses text that may nest `levels` deep. If the scanner refuses it, serde_json explains why.
fn read(text: &str, levels: usize) -> Result<Value, serde_json::Error> {
    Scanner::document(text, levels).map_or_else(|| serde_json::from_str(text), Ok)
}

/// Parses a JSON object; an empty body counts as `{}`.
pub fn object(bytes: &[u8]) -> Result<Map<String, Value>, Refusal> {
    if bytes.is_empty() {
        return Ok(Map::new());
    }
    match value(bytes)? {
        Value::Object(map) => Ok(map),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(not_an_object())
        }
    }
}

/// A document that is read from our own files or from the journal.
pub trait Stored: Sized {
    /// Reads the document from JSON that is not nested too deeply.
    fn read(bytes: &[u8]) -> Result<Self, serde_json::Error>;
}

impl Stored for Value {
    fn read(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let text = std::str::from_utf8(bytes).map_err(serde_json::Error::custom)?;
        read(text, MAX_STORED_DEPTH)
    }
}

/// Recovers the JSON object at the start of a damaged document, for example one that was written
/// twice or has other bytes after it. `None` if it does not start with a whole object.
pub fn leading_object(bytes: &[u8]) -> Option<Value> {
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<IgnoredAny>();
    values.next()?.ok()?;
    stored::<Value>(bytes.get(..values.byte_offset())?)
        .ok()
        .filter(Value::is_object)
}

/// Parses a document from our own files. An accepted body may be nested a few levels deeper there,
/// so the depth is limited by [`MAX_STORED_DEPTH`] and not by the limit for bodies.
pub fn stored<T: Stored>(bytes: &[u8]) -> Result<T, serde_json::Error> {
    T::read(bytes)
}

/// Reads a JSON value within a derived type. That type must be deserialized from text.
pub(crate) fn exact<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    let text = <&RawValue>::deserialize(deserializer)?;
    read(text.get(), MAX_STORED_DEPTH).map_err(D::Error::custom)
}

/// Reads a JSON object within a derived type, as [`exact`] does.
pub(crate) fn exact_object<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Map<String, Value>, D::Error> {
    match exact(deserializer)? {
        Value::Object(fields) => Ok(fields),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(D::Error::custom("not a JSON object"))
        }
    }
}

/// Reads a value that may be null or missing within a derived type, as [`exact`] does.
pub(crate) fn exact_or_null<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Value>, D::Error> {
    exact(deserializer).map(|value| Some(value).filter(|value| !value.is_null()))
}

/// The depth of a value's nesting; 0 for a scalar.
pub fn depth_of(value: &Value) -> usize {
    let deepest = match value {
        Value::Array(items) => items.iter().map(depth_of).max(),
        Value::Object(fields) => fields.values().map(depth_of).max(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return 0,
    };
    deepest.unwrap_or(0) + 1
}

/// The approximate size of a value as JSON, in bytes; escapes are not counted.
pub fn size_of(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 4,
        Value::Number(number) => number.as_str().len(),
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(|item| size_of(item) + 1).sum::<usize>() + 2,
        Value::Object(fields) => {
            fields
                .iter()
                .map(|(key, value)| key.len() + 4 + size_of(value))
                .sum::<usize>()
                + 2
        }
    }
}

/// The refusal of a body that is JSON but not an object.
pub fn not_an_object() -> Refusal {
    Refusal::new(Code::InvalidRequest, "body must be a JSON object")
}

/// Replaces unpaired surrogate escapes (`\uD8xx` without its other half) with `\ufffd`.
///
/// JavaScript serializes a string that was cut between the halves of a character in this way.
/// Refusing such bodies would lose evidence; storing them unchanged would produce lines that strict
/// readers cannot parse. Returns `None` if there is no unpaired surrogate.
pub fn repair_surrogates(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out: Option<Vec<u8>> = None;
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'\\', &bytes[at..]) {
        let start = at + found;
        match escape(bytes, start) {
            Some(0xD800..=0xDBFF) if follows_low(bytes, start + 6) => at = start + 12,
            Some(0xD800..=0xDFFF) => {
                let out = out.get_or_insert_with(|| bytes.to_vec());
                out[start + 2..start + 6].copy_from_slice(b"fffd");
                at = start + 6;
            }
            Some(_) => at = start + 6,
            None => at = (start + 2).min(bytes.len()),
        }
    }
    out.and_then(|bytes| String::from_utf8(bytes).ok())
}

fn follows_low(bytes: &[u8], start: usize) -> bool {
    matches!(escape(bytes, start), Some(0xDC00..=0xDFFF))
}

/// The code unit of a `\uXXXX` escape that begins at `start`.
fn escape(bytes: &[u8], start: usize) -> Option<u16> {
    let digits = bytes.get(start..start + 6)?;
    if digits[0] != b'\\' || digits[1] != b'u' {
        return None;
    }
    u16::from_str_radix(std::str::from_utf8(&digits[2..]).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_place() {
        let refusal = value(b"{\"a\":1,\n\"b\":}").unwrap_err();
        assert_eq!(refusal.code, Code::InvalidJson);
        assert!(
            refusal.message.contains("line 2 column 5"),
            "{}",
            refusal.message
        );
        let refusal = value(b"{\"a\":\"\xff\"}").unwrap_err();
        assert!(refusal.message.contains("byte 6"), "{}", refusal.message);
    }

    #[test]
    fn a_hundred_thousand_levels_are_refused_in_words() {
        let deep = "[".repeat(100_000);
        let refusal = value(deep.as_bytes()).unwrap_err();
        assert!(
            refusal.message.contains("nested deeper than 127 levels"),
            "{}",
            refusal.message
        );
        let deepest = format!("{}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
        assert!(value(deepest.as_bytes()).is_ok());
    }

    #[test]
    fn stored_documents_may_be_deeper_than_bodies_but_not_without_bound() {
        let nested = |n: usize| format!("{}\"[[\\\"[\"{}", "[".repeat(n), "]".repeat(n));
        assert!(stored::<Value>(nested(MAX_STORED_DEPTH).as_bytes()).is_ok());
        assert!(stored::<Value>(nested(MAX_STORED_DEPTH + 1).as_bytes()).is_err());
        assert!(stored::<Value>("[".repeat(1_000_000).as_bytes()).is_err());
    }

    #[test]
    fn a_damaged_document_is_read_as_far_as_it_is_one() {
        assert_eq!(
            leading_object(b"{\"a\":1}}"),
            Some(serde_json::json!({"a": 1}))
        );
        assert_eq!(
            leading_object(b"{\"a\":1}\0\0\0"),
            Some(serde_json::json!({"a": 1}))
        );
        for bytes in [&b""[..], b"{\"a\":", b"5}", b"\0{}"] {
            assert_eq!(leading_object(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn lone_surrogates_are_repaired_and_pairs_are_left() {
        let body = br#"{"a":"x\ud83d","b":"\ud83d\ude00","c":"\\ud800","d":"\udc00"}"#;
        let value = value(body).unwrap();
        assert_eq!(value["a"], "x\u{fffd}");
        assert_eq!(value["b"], "\u{1f600}");
        assert_eq!(value["c"], "\\ud800");
        assert_eq!(value["d"], "\u{fffd}");
    }
}
