//! A JSON parser that keeps the digits of every number as they were sent.
//!
//! serde_json builds the same values, but it rewrites exponents (`1E5` becomes `1e+5`), and it
//! reads an object whose first key is one of its private markers as a number or as raw JSON. A
//! client may send either, and a recorder must keep both unchanged. The scanner accepts exactly
//! what serde_json accepts. It does not report errors: for the place and the reason of an error its
//! callers ask serde_json.

use std::borrow::Cow;

use serde_json::{Map, Number, Value};

/// A text and the read position. Every method returns `None` if the text is not JSON or nested too
/// deeply.
pub(crate) struct Scanner<'t> {
    text: &'t str,
    at: usize,
    levels: usize,
}

impl<'t> Scanner<'t> {
    /// Creates a scanner at the start of a text that may nest `levels` deep.
    pub(crate) fn new(text: &'t str, levels: usize) -> Self {
        Self {
            text,
            at: 0,
            levels,
        }
    }

    /// Reads the whole text as one value.
    pub(crate) fn document(text: &str, levels: usize) -> Option<Value> {
        let mut scanner = Scanner::new(text, levels);
        let value = scanner.value()?;
        scanner.end()?;
        Some(value)
    }

    /// Reads a value.
    pub(crate) fn value(&mut self) -> Option<Value> {
        Some(match self.peek()? {
            b'{' => {
                let mut fields = Map::new();
                self.object(|scanner, key| {
                    let key = key.decoded()?.into_owned();
                    fields.insert(key, scanner.value()?);
                    Some(())
                })?;
                Value::Object(fields)
            }
            b'[' => {
                let mut items = Vec::new();
                self.array(|scanner| {
                    items.push(scanner.value()?);
                    Some(())
                })?;
                Value::Array(items)
            }
            b'"' => Value::String(self.string()?.decoded()?.into_owned()),
            b't' => self.word("true").map(|()| Value::Bool(true))?,
            b'f' => self.word("false").map(|()| Value::Bool(false))?,
            b'n' => self.word("null").map(|()| Value::Null)?,
            _ => Value::Number(Number::from_string_unchecked(self.number()?.to_owned())),
        })
    }

    /// Skips a value.
    pub(crate) fn skip(&mut self) -> Option<()> {
        match self.peek()? {
            b'{' => self.object(|scanner, _| scanner.skip()),
            b'[' => self.array(Scanner::skip),
            b'"' => self.string().map(drop),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.number().map(drop),
        }
    }

    /// The read position.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// The text from an earlier position to the current one.
    pub(crate) fn since(&self, start: usize) -> &'t str {
        &self.text[start..self.at]
    }

    /// Reads an object; `field` must read the value of each key.
    pub(crate) fn object(
        &mut self,
        mut field: impl FnMut(&mut Self, Quoted<'t>) -> Option<()>,
    ) -> Option<()> {
        self.bracket(b'{', b'}', |scanner| {
            if scanner.peek()? != b'"' {
                return None;
            }
            let key = scanner.string()?;
            scanner.byte(b':')?;
            field(scanner, key)
        })
    }

    fn array(&mut self, item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.bracket(b'[', b']', item)
    }

    fn bracket(
        &mut self,
        open: u8,
        close: u8,
        mut item: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        self.byte(open)?;
        self.levels = self.levels.checked_sub(1)?;
        if self.peek()? == close {
            self.at += 1;
        } else {
            loop {
                item(self)?;
                match self.peek()? {
                    b',' => self.at += 1,
                    byte if byte == close => {
                        self.at += 1;
                        break;
                    }
                    _ => return None,
                }
            }
        }
        self.levels += 1;
        Some(())
    }

    /// Skips white space and returns the next byte without consuming it.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at)?, b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        Some(bytes[self.at])
    }

    /// Checks that only white space follows.
    pub(crate) fn end(&mut self) -> Option<()> {
        self.peek().is_none().then_some(())
    }

    fn byte(&mut self, wanted: u8) -> Option<()> {
        if self.peek()? != wanted {
            return None;
        }
        self.at += 1;
        Some(())
    }

    fn word(&mut self, word: &str) -> Option<()> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return None;
        }
        self.at += word.len();
        Some(())
    }

    /// Reads a string that begins at the current position.
    pub(crate) fn string(&mut self) -> Option<Quoted<'t>> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let mut at = start + 1;
        let mut escaped = false;
        loop {
            at += plain(&bytes[at..]);
            match bytes.get(at)? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    at += escape(&bytes[at..])?;
                }
                _ => return None,
            }
        }
        self.at = at + 1;
        Some(Quoted {
            text: &self.text[start..=at],
            escaped,
        })
    }

    /// Reads a number, which may have any number of digits.
    fn number(&mut self) -> Option<&'t str> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let mut at = start + usize::from(bytes[start] == b'-');
        match digits(&bytes[at..]) {
            0 => return None,
            1 => at += 1,
            _ if bytes[at] == b'0' => return None,
            many => at += many,
        }
        if bytes.get(at) == Some(&b'.') {
            let many = digits(&bytes[at + 1..]);
            if many == 0 {
                return None;
            }
            at += 1 + many;
        }
        if matches!(bytes.get(at), Some(b'e' | b'E')) {
            at += 1;
            at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
            let many = digits(&bytes[at..]);
            if many == 0 {
                return None;
            }
            at += many;
        }
        self.at = at;
        Some(&self.text[start..at])
    }
}

/// A string as it is written in the text, including quotes.
#[derive(Clone, Copy)]
pub(crate) struct Quoted<'t> {
    text: &'t str,
    escaped: bool,
}

impl<'t> Quoted<'t> {
    /// The content of the string, with escapes decoded.
    pub(crate) fn decoded(self) -> Option<Cow<'t, str>> {
        if self.escaped {
            return serde_json::from_str(self.text).ok().map(Cow::Owned);
        }
        Some(Cow::Borrowed(&self.text[1..self.text.len() - 1]))
    }
}

fn digits(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count()
}

/// The number of leading bytes that are plain content of a string: up to a quote, backslash or
/// control character.
fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let mut at = 0;
    // Eight bytes at a time. A byte matches if it is below 0x20, or if XOR with the wanted byte
    // makes it zero.
    while let Some(eight) = bytes.get(at..at + 8) {
        let word = u64::from_le_bytes(eight.try_into().expect("is eight bytes long"));
        let zero_in = |word: u64| word.wrapping_sub(ONES) & !word;
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let found =
            (control | zero_in(word ^ (ONES * 0x22)) | zero_in(word ^ (ONES * 0x5c))) & HIGHS;
        if found != 0 {
            // Only the lowest marked byte is certain: higher marks may be caused by its borrow.
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    at + bytes[at..]
        .iter()
        .take_while(|byte| !matches!(byte, 0..0x20 | b'"' | b'\\'))
        .count()
}

/// The length of the escape at the start. A surrogate pair counts as one escape.
fn escape(bytes: &[u8]) -> Option<usize> {
    match bytes.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => match unit(bytes)? {
            0xD800..=0xDBFF => matches!(unit(bytes.get(6..)?)?, 0xDC00..=0xDFFF).then_some(12),
            0xDC00..=0xDFFF => None,
            _ => Some(6),
        },
        _ => None,
    }
}

/// The code unit of a `\uXXXX` escape.
fn unit(bytes: &[u8]) -> Option<u32> {
    let hex = bytes.get(..6)?.strip_prefix(b"\\u")?;
    hex.iter().try_fold(0, |unit, byte| {
        Some(unit * 16 + char::from(*byte).to_digit(16)?)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::MAX_DEPTH;

    fn agrees(text: &str) -> Result<(), TestCaseError> {
        let ours = Scanner::document(text, MAX_DEPTH);
        let theirs = serde_json::from_str::<Value>(text).ok();
        let mut skipping = Scanner::new(text, MAX_DEPTH);
        let skipped = skipping.skip().and_then(|()| skipping.end());
        prop_assert_eq!(skipped.is_some(), ours.is_some(), "{}", text);
        // When serde_json reads our output again, it writes exponents in its own way.
        let ours = ours.map(|value| serde_json::from_str::<Value>(&value.to_string()).unwrap());
        prop_assert_eq!(ours, theirs, "{}", text);
        Ok(())
    }

    #[test]
    fn the_odd_corners_of_json_are_judged_as_serde_json_judges_them() {
        for text in [
            "",
            " ",
            "0",
            "-0",
            "00",
            "01",
            "-",
            "-a",
            "+1",
            "1.",
            ".5",
            "1.0",
            "1e",
            "1e+",
            "1E-07",
            "1.5e9x",
            "0x1",
            "1e400",
            "123456789012345678901234567890",
            "tru",
            "true",
            "truex",
            "nulll",
            "[]",
            "[,]",
            "[1,]",
            "[1 2]",
            "{}",
            "{,}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\":1,\"a\":2}",
            "{\"a\":1}}",
            "[1]]",
            "\"",
            "\"\\\"",
            "\"\\u12\"",
            "\"\\u+123\"",
            "\"\\ud800\"",
            "\"\\udc00\"",
            "\"\\ud83d\\ude00\"",
            "\"\\ud83d\\u0041\"",
            "\"\t\"",
            "\"1234567\u{1f}\"",
            "\"12345678\u{7f}\u{80}\u{fe}ü\"",
            "\"\\x\"",
            "\u{feff}1",
            " [ 1 , { \"a\\n\" : null } ] \n",
            "\u{a0}1",
            "\"a\" \"b\"",
        ] {
            agrees(text).unwrap();
        }
        for levels in [MAX_DEPTH, MAX_DEPTH + 1] {
            agrees(&format!("{}{}", "[".repeat(levels), "]".repeat(levels))).unwrap();
        }
        assert!(Scanner::document(&"[".repeat(1_000_000), MAX_DEPTH).is_none());
    }

    #[test]
    fn every_byte_in_every_place_of_a_string_is_judged_as_serde_json_judges_it() {
        for place in 0..17 {
            for byte in 0..=0x7f_u8 {
                let mut text = "x".repeat(17);
                text.replace_range(place..=place, &char::from(byte).to_string());
                agrees(&format!("\"{text}\"")).unwrap();
            }
        }
    }

    #[test]
    fn numbers_and_private_markers_stay_as_they_were_sent() {
        for text in [
            r#"{"a":1E5,"b":-0,"c":25000000000000000001,"d":0.1000000000000000055511151231257827,"e":1e400}"#,
            r"[1.0,1.10,1e5,1e+5,1E-05,0e0,-0.0,100000000000000000000000000000000000000000]",
            r#"{"$serde_json::private::Number":"12"}"#,
            r#"{"a":{"$serde_json::private::Number":"not one"}}"#,
            r#"{"$serde_json::private::RawValue":"[1]"}"#,
        ] {
            assert_eq!(
                Scanner::document(text, MAX_DEPTH).unwrap().to_string(),
                text
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_looks_like_json_is_judged_as_serde_json_judges_it(
            parts in prop::collection::vec(prop::sample::select(vec![
                "{", "}", "[", "]", ",", ":", "\"", "\"a\"", "\"\\n\"", "\\", "\\u00e4", "\\ud83d", "\\ude00", "ä", "1",
                "-", "0", ".", "e", "E+", "12.5", " ", "\n", "true", "null", "\"a\":1", "\u{1}", "{}", "[]",
            ]), 0..12)
        ) {
            agrees(&parts.concat())?;
        }
    }
}
