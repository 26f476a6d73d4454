//! Provider tokens, found by the [list](super::provider_list) of their
//! [shapes](super::provider_shape). The first two bytes at a position determine which shapes may
//! begin there.

use std::sync::LazyLock;

use super::alphabet::{ALPHABETS, Alphabet, STD, is};
use super::provider_list::{lines, read};
use super::provider_shape::{Piece, Shape};
use super::runs::{RUN_LENGTH, is_run};
use super::scan::{Find, begins};
use super::shape::JWT;

/// Bytes that may separate the parts of a token of which only the last part is a run.
pub(super) const JOINTS: &[u8] = b":|$";

/// All shapes, grouped by how they begin.
struct Shapes {
    all: Vec<Shape>,
    /// For each pair of codes, the bucket of the shapes that begin with it; 0 if there is none.
    pairs: [u8; 1 << 12],
    buckets: Vec<Vec<u16>>,
    /// Shapes that begin with an alphabet, those with the shortest required run first.
    open: Vec<Open>,
    /// Shapes that are found by a text within them, because no run indicates them.
    anchored: Vec<Anchored>,
    /// Shapes whose parts are separated by one of [`JOINTS`].
    jointed: Vec<u16>,
}

/// Letters, digits and `-` each have their own code; all other bytes share one code.
static CODES: [u8; 256] = {
    let mut codes = [63; 256];
    let mut byte = 0;
    while byte < 256 {
        codes[byte] = match byte as u8 {
            b @ b'0'..=b'9' => b - b'0',
            b @ b'A'..=b'Z' => b - b'A' + 10,
            b @ b'a'..=b'z' => b - b'a' + 36,
            b'-' => 62,
            _ => 63,
        };
        byte += 1;
    }
    codes
};

fn pair(first: u8, second: u8) -> usize {
    usize::from(CODES[usize::from(first)]) << 6 | usize::from(CODES[usize::from(second)])
}

static SHAPES: LazyLock<Shapes> = LazyLock::new(|| {
    let all: Vec<Shape> = lines().flat_map(|(kind, shape)| read(kind, shape)).collect();
    let mut shapes = Shapes {
        all,
        pairs: [0; 1 << 12],
        buckets: vec![Vec::new()],
        open: Vec::new(),
        anchored: Vec::new(),
        jointed: Vec::new(),
    };
    for (number, shape) in shapes.all.iter().enumerate() {
        let number = number as u16;
        match shape.shown_by() {
            Shown::Head(first, second) => {
                let bucket = &mut shapes.pairs[pair(first, second)];
                if *bucket == 0 {
                    *bucket = shapes.buckets.len() as u8;
                    shapes.buckets.push(Vec::new());
                }
                shapes.buckets[usize::from(*bucket)].push(number);
            }
            Shown::Text(before, text) => shapes.anchored.push(Anchored { number, before, text }),
            Shown::Joint => shapes.jointed.push(number),
            Shown::Run => {
                let (offset, byte) = shape.first.expect("what is of no fixed length stands behind a joint");
                shapes.open.push(Open { run: shape.run_length(), offset, byte, number });
            }
        }
    }
    shapes.open.sort_by_key(|open| open.run);
    // JSON web tokens have their own detector, but also need an entry in this table.
    let jwt = &mut shapes.pairs[pair(JWT[0], JWT[1])];
    if *jwt == 0 {
        *jwt = shapes.buckets.len() as u8;
        shapes.buckets.push(Vec::new());
    }
    shapes
});

/// The alphabets with bytes that cannot be part of a run, apart from padding.
const BEYOND_RUNS: Alphabet = {
    let (mut all, mut byte) = (0, 0);
    while byte < 256 {
        if !is_run(byte as u8) && byte as u8 != b'=' {
            all |= ALPHABETS[byte];
        }
        byte += 1;
    }
    all
};

/// The most padding at the end of base64; `=` occurs nowhere else.
const PADDING: usize = 2;

/// A shape that begins with an alphabet.
struct Open {
    /// Minimum length of the run that it begins with.
    run: usize,
    /// A byte that is cheap to compare before anything else: its offset, and its value.
    offset: usize,
    byte: u8,
    number: u16,
}

/// A shape that is found by a text within it.
struct Anchored {
    number: u16,
    /// The offset of the text in the token.
    before: usize,
    text: Vec<u8>,
}

/// How it is detected that a shape may be present.
enum Shown {
    /// By a run with a part that begins with these two bytes.
    Head(u8, u8),
    /// By this text, at this offset in the token.
    Text(usize, Vec<u8>),
    /// By a run after one of [`JOINTS`].
    Joint,
    /// By a run, whatever it begins with.
    Run,
}

impl Shape {
    fn shown_by(&self) -> Shown {
        if self
            .pieces
            .iter()
            .skip(1)
            .any(|piece| matches!(piece, Piece::Text(text) if JOINTS.contains(&text[0])))
            || matches!(&self.pieces[0], Piece::Text(head) if head.iter().any(|byte| JOINTS.contains(byte)))
        {
            return Shown::Joint;
        }
        let is_run = self.run_length() >= RUN_LENGTH;
        match &self.pieces[0] {
            Piece::Text(head) if is_run => return Shown::Head(head[0], head[1]),
            Piece::Text(head) => return Shown::Text(0, head.clone()),
            Piece::Any { .. } if is_run => return Shown::Run,
            Piece::Any { .. } => {}
        }
        let mut before = 0;
        for piece in &self.pieces {
            match piece {
                Piece::Any { least, most, .. } if least == most => before += least,
                Piece::Text(text) if text.len() >= 4 => return Shown::Text(before, text.clone()),
                Piece::Text(text) => before += text.len(),
                Piece::Any { .. } => break,
            }
        }
        Shown::Run
    }

    /// Minimum length of the run that the token begins with.
    fn run_length(&self) -> usize {
        let mut length = 0;
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => {
                    let run = text.iter().take_while(|byte| is_run(**byte)).count();
                    length += run;
                    if run < text.len() {
                        break;
                    }
                }
                Piece::Any { alphabet, least, .. } => {
                    if *alphabet & BEYOND_RUNS != 0 {
                        break;
                    }
                    length += if is(b'=', *alphabet) { least.saturating_sub(PADDING) } else { *least };
                }
            }
        }
        length
    }
}

/// The texts by which shapes without a run are found, with their numbers for [`find_anchored`].
pub(super) fn anchors() -> impl Iterator<Item = (&'static [u8], usize)> {
    SHAPES.anchored.iter().enumerate().map(|(number, anchored)| (&anchored.text[..], number))
}

/// The token that contains the anchor text with this number at `at`.
pub(super) fn find_anchored(text: &[u8], at: usize, number: usize) -> Option<Find<'static>> {
    let Anchored { number, before, .. } = SHAPES.anchored[number];
    let start = at.checked_sub(before)?;
    let weak_place = || is_amid_base64(text, start);
    begins(text, start).then(|| first(&SHAPES, text, start, &[number], weak_place))?
}

/// Where a token may begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum At {
    /// After a byte of the run that is neither a letter nor a digit.
    Break,
    /// At the start of the run.
    Run,
    /// Before the run, separated from it by one of [`JOINTS`].
    Joint,
}

/// Whether a token may begin with these two bytes.
#[inline]
pub(super) fn may_begin(first: u8, second: u8) -> bool {
    SHAPES.pairs[pair(first, second)] != 0
}

/// Finds the token that begins at `at`; `run` is the remaining length of the run. In the middle of
/// base64 only a token whose head cannot occur in base64 is accepted.
pub(super) fn find(text: &[u8], at: usize, run: usize, begins: At) -> Option<Find<'static>> {
    let shapes = &*SHAPES;
    let bucket = shapes.pairs[pair(*text.get(at)?, *text.get(at + 1)?)];
    let found = first(shapes, text, at, &shapes.buckets[usize::from(bucket)], || is_amid_base64(text, at));
    match begins {
        At::Break => found,
        At::Run => found.or_else(|| {
            let rest = &text[at..];
            let long_enough = shapes.open.iter().take_while(|open| open.run <= run);
            let may = |open: &&Open| rest.get(open.offset) == Some(&open.byte);
            let try_one = |open: &Open| first(shapes, text, at, &[open.number], || is_amid_base64(text, at));
            long_enough.filter(may).find_map(try_one)
        }),
        At::Joint => found.or_else(|| first(shapes, text, at, &shapes.jointed, || false)),
    }
}

/// A position is in the middle of base64 if at least this many bytes of it precede.
const AMID: usize = 40;

fn is_amid_base64(text: &[u8], at: usize) -> bool {
    at >= AMID && matches!(text[at - 1], b'+' | b'/') && text[at - AMID..at].iter().all(|byte| is(*byte, STD))
}

fn first(
    shapes: &Shapes,
    text: &[u8],
    at: usize,
    among: &[u16],
    amid_base64: impl Fn() -> bool,
) -> Option<Find<'static>> {
    among.iter().find_map(|number| {
        let shape = &shapes.all[usize::from(*number)];
        if shape.first.is_some_and(|(offset, byte)| text.get(at + offset) != Some(&byte)) {
            return None;
        }
        let end = shape.end(text, at)?;
        (!shape.weak || !amid_base64()).then(|| Find::shape(shape.kind, at..end))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_shapes_need_an_anchor_and_each_is_long_enough() {
        let anchors: Vec<String> =
            anchors().map(|(text, _)| String::from_utf8_lossy(text).into_owned()).collect();
        assert!(anchors.iter().all(|text| text.len() >= 4), "{anchors:?}");
        assert!(anchors.len() <= 20, "{} {anchors:?}", anchors.len());
    }
}
