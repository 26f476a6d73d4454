//! Private key blocks, whole or cut off, however their lines are broken: by a newline, by `\n` in
//! JSON within JSON, by the line numbers of editors, or by the strings of an array.

use super::header::decode;
use super::scan::{Find, begins, run};

/// The kind in the placeholder of a key block.
pub(super) const KIND: &str = "private_key";
const HEAD: &[u8] = b"-----BEGIN ";
const FOOT: &[u8] = b"-----END ";
/// The longest block.
const LONGEST: usize = 64 << 10;
/// The shortest line of a key; texts about keys contain no word of that length.
const LINE: usize = 40;
/// The shortest last line of a block that is cut off.
const LAST_LINE: usize = 16;

/// Finds the block whose head contains the anchor at `at`.
pub(super) fn find<'r>(text: &[u8], at: usize) -> Option<Find<'r>> {
    let start = at.checked_sub(3)?;
    let body = head(text, start)?;
    let (cut, end) = body_end(text, body)?;
    let foot = label_end(text, end, FOOT).unwrap_or(cut);
    Some(Find::shape(KIND, start..foot))
}

/// Finds a whole block in base64, as Kubernetes stores it. The anchor at `at` is the encoded form
/// of the dashes.
pub(super) fn find_encoded<'r>(text: &[u8], at: usize) -> Option<Find<'r>> {
    let head = decode(&text[at..text.len().min(at + 88)]);
    let is_key = memchr::memmem::find(&head, b"PRIVATE KEY").is_some();
    (begins(text, at) && is_key).then(|| Find::shape(KIND, at..run(text, at, LONGEST, is_base64)))
}

/// The end of the private key head that begins at `start`.
fn head(text: &[u8], start: usize) -> Option<usize> {
    let end = label_end(text, start, HEAD)?;
    let label = &text[start..end];
    memchr::memmem::find(label, b"PRIVATE KEY").map(|_| end)
}

/// The end of `-----BEGIN LABEL-----`.
fn label_end(text: &[u8], start: usize, opening: &[u8]) -> Option<usize> {
    text.get(start..)?.strip_prefix(opening)?;
    let label = start + opening.len();
    let end = run(text, label, 48, |byte| {
        byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' '
    });
    text.get(end..)?.starts_with(b"-----").then_some(end + 5)
}

/// Where the last line of the body ends, and where the run of bytes allowed in a body ends.
fn body_end(text: &[u8], from: usize) -> Option<(usize, usize)> {
    let mut at = from;
    let mut line = 0;
    let mut cut = from;
    let mut longest = 0;
    while at < text.len()
        && at - from < LONGEST
        && !text[at..].starts_with(b"--")
        && is_body(text[at])
    {
        line = if is_base64(text[at]) { line + 1 } else { 0 };
        at += 1;
        if line >= LAST_LINE {
            cut = at;
        }
        longest = longest.max(line);
    }
    (longest >= LINE).then_some((cut, at))
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

/// Whether a byte may be part of a body: base64, headers of older formats, and separators of lines.
fn is_body(byte: u8) -> bool {
    is_base64(byte)
        || byte.is_ascii_whitespace()
        || b"\\:,.\"'|>-()".contains(&byte)
        || !byte.is_ascii()
}

/// Whether a text ends with the head of a private key, so that its body is in the strings that
/// follow.
pub(super) fn opens(text: &[u8]) -> bool {
    let text = text.trim_ascii_end();
    let tail = text.len().saturating_sub(64);
    let start = memchr::memmem::rfind(&text[tail..], HEAD).map(|found| tail + found);
    start
        .and_then(|start| head(text, start))
        .is_some_and(|end| end == text.len())
}

/// Whether a text is a further line of a block that was opened before.
pub(super) fn continues(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    !text.is_empty() && text.iter().all(|byte| is_base64(*byte))
}
