//! High-entropy values assigned to a telling name: `password=…`, `"api_key": "…"`, `--token …`.

use std::ops::Range;

use super::entropy::{JUDGED, Trust, is_given, is_secret};
use super::scan::{Find, is_word, run};

/// The longest name, to either side of its anchor.
const NAME: usize = 48;
/// The most bytes between a name and its sign, and around a value: a quote in JSON nested four
/// levels deep is preceded by fifteen backslashes.
const QUOTES: usize = 40;
/// How far from a name in a list its value may begin.
const BESIDE: usize = 160;
/// The longest value.
const LONGEST: usize = 4096;

/// Ends of names that secrets are assigned to, in lower case, without `-` and `_`; the first match
/// counts.
const NAMES: &[(&str, &str, Trust)] = &[
    ("password", "password", Trust::Strong),
    ("passwd", "password", Trust::Strong),
    ("passphrase", "password", Trust::Strong),
    ("pwd", "password", Trust::Strong),
    ("secret", "secret", Trust::Strong),
    ("apikey", "api_key", Trust::Strong),
    ("secretkey", "secret_key", Trust::Strong),
    ("secretaccesskey", "secret_key", Trust::Strong),
    ("accesskey", "access_key", Trust::Strong),
    ("accountkey", "access_key", Trust::Strong),
    ("authkey", "access_key", Trust::Strong),
    ("signingkey", "secret_key", Trust::Strong),
    ("encryptionkey", "secret_key", Trust::Strong),
    ("masterkey", "secret_key", Trust::Strong),
    ("privatekey", "secret_key", Trust::Strong),
    ("clientkeydata", "private_key", Trust::Strong),
    ("servicerolekey", "secret_key", Trust::Strong),
    ("accesstoken", "token", Trust::Strong),
    ("authtoken", "token", Trust::Strong),
    ("refreshtoken", "token", Trust::Strong),
    ("apitoken", "token", Trust::Strong),
    ("bottoken", "token", Trust::Strong),
    ("privatetoken", "token", Trust::Strong),
    ("authorization", "token", Trust::Weak),
    ("token", "token", Trust::Weak),
    ("sig", "sas_signature", Trust::Weak),
];

/// Tokens that grant no access, such as positions in a list.
const HARMLESS: &[&str] = &[
    "nexttoken",
    "pagetoken",
    "continuationtoken",
    "synctoken",
    "cancellationtoken",
    "resumetoken",
];

/// What kind of secret a name indicates, and how strongly.
pub(super) fn classify(name: &[u8]) -> Option<(&'static str, Trust)> {
    let name = &name[name.len().saturating_sub(NAME)..];
    let mut plain = [0; NAME];
    let mut length = 0;
    for byte in name.iter().filter(|byte| !matches!(byte, b'-' | b'_')) {
        plain[length] = byte.to_ascii_lowercase();
        length += 1;
    }
    let mut plain = &plain[..length];
    while let Some((last, rest)) = plain.split_last().filter(|(last, _)| last.is_ascii_digit()) {
        let _ = last;
        plain = rest;
    }
    if HARMLESS.iter().any(|end| plain.ends_with(end.as_bytes())) {
        return None;
    }
    NAMES
        .iter()
        .find(|(end, ..)| plain.ends_with(end.as_bytes()))
        .map(|(_, kind, trust)| (*kind, *trust))
}

/// Classifies the name at the end of a JSON key such as `db.password`.
pub(super) fn classify_key(key: &[u8]) -> Option<(&'static str, Trust)> {
    let name = key.iter().rev().take_while(|byte| is_word(**byte)).count();
    classify(&key[key.len() - name..])
}

/// The whole name around an anchor.
pub(super) fn name_around(text: &[u8], at: usize) -> Range<usize> {
    let before = text[..at]
        .iter()
        .rev()
        .take(NAME)
        .take_while(|byte| is_word(**byte))
        .count();
    at - before..run(text, at, NAME, is_word)
}

/// The value assigned to the name around the anchor at `at`, if it is a secret.
pub(super) fn find<'r>(text: &[u8], at: usize) -> Option<Find<'r>> {
    let name = name_around(text, at);
    let (kind, trust) = classify(&text[name.clone()])?;
    if let Some(value) = netrc(text, &name).filter(|value| is_given(&text[value.clone()])) {
        return Some(Find::context(kind, value));
    }
    let value = value_after(text, &name)?;
    is_secret(&text[value.clone()], trust)
        .then(|| Find::context(kind, value.start..whole(text, &value)))
}

/// The end of a value of which only the beginning was checked.
fn whole(text: &[u8], judged: &Range<usize>) -> usize {
    if judged.len() < JUDGED {
        return judged.end;
    }
    let quoted = judged
        .start
        .checked_sub(1)
        .is_some_and(|before| is_quote(text[before]));
    run(
        text,
        judged.start,
        LONGEST,
        if quoted { is_quoted } else { is_bare },
    )
}

/// The value of a name, as far as it is checked. After `name: type =` it begins after the second
/// sign.
pub(super) fn value_after(text: &[u8], name: &Range<usize>) -> Option<Range<usize>> {
    assigned(text, name).or_else(|| listed(text, name))
}

/// Whether the name is itself a value: `"name": "DB_PASSWORD"`.
pub(super) fn is_listed(text: &[u8], name: &Range<usize>) -> bool {
    let between = |byte: &&u8| is_quote(**byte) || **byte == b' ';
    let skipped =
        |text: &[u8]| text.len() - text.iter().rev().take(QUOTES).take_while(between).count();
    let before = &text[..skipped(&text[..name.start])];
    let Some((b':' | b'=', before)) = before.split_last() else {
        return false;
    };
    let before = &before[..skipped(before)];
    let word = before
        .iter()
        .rev()
        .take(NAME)
        .take_while(|byte| is_word(**byte))
        .count();
    is_name_field(&before[before.len() - word..])
}

/// Whether a field of this name contains the name of a value that is in another field.
pub(super) fn is_name_field(field: &[u8]) -> bool {
    [&b"name"[..], b"key", b"parameterkey"]
        .iter()
        .any(|name| field.eq_ignore_ascii_case(name))
}

/// Whether a field of this name contains a value whose name is in another field.
pub(super) fn is_value_field(field: &[u8]) -> bool {
    [&b"value"[..], b"parametervalue"]
        .iter()
        .any(|name| field.eq_ignore_ascii_case(name))
}

/// The value of a name in a list of pairs: `- name: DB_PASSWORD`, and `value: …` in the next line.
fn listed(text: &[u8], name: &Range<usize>) -> Option<Range<usize>> {
    if !is_listed(text, name) {
        return None;
    }
    let end = (name.end + BESIDE).min(text.len());
    let beside = &text[name.end..end];
    let beside = &beside[..memchr::memchr(b'}', beside).unwrap_or(beside.len())];
    let field = memchr::memmem::find_iter(beside, b"alue").find_map(|found| {
        let field = name_around(text, name.end + found);
        // After an escaped line break the name begins with the escape's letter.
        let break_ = text[field.clone()].starts_with(b"n") && text[..field.start].ends_with(b"\\");
        let field = field.start + usize::from(break_)..field.end;
        is_value_field(&text[field.clone()]).then_some(field)
    })?;
    assigned(text, &field)
}

/// The value after a name without a sign, as in `machine example.com login user password …`.
pub(super) fn netrc(text: &[u8], name: &Range<usize>) -> Option<Range<usize>> {
    // In JSON within JSON the first word of a line directly follows `\n`.
    let line_break =
        usize::from(text[name.clone()].starts_with(b"n") && text[..name.start].ends_with(b"\\"));
    let before = &text[..name.start - line_break];
    if &text[name.start + line_break..name.end] != b"password"
        || !text.get(name.end)?.is_ascii_whitespace()
    {
        return None;
    }
    let before = &before[before.len().saturating_sub(BESIDE)..];
    let mut words = before
        .rsplit(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    let _user = words.next()?;
    let word = words.next();
    let known = word.is_some_and(|word| word.ends_with(b"login") || word.ends_with(b"machine"));
    let host = words.next();
    let password = value_at(text, name.end);
    // "machine learning login page password reset" is prose.
    let is_host =
        host.is_none_or(|host| !host.iter().all(u8::is_ascii_alphabetic) || host == b"localhost");
    let is_plain = text[password.clone()].iter().all(u8::is_ascii_alphabetic);
    (known && (is_host || !is_plain)).then_some(password)
}

/// The value after a name and a sign.
fn assigned(text: &[u8], name: &Range<usize>) -> Option<Range<usize>> {
    let sign = run(text, name.end, QUOTES, |byte| {
        matches!(byte, b'"' | b'\'' | b'\\' | b'`' | b']' | b')') || byte.is_ascii_whitespace()
    });
    let mut from = match run(text, sign, 3, |byte| matches!(byte, b':' | b'=' | b'>')) {
        after if after > sign => after,
        _ if !text[name.clone()].starts_with(b"--") => return None,
        _ if text.get(name.end) == Some(&b' ') => name.end + 1,
        // The next word of an array: `"--password", "…"`.
        _ if sign > name.end && text.get(sign) == Some(&b',') => sign + 1,
        _ => return None,
    };
    for _ in 0..2 {
        let value = value_at(text, from);
        let next = run(text, value.end, 4, |byte| byte == b' ');
        if text.get(next) != Some(&b'=') || text.get(value.end) == Some(&b'=') {
            return Some(scheme_skipped(text, value));
        }
        from = next + 1;
    }
    None
}

/// Skips the scheme in `Authorization: token …`, which is not part of the value.
fn scheme_skipped(text: &[u8], value: Range<usize>) -> Range<usize> {
    let scheme =
        [&b"token"[..], b"Token", b"ApiKey", b"apikey", b"Key"].contains(&&text[value.clone()]);
    if scheme && text.get(value.end) == Some(&b' ') {
        value_at(text, value.end + 1)
    } else {
        value
    }
}

/// The value that begins after white space and quotes.
fn value_at(text: &[u8], from: usize) -> Range<usize> {
    let blank = run(text, from, 16, |byte| byte.is_ascii_whitespace());
    let prefix = usize::from(
        matches!(text.get(blank), Some(b'b' | b'f' | b'r' | b'u'))
            && matches!(text.get(blank + 1), Some(b'"' | b'\'')),
    );
    let start = run(text, blank + prefix, QUOTES, is_quote);
    let quoted = start > blank + prefix;
    let end = run(
        text,
        start,
        JUDGED,
        if quoted { is_quoted } else { is_bare },
    );
    let trailing = if quoted {
        0
    } else {
        text[start..end]
            .iter()
            .rev()
            .take_while(|b| matches!(b, b'.' | b':'))
            .count()
    };
    start..end - trailing
}

pub(super) fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`' | b'\\')
}

fn is_quoted(byte: u8) -> bool {
    !is_quote(byte) && !byte.is_ascii_whitespace()
}

fn is_bare(byte: u8) -> bool {
    is_quoted(byte)
        && !matches!(
            byte,
            b',' | b';' | b'&' | b')' | b']' | b'}' | b'<' | b'>' | b'|'
        )
}
