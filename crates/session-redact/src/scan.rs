//! Helpers shared by all detectors: the finds, their order, and functions on text.

use std::ops::Range;

/// A secret found in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Find<'r> {
    /// Its position.
    pub(super) range: Range<usize>,
    /// Its kind.
    pub(super) kind: &'r str,
    /// Whether it was found by its own shape, not by its context.
    pub(super) specific: bool,
}

impl<'r> Find<'r> {
    /// Creates a find by its own shape.
    pub(super) fn shape(kind: &'r str, range: Range<usize>) -> Self {
        Self {
            range,
            kind,
            specific: true,
        }
    }

    /// Creates a find by its context.
    pub(super) fn context(kind: &'r str, range: Range<usize>) -> Self {
        Self {
            range,
            kind,
            specific: false,
        }
    }
}

/// Letters, digits, `-` and `_`.
pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// Base64 in both alphabets, including padding.
pub(super) fn is_base64(byte: u8) -> bool {
    is_word(byte) || matches!(byte, b'+' | b'/' | b'=')
}

/// The end of the run of matching bytes that begins at `from`; at most `most` bytes are examined.
pub(super) fn run(text: &[u8], from: usize, most: usize, is: impl Fn(u8) -> bool) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    from + rest.iter().take(most).take_while(|byte| is(**byte)).count()
}

/// Whether a token may begin at `at`: not in the middle of a word, unless the apparent word is the
/// end of an escape: `\n` or `\u003d` in JSON within JSON, `%3D` in a URL, or a terminal colour.
pub(super) fn begins(text: &[u8], at: usize) -> bool {
    let Some(before) = at.checked_sub(1) else {
        return true;
    };
    if !text[before].is_ascii_alphanumeric() {
        return true;
    }
    let back = |n: usize| at.checked_sub(n).map(|at| text[at]);
    let hex = |n: usize| (1..=n).all(|n| back(n).is_some_and(|byte| byte.is_ascii_hexdigit()));
    let escape = matches!(text[before], b'n' | b'r' | b't' | b'b' | b'f') && back(2) == Some(b'\\')
        || back(6) == Some(b'\\') && back(5) == Some(b'u') && hex(4)
        || back(4) == Some(b'\\') && back(3) == Some(b'x') && hex(2);
    let percent =
        hex(1) && back(3) == Some(b'%') || hex(2) && back(5) == Some(b'%') && back(4) == Some(b'2');
    escape || percent || ends_colour(&text[at.saturating_sub(COLOUR)..at])
}

/// The longest terminal sequence that is recognised.
const COLOUR: usize = 32;

/// Whether a text ends with `ESC [ 3 1 m` or similar, however the escape is written; without an
/// escape there must be digits.
fn ends_colour(before: &[u8]) -> bool {
    let Some((b'A'..=b'Z' | b'a'..=b'z', rest)) = before.split_last() else {
        return false;
    };
    let digits = rest
        .iter()
        .rev()
        .take_while(|b| b.is_ascii_digit() || **b == b';')
        .count();
    let Some((b'[', rest)) = rest[..rest.len() - digits].split_last() else {
        return false;
    };
    digits > 0 || rest.ends_with(b"\x1b") || ESCAPES.iter().any(|escape| rest.ends_with(escape))
}

/// Spellings of the terminal escape character in texts about terminal sequences.
pub(super) const ESCAPES: [&[u8]; 6] =
    [b"\\u001b", b"\\u001B", b"\\x1b", b"\\x1B", b"\\033", b"\\e"];

/// Extends a range to whole characters at both ends.
pub(super) fn whole_characters(text: &[u8], range: &Range<usize>) -> Range<usize> {
    let is_inside = |byte: &u8| byte & 0xc0 == 0x80;
    let before = if text.get(range.start).is_some_and(is_inside) {
        text[..range.start]
            .iter()
            .rev()
            .take_while(|byte| is_inside(byte))
            .count()
            + 1
    } else {
        0
    };
    let after = text[range.end..]
        .iter()
        .take_while(|byte| is_inside(byte))
        .count();
    range.start.saturating_sub(before)..range.end + after
}

/// Sorts the finds and merges those that overlap. A merged find has the most specific kind.
pub(super) fn merged(mut finds: Vec<Find<'_>>) -> Vec<Find<'_>> {
    finds.sort_by_key(|find| (find.range.start, !find.specific));
    let mut merged: Vec<Find<'_>> = Vec::with_capacity(finds.len());
    for find in finds {
        match merged.last_mut() {
            Some(last) if find.range.start < last.range.end => {
                last.range.end = last.range.end.max(find.range.end);
                if find.specific && !last.specific {
                    (last.kind, last.specific) = (find.kind, true);
                }
            }
            _ => merged.push(find),
        }
    }
    merged
}
