//! Placeholders that stand for redacted secrets: `[redacted:<kind>:<8 hex>]`.
//!
//! The crate `session-redact` writes them. They are recognised here, because a session's metadata
//! counts them.

use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde_json::Value;

/// The start of every placeholder.
pub const START: &str = "[redacted:";
/// The longest name of a kind.
pub const MAX_KIND: usize = 40;
/// The number of hexadecimal digits in a placeholder.
const DIGITS: usize = 8;

static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(START));

/// Whether a name may be used as a kind.
pub fn is_kind(name: &str) -> bool {
    (1..=MAX_KIND).contains(&name.len()) && name.bytes().all(is_kind_byte)
}

fn is_kind_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'
}

/// The end of the placeholder that begins at `at`, if there is one.
fn end_at(text: &[u8], at: usize) -> Option<usize> {
    let kind = at + START.len();
    let length = text
        .get(kind..)?
        .iter()
        .take(MAX_KIND + 1)
        .take_while(|byte| is_kind_byte(**byte))
        .count();
    let digits = kind + length + 1;
    let rest = text.get(digits - 1..=digits + DIGITS)?;
    let hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    let whole = length > 0
        && rest[0] == b':'
        && rest[1..=DIGITS].iter().all(hex)
        && rest[DIGITS + 1] == b']';
    whole.then_some(digits + DIGITS + 1)
}

/// The positions of the placeholders in a text, in order.
pub fn placeholders(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    FINDER
        .find_iter(text)
        .filter_map(|at| Some(at..end_at(text, at)?))
}

/// Counts the placeholders in a text.
pub fn count(text: &[u8]) -> u64 {
    placeholders(text).count() as u64
}

/// Whether a text may contain a placeholder, perhaps behind escapes. For a text that
/// has just been redacted, the redactor's result already contains the answer.
pub fn may_bear(text: &[u8]) -> bool {
    FINDER.find(text).is_some() || memchr::memmem::find(text, b"\\u00").is_some()
}

/// Counts the placeholders in the strings of a value, including keys.
pub fn count_in(value: &Value) -> u64 {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => count(text.as_bytes()),
        Value::Array(items) => items.iter().map(count_in).sum(),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, v)| count(key.as_bytes()) + count_in(v))
            .sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_is_recognised_whole_and_nothing_else_is() {
        let text = b"a [redacted:jwt:01234567] b";
        let mut found = placeholders(text);
        assert_eq!(found.next(), Some(2..text.len() - 2));
        assert_eq!(found.next(), None);
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
        assert_eq!(
            count(b"[redacted:a:01234567][redacted:[redacted:b:89abcdef]"),
            2
        );
    }
}
