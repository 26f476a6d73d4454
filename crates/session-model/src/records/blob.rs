//! Blob references, which replace values that are too large for a record.

use serde_json::{Map, Value, json};

use super::integer::integer;

const BLOB: &str = "$blob";
const ALGORITHM: &str = "sha256:";

/// A reference to bytes of the session: `{"$blob":"sha256:<hex>","bytes":N,"mediaType":…}`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BlobRef {
    /// The digest, as 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// The length of the blob.
    pub bytes: Option<i64>,
    /// The media type of the blob.
    pub media_type: Option<String>,
    /// Other fields, as they were given.
    pub extra: Map<String, Value>,
}

impl BlobRef {
    /// A reference to a blob.
    pub fn new(sha256: impl Into<String>, bytes: i64, media_type: impl Into<String>) -> Self {
        Self {
            sha256: sha256.into(),
            bytes: Some(bytes),
            media_type: Some(media_type.into()),
            extra: Map::new(),
        }
    }

    /// Whether a value is a blob reference.
    pub fn is(value: &Value) -> bool {
        digest_of(value).is_some()
    }

    /// Reads a blob reference; gives any other value back.
    pub fn read(value: Value) -> Result<Self, Value> {
        let Some(sha256) = digest_of(&value).map(str::to_owned) else {
            return Err(value);
        };
        let Value::Object(fields) = value else {
            return Err(value);
        };
        let mut blob = Self {
            sha256,
            bytes: None,
            media_type: None,
            extra: Map::new(),
        };
        for (name, value) in fields {
            match (name.as_str(), value) {
                (BLOB, _) => {}
                ("bytes", Value::Number(bytes)) if integer(&bytes).is_some() => {
                    blob.bytes = integer(&bytes);
                }
                ("mediaType", Value::String(text)) => blob.media_type = Some(text),
                (_, value) => {
                    blob.extra.insert(name, value);
                }
            }
        }
        Ok(blob)
    }

    /// Writes the reference as a value of a record.
    pub fn into_value(self) -> Value {
        let mut value = json!({ BLOB: format!("{ALGORITHM}{}", self.sha256) });
        if let Some(bytes) = self.bytes {
            value["bytes"] = bytes.into();
        }
        if let Some(media_type) = self.media_type {
            value["mediaType"] = media_type.into();
        }
        if let Value::Object(fields) = &mut value {
            fields.extend(self.extra);
        }
        value
    }
}

/// The digest of a blob reference.
fn digest_of(value: &Value) -> Option<&str> {
    let digest = value.get(BLOB)?.as_str()?.strip_prefix(ALGORITHM)?;
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (digest.len() == 64 && digest.bytes().all(is_hex)).then_some(digest)
}
