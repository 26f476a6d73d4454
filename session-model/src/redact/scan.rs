//! What every detector shares: the text, the finds, and the order among them.

use std::ops::Range;

/// A secret that was found in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Find<'r> {
    /// Where it stands.
    pub(super) range: Range<usize>,
    /// What it is.
    pub(super) kind: &'r str,
    /// Found by its own shape, not by the name before it.
    pub(super) specific: bool,
}

impl<'r> Find<'r> {
    /// Found by its own shape.
    pub(super) fn shape(kind: &'r str, range: Range<usize>) -> Self {
        Self { range, kind, specific: true }
    }

    /// Found by what stands around it.
    pub(super) fn context(kind: &'r str, range: Range<usize>) -> Self {
        Self { range, kind, specific: false }
    }
}

/// Letters, digits, `-` and `_`.
pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// Base64 of both alphabets, with its padding.
pub(super) fn is_base64(byte: u8) -> bool {
    is_word(byte) || matches!(byte, b'+' | b'/' | b'=')
}

/// Where a run of such bytes that begins at `from` ends; at most `most` of them are looked at.
pub(super) fn run(text: &[u8], from: usize, most: usize, is: impl Fn(u8) -> bool) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    from + rest.iter().take(most).take_while(|byte| is(**byte)).count()
}

/// Whether a token may begin at `at`: not in the middle of a word, unless what looks like a word is the end of an
/// escape: `\n` or `\u003d` of JSON within JSON, `%3D` of an address, or a colour of a terminal.
pub(super) fn begins(text: &[u8], at: usize) -> bool {
    let Some(before) = at.checked_sub(1) else { return true };
    if !text[before].is_ascii_alphanumeric() {
        return true;
    }
    let back = |n: usize| at.checked_sub(n).map(|at| text[at]);
    let hex = |n: usize| (1..=n).all(|n| back(n).is_some_and(|byte| byte.is_ascii_hexdigit()));
    let escape = matches!(text[before], b'n' | b'r' | b't' | b'b' | b'f') && back(2) == Some(b'\\')
        || back(6) == Some(b'\\') && back(5) == Some(b'u') && hex(4)
        || back(4) == Some(b'\\') && back(3) == Some(b'x') && hex(2);
    let percent = hex(1) && back(3) == Some(b'%') || hex(2) && back(5) == Some(b'%') && back(4) == Some(b'2');
    escape || percent || ends_colour(&text[at.saturating_sub(COLOUR)..at])
}

/// The longest sequence of a terminal that is known.
const COLOUR: usize = 32;

/// `ESC [ 3 1 m`, whichever way the escape itself is written; without it only if there are digits.
fn ends_colour(before: &[u8]) -> bool {
    let Some((b'A'..=b'Z' | b'a'..=b'z', rest)) = before.split_last() else { return false };
    let digits = rest.iter().rev().take_while(|b| b.is_ascii_digit() || **b == b';').count();
    let Some((b'[', rest)) = rest[..rest.len() - digits].split_last() else { return false };
    digits > 0 || rest.ends_with(b"\x1b") || ESCAPES.iter().any(|escape| rest.ends_with(escape))
}

/// How the escape of a terminal's sequences is written in texts about them.
pub(super) const ESCAPES: [&[u8]; 6] = [b"\\u001b", b"\\u001B", b"\\x1b", b"\\x1B", b"\\033", b"\\e"];

/// The range with the whole of the characters at its ends.
pub(super) fn whole_characters(text: &[u8], range: &Range<usize>) -> Range<usize> {
    let is_inside = |byte: &u8| byte & 0xc0 == 0x80;
    let before = if text.get(range.start).is_some_and(is_inside) {
        text[..range.start].iter().rev().take_while(|byte| is_inside(byte)).count() + 1
    } else {
        0
    };
    let after = text[range.end..].iter().take_while(|byte| is_inside(byte)).count();
    range.start.saturating_sub(before)..range.end + after
}

/// In order, those that overlap made one, which takes the most specific kind.
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
