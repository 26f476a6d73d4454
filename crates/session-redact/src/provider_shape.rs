//! The shape of one provider's token, matched from first byte to last without going back: a match
//! takes no more steps than the token is long.

use super::alphabet::{Alphabet, is};
use super::entropy::is_drawn;
use super::scan::run;

/// The longest token that is replaced as a whole.
pub(super) const LONGEST: usize = 4096;
/// How many bytes of a run are checked before the run is accepted as a token.
const JUDGED: usize = 128;

/// A part of a shape.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Piece {
    /// This text.
    Text(&'static [u8]),
    /// From `least` to `most` bytes of an alphabet.
    Any {
        alphabet: Alphabet,
        least: usize,
        most: usize,
    },
}

/// The shape of a provider's token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) kind: &'static str,
    pub(super) pieces: &'static [Piece],
    /// Length of its first text; 0 if it begins with an alphabet.
    pub(super) head: usize,
    /// Whether it is accepted even if it does not look random.
    pub(super) plain: bool,
    /// Whether its first text consists of base64 characters, so that it may occur in base64 by
    /// chance.
    pub(super) weak: bool,
    /// A byte that is cheap to compare first: its offset, and its value.
    pub(super) first: Option<(usize, u8)>,
}

impl Shape {
    /// The end of the token that begins at `at`.
    pub(super) fn end(&self, text: &[u8], at: usize) -> Option<usize> {
        let mut end = at;
        for (number, piece) in self.pieces.iter().enumerate() {
            end = match piece {
                Piece::Text(part) => text
                    .get(end..)?
                    .starts_with(part)
                    .then_some(end + part.len())?,
                &Piece::Any {
                    alphabet,
                    least,
                    most,
                } => match self.pieces.get(number + 1) {
                    Some(next) => inner_end(text, end, (alphabet, least, most), next)?,
                    None => self.last_end(text, at, end, (alphabet, least, most))?,
                },
            };
        }
        let end = end
            - text[at..end]
                .iter()
                .rev()
                .take_while(|byte| **byte == b'.')
                .count();
        let open = matches!(self.pieces.last(), Some(Piece::Any { most: LONGEST, .. }));
        let goes_on =
            !open && text[end - 1] != b'=' && text.get(end).is_some_and(u8::is_ascii_alphanumeric);
        (!goes_on && self.is_drawn(&text[at..end])).then_some(end)
    }

    /// The end of the last piece. If the first bytes do not look like a token, the rest of the run
    /// is not examined.
    fn last_end(
        &self,
        text: &[u8],
        at: usize,
        from: usize,
        any: (Alphabet, usize, usize),
    ) -> Option<usize> {
        let (alphabet, least, most) = any;
        let judged = run(text, from, JUDGED.max(least).min(most), |byte| {
            is(byte, alphabet)
        });
        (judged - from >= least && self.is_drawn(&text[at..judged])).then_some(())?;
        let end = run(text, judged, most - (judged - from), |byte| {
            is(byte, alphabet)
        });
        let too_long = most < LONGEST && text.get(end).is_some_and(|byte| is(*byte, alphabet));
        (!too_long).then_some(end)
    }

    fn is_drawn(&self, token: &[u8]) -> bool {
        self.plain || is_drawn(&token[self.head..])
    }
}

/// The end of a piece that is followed by another one.
fn inner_end(
    text: &[u8],
    from: usize,
    any: (Alphabet, usize, usize),
    next: &Piece,
) -> Option<usize> {
    let (alphabet, least, most) = any;
    // With a fixed length it is cheap to check first whether the next piece can follow.
    if let (true, Piece::Text(next)) = (least == most, next) {
        text.get(from + least..)?.starts_with(next).then_some(())?;
    }
    let end = run(text, from, most, |byte| is(byte, alphabet));
    (end - from >= least).then_some(end)
}
