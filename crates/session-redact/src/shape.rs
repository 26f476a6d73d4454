//! Detectors of secrets with an inner structure.

use super::scan::{Find, begins, is_word, run};

/// The longest part of a JSON web token.
const LONGEST: usize = 64 << 10;

/// The start of a JSON web token.
pub(super) const JWT: &[u8] = b"eyJ";

/// Finds three or more parts of base64 between dots, of which the first is a JSON object.
pub(super) fn jwt<'r>(text: &[u8], at: usize) -> Option<Find<'r>> {
    let inside = at
        .checked_sub(1)
        .is_some_and(|before| matches!(text[before], b'-' | b'_' | b'.'));
    if inside || !begins(text, at) {
        return None;
    }
    let mut end = run(text, at, LONGEST, is_word);
    let mut parts = 1;
    while text.get(end) == Some(&b'.') {
        let next = run(text, end + 1, LONGEST, is_word);
        // The second part of an encrypted token may be empty.
        if next - end <= 10 && parts != 1 {
            break;
        }
        (end, parts) = (next, parts + 1);
    }
    (parts >= 3 && end - at >= 40).then(|| Find::shape("jwt", at..end))
}

/// Finds the path after `hooks.slack.com/services/`.
pub(super) fn slack_webhook<'r>(text: &[u8], at: usize) -> Option<Find<'r>> {
    let host = at + "ooks.slack.com".len();
    let slash = |from| run(text, from, 2, |byte| matches!(byte, b'\\' | b'/'));
    let start = slash(host);
    let start = text
        .get(start..)?
        .starts_with(b"services")
        .then(|| slash(start + "services".len()))?;
    let end = run(text, start, 128, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'\\' | b'/')
    });
    let path = &text[start..end];
    let fits = path.len() >= 20 && path[0] == b'T' && path.split(|byte| *byte == b'/').count() == 3;
    fits.then(|| Find::shape("slack_webhook", start..end))
}
