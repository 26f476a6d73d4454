//! Texts that may be too large for a record.

use serde_json::Value;

use super::blob::BlobRef;
use super::kind::{FieldValue, Kind};

/// A text, or the blob that holds it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    /// The text.
    Text(String),
    /// The blob that holds the text.
    Blob(BlobRef),
}

impl Content {
    /// The text, unless a blob holds it.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Content::Text(text) => Some(text),
            Content::Blob(_) => None,
        }
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Content::Text(text.to_owned())
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Content::Text(text)
    }
}

impl FieldValue for Content {
    const KIND: Kind = Kind::Content;
    fn read(value: Value) -> Result<Self, Value> {
        match value {
            Value::String(text) => Ok(Content::Text(text)),
            other => BlobRef::read(other).map(Content::Blob),
        }
    }
    fn write(self) -> Value {
        match self {
            Content::Text(text) => Value::String(text),
            Content::Blob(blob) => blob.into_value(),
        }
    }
}
