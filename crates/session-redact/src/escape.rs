//! JSON string escapes: the text of a string, and the positions of that text in the raw bytes.

use std::borrow::Cow;

/// One escape, or one byte that is not an escape.
struct Unit {
    raw: usize,
    text: [u8; 4],
    length: usize,
}

impl Unit {
    fn of(raw: usize, character: char) -> Self {
        let mut text = [0; 4];
        let length = character.encode_utf8(&mut text).len();
        Self { raw, text, length }
    }

    /// The escape that begins with the backslash at `at`. An invalid escape stands for itself.
    fn at(raw: &[u8], at: usize) -> Self {
        let simple = match raw.get(at + 1) {
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b @ (b'"' | b'\\' | b'/')) => char::from(*b),
            Some(b'u') => return Self::unicode(raw, at),
            _ => return Self::of(1, '\\'),
        };
        Self::of(2, simple)
    }

    fn unicode(raw: &[u8], at: usize) -> Self {
        let half = |at: usize| {
            let digits = raw.get(at..at + 6)?.strip_prefix(b"\\u")?;
            u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
        };
        let Some(first) = half(at) else {
            return Self::of(1, '\\');
        };
        if let (0xD800..=0xDBFF, Some(second @ 0xDC00..=0xDFFF)) = (first, half(at + 6)) {
            let whole = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
            return Self::of(
                12,
                char::from_u32(whole).unwrap_or(char::REPLACEMENT_CHARACTER),
            );
        }
        Self::of(
            6,
            char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER),
        )
    }
}

/// Decodes the raw content of a string.
pub(super) fn unescape(raw: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = memchr::memchr(b'\\', raw) else {
        return Cow::Borrowed(raw);
    };
    let mut text = Vec::with_capacity(raw.len());
    text.extend_from_slice(&raw[..first]);
    let mut at = first;
    while at < raw.len() {
        let unit = Unit::at(raw, at);
        text.extend_from_slice(&unit.text[..unit.length]);
        at += unit.raw;
        let next = memchr::memchr(b'\\', &raw[at..]).map_or(raw.len(), |found| at + found);
        text.extend_from_slice(&raw[at..next]);
        at = next;
    }
    Cow::Owned(text)
}

/// Converts positions in the text to positions in the raw content; they must be requested in order.
pub(super) struct PositionMap<'a> {
    raw: &'a [u8],
    at: usize,
    text: usize,
}

impl<'a> PositionMap<'a> {
    pub(super) fn of(raw: &'a [u8]) -> Self {
        Self {
            raw,
            at: 0,
            text: 0,
        }
    }

    /// Where in the raw content the byte `text` of the text begins.
    pub(super) fn raw(&mut self, text: usize) -> usize {
        while self.text < text {
            // Search only as far as requested: the next escape may be far away, while the next
            // position is near.
            let rest = &self.raw[self.at..];
            let ahead = &rest[..rest.len().min(text - self.text)];
            let step = memchr::memchr(b'\\', ahead).unwrap_or(ahead.len());
            self.at += step;
            self.text += step;
            if self.text < text {
                if self.at >= self.raw.len() {
                    break;
                }
                let unit = Unit::at(self.raw, self.at);
                self.at += unit.raw;
                self.text += unit.length;
            }
        }
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_of_every_kind_are_read() {
        for (raw, text) in [
            (r"plain", "plain"),
            (r"\n\r\t\b\f\/\\\u0041", "\n\r\t\u{8}\u{c}/\\A"),
            (r"\u00fc\ud83d\ude00.", "ü\u{1f600}."),
            (r"a\ud800b\udc00", "a\u{fffd}b\u{fffd}"),
            (r"\x\u12", r"\x\u12"),
            ("\\", "\\"),
        ] {
            assert_eq!(unescape(raw.as_bytes()), text.as_bytes(), "{raw}");
        }
        assert_eq!(&*unescape(br#"say \"x\""#), br#"say "x""#);
    }

    proptest! {
        #[test]
        fn what_serde_reads_is_what_is_read_here(text in any::<String>(), all in any::<bool>()) {
            let json = if all {
                let units: Vec<String> = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
                format!("\"{}\"", units.concat())
            } else {
                serde_json::to_string(&text).unwrap()
            };
            let raw = &json.as_bytes()[1..json.len() - 1];
            prop_assert_eq!(&*unescape(raw), text.as_bytes());
            let mut places = PositionMap::of(raw);
            for (at, _) in text.char_indices() {
                let found = places.raw(at);
                prop_assert_eq!(&*unescape(&raw[..found]), &text.as_bytes()[..at]);
            }
            prop_assert_eq!(places.raw(text.len()), raw.len());
        }
    }
}
