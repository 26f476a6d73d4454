//! Integers that keep their digits.

use serde_json::Number;

/// The integer that is written with exactly these digits. Other numbers would come back with other
/// digits: `1.0`, `1e3`, `-0`, or more than 64 bits.
pub(crate) fn integer(number: &Number) -> Option<i64> {
    integer_text(number.as_str())
}

/// As [`integer`], for the text of a JSON number.
pub(crate) fn integer_text(text: &str) -> Option<i64> {
    text.parse().ok().filter(|_| text != "-0")
}
