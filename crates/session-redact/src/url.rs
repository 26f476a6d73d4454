//! Passwords in URLs: `scheme://user:password@host`.

use super::entropy::{Trust, is_secret};
use super::scan::{Find, run};
use super::webhook;

const KIND: &str = "url_password";
/// The longest part before the host.
const LONGEST: usize = 512;

/// Finds the password of the URL whose `://` is at `at`; in JSON within JSON that may be `:\/\/`.
pub(super) fn find<'r>(text: &[u8], at: usize) -> Option<Find<'r>> {
    let start = at
        + if text[at..].starts_with(b":\\/\\/") {
            5
        } else {
            3
        };
    if let Some(find) = webhook::find(text, start) {
        return Some(find);
    }
    let end = run(text, start, LONGEST, is_userinfo);
    let host = start + memchr::memrchr(b'@', text.get(start..end)?)?;
    let scheme = at
        .checked_sub(1)
        .is_some_and(|before| text[before].is_ascii_alphanumeric());
    if !scheme
        || !text
            .get(host + 1)
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'[')
    {
        return None;
    }
    match memchr::memchr(b':', &text[start..host]) {
        Some(colon) if is_password(&text[start + colon + 1..host]) => {
            Some(Find::context(KIND, start + colon + 1..host))
        }
        None if is_secret(&text[start..host], Trust::Weak) => {
            Some(Find::context(KIND, start..host))
        }
        Some(_) | None => None,
    }
}

/// Whether a byte may be part of the user information or of the host.
pub(super) fn is_userinfo(byte: u8) -> bool {
    !byte.is_ascii_whitespace()
        && !matches!(byte, b'/' | b'?' | b'"' | b'<' | b'>' | b'`' | b'\\' | b'#')
}

/// Whether a text is a password and not a stand-in for one.
fn is_password(text: &[u8]) -> bool {
    let first = text.first().copied().unwrap_or_default();
    let holds_place = matches!(first, b'$' | b'{' | b'[' | b'<' | b'%' | b'*' | b'\'')
        || text.iter().all(|byte| matches!(byte, b'x' | b'X' | b'.'));
    !text.is_empty()
        && (!holds_place || first == b'%' && text.get(1).is_some_and(u8::is_ascii_hexdigit))
}
