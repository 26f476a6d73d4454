//! The sidecar of a blob: what is known about its bytes, as a small JSON document beside them.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use session_model::{BlobName, Timestamp};

use super::error::BlobError;
use super::spec::MediaType;
use crate::files;

/// The longest sidecar that is read.
const LONGEST: u64 = 16 << 10;

/// What is known about a blob.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sidecar {
    /// The media type with which the bytes are served.
    pub media_type: String,
    /// The length of the stored bytes.
    pub bytes: u64,
    /// When the blob was last sent; from then on it is kept for a day without a reference.
    #[serde(with = "rfc3339")]
    pub sent: Timestamp,
    /// Whether a record is known to refer to it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub referenced: bool,
    /// The blob that is served for this name, if redaction has changed the bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_as: Option<BlobName>,
    /// How many secrets were replaced, in the sidecar of an alias.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub redacted: u64,
}

/// A point in time as text, as in the documents that people read.
mod rfc3339 {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};
    use session_model::Timestamp;

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the signature that serde asks for"
    )]
    pub(super) fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(at)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(from)?;
        Timestamp::parse(&text).ok_or_else(|| D::Error::custom("`sent` must be a time"))
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Sidecar {
    /// Reads a sidecar; `None` if there is none.
    pub fn read(path: &Path) -> Result<Option<Self>, BlobError> {
        let file = match files::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(BlobError::io("read"))?,
        };
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut io::Read::take(file, LONGEST), &mut bytes)
            .map_err(BlobError::io("read"))?;
        let damaged = |what: &dyn std::fmt::Display| {
            BlobError::Damaged(format!("its sidecar is not valid: {what}"))
        };
        let sidecar: Self = serde_json::from_slice(&bytes).map_err(|error| damaged(&error))?;
        MediaType::parse(&sidecar.media_type).map_err(|refusal| damaged(&refusal.message))?;
        Ok(Some(sidecar))
    }

    /// Returns the document.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).expect("a sidecar always serializes");
        bytes.push(b'\n');
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sidecar_on_disk_stays_readable() {
        let name = BlobName::of_digest([1; 32]);
        let sidecar = Sidecar {
            media_type: "text/plain".to_owned(),
            bytes: 5,
            sent: Timestamp::from_millis(0),
            referenced: true,
            stored_as: Some(name),
            redacted: 2,
        };
        let text = format!(
            "{{\"mediaType\":\"text/plain\",\"bytes\":5,\"sent\":\"1970-01-01T00:00:00.000Z\",\"referenced\":true,\"storedAs\":\"{name}\",\"redacted\":2}}\n"
        );
        assert_eq!(String::from_utf8(sidecar.to_bytes()).unwrap(), text);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.json");
        assert!(Sidecar::read(&path).unwrap().is_none());
        std::fs::write(&path, text).unwrap();
        assert_eq!(Sidecar::read(&path).unwrap(), Some(sidecar));
        std::fs::write(&path, "{}").unwrap();
        assert!(matches!(Sidecar::read(&path), Err(BlobError::Damaged(_))));
    }
}
