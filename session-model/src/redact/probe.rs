//! The few bytes around an anchor, judged as they stand in the raw document, escapes and all.
//!
//! Lenient: what the detectors would find in the unescaped text is never turned away here; what is turned away costs
//! no walk. Names, words and addresses in ordinary records mostly are.

use std::ops::Range;

use super::anchors::{self, Shape, Sign};
use super::assignment;
use super::scan::run;
use super::url::is_userinfo;

/// How much of a secret has to follow its anchor.
const FOLLOWS: usize = 8;
/// How far back an escape may stand that ends where a word seems to go on.
const ESCAPE: usize = 12;

/// What a raw document shows.
pub(super) struct Probed {
    /// Where the first sign of a secret is.
    pub(super) at: Option<usize>,
    /// Whether there may be a tag before it.
    pub(super) marked: bool,
}

/// Looks from `from` on.
pub(super) fn probe(raw: &[u8], from: usize) -> Probed {
    let (mut at, mut marked) = (from, false);
    while let Some((found, literal, sign)) = anchors::next(raw, at) {
        if is_plausible(raw, found, literal, sign) {
            return Probed { at: Some(found), marked };
        }
        marked |= matches!(sign, Sign::Tag | Sign::Escape);
        at = found + 1;
    }
    Probed { at: None, marked }
}

fn is_plausible(raw: &[u8], at: usize, literal: &str, sign: Sign) -> bool {
    let after = at + literal.len();
    match sign {
        Sign::Shape(Shape::Slack) => may_begin(raw, at, literal) && raw.get(after + 1) == Some(&b'-'),
        Sign::Token | Sign::Shape(Shape::Jwt | Shape::SendGrid) => {
            may_begin(raw, at, literal) && goes_on(raw, after)
        }
        Sign::Shape(Shape::Telegram) => {
            at.checked_sub(1).is_some_and(|before| raw[before].is_ascii_digit()) && goes_on(raw, after)
        }
        Sign::Shape(Shape::Azure) => goes_on(raw, after),
        Sign::Pem | Sign::Shape(Shape::SlackWebhook) => true,
        Sign::Url => has_user(raw, after),
        Sign::Header => goes_on(raw, run(raw, after, 8, |b| matches!(b, b' ' | b'"' | b'\'' | b'\\'))),
        Sign::Name => is_assigned(raw, at),
        Sign::Escape => raw.get(after).is_some_and(|digit| (b'2'..=b'7').contains(digit)),
        Sign::Tag => false,
    }
}

/// Not in the middle of a word, unless an escape or the rest of a longer prefix may end here.
fn may_begin(raw: &[u8], at: usize, literal: &str) -> bool {
    let Some(before) = at.checked_sub(1) else { return true };
    let in_prefix = matches!(literal, "k_live_" | "k_test_" | "_pat_");
    in_prefix
        || !raw[before].is_ascii_alphanumeric()
        || raw[at.saturating_sub(ESCAPE)..at].iter().any(|byte| matches!(byte, b'\\' | b'%' | b'['))
}

/// Enough follows of what secrets are made of.
fn goes_on(raw: &[u8], from: usize) -> bool {
    let is = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+/=~\\".contains(&byte);
    run(raw, from, FOLLOWS, is) - from == FOLLOWS
}

fn has_user(raw: &[u8], from: usize) -> bool {
    let from = run(raw, from, 3, |byte| matches!(byte, b'\\' | b'/'));
    let end = run(raw, from, 1024, |byte| is_userinfo(byte) || byte == b'\\');
    memchr::memchr(b'@', &raw[from..end]).is_some()
}

fn is_assigned(raw: &[u8], at: usize) -> bool {
    let name = assignment::name_around(raw, at);
    let behind = |from: usize| &raw[from.min(raw.len())..(from + ESCAPE).min(raw.len())];
    let has_escape = |from| behind(from).windows(2).any(|two| two[0] == b'\\' && b"tnr/".contains(&two[1]));
    let has_value = |value: Range<usize>| value.len() >= FOLLOWS || has_escape(value.start);
    assignment::classify(&raw[name.clone()]).is_some()
        && (assignment::value_after(raw, &name).is_some_and(has_value) || has_escape(name.end))
}
