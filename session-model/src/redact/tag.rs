//! Placeholders, which replace secrets: `[redacted:<kind>:<8 hex>]`.

use std::hash::Hasher;
use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde_json::Value;
use siphasher::sip::SipHasher24;

/// The start of every placeholder.
pub(super) const START: &str = "[redacted:";
/// The longest name of a kind.
pub(super) const MAX_KIND: usize = 40;
/// The number of hexadecimal digits in a placeholder.
const DIGITS: usize = 8;

static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(START));

/// The key of the hash in placeholders: 128 random bits that never leave their directory.
#[derive(Clone, Copy)]
pub struct Key([u8; 16]);

impl Key {
    /// Creates a key from its bits.
    pub const fn new(bits: [u8; 16]) -> Self {
        Self(bits)
    }

    /// Parses the output of [`to_hex`](Self::to_hex), with optional white space around it.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits = text.trim().as_bytes();
        if digits.len() != 32 {
            return None;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
        let mut bits = [0; 16];
        for (bit, pair) in bits.iter_mut().zip(digits.chunks_exact(2)) {
            *bit = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(bits))
    }

    /// The key as 32 hexadecimal digits.
    pub fn to_hex(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.0))
    }

    fn digest(&self, secret: &[u8]) -> u32 {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(secret);
        hasher.finish() as u32
    }

    /// Appends the placeholder of a secret.
    pub(super) fn write(&self, out: &mut Vec<u8>, kind: &str, secret: &[u8]) {
        out.extend_from_slice(START.as_bytes());
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(format!(":{:08x}]", self.digest(secret)).as_bytes());
    }
}

impl std::fmt::Debug for Key {
    /// Never shows the bits.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

/// Whether a name may be used as a kind.
#[cfg(any(feature = "custom-rules", test))]
pub(super) fn is_kind(name: &str) -> bool {
    (1..=MAX_KIND).contains(&name.len()) && name.bytes().all(is_kind_byte)
}

fn is_kind_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'
}

/// The end of the placeholder that begins at `at`, if there is one.
fn end_at(text: &[u8], at: usize) -> Option<usize> {
    let kind = at + START.len();
    let length = text.get(kind..)?.iter().take(MAX_KIND + 1).take_while(|byte| is_kind_byte(**byte)).count();
    let digits = kind + length + 1;
    let rest = text.get(digits - 1..=digits + DIGITS)?;
    let hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    let whole = length > 0 && rest[0] == b':' && rest[1..=DIGITS].iter().all(hex) && rest[DIGITS + 1] == b']';
    whole.then_some(digits + DIGITS + 1)
}

/// The positions of the placeholders in a text, in order.
pub(super) fn tags(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    FINDER.find_iter(text).filter_map(|at| Some(at..end_at(text, at)?))
}

/// Counts the placeholders in a text.
pub fn count(text: &[u8]) -> u64 {
    tags(text).count() as u64
}

/// Whether a text may contain a placeholder, perhaps behind escapes. For a redacted text,
/// [`Screened`](super::Screened) already contains the answer.
pub fn may_bear(text: &[u8]) -> bool {
    FINDER.find(text).is_some() || memchr::memmem::find(text, b"\\u00").is_some()
}

/// Counts the placeholders in the strings of a value, including keys.
pub(crate) fn count_in(value: &Value) -> u64 {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => count(text.as_bytes()),
        Value::Array(items) => items.iter().map(count_in).sum(),
        Value::Object(fields) => fields.iter().map(|(key, v)| count(key.as_bytes()) + count_in(v)).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_recognised_whole_and_nothing_else_is() {
        let key = Key::from_hex("000102030405060708090a0b0c0d0e0f").unwrap();
        assert_eq!(key.to_hex(), "000102030405060708090a0b0c0d0e0f");
        let mut text = b"a ".to_vec();
        key.write(&mut text, "jwt", b"secret");
        text.extend_from_slice(b" b");
        let found: Vec<_> = tags(&text).map(|tag| (tag.start, tag.end)).collect();
        assert_eq!(found, [(2, text.len() - 2)]);
        for none in [
            "[redacted:",
            "[redacted::01234567]",
            "[redacted:jwt:0123456]",
            "[redacted:jwt:0123456g]",
            "[redacted:JWT:01234567]",
            "[redacted:jwt:01234567",
            "redacted:jwt:01234567]",
        ] {
            assert_eq!(count(none.as_bytes()), 0, "{none}");
        }
        assert_eq!(count(b"[redacted:a:01234567][redacted:[redacted:b:89abcdef]"), 2);
    }

    #[test]
    fn the_hash_is_the_published_one_and_depends_on_the_key() {
        // The first test vector of the SipHash-2-4 reference: empty input, key 00 01 … 0f.
        let key = Key::new([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        assert_eq!(key.digest(b""), 0x726f_db47_dd0e_0e31_u64 as u32);
        assert_ne!(key.digest(b"x"), Key::new([7; 16]).digest(b"x"));
        assert_eq!(format!("{key:?}"), "Key(…)");
    }
}
