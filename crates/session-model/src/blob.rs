//! Blob names: bytes that belong to a session are named by their SHA-256.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::code::{Code, Refusal};
use crate::hex::hex;

/// The prefix of a blob's name where a record refers to it: `{"$blob":"sha256:<hex>"}`.
pub const REFERENCE: &str = "sha256:";

/// The SHA-256 of a blob. Written as 64 lower-case hex digits, which are safe as a file name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobName([u8; 32]);

impl BlobName {
    /// How many hex digits a name has.
    pub const DIGITS: usize = 64;

    /// Creates the name of bytes with this SHA-256.
    pub const fn of_digest(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// Parses a name.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        Self::of_hex(text.as_bytes()).ok_or_else(|| {
            Refusal::new(
                Code::InvalidParameter,
                "a blob is named by its SHA-256: 64 lower-case hex digits",
            )
        })
    }

    /// Parses the hex digits of a name.
    pub fn of_hex(digits: &[u8]) -> Option<Self> {
        if digits.len() != Self::DIGITS {
            return None;
        }
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Some(Self(digest))
    }

    /// Calls `each` with every blob that a JSON text refers to. Any character of a reference may be
    /// written as an escape.
    pub fn referenced_in(text: &[u8], mut each: impl FnMut(Self)) {
        let text = without_ascii_escapes(text);
        for at in memchr::memmem::find_iter(&text, REFERENCE) {
            let digits = text.get(at + REFERENCE.len()..);
            let digits = digits.and_then(|rest| rest.get(..Self::DIGITS));
            if let Some(name) = digits.and_then(Self::of_hex) {
                each(name);
            }
        }
    }
}

/// Replaces the escapes of ASCII characters by the characters, where a text has any. The result may
/// be no JSON.
fn without_ascii_escapes(text: &[u8]) -> Cow<'_, [u8]> {
    let finder = memchr::memmem::Finder::new(b"\\u00");
    if finder.find(text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = finder.find(rest) {
        out.extend_from_slice(&rest[..at]);
        let digits = rest.get(at + 4..at + 6);
        let code = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(code) = code.filter(u8::is_ascii) {
            out.push(code);
            rest = &rest[at + 6..];
        } else {
            out.extend_from_slice(&rest[at..at + 4]);
            rest = &rest[at + 4..];
        }
    }
    out.extend_from_slice(rest);
    Cow::Owned(out)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for BlobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for BlobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for BlobName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BlobName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    #[test]
    fn a_name_is_64_lower_case_hex_digits() {
        assert_eq!(BlobName::parse(NAME).unwrap().to_string(), NAME);
        for text in [
            "",
            &NAME[1..],
            &NAME.to_uppercase(),
            &NAME.replace('9', "/"),
            &format!("{NAME}0"),
        ] {
            let refusal = BlobName::parse(text).unwrap_err();
            assert_eq!(refusal.code, Code::InvalidParameter, "{text}");
        }
    }

    #[test]
    fn references_are_found_wherever_they_are_in_a_line() {
        let text = format!(
            r#"{{"a":{{"$blob":"sha256:{NAME}","bytes":1}},"b":"sha256:{NAME}","c":"sha256:short"}}"#
        );
        let mut found = Vec::new();
        BlobName::referenced_in(text.as_bytes(), |name| found.push(name.to_string()));
        assert_eq!(found, [NAME, NAME]);
    }

    #[test]
    fn references_are_found_however_they_are_escaped() {
        let first = format!("\\u{:04x}", u32::from(NAME.as_bytes()[0]));
        for text in [
            format!(r#"{{"\u0024blob":"sha256\u003a{NAME}"}}"#),
            format!(r#"{{"$blob":"sha256:{first}{}"}}"#, &NAME[1..]),
            format!(r#"{{"x":"\u00e4\u00","$blob":"s\u0068a256:{NAME}"}}"#),
        ] {
            let mut found = Vec::new();
            BlobName::referenced_in(text.as_bytes(), |name| found.push(name.to_string()));
            assert_eq!(found, [NAME], "{text}");
        }
    }
}
