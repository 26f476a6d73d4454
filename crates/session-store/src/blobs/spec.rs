//! What is known about an upload before its bytes arrive.

use std::sync::Arc;

use session_model::{BlobName, Code, Refusal, Timestamp};
use session_redact::Redactor;

/// The longest media type that is stored.
const LONGEST: usize = 200;

/// A media type as it was sent, for example `image/png`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MediaType(String);

impl MediaType {
    /// The type of bytes of which nothing is known.
    pub const BINARY: &'static str = "application/octet-stream";
    /// The type of bytes that were found to be text.
    pub const TEXT: &'static str = "text/plain; charset=utf-8";

    /// Parses the value of a `Content-Type`.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let (kind, _) = text.split_once(';').unwrap_or((text, ""));
        let is_token = |part: &str| {
            let allowed = |b: u8| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b);
            !part.is_empty() && part.bytes().all(allowed)
        };
        let is_whole = kind
            .trim()
            .split_once('/')
            .is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype));
        let is_printable = text.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
        if is_whole && is_printable && text.len() <= LONGEST {
            Ok(Self(text.trim().to_owned()))
        } else {
            Err(Refusal::new(
                Code::InvalidParameter,
                format!(
                    "`Content-Type` must be a media type of at most {LONGEST} characters, such as `image/png`"
                ),
            ))
        }
    }

    /// Returns the type as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the type and subtype without parameters, in lower case.
    fn essence(&self) -> String {
        let (essence, _) = self.0.split_once(';').unwrap_or((&self.0, ""));
        essence.trim().to_ascii_lowercase()
    }

    /// Returns whether bytes of this type are text, in which secrets are looked for.
    pub fn is_text(&self) -> bool {
        let essence = self.essence();
        essence.starts_with("text/") || essence.starts_with("message/") || self.is_json() || {
            let (_, subtype) = essence.split_once('/').unwrap_or_default();
            let suffixes = ["+xml", "+yaml", "+json-seq"];
            TEXTS.contains(&subtype) || suffixes.iter().any(|suffix| subtype.ends_with(suffix))
        }
    }

    /// Returns whether the type is the one that programs give to bytes of any kind.
    pub fn says_nothing(&self) -> bool {
        self.essence() == Self::BINARY
    }

    /// Returns whether bytes of this type are a JSON document.
    pub fn is_json(&self) -> bool {
        let essence = self.essence();
        let (_, subtype) = essence.split_once('/').unwrap_or_default();
        subtype == "json" || subtype.ends_with("+json")
    }
}

/// Subtypes of `application` that are text.
const TEXTS: &[&str] = &[
    "ecmascript",
    "graphql",
    "javascript",
    "json-lines",
    "json-seq",
    "jsonl",
    "jsonlines",
    "ndjson",
    "sql",
    "toml",
    "x-httpd-php",
    "x-javascript",
    "x-json",
    "x-json-lines",
    "x-jsonlines",
    "x-ndjson",
    "x-patch",
    "x-perl",
    "x-python",
    "x-python-code",
    "x-ruby",
    "x-sh",
    "x-shellscript",
    "x-sql",
    "x-tex",
    "x-toml",
    "x-typescript",
    "x-www-form-urlencoded",
    "x-yaml",
    "xhtml+xml",
    "xml",
    "xml-dtd",
    "yaml",
];

/// Limits of blobs, in bytes. `None` means no limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlobLimits {
    /// Of one blob.
    pub one: u64,
    /// Of all blobs of a session.
    pub session: Option<u64>,
}

impl Default for BlobLimits {
    fn default() -> Self {
        Self {
            one: 1 << 30,
            session: None,
        }
    }
}

/// What is known about an upload before its bytes arrive.
#[derive(Clone, Debug)]
pub struct BlobSpec {
    /// The hash that the bytes must have.
    pub name: BlobName,
    /// The media type, if the sender gave one.
    pub media: Option<MediaType>,
    /// The length, if the sender announced it.
    pub announced: Option<u64>,
    /// When the upload began.
    pub at: Timestamp,
    /// The limits.
    pub limits: BlobLimits,
    /// What replaces secrets in text; `None` if redaction is off.
    pub redactor: Option<Arc<Redactor>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_media_type_says_whether_bytes_are_text() {
        for (text, is_text) in [
            ("text/html", true),
            ("TEXT/plain; charset=utf-8", true),
            ("application/json", true),
            ("application/vnd.agent+json", true),
            ("application/x-ndjson", true),
            ("image/svg+xml", true),
            ("application/javascript", true),
            ("image/png", false),
            ("application/octet-stream", false),
            ("application/zip", false),
        ] {
            assert_eq!(MediaType::parse(text).unwrap().is_text(), is_text, "{text}");
        }
    }

    #[test]
    fn what_is_no_media_type_is_refused() {
        for text in ["", "png", "/", "a/", "a/b\r\nX: y", "a b/c", "text/\u{fc}"] {
            assert!(MediaType::parse(text).is_err(), "{text:?}");
        }
        assert!(MediaType::parse(&format!("a/{}", "b".repeat(LONGEST))).is_err());
    }
}
