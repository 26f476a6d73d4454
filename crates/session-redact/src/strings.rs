//! The strings of a JSON document, keys and values, with their positions in its bytes.
//!
//! This is not a parser: it skips everything that is not a string. A document that is malformed
//! further on yields its strings up to that point, and the parser that runs afterwards reports the
//! error.

use std::ops::Range;

/// The role of a string in its document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// The name of a field.
    Key,
    /// The value of the field whose name has this range in the raw document.
    Field(Range<usize>),
    /// An element of an array, or a whole document.
    Element,
}

/// An iterator over the strings of `raw`.
#[derive(Clone, Debug)]
pub(super) struct Strings<'a> {
    raw: &'a [u8],
    at: usize,
    key: Option<Range<usize>>,
}

impl<'a> Strings<'a> {
    pub(super) fn of(raw: &'a [u8]) -> Self {
        Self {
            raw,
            at: 0,
            key: None,
        }
    }

    /// The end of the string content that begins at `from`.
    fn end(&self, from: usize) -> usize {
        let mut at = from;
        while let Some(found) = memchr::memchr2(b'"', b'\\', &self.raw[at..]) {
            at += found;
            if self.raw[at] == b'"' {
                return at;
            }
            at = (at + 2).min(self.raw.len());
        }
        self.raw.len()
    }

    fn role(&mut self, content: &Range<usize>) -> Role {
        let behind = self.raw.get(content.end + 1..).unwrap_or_default();
        if behind.trim_ascii_start().first() == Some(&b':') {
            self.key = Some(content.clone());
            return Role::Key;
        }
        let before = self.raw[..content.start - 1].trim_ascii_end().last();
        match self.key.take() {
            Some(key) if before == Some(&b':') => Role::Field(key),
            _ => Role::Element,
        }
    }
}

impl Iterator for Strings<'_> {
    type Item = (Range<usize>, Role);

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.at + memchr::memchr(b'"', self.raw.get(self.at..)?)? + 1;
        let content = start..self.end(start);
        self.at = content.end + 1;
        let role = self.role(&content);
        Some((content, role))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(json: &str) -> Vec<(&str, Role)> {
        Strings::of(json.as_bytes())
            .map(|(content, role)| (&json[content], role))
            .collect()
    }

    #[test]
    fn keys_values_and_elements_are_distinguished() {
        let json = r#"{"a" : "b","c\"":[1,"d",{"e":"f"}],"g":7,"h":{"i":""}}"#;
        let found = strings(json);
        let texts: Vec<&str> = found.iter().map(|(text, _)| *text).collect();
        assert_eq!(texts, ["a", "b", "c\\\"", "d", "e", "f", "g", "h", "i", ""]);
        assert_eq!(found[0].1, Role::Key);
        assert_eq!(found[1].1, Role::Field(2..3));
        assert_eq!(found[3].1, Role::Element);
        assert_eq!(found[9].1, Role::Field(json.len() - 7..json.len() - 6));
    }

    #[test]
    fn what_is_broken_ends_the_walk_without_harm() {
        for (json, count) in [
            ("", 0),
            ("\"", 1),
            ("\"a\\", 1),
            ("{\"a\":\"b", 2),
            ("\"a\\\"", 1),
            ("[1,2", 0),
        ] {
            assert_eq!(strings(json).len(), count, "{json}");
        }
    }
}
