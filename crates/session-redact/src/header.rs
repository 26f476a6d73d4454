//! Credentials after `Bearer` and `Basic`.

use super::entropy::is_drawn;
use super::scan::{Find, begins, is_base64, run};

/// Finds the credentials after a scheme. The anchor, `length` bytes at `at`, is the scheme without
/// its first letter.
pub(super) fn find<'r>(text: &[u8], at: usize, length: usize) -> Option<Find<'r>> {
    let scheme = at.checked_sub(1)?;
    if !matches!(text[scheme], b'B' | b'b') || !begins(text, scheme) {
        return None;
    }
    let start = run(text, at + length, 4, |byte| {
        matches!(byte, b' ' | b'"' | b'\'' | b'\\')
    });
    if text[at..].starts_with(b"asic") {
        basic(text, start)
    } else {
        bearer(text, start)
    }
}

fn bearer<'r>(text: &[u8], start: usize) -> Option<Find<'r>> {
    let is = |byte: u8| is_base64(byte) || matches!(byte, b'.' | b'~');
    if run(text, start, 12, is) - start < 12 || !is_drawn(&text[start..run(text, start, 128, is)]) {
        return None;
    }
    let end = run(text, start, 16 << 10, is);
    let dots = text[start..end]
        .iter()
        .rev()
        .take_while(|byte| **byte == b'.')
        .count();
    Some(Find::context("bearer_token", start..end - dots))
}

/// Finds base64 of `user:password`.
fn basic<'r>(text: &[u8], start: usize) -> Option<Find<'r>> {
    let end = run(text, start, 1024, is_base64);
    let decoded = decode(&text[start..end.min(start + 256)]);
    let text_and_colon = decoded.len() >= 4
        && decoded.contains(&b':')
        && decoded.iter().all(|byte| !byte.is_ascii_control());
    (end - start >= 8 && text_and_colon).then(|| Find::context("basic_auth", start..end))
}

/// Decodes base64 up to the last whole byte.
pub(super) fn decode(text: &[u8]) -> Vec<u8> {
    let value = |byte: &u8| match byte {
        b'A'..=b'Z' => Some(u32::from(byte - b'A')),
        b'a'..=b'z' => Some(u32::from(byte - b'a') + 26),
        b'0'..=b'9' => Some(u32::from(byte - b'0') + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    };
    let mut decoded = Vec::with_capacity(text.len() * 3 / 4);
    let mut bits = 0_u32;
    let mut count = 0;
    for value in text.iter().map_while(value) {
        bits = bits << 6 | value;
        count += 6;
        if count >= 8 {
            count -= 8;
            decoded.push((bits >> count) as u8);
        }
    }
    decoded
}
