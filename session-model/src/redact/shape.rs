//! Secrets with an inner shape of their own.

use super::anchors::Shape;
use super::entropy::is_drawn;
use super::scan::{Find, begins, is_word, run};

/// The longest part of a web token that is taken.
const LONGEST: usize = 64 << 10;

/// The secret of this shape whose anchor stands at `at`.
pub(super) fn find<'r>(text: &[u8], at: usize, shape: Shape) -> Option<Find<'r>> {
    match shape {
        Shape::Jwt => jwt(text, at),
        Shape::SendGrid => sendgrid(text, at),
        Shape::Slack => slack(text, at),
        Shape::SlackWebhook => slack_webhook(text, at),
        Shape::Azure => azure(text, at),
        Shape::Telegram => telegram(text, at),
    }
}

/// Three parts or more of base64 between dots, the first a JSON object.
fn jwt<'r>(text: &[u8], at: usize) -> Option<Find<'r>> {
    let inside = at.checked_sub(1).is_some_and(|before| matches!(text[before], b'-' | b'_' | b'.'));
    if inside || !begins(text, at) {
        return None;
    }
    let mut end = run(text, at, LONGEST, is_word);
    let mut parts = 1;
    while text.get(end) == Some(&b'.') {
        let next = run(text, end + 1, LONGEST, is_word);
        // The second part of an encrypted one may be empty.
        if next - end <= 10 && parts != 1 {
            break;
        }
        (end, parts) = (next, parts + 1);
    }
    (parts >= 3 && end - at >= 40).then(|| Find::shape("jwt", at..end))
}

/// `SG.<22>.<43>`
fn sendgrid<'r>(text: &[u8], at: usize) -> Option<Find<'r>> {
    let first = run(text, at + 3, 65, is_word);
    if !begins(text, at) || !(16..=64).contains(&(first - at - 3)) || text.get(first) != Some(&b'.') {
        return None;
    }
    let end = run(text, first + 1, 128, is_word);
    (end - first > 16 && is_drawn(&text[first + 1..end])).then(|| Find::shape("sendgrid_key", at..end))
}

/// `xoxb-…`, `xoxp-…` and their siblings.
fn slack<'r>(text: &[u8], at: usize) -> Option<Find<'r>> {
    let kind = text.get(at + 3).is_some_and(|byte| b"abeoprsc".contains(byte));
    if !kind || text.get(at + 4) != Some(&b'-') || !begins(text, at) {
        return None;
    }
    let end = run(text, at + 5, 512, |byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (end - at >= 20 && is_drawn(&text[at + 5..end])).then(|| Find::shape("slack_token", at..end))
}

/// The path behind `hooks.slack.com/services/`.
fn slack_webhook<'r>(text: &[u8], at: usize) -> Option<Find<'r>> {
    let host = at + "ooks.slack.com".len();
    let slash = |from| run(text, from, 2, |byte| matches!(byte, b'\\' | b'/'));
    let start = slash(host);
    let start = text.get(start..)?.starts_with(b"services").then(|| slash(start + "services".len()))?;
    let end = run(text, start, 128, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'\\' | b'/'));
    let path = &text[start..end];
    let fits = path.len() >= 20 && path[0] == b'T' && path.split(|byte| *byte == b'/').count() == 3;
    fits.then(|| Find::shape("slack_webhook", start..end))
}

/// Three characters, a digit, `Q~`, and some thirty more.
fn azure<'r>(text: &[u8], at: usize) -> Option<Find<'r>> {
    let is = |byte: u8| is_word(byte) || matches!(byte, b'.' | b'~');
    let start = at.checked_sub(3)?;
    let end = run(text, at + 3, 64, is);
    let fits = text[start..at].iter().all(|byte| is(*byte))
        && begins(text, start)
        && (31..=34).contains(&(end - at - 3));
    (fits && is_drawn(&text[start..end])).then(|| Find::shape("azure_client_secret", start..end))
}

/// `<8 to 10 digits>:AA<33>`
fn telegram<'r>(text: &[u8], at: usize) -> Option<Find<'r>> {
    let digits = text[..at].iter().rev().take(11).take_while(|byte| byte.is_ascii_digit()).count();
    let end = run(text, at + 1, 40, is_word);
    let fits = (8..=10).contains(&digits) && (35..=36).contains(&(end - at - 1)) && begins(text, at - digits);
    fits.then(|| Find::shape("telegram_token", at - digits..end))
}
