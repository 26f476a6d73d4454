//! Strings as they are written in JSON: their decoded length, and where they may be cut.

/// Counts the bytes of a string after decoding its escapes.
#[derive(Debug, Default)]
pub(super) struct DecodedLength {
    bytes: u64,
    /// The part of an escape that the piece before ended with.
    escape: Vec<u8>,
}

impl DecodedLength {
    /// Counts the next piece.
    pub(super) fn feed(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() {
            if self.escape.is_empty() {
                let plain = memchr::memchr(b'\\', piece).unwrap_or(piece.len());
                self.bytes += plain as u64;
                piece = &piece[plain..];
                if let Some((first, rest)) = piece.split_first() {
                    self.escape.push(*first);
                    piece = rest;
                }
                continue;
            }
            self.escape.push(piece[0]);
            piece = &piece[1..];
            if let Some(bytes) = decoded(&self.escape) {
                self.bytes += bytes;
                self.escape.clear();
            }
        }
    }

    /// Returns the length, and starts to count the next string.
    pub(super) fn take(&mut self) -> u64 {
        self.escape.clear();
        std::mem::take(&mut self.bytes)
    }
}

/// Returns how many bytes an escape stands for, once it is complete. The two halves of a surrogate
/// pair count as four bytes together.
fn decoded(escape: &[u8]) -> Option<u64> {
    match escape {
        [b'\\'] => None,
        [b'\\', b'u', digits @ ..] if digits.len() < 4 => None,
        [b'\\', b'u', digits @ ..] => Some(match code(digits) {
            0..0x80 => 1,
            0x80..0x800 => 2,
            0xd800..0xdc00 => 4,
            0xdc00..0xe000 => 0,
            _ => 3,
        }),
        _ => Some(1),
    }
}

fn code(digits: &[u8]) -> u32 {
    std::str::from_utf8(digits)
        .ok()
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .unwrap_or(0)
}

/// Returns the length of the longest head of at most `limit` bytes that ends neither within a
/// character, nor within an escape, nor between the halves of a surrogate pair. `text` is the start
/// of a string, as written in JSON.
pub(super) fn cut(text: &[u8], limit: usize) -> usize {
    let limit = limit.min(text.len());
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'\\', &text[at..limit]) {
        let escape = at + found;
        let end = escape + escape_len(&text[escape..]);
        if end > limit {
            return escape;
        }
        at = end;
    }
    let mut end = limit;
    while end > at && text.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) {
        end -= 1;
    }
    // Without the byte that follows, only the last character itself shows whether it is whole.
    if end == text.len() {
        end -= incomplete_tail(&text[at..end]);
    }
    end
}

/// The length of the escape at the start: of both halves, for a surrogate pair.
fn escape_len(text: &[u8]) -> usize {
    match text {
        [b'\\', b'u', digits @ ..] if digits.len() >= 4 => {
            let is_high = (0xd800..0xdc00).contains(&code(&digits[..4]));
            let follows = digits[4..].starts_with(b"\\u") || digits.len() < 6;
            if is_high && follows { 12 } else { 6 }
        }
        [b'\\', b'u', ..] => 6,
        _ => 2,
    }
}

/// The number of bytes at the end that begin a character but do not complete it.
fn incomplete_tail(text: &[u8]) -> usize {
    match std::str::from_utf8(text) {
        Err(error) if error.error_len().is_none() => text.len() - error.valid_up_to(),
        Ok(_) | Err(_) => 0,
    }
}
