//! Splits valid JSON, given in pieces of any size, into what a sink needs to copy or cut it. White
//! space outside of strings is skipped: it has no bound and means nothing.

use sha2::{Digest, Sha256};

use super::text::cut;
use crate::hex::hex;

/// An object or array that is open.
#[derive(Debug)]
pub(super) struct Frame {
    /// Whether it is an object.
    pub(super) is_object: bool,
    /// The key of the current member, as written in JSON, without quotes.
    pub(super) key: Vec<u8>,
    /// The index of the current element.
    pub(super) index: u64,
    /// Whether the next string is a key.
    expects_key: bool,
}

/// Receives the parts of a JSON document in order. `open` are the objects and arrays around a part.
pub(super) trait Sink {
    /// A key, as written in JSON, without quotes. It is already in the last frame.
    fn key(&mut self, open: &[Frame]);
    /// `{` or `[`, before its frame is opened.
    fn opens(&mut self, byte: u8, open: &[Frame]);
    /// `}` or `]`; its own frame is still the last.
    fn closes(&mut self, byte: u8, open: &[Frame]);
    /// The comma behind a member or element of the last frame.
    fn comma(&mut self, open: &[Frame]);
    /// Bytes of numbers, literals and colons.
    fn plain(&mut self, bytes: &[u8], open: &[Frame]);
    /// A piece of a string value, as written in JSON, without quotes.
    fn text(&mut self, piece: &[u8], open: &[Frame]);
    /// The end of a string value.
    fn text_ends(&mut self, open: &[Frame]);
}

/// The longest key, in bytes. Of a longer one the beginning is kept, `~` and [`DIGITS`] of a digest,
/// so that two of them stay different.
const MAX_KEY: usize = 1024;
/// The hexadecimal digits of the digest of a long key.
const DIGITS: usize = 16;
/// Bytes behind the longest key that show whether it ends between two characters.
const LOOK_AHEAD: usize = 16;

/// The state between two pieces.
#[derive(Debug, Default)]
pub(super) struct Walker {
    open: Vec<Frame>,
    in_string: bool,
    is_key: bool,
    /// Whether the last byte of the piece before was a backslash that escapes the next byte.
    escaped: bool,
    /// The digest of a key that is longer than what its frame keeps.
    digest: Option<Sha256>,
}

impl Walker {
    /// Walks over the next piece.
    pub(super) fn feed(&mut self, mut piece: &[u8], sink: &mut impl Sink) {
        while !piece.is_empty() {
            let used = if self.in_string {
                self.string(piece, sink)
            } else {
                self.structure(piece, sink)
            };
            piece = &piece[used..];
        }
    }

    /// Walks to the end of the string or of the piece; returns the number of bytes used.
    fn string(&mut self, piece: &[u8], sink: &mut impl Sink) -> usize {
        let mut at = 0;
        if std::mem::take(&mut self.escaped) {
            at = 1;
        }
        let end = loop {
            match memchr::memchr2(b'"', b'\\', &piece[at.min(piece.len())..]) {
                None => break None,
                Some(found) if piece[at + found] == b'"' => break Some(at + found),
                Some(found) if at + found + 1 == piece.len() => {
                    self.escaped = true;
                    break None;
                }
                Some(found) => at += found + 2,
            }
        };
        let content = &piece[..end.unwrap_or(piece.len())];
        if self.is_key {
            if let Some(frame) = self.open.last_mut() {
                let space = (MAX_KEY + LOOK_AHEAD).saturating_sub(frame.key.len());
                let (kept, rest) = content.split_at(content.len().min(space));
                frame.key.extend_from_slice(kept);
                if !rest.is_empty() {
                    let digest = self
                        .digest
                        .get_or_insert_with(|| Sha256::new_with_prefix(&frame.key));
                    digest.update(rest);
                }
            }
        } else {
            sink.text(content, &self.open);
        }
        let Some(end) = end else { return piece.len() };
        self.in_string = false;
        if self.is_key {
            if let Some(frame) = self
                .open
                .last_mut()
                .filter(|frame| frame.key.len() > MAX_KEY)
            {
                let digest = self.digest.take();
                let digest = digest.unwrap_or_else(|| Sha256::new_with_prefix(&frame.key));
                frame.key.truncate(cut(&frame.key, MAX_KEY - 1 - DIGITS));
                frame.key.push(b'~');
                let digest = hex(&digest.finalize());
                frame.key.extend_from_slice(&digest.as_bytes()[..DIGITS]);
            }
            sink.key(&self.open);
        } else {
            sink.text_ends(&self.open);
        }
        end + 1
    }

    /// Walks over one structural byte, or up to the next one; returns the number of bytes used.
    fn structure(&mut self, piece: &[u8], sink: &mut impl Sink) -> usize {
        match piece[0] {
            b'"' => {
                self.in_string = true;
                self.is_key = self.open.last().is_some_and(|frame| frame.expects_key);
                if let Some(frame) = self.open.last_mut().filter(|frame| frame.expects_key) {
                    frame.key.clear();
                    frame.expects_key = false;
                }
            }
            open @ (b'{' | b'[') => {
                sink.opens(open, &self.open);
                self.open.push(Frame {
                    is_object: open == b'{',
                    key: Vec::new(),
                    index: 0,
                    expects_key: open == b'{',
                });
            }
            close @ (b'}' | b']') => {
                sink.closes(close, &self.open);
                self.open.pop();
            }
            b',' => {
                sink.comma(&self.open);
                if let Some(frame) = self.open.last_mut() {
                    frame.expects_key = frame.is_object;
                    frame.index += 1;
                }
            }
            space if is_space(space) => return length_of(piece, is_space),
            _ => {
                let len = length_of(piece, |byte| !is_structure(byte) && !is_space(byte));
                sink.plain(&piece[..len], &self.open);
                return len;
            }
        }
        1
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn is_structure(byte: u8) -> bool {
    matches!(byte, b'"' | b'{' | b'[' | b'}' | b']' | b',')
}

/// Returns how many bytes at the start are of a kind.
fn length_of(piece: &[u8], is_kind: impl Fn(u8) -> bool) -> usize {
    let end = piece.iter().position(|byte| !is_kind(*byte));
    end.unwrap_or(piece.len())
}
