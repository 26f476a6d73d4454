//! Splits a stream into the texts to record: lines, and whole private keys.
//!
//! A key is recognized by its header and the body after it, so its lines, recorded one by one,
//! would be stored in clear. The lines from the header on are therefore held until the footer, and
//! recorded as one text, of which only the placeholder is left.

use memchr::memmem::find;

/// Longer lines are recorded in parts. Lines after a header without a footer are held up to this
/// many bytes.
const MAX_TEXT: usize = 64 * 1024;

/// The splitter. It calls `record` with the text, without its line break, and whether the line
/// continues.
pub(super) struct Lines<F> {
    record: F,
    held: Vec<u8>,
    /// Where the current line starts in `held`.
    line: usize,
    /// Whether `held` starts with the header of a key.
    key: bool,
}

impl<F: FnMut(&str, bool)> Lines<F> {
    pub(super) fn new(record: F) -> Self {
        Self {
            record,
            held: Vec::new(),
            line: 0,
            key: false,
        }
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.held.extend_from_slice(piece);
            let whole = piece.ends_with(b"\n");
            if whole {
                let line = &self.held[self.line..];
                self.key = if self.key {
                    find(line, b"-----END ").is_none()
                } else {
                    opens_key(line)
                };
                self.line = self.held.len();
            }
            if whole && !self.key || self.held.len() >= MAX_TEXT {
                self.hand_over();
            }
        }
    }

    /// Records the rest at the end of the stream.
    pub(super) fn end(&mut self) {
        if !self.held.is_empty() {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        let goes_on = !self.held.ends_with(b"\n") && self.held.len() >= MAX_TEXT;
        let text = String::from_utf8_lossy(&self.held);
        (self.record)(text.trim_end_matches(['\n', '\r']), goes_on);
        self.held.clear();
        self.line = 0;
        self.key = false;
    }
}

/// Returns whether a private key starts in this line and continues in the next.
fn opens_key(line: &[u8]) -> bool {
    let Some(head) = find(line, b"-----BEGIN ") else {
        return false;
    };
    let label = &line[head + 11..];
    let Some(end) = find(label, b"-----") else {
        return false;
    };
    find(&label[..end], b"PRIVATE KEY").is_some() && find(&label[end..], b"-----END ").is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(pieces: &[&str]) -> Vec<(String, bool)> {
        let mut texts = Vec::new();
        let mut lines = Lines::new(|text: &str, goes_on| texts.push((text.to_owned(), goes_on)));
        pieces.iter().for_each(|piece| lines.add(piece.as_bytes()));
        lines.end();
        texts
    }

    fn texts(pieces: &[&str]) -> Vec<String> {
        cut(pieces).into_iter().map(|(text, _)| text).collect()
    }

    #[test]
    fn a_key_is_one_text_however_it_arrives() {
        let key = "k: -----BEGIN X PRIVATE KEY-----\r\nab\ncd\n-----END X PRIVATE KEY-----";
        let whole = format!("one\n{key}\ntwo\n");
        assert_eq!(texts(&[&whole]), ["one", key, "two"]);
        let bytes: Vec<String> = whole.chars().map(String::from).collect();
        let bytes: Vec<&str> = bytes.iter().map(String::as_str).collect();
        assert_eq!(texts(&bytes), ["one", key, "two"]);
        assert_eq!(
            texts(&["-----BEGIN PRIVATE KEY-----\nab\ncd"]),
            ["-----BEGIN PRIVATE KEY-----\nab\ncd"]
        );
    }

    #[test]
    fn what_only_looks_like_a_key_is_cut_as_ever() {
        for line in [
            "-----BEGIN CERTIFICATE-----",
            "-----BEGIN PRIVATE KEY-----\\nab\\n-----END PRIVATE KEY-----",
        ] {
            assert_eq!(texts(&[line, "\nab\n"]), [line, "ab"]);
        }
    }

    #[test]
    fn what_is_too_long_goes_in_pieces() {
        let long = "x".repeat(MAX_TEXT);
        assert_eq!(
            cut(&[&long, "y\n"]),
            [(long.clone(), true), ("y".to_owned(), false)]
        );
        let endless = format!(
            "-----BEGIN PRIVATE KEY-----\n{}",
            "abc\n".repeat(MAX_TEXT / 4)
        );
        assert_eq!(texts(&[&endless, "end\n"]).last().unwrap(), "end");
    }
}
