//! Reads the payload up to the end of one JSON value, even if the pipe stays open, and turns it
//! into text that every JSON parser accepts.

use std::borrow::Cow;
use std::io::{self, Read};

/// The most bytes per read.
const CHUNK: usize = 64 * 1024;

/// Reads until one whole JSON object has arrived, the input ends, or `most` bytes were read.
pub(super) fn read_object(input: &mut impl Read, most: usize) -> (Vec<u8>, io::Result<()>) {
    let mut bytes = Vec::new();
    let mut scan = Scan::default();
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = match input.read(&mut chunk[..CHUNK.min(most - bytes.len())]) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return (bytes, Err(error)),
        };
        bytes.extend_from_slice(&chunk[..read]);
        if read == 0 || scan.is_whole(&chunk[..read]) {
            return (bytes, Ok(()));
        }
    }
}

/// Tracks where in a JSON object the bytes so far end.
#[derive(Debug, Default)]
struct Scan {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Scan {
    /// Returns whether the object ends within these bytes. Only objects and arrays have a
    /// recognizable end.
    fn is_whole(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' if self.depth > 0 => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' if self.depth == 1 => return true,
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
        false
    }
}

/// Returns the bytes as text, as [`text_and_replaced`] does.
pub(super) fn text(bytes: &[u8]) -> String {
    text_and_replaced(bytes).0
}

/// Returns the bytes as text, without a byte order mark. Replaces invalid characters by U+FFFD,
/// both invalid bytes and unpaired escaped surrogates: most JSON parsers refuse the whole document
/// for one of these. Also returns what was replaced, by which documents differ that are the same
/// text.
pub(super) fn text_and_replaced(bytes: &[u8]) -> (String, Vec<u8>) {
    let text = String::from_utf8_lossy(bytes);
    let mut replaced = match text {
        Cow::Borrowed(_) => Vec::new(),
        Cow::Owned(_) => bytes
            .utf8_chunks()
            .flat_map(|chunk| chunk.invalid())
            .copied()
            .collect(),
    };
    let text = text.trim_start_matches('\u{feff}').trim();
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        whole.push_str(before);
        let (taken, kept) = match unit(escape) {
            Some(0xd800..=0xdbff) if matches!(unit(&escape[6..]), Some(0xdc00..=0xdfff)) => {
                (12, &escape[..12])
            }
            Some(unit @ 0xd800..=0xdfff) => {
                replaced.extend(unit.to_be_bytes());
                (6, "\\ufffd")
            }
            _ => {
                let end = escape
                    .char_indices()
                    .nth(2)
                    .map_or(escape.len(), |(end, _)| end);
                (end, &escape[..end])
            }
        };
        whole.push_str(kept);
        rest = &escape[taken..];
    }
    whole.push_str(rest);
    (whole, replaced)
}

/// Returns the code unit of a `\u` escape at the start of the text.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    digits
        .bytes()
        .all(|byte| byte.is_ascii_hexdigit())
        .then(|| u16::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns one byte at a time, and panics where the pipe would stay open.
    struct Open<'a>(&'a [u8]);

    impl Read for Open<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let (first, rest) = self.0.split_first().expect("it waits for more");
            buffer[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    #[test]
    fn one_whole_object_is_enough() {
        for object in [
            "{}",
            " {\"a\":[1,{\"b\":\"}\"}]}",
            "{\"a\":\"\\\"}\",\"b\":[]}",
            "{\"a\":\"\\\\\"}",
            "\u{feff}{\"a\":1}",
        ] {
            let (bytes, read) = read_object(&mut Open(object.as_bytes()), 1000);
            assert!(read.is_ok());
            assert_eq!(String::from_utf8(bytes).unwrap(), object);
        }
        let (bytes, _) = read_object(&mut &b"no object"[..], 1000);
        assert_eq!(bytes, b"no object");
        let (bytes, _) = read_object(&mut &b"{\"a\":1234567}"[..], 5);
        assert_eq!(bytes, b"{\"a\":");
    }

    #[test]
    fn what_is_no_character_is_replaced_and_the_rest_stays() {
        for (given, wanted) in [
            (&b"\xef\xbb\xbf{\"a\":1}\n"[..], r#"{"a":1}"#),
            (
                br#"{"a":"rate \ud83d limit"}"#,
                r#"{"a":"rate \ufffd limit"}"#,
            ),
            (br#"{"a":"\ude00\ud83d"}"#, r#"{"a":"\ufffd\ufffd"}"#),
            (br#"{"a":"\ud83d\ude00"}"#, r#"{"a":"\ud83d\ude00"}"#),
            (
                br#"{"a":"\ud83d\ud83d\ude00"}"#,
                r#"{"a":"\ufffd\ud83d\ude00"}"#,
            ),
            (
                br#"{"a":"\\ud83d","b":"\\\ud83d"}"#,
                r#"{"a":"\\ud83d","b":"\\\ufffd"}"#,
            ),
            (br#"{"a":"\ud83"}"#, r#"{"a":"\ud83"}"#),
            (b"{\"a\":\"caf\xe9\"}", "{\"a\":\"caf\u{fffd}\"}"),
            (b"\\", "\\"),
        ] {
            assert_eq!(text(given), wanted, "{}", String::from_utf8_lossy(given));
        }
    }
}
