//! Parser of the list in `providers.txt`, which also documents the sources of its shapes.

use super::alphabet::{Alphabet, NAMES, STD, is};
use super::provider_shape::{LONGEST, Piece, Shape};

const LIST: &str = include_str!("providers.txt");

/// Room for what the list contains; more does not compile.
const MAX_SHAPES: usize = 384;
const MAX_PIECES: usize = 1200;
const MAX_TEXTS: usize = 4096;

/// The shapes of the list: one per combination of a line's choices. The compiler parses them, so
/// that no program parses anything when it starts.
pub(super) static SHAPES: [Shape; PARSED.shapes_len] = {
    let none = Shape {
        kind: "",
        pieces: &[],
        head: 0,
        plain: false,
        weak: false,
        first: None,
    };
    let mut shapes = [none; PARSED.shapes_len];
    let mut number = 0;
    while number < shapes.len() {
        let (kind, start, end) = PARSED.shapes[number];
        shapes[number] = shape(kind, PIECES.split_at(end).0.split_at(start).1);
        number += 1;
    }
    shapes
};

static PIECES: [Piece; PARSED.pieces_len] = {
    let mut pieces = [Piece::Text(&[]); PARSED.pieces_len];
    let mut number = 0;
    while number < pieces.len() {
        pieces[number] = match PARSED.pieces[number] {
            Parsed::Text(start, end) => Piece::Text(TEXTS.split_at(end).0.split_at(start).1),
            Parsed::Any(alphabet, least, most) => Piece::Any {
                alphabet,
                least,
                most,
            },
        };
        number += 1;
    }
    pieces
};

static TEXTS: [u8; MAX_TEXTS] = PARSED.texts;

const PARSED: Tables = {
    let mut tables = Tables {
        texts: [0; MAX_TEXTS],
        texts_len: 0,
        pieces: [Parsed::Text(0, 0); MAX_PIECES],
        pieces_len: 0,
        shapes: [("", 0, 0); MAX_SHAPES],
        shapes_len: 0,
    };
    let mut rest = LIST;
    while !rest.is_empty() {
        let (line, next) = word(rest, b'\n');
        rest = next;
        let (kind, shape) = word(line, b' ');
        let is_shape = !kind.is_empty()
            && kind.as_bytes()[0] != b'#'
            && !is_same(kind, "version")
            && !is_same(kind, "date");
        let mut choice = 0;
        while is_shape && choice < choices(shape) {
            tables.push_shape(kind, shape, choice);
            choice += 1;
        }
    }
    tables
};

/// A piece of a shape; a text is a range of [`Tables::texts`].
#[derive(Clone, Copy)]
enum Parsed {
    Text(usize, usize),
    Any(Alphabet, usize, usize),
}

struct Tables {
    texts: [u8; MAX_TEXTS],
    texts_len: usize,
    pieces: [Parsed; MAX_PIECES],
    pieces_len: usize,
    /// The kind of each shape and the range of its pieces.
    shapes: [(&'static str, usize, usize); MAX_SHAPES],
    shapes_len: usize,
}

impl Tables {
    /// Adds the shape of a line with this number of its choices. The choice of an earlier piece
    /// changes faster than that of a later one.
    const fn push_shape(&mut self, kind: &'static str, mut shape: &'static str, mut choice: usize) {
        let start = self.pieces_len;
        while !shape.is_empty() {
            let (piece, rest) = word(shape, b' ');
            shape = rest;
            if piece.is_empty() {
                continue;
            }
            if let Some(any) = any(piece) {
                self.pieces[self.pieces_len] = any;
                self.pieces_len += 1;
            } else {
                let of_piece = choices(piece);
                self.push_text(piece.as_bytes(), start, choice % of_piece, of_piece);
                choice /= of_piece;
            }
        }
        self.shapes[self.shapes_len] = (kind, start, self.pieces_len);
        self.shapes_len += 1;
    }

    /// Adds a text with this number of its choices, joining it with a text directly before it: of
    /// `(a|b)_(c|d)` the choices are `a_c`, `a_d`, `b_c` and `b_d`.
    const fn push_text(&mut self, piece: &[u8], first: usize, choice: usize, of: usize) {
        if self.pieces_len == first || !matches!(self.pieces[self.pieces_len - 1], Parsed::Text(..))
        {
            self.pieces[self.pieces_len] = Parsed::Text(self.texts_len, self.texts_len);
            self.pieces_len += 1;
        }
        let mut choice = choice;
        let mut of = of;
        let mut at = 0;
        while at < piece.len() {
            if piece[at] == b'(' {
                of /= options(piece, at);
                let chosen = choice / of;
                choice %= of;
                let mut number = 0;
                at += 1;
                while piece[at] != b')' {
                    if piece[at] == b'|' {
                        number += 1;
                    } else if number == chosen {
                        self.push_byte(piece[at]);
                    }
                    at += 1;
                }
            } else {
                self.push_byte(piece[at]);
            }
            at += 1;
        }
        if let Parsed::Text(start, _) = self.pieces[self.pieces_len - 1] {
            self.pieces[self.pieces_len - 1] = Parsed::Text(start, self.texts_len);
        }
    }

    const fn push_byte(&mut self, byte: u8) {
        self.texts[self.texts_len] = byte;
        self.texts_len += 1;
    }
}

/// The number of combinations of the choices in a text.
const fn choices(text: &str) -> usize {
    let text = text.as_bytes();
    let mut all = 1;
    let mut at = 0;
    while at < text.len() {
        if text[at] == b'(' {
            all *= options(text, at);
        }
        at += 1;
    }
    all
}

/// The number of options between the parentheses that open at `at`.
const fn options(text: &[u8], mut at: usize) -> usize {
    let mut options = 1;
    while text[at] != b')' {
        options += (text[at] == b'|') as usize;
        at += 1;
    }
    options
}

/// Splits a text at the first such byte; without one, nothing remains.
const fn word(text: &str, end: u8) -> (&str, &str) {
    let mut at = 0;
    while at < text.len() {
        if text.as_bytes()[at] == end {
            return (text.split_at(at).0, text.split_at(at + 1).1);
        }
        at += 1;
    }
    (text, "")
}

const fn is_same(one: &str, other: &str) -> bool {
    let one = one.as_bytes();
    let other = other.as_bytes();
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

/// Parses an alphabet with a count: `alnum{36}`, `hex{24,34}`, `word{20,}`.
const fn any(piece: &str) -> Option<Parsed> {
    let (name, count) = word(piece, b'{');
    let mut number = 0;
    while number < NAMES.len() && !is_same(NAMES[number].0, name) {
        number += 1;
    }
    if number == NAMES.len() || count.is_empty() {
        return None;
    }
    let (count, _) = word(count, b'}');
    let (least, most) = word(count, b',');
    let most = if least.len() == count.len() {
        least
    } else {
        most
    };
    let most = if most.is_empty() {
        LONGEST
    } else {
        decimal(most)
    };
    Some(Parsed::Any(NAMES[number].1, decimal(least), most))
}

const fn decimal(digits: &str) -> usize {
    let mut value = 0;
    let mut at = 0;
    while at < digits.len() {
        let digit = digits.as_bytes()[at].wrapping_sub(b'0');
        assert!(digit < 10, "a count must be decimal");
        value = value * 10 + digit as usize;
        at += 1;
    }
    value
}

const fn shape(kind: &'static str, pieces: &'static [Piece]) -> Shape {
    let plain = kind.as_bytes()[0] == b'!';
    let head: &[u8] = if let Piece::Text(head) = pieces[0] {
        head
    } else {
        b""
    };
    let mut weak = true;
    let mut at = 0;
    while at < head.len() {
        weak &= is(head[at], STD);
        at += 1;
    }
    let first = match pieces {
        [Piece::Text(head), ..] => Some((head.len() - 1, head[head.len() - 1])),
        [Piece::Any { least, most, .. }, Piece::Text(text), ..] if *least == *most => {
            Some((*least, text[0]))
        }
        _ => None,
    };
    Shape {
        kind: kind.split_at(plain as usize).1,
        head: head.len(),
        plain,
        weak,
        first,
        pieces,
    }
}

/// The version of the list and its date.
pub fn list_version() -> (&'static str, &'static str) {
    let value = |name| {
        LIST.lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or_default()
    };
    (value("version "), value("date "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reference implementation, with the means of a program that runs.
    fn read(kind: &str, shape: &str) -> Vec<(String, bool, Vec<Piece>)> {
        let mut all: Vec<Vec<(Option<Piece>, String)>> = vec![Vec::new()];
        for piece in shape.split_ascii_whitespace() {
            if let Some(any) = any_of(piece) {
                all.iter_mut()
                    .for_each(|pieces| pieces.push((Some(any), String::new())));
            } else {
                let with = |choice: &String| {
                    let mut all = all.clone();
                    all.iter_mut().for_each(|pieces| match pieces.last_mut() {
                        Some((None, before)) => before.push_str(choice),
                        _ => pieces.push((None, choice.clone())),
                    });
                    all
                };
                all = texts(piece).iter().flat_map(with).collect();
            }
        }
        let name = kind.strip_prefix('!').unwrap_or(kind);
        let piece = |(any, text): (Option<Piece>, String)| {
            any.unwrap_or_else(|| Piece::Text(text.into_bytes().leak()))
        };
        all.into_iter()
            .map(|pieces| {
                let pieces = pieces.into_iter().map(piece).collect();
                (name.to_owned(), kind != name, pieces)
            })
            .collect()
    }

    fn any_of(piece: &str) -> Option<Piece> {
        let (name, count) = piece.strip_suffix('}')?.split_once('{')?;
        let (_, alphabet) = NAMES.iter().find(|(known, _)| *known == name)?;
        let (least, most) = count.split_once(',').unwrap_or((count, count));
        Some(Piece::Any {
            alphabet: *alphabet,
            least: least.parse().ok()?,
            most: if most.is_empty() {
                LONGEST
            } else {
                most.parse().ok()?
            },
        })
    }

    fn texts(piece: &str) -> Vec<String> {
        let Some((before, rest)) = piece.split_once('(') else {
            return vec![piece.to_owned()];
        };
        let (choices, after) = rest.split_once(')').unwrap();
        let after = texts(after);
        let with = |choice| {
            let whole = |after: &String| [before, choice, after].concat();
            after.iter().map(whole).collect::<Vec<_>>()
        };
        choices.split('|').flat_map(with).collect()
    }

    #[test]
    fn the_compiler_reads_the_list_as_a_program_would() {
        let lines = LIST
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .filter_map(|line| line.split_once(' '))
            .filter(|(kind, _)| !matches!(*kind, "version" | "date"));
        let expected: Vec<_> = lines.flat_map(|(kind, line)| read(kind, line)).collect();
        let actual: Vec<_> = SHAPES
            .iter()
            .map(|shape| (shape.kind.to_owned(), shape.plain, shape.pieces.to_vec()))
            .collect();
        assert_eq!(actual, expected);
    }

    #[test]
    fn the_list_is_read_whole_and_says_of_when_it_is() {
        let (version, date) = list_version();
        assert!(
            version.starts_with(&date[..4]) && date.len() == 10,
            "{version} {date}"
        );
        for shape in &SHAPES {
            assert!(session_model::placeholder::is_kind(shape.kind), "{shape:?}");
            let unread = |piece: &Piece| matches!(piece, Piece::Text(text) if text.iter().any(|b| b"{}()".contains(b)));
            assert!(!shape.pieces.iter().any(unread), "{shape:?}");
            // Matching never goes back: after a piece of variable length, the next text cannot
            // be part of that piece.
            for pair in shape.pieces.windows(2) {
                if let [
                    Piece::Any {
                        alphabet,
                        least,
                        most,
                    },
                    Piece::Text(next),
                ] = pair
                {
                    assert!(least == most || !is(next[0], *alphabet), "{shape:?}");
                }
            }
        }
    }
}
