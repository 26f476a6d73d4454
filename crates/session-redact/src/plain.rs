//! Text without what hides a secret from a search but not from a reader: zero-width characters,
//! terminal colour codes, and letters that are escaped once more than the text.

use std::ops::Range;

use super::scan::{ESCAPES, run};

/// The longest terminal code that is removed.
const LONGEST: usize = 256;

/// A part of the plain text.
struct PlainPart {
    /// Where it begins in the plain text.
    plain: usize,
    /// Where it begins in the original text.
    whole: usize,
    /// If it is an escaped letter: the length of the escape.
    escape: Option<usize>,
}

/// The plain text, with the positions of its parts in the original text.
pub(super) struct Plain {
    pub(super) text: Vec<u8>,
    stretches: Vec<PlainPart>,
}

impl Plain {
    /// Removes hidden characters; `None` if the text contains none.
    pub(super) fn of(whole: &[u8]) -> Option<Self> {
        let may_hide = |byte: &u8| matches!(byte, 0x1b | b'\\' | 0xc2 | 0xe1 | 0xe2 | 0xef);
        let mut plain = Self {
            text: Vec::new(),
            stretches: Vec::new(),
        };
        let mut copied = 0;
        let mut at = 0;
        while let Some(found) = whole[at..].iter().position(may_hide) {
            at += found;
            let Some(Hidden { length, letter }) = Hidden::at(&whole[at..]) else {
                at += 1;
                continue;
            };
            plain.take(&whole[copied..at], copied, None);
            plain.take(letter.as_slice(), at, Some(length));
            at += length;
            copied = at;
        }
        if copied == 0 {
            return None;
        }
        plain.take(&whole[copied..], copied, None);
        Some(plain)
    }

    fn take(&mut self, part: &[u8], whole: usize, escape: Option<usize>) {
        if !part.is_empty() {
            self.stretches.push(PlainPart {
                plain: self.text.len(),
                whole,
                escape,
            });
            self.text.extend_from_slice(part);
        }
    }

    /// The range in the original text of a part of the plain text, which must not be empty.
    pub(super) fn place(&self, part: &Range<usize>) -> Range<usize> {
        let stretch = |at: usize| {
            &self.stretches[self.stretches.partition_point(|next| next.plain <= at) - 1]
        };
        let first = stretch(part.start);
        let last = stretch(part.end - 1);
        let end = last.escape.unwrap_or(part.end - last.plain);
        first.whole + (part.start - first.plain)..last.whole + end
    }
}

/// A hidden sequence.
struct Hidden {
    length: usize,
    /// The letter that the sequence stands for, if any.
    letter: Option<u8>,
}

impl Hidden {
    /// The hidden sequence at the start of `rest`.
    fn at(rest: &[u8]) -> Option<Self> {
        let nothing = |length| {
            Some(Self {
                length,
                letter: None,
            })
        };
        match rest {
            [0x1b, code @ ..] => nothing(1 + code_length(code)?),
            [b'\\', ..] => Self::escaped(rest),
            _ => nothing(unseen(rest)?),
        }
    }

    fn escaped(rest: &[u8]) -> Option<Self> {
        let code = ESCAPES
            .iter()
            .find_map(|escape| Some(escape.len() + code_length(rest.strip_prefix(*escape)?)?));
        if let Some(length) = code {
            return Some(Self {
                length,
                letter: None,
            });
        }
        let digits = std::str::from_utf8(rest.strip_prefix(b"\\u")?.get(..4)?).ok()?;
        let character = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
        let letter = u8::try_from(character).ok().filter(u8::is_ascii_graphic);
        let is_unseen = unseen(character.encode_utf8(&mut [0; 4]).as_bytes()).is_some();
        (letter.is_some() || is_unseen).then_some(Self { length: 6, letter })
    }
}

/// The length of the zero-width character at the start of a text, if there is one.
pub(super) fn unseen(text: &[u8]) -> Option<usize> {
    match text {
        [0xc2, 0xad, ..] => Some(2),
        [0xe1, 0xa0, 0x8e, ..]
        | [0xe2, 0x80, 0x8b..=0x8f, ..]
        | [0xe2, 0x81, 0xa0..=0xa4, ..]
        | [0xef, 0xbb, 0xbf, ..] => Some(3),
        _ => None,
    }
}

/// The length of a terminal code without its escape character: a colour, or the URL of a link.
fn code_length(code: &[u8]) -> Option<usize> {
    match code.first()? {
        b'[' => {
            let end = run(code, 1, LONGEST, |byte| matches!(byte, 0x20..=0x3f));
            code.get(end)
                .is_some_and(|last| matches!(last, 0x40..=0x7e))
                .then_some(end + 1)
        }
        b']' => {
            let end = run(code, 1, LONGEST, |byte| byte != 0x07 && byte != 0x1b);
            match code.get(end..)? {
                [0x07, ..] => Some(end + 1),
                [0x1b, b'\\', ..] => Some(end + 2),
                _ => None,
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_goes_and_every_letter_keeps_its_place() {
        for (whole, text) in [
            ("a\u{200b}b\u{feff}c", "abc"),
            ("\u{1b}[1;31mred\u{1b}[0m\u{1b}[K.", "red."),
            (r"\u001b[31mred\x1b[0m \033[2mdim\e[m", "red dim"),
            (r"\u0041B\u200bC\u00ad", "ABC"),
            (
                "\u{1b}]8;;https://x.example\u{7}link\u{1b}]8;;\u{1b}\\",
                "link",
            ),
            ("\u{ad}\u{2060}", ""),
        ] {
            let plain = Plain::of(whole.as_bytes()).unwrap();
            assert_eq!(std::str::from_utf8(&plain.text).unwrap(), text, "{whole}");
            for at in 0..text.len() {
                let place = plain.place(&(at..at + 1));
                let letter = &whole[place.clone()];
                assert!(
                    letter == &text[at..=at] || letter == format!("\\u{:04x}", text.as_bytes()[at]),
                    "{letter}"
                );
            }
            if !text.is_empty() {
                let place = plain.place(&(0..text.len()));
                assert!(
                    Plain::of(&whole.as_bytes()[..place.start])
                        .is_none_or(|before| before.text.is_empty())
                );
            }
        }
        for nothing in [
            "",
            "plain",
            "\u{2013} \u{2019}",
            r"\n \u20ac \\",
            "\u{1b}",
            "\u{1b}[",
            "\u{e4}\u{3b1}",
        ] {
            assert!(Plain::of(nothing.as_bytes()).is_none(), "{nothing}");
        }
    }
}
