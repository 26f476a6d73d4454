//! Redaction of a text that arrives in pieces and is too long to be held at once.
//!
//! A stream holds a window of the text. When the window is full, its beginning is redacted, passed
//! on and dropped. The window is cut at the end of a line, and only where redacting the two parts
//! gives the same as redacting the window: no secret, no block of a key and no command that the
//! detectors see spans such a cut. After the cut there is more text in the window than any detector
//! but one looks at. The exception is a table, whose header tells what its rows mean, however many
//! they are: the header of the table that is cut is redacted together with the rest of the window.
//!
//! If a window of [`Size::most`] has no such cut, as when a line is that long, it is cut at the
//! last of the places that were tried.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::Redactor;
use super::table;
use session_model::placeholder;

/// How many bytes a stream holds.
#[derive(Clone, Copy, Debug)]
struct Size {
    /// The window from which it is cut.
    full: usize,
    /// The bytes that stay behind a cut.
    ahead: usize,
    /// The largest window.
    most: usize,
}

const SIZE: Size = Size {
    full: 256 << 10,
    // More than the longest block of a key.
    ahead: 96 << 10,
    most: 2 << 20,
};
/// How many cuts of a window are tried.
const CUTS: usize = 6;

/// A text that is redacted while it arrives.
#[derive(Debug)]
pub struct TextStream {
    size: Size,
    /// The text that is not passed on yet.
    window: Vec<u8>,
    /// The length of the window from which a cut is tried again.
    due: usize,
    /// The header of the table in which the window begins.
    header: Vec<u8>,
    /// Whether the text is one JSON document, if the window holds all of it.
    is_json: bool,
    begun: bool,
    replaced: u64,
}

impl TextStream {
    /// Creates a stream. `is_json`: a text that the window holds as a whole is redacted as a JSON
    /// document.
    pub fn new(is_json: bool) -> Self {
        Self::of_size(SIZE, is_json)
    }

    fn of_size(size: Size, is_json: bool) -> Self {
        Self {
            size,
            window: Vec::new(),
            due: size.full,
            header: Vec::new(),
            is_json,
            begun: false,
            replaced: 0,
        }
    }

    /// Takes the next piece, and appends to `out` what is redacted of the text by then.
    pub fn push(&mut self, redactor: &Redactor, piece: &[u8], out: &mut Vec<u8>) {
        for part in piece.chunks(self.size.full) {
            self.window.extend_from_slice(part);
            while self.window.len() >= self.due {
                self.advance(redactor, out);
            }
        }
    }

    /// Appends the rest of the text to `out`; returns how many secrets were replaced in all.
    pub fn finish(mut self, redactor: &Redactor, out: &mut Vec<u8>) -> u64 {
        let rest = std::mem::take(&mut self.window);
        if self.is_json && !self.begun && is_document(&rest) {
            let clean = redactor.json(&rest).redacted;
            self.emit(&rest, clean.as_deref().unwrap_or(&rest), out);
        } else {
            let clean = behind(redactor, &self.header, &rest);
            self.emit(&rest, &clean, out);
        }
        self.replaced
    }

    fn advance(&mut self, redactor: &Redactor, out: &mut Vec<u8>) {
        let window = std::mem::take(&mut self.window);
        let found = find_cut(redactor, &self.header, &window, self.size);
        let (Found::Cut(cut) | Found::Last(cut)) = found;
        if matches!(found, Found::Last(_)) && window.len() < self.size.most {
            self.due = (window.len() * 2).min(self.size.most);
            self.window = window;
            return;
        }
        let clean = behind(redactor, &self.header, &window[..cut]);
        self.emit(&window[..cut], &clean, out);
        self.header = header_at(&self.header, &window[..cut]);
        self.window = window[cut..].to_vec();
        self.due = self.size.full.max(self.window.len() + 1);
    }

    fn emit(&mut self, raw: &[u8], clean: &[u8], out: &mut Vec<u8>) {
        self.begun = true;
        let before = placeholder::count(raw);
        self.replaced += placeholder::count(clean).saturating_sub(before);
        out.extend_from_slice(clean);
    }
}

/// Whether the text is one valid JSON document. Anything else is redacted as text, whatever its
/// sender calls it: several documents, one with a comment or with a byte that is not UTF-8.
fn is_document(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| serde_json::from_str::<&RawValue>(text).is_ok())
}

/// Where a window may be cut.
enum Found {
    /// Here: the two parts do not depend on each other.
    Cut(usize),
    /// Nowhere; the last place that was tried.
    Last(usize),
}

fn find_cut(redactor: &Redactor, header: &[u8], window: &[u8], size: Size) -> Found {
    let whole = behind(redactor, header, window);
    let highest = window.len() - size.ahead;
    let mut last = None;
    let mut below = highest;
    for _ in 0..CUTS {
        let Some(cut) = line_end(&window[..below]) else {
            break;
        };
        let is_clean = matches!(whole, Cow::Borrowed(_));
        if is_clean || is_independent(redactor, header, window, cut, &whole) {
            return Found::Cut(cut);
        }
        last = last.or(Some(cut));
        // The cuts that are tried next are spread over what is left.
        below = cut - cut.div_ceil(CUTS);
    }
    Found::Last(last.unwrap_or_else(|| character_end(window, highest)))
}

/// Returns the end of the last line, newline included.
fn line_end(text: &[u8]) -> Option<usize> {
    memchr::memrchr(b'\n', text).map(|at| at + 1)
}

/// Returns the end of the last whole character at or before `at`.
fn character_end(text: &[u8], at: usize) -> usize {
    let is_inner = |byte: &u8| byte & 0xc0 == 0x80;
    let inner = text[at.saturating_sub(3)..=at]
        .iter()
        .rev()
        .take_while(|byte| is_inner(byte))
        .count();
    (at - inner.min(3)).max(1)
}

fn is_independent(
    redactor: &Redactor,
    header: &[u8],
    window: &[u8],
    cut: usize,
    whole: &[u8],
) -> bool {
    let (left, right) = window.split_at(cut);
    let left_clean = behind(redactor, header, left);
    let Some(rest) = whole.strip_prefix(&*left_clean) else {
        return false;
    };
    *rest == *behind(redactor, &header_at(header, left), right)
}

/// Redacts a text that follows the header of a table.
fn behind<'t>(redactor: &Redactor, header: &[u8], text: &'t [u8]) -> Cow<'t, [u8]> {
    if header.is_empty() {
        return redacted(redactor, text);
    }
    let both = [header, text].concat();
    let clean = redacted(redactor, &both);
    match clean.strip_prefix(header) {
        Some(rest) if rest == text => Cow::Borrowed(text),
        Some(rest) => Cow::Owned(rest.to_vec()),
        None => redacted(redactor, text),
    }
}

/// Returns the header of the table to which the next line of a text belongs.
fn header_at(header: &[u8], text: &[u8]) -> Vec<u8> {
    let both = [header, text].concat();
    table::open_header(&both)
        .filter(|found| found.len() <= SIZE.ahead)
        .map_or_else(Vec::new, |found| both[found].to_vec())
}

/// Redacts a text; bytes that are no UTF-8 stay, and separate what is around them.
fn redacted<'t>(redactor: &Redactor, text: &'t [u8]) -> Cow<'t, [u8]> {
    if let Ok(text) = std::str::from_utf8(text) {
        return match redactor.text(text) {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(clean) => Cow::Owned(clean.into_bytes()),
        };
    }
    let mut out = Vec::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        out.extend_from_slice(redactor.text(chunk.valid()).as_bytes());
        out.extend_from_slice(chunk.invalid());
    }
    if out == text {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(out)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Key;

    const SMALL: Size = Size {
        full: 6 << 10,
        ahead: 3 << 10,
        most: 24 << 10,
    };

    fn redactor() -> Redactor {
        Redactor::new(Key::new([7; 16]))
    }

    fn streamed(size: Size, text: &[u8], pieces: &[usize]) -> (Vec<u8>, u64) {
        let redactor = redactor();
        let mut stream = TextStream::of_size(size, false);
        let mut out = Vec::new();
        let mut rest = text;
        for piece in pieces.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, left) = rest.split_at((*piece).clamp(1, rest.len()));
            stream.push(&redactor, piece, &mut out);
            rest = left;
        }
        let replaced = stream.finish(&redactor, &mut out);
        (out, replaced)
    }

    #[test]
    fn what_is_called_json_and_is_none_is_redacted_as_text() {
        let secret = "ghp_a1B2c3D4a1B2c3D4a1B2c3D4a1B2c3D4a1B2";
        let texts: [&[u8]; 7] = [
            b"hello SECRET x",
            b"{\"a\":\"\xff\"}\n{\"b\":\"SECRET\"}",
            b"don\"t\n{\"b\":\"SECRET\"}\n{\"c\":1}",
            b"{\"a\":1} // SECRET",
            b"{a:'SECRET'}",
            b"{\"a\":\"SECRET\"}\nat 12:00 SECRET\n",
            b"{\"a\":[\"SECRET\"]}",
        ];
        for text in texts {
            let parts: Vec<&[u8]> = text.split(|byte| *byte == b'S').collect();
            let mut whole = Vec::new();
            for (at, part) in parts.into_iter().enumerate() {
                if at > 0 {
                    whole.extend_from_slice(secret.as_bytes());
                    whole.extend_from_slice(part.strip_prefix(b"ECRET").unwrap());
                } else {
                    whole.extend_from_slice(part);
                }
            }
            let redactor = redactor();
            let mut stream = TextStream::new(true);
            let mut out = Vec::new();
            stream.push(&redactor, &whole, &mut out);
            let replaced = stream.finish(&redactor, &mut out);
            let found = memchr::memmem::find(&out, secret.as_bytes());
            assert_eq!(found, None, "{}", String::from_utf8_lossy(&out));
            assert!(replaced > 0);
        }
    }

    fn key_block(lines: usize) -> String {
        let line = "MIIEpAIBAAKCAQEA7bq0xk3Tn8v9wqLmZr5yFh2Jd6Gs4Pc1Xe0Ua9Bi8Ov7NtQw";
        let body = format!("{line}\n").repeat(lines);
        format!("-----BEGIN RSA PRIVATE KEY-----\n{body}-----END RSA PRIVATE KEY-----\n")
    }

    fn table(rows: usize) -> String {
        let row = |n| format!("| user{n} | xK9{n:04}qLm7Vz2Rt |\n");
        let rows: String = (0..rows).map(row).collect();
        format!("| name | password |\n|------|----------|\n{rows}\n")
    }

    fn piece_of_text() -> impl Strategy<Value = String> {
        prop_oneof![
            6 => "[a-z ü]{0,120}\n",
            2 => Just("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYzQ8p1LkS0d\n".to_owned()),
            2 => Just("token ghp_16C7e42F292c6912E7710c838347Ae178B4a and more\n".to_owned()),
            1 => Just("curl -u admin:hV7#kq9Zt2Lp https://example.com/x\n".to_owned()),
            1 => Just("machine example.com\nlogin me\npassword 8fK2nQ9xLw4z\n".to_owned()),
            1 => (3_usize..30).prop_map(key_block),
            1 => (1_usize..200).prop_map(table),
            1 => Just("\"password\": \"t0pS3cr3tV4lue9x\", \\n\n".to_owned()),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn a_stream_is_redacted_like_the_whole_text_however_it_is_cut(
            parts in proptest::collection::vec(piece_of_text(), 1..150),
            pieces in proptest::collection::vec(1_usize..5000, 1..6),
        ) {
            let text = parts.concat();
            let whole = redactor().text(&text).into_owned();
            let (out, replaced) = streamed(SMALL, text.as_bytes(), &pieces);
            prop_assert_eq!(String::from_utf8_lossy(&out), whole.as_str());
            prop_assert_eq!(replaced, placeholder::count(whole.as_bytes()));
        }
    }

    #[test]
    fn a_table_longer_than_any_window_keeps_the_meaning_of_its_columns() {
        let text = table(4000);
        let whole = redactor().text(&text).into_owned();
        let (out, replaced) = streamed(SMALL, text.as_bytes(), &[1000]);
        assert_eq!(replaced, 4000);
        assert_eq!(String::from_utf8(out).unwrap(), whole);
    }

    #[test]
    fn a_line_longer_than_any_window_passes_and_loses_its_secrets() {
        let token = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
        let text = format!("{} {token} {}", "ü, ".repeat(20_000), "b, ".repeat(20_000));
        let (out, replaced) = streamed(SMALL, text.as_bytes(), &[700]);
        assert_eq!(replaced, 1);
        let whole = redactor().text(&text).into_owned();
        assert_eq!(String::from_utf8(out).unwrap(), whole);
    }

    #[test]
    fn bytes_that_are_no_text_stay_and_hide_nothing() {
        let text = b"caf\xe9 ghp_16C7e42F292c6912E7710c838347Ae178B4a\n\xff\xfe rest\n";
        let (out, replaced) = streamed(SIZE, text, &[3]);
        assert_eq!(replaced, 1);
        assert!(out.starts_with(b"caf\xe9 [redacted:") && out.ends_with(b"\n\xff\xfe rest\n"));
        let binary: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        assert_eq!(streamed(SMALL, &binary, &[999]), (binary.clone(), 0));
    }

    #[test]
    fn a_json_document_is_redacted_as_one() {
        let redactor = redactor();
        let text = br#"{"name":"password","value":"k9Xw2Lq8Vz5Tr"}"#;
        let mut stream = TextStream::new(true);
        let mut out = Vec::new();
        for byte in text {
            stream.push(&redactor, &[*byte], &mut out);
        }
        assert_eq!(stream.finish(&redactor, &mut out), 1);
        assert_eq!(Some(out), redactor.json(text).redacted);
    }
}
