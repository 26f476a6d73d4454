//! Checks the few bytes around an anchor in the raw document, including escapes.
//!
//! The checks are lenient: they never reject anything that the detectors would find in the
//! unescaped text. A rejected anchor saves a walk of the document, and most names, words and URLs
//! in ordinary records are rejected.

use std::ops::Range;

use super::anchors::{Anchor, Sign};
use super::command::{COMMANDS, Seen};
use super::literals::Anchors;
use super::plain::{Plain, unseen};
use super::scan::{is_base64, run};
use super::url::is_userinfo;
use super::{assignment, cookie, providers, table, webhook};

/// How many bytes of a secret must follow its anchor.
const FOLLOWS: usize = 8;
/// How far back an escape may begin that ends where a word seems to continue.
const ESCAPE: usize = 16;

/// Finds signs of secrets in a raw document or a batch of documents, one after the other. Nothing
/// is searched twice.
pub(super) struct Probe<'r> {
    raw: &'r [u8],
    anchors: Anchors<'r>,
    /// The search state for each program's options.
    seen: [Seen; COMMANDS.len()],
    /// Whether there may be a placeholder before the last sign found.
    pub(super) marked: bool,
}

impl<'r> Probe<'r> {
    pub(super) fn of(raw: &'r [u8]) -> Self {
        Self {
            raw,
            anchors: Anchors::of(raw),
            seen: [Seen::default(); COMMANDS.len()],
            marked: false,
        }
    }

    /// The first sign at or after `from`, except for provider tokens. `from` must never decrease.
    pub(super) fn next(&mut self, from: usize) -> Option<usize> {
        let mut at = from;
        while let Some(anchor) = self.anchors.next(at) {
            if is_plausible(self.raw, anchor, &mut self.seen) {
                return Some(anchor.at);
            }
            self.marked |= matches!(anchor.sign, Sign::Tag | Sign::Escape);
            at = anchor.at + 1;
        }
        None
    }
}

fn is_plausible(raw: &[u8], anchor: Anchor, seen: &mut [Seen]) -> bool {
    let Anchor { at, length, sign } = anchor;
    let after = at + length;
    match sign {
        Sign::Token(number) => {
            providers::find_anchored(raw, at, number).is_some()
                || raw[after..raw.len().min(after + FOLLOWS)].contains(&b'\\')
                    && goes_on(raw, after)
        }
        Sign::Pem | Sign::Pem64 | Sign::SlackWebhook => true,
        Sign::Url => has_user(raw, after) || webhook::may_begin(raw, after),
        Sign::Header => goes_on(
            raw,
            run(raw, after, 8, |b| matches!(b, b' ' | b'"' | b'\'' | b'\\')),
        ),
        Sign::Name => is_assigned(raw, at),
        Sign::Cookie => {
            let name = assignment::name_around(raw, at);
            cookie::is_name(&raw[name.clone()])
                && (cookie::begins(raw, name.end).is_some() || assignment::is_listed(raw, &name))
        }
        Sign::Command(number) => COMMANDS[number].may_begin(raw, at, &mut seen[number]),
        Sign::Escape => match raw.get(after) {
            Some(b'2'..=b'7') => true,
            Some(b'1' | b'a' | b'A') => is_within(raw, at, ESCAPED),
            _ => false,
        },
        Sign::Hidden => is_within(raw, at, if raw[at] == b'\\' { ESCAPED } else { length }),
        Sign::Tag => false,
    }
}

/// The length of an escaped character.
const ESCAPED: usize = 6;
/// How many bytes of a token before and after a colour code in its middle are enough.
const AROUND: usize = 12;
/// How many hidden sequences in a row are skipped.
const TOGETHER: usize = 16;

/// Whether the hidden sequence of this length at `at` is in the middle of what could be a token.
fn is_within(raw: &[u8], at: usize, length: usize) -> bool {
    let is = |byte: u8| is_base64(byte) || matches!(byte, b'.' | b'~');
    let slashes = raw[..at]
        .iter()
        .rev()
        .take(AROUND)
        .take_while(|byte| **byte == b'\\')
        .count();
    let before = raw[..at - slashes]
        .iter()
        .rev()
        .take(AROUND)
        .take_while(|byte| is(**byte))
        .count();
    let escape = &raw[at..raw.len().min(at + length)];
    let is_code = is_terminal(escape);
    if before == 0 || !is_code && !is_unseen(escape) {
        return false;
    }
    let mut after = at;
    for _ in 0..TOGETHER {
        match hidden_end(raw, after) {
            Some(end) => after = end,
            None => break,
        }
    }
    let behind = run(raw, after, AROUND, is) - after;
    behind > 0 && (!is_code || before + behind >= AROUND)
}

/// Whether an escape is the escape character of a terminal, `\u001b`.
fn is_terminal(escape: &[u8]) -> bool {
    escape.starts_with(b"\\u00") && (escape.ends_with(b"1b") || escape.ends_with(b"1B"))
}

/// Whether an escape, or an unescaped character, is a zero-width character.
fn is_unseen(escape: &[u8]) -> bool {
    Plain::of(escape).is_some_and(|plain| plain.text.is_empty())
}

/// The end of the hidden sequence at `at`, if there is one, however often it is escaped.
fn hidden_end(raw: &[u8], at: usize) -> Option<usize> {
    if let Some(length) = unseen(raw.get(at..)?) {
        return Some(at + length);
    }
    let escape = run(raw, at, AROUND, |byte| byte == b'\\')
        .checked_sub(1)
        .filter(|last| *last >= at)?;
    let end = escape + ESCAPED;
    let written = raw.get(escape..end)?;
    if is_terminal(written) {
        let code = run(raw, end, 32, |byte| matches!(byte, 0x20..=0x3f | b'['));
        return Some((code + 1).min(raw.len()));
    }
    is_unseen(written).then_some(end)
}

/// Whether enough bytes follow that secrets are made of.
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
    let has_escape = |from| {
        behind(from)
            .windows(2)
            .any(|two| two[0] == b'\\' && b"tnru/".contains(&two[1]))
    };
    let has_value = |value: Range<usize>| value.len() >= FOLLOWS || has_escape(value.start);
    assignment::classify(&raw[name.clone()]).is_some()
        && (assignment::is_listed(raw, &name)
            || assignment::netrc(raw, &name).is_some()
            || table::is_cell(raw, &name)
            || assignment::value_after(raw, &name).is_some_and(has_value)
            || has_escape(name.end))
}
