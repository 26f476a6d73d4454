//! The tokens of providers, by the [list](super::provider_list) of their [shapes](super::provider_shape). Which shapes
//! may begin at a place follows from its first two bytes.

use std::sync::LazyLock;

use super::alphabet::{ALPHABETS, Alphabet, STD, is};
use super::provider_list::{lines, read};
use super::provider_shape::{Piece, Shape};
use super::runs::{RUN_LENGTH, is_run};
use super::scan::{Find, begins};
use super::shape::JWT;

/// What may stand between the parts of a token of which only the last one is a run.
pub(super) const JOINTS: &[u8] = b":|$";

/// All shapes, by how they begin.
struct Shapes {
    all: Vec<Shape>,
    /// For each pair of codes the bucket of the shapes that begin with it; 0: none.
    pairs: [u8; 1 << 12],
    buckets: Vec<Vec<u16>>,
    /// Those that begin with an alphabet, those that begin with the shortest run first.
    open: Vec<Open>,
    /// Those that no run shows but a text within them.
    anchored: Vec<Anchored>,
    /// Those that begin with an alphabet behind which is one of [`JOINTS`].
    jointed: Vec<u16>,
}

/// Letters, digits, `-` and `_` each have a code; everything else shares one.
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
    // Web tokens have a detector of their own, and an entry here.
    let jwt = &mut shapes.pairs[pair(JWT[0], JWT[1])];
    if *jwt == 0 {
        *jwt = shapes.buckets.len() as u8;
        shapes.buckets.push(Vec::new());
    }
    shapes
});

/// The alphabets with bytes that are of no run, apart from padding.
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

/// The most that pads base64 at its end; a `=` stands nowhere else.
const PADDING: usize = 2;

/// A shape that begins with an alphabet.
struct Open {
    /// How long the run is at least that it begins with.
    run: usize,
    /// A byte that is cheap to look for before anything else: how far in it stands, and which it is.
    offset: usize,
    byte: u8,
    number: u16,
}

/// A shape that is looked for by a text within it.
struct Anchored {
    number: u16,
    /// How far into the token the text begins.
    before: usize,
    text: Vec<u8>,
}

/// What shows that a shape may be there.
enum Shown {
    /// A run with a part that begins so.
    Head(u8, u8),
    /// This text, so far into it.
    Text(usize, Vec<u8>),
    /// A run behind one of [`JOINTS`].
    Joint,
    /// A run, however it begins.
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

    /// How long the run is at least that the token begins with.
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

/// The texts by which shapes are looked for that no run shows, with their numbers for [`find_anchored`].
pub(super) fn anchors() -> impl Iterator<Item = (&'static [u8], usize)> {
    SHAPES.anchored.iter().enumerate().map(|(number, anchored)| (&anchored.text[..], number))
}

/// The token in which the text of this number stands at `at`.
pub(super) fn find_anchored(text: &[u8], at: usize, number: usize) -> Option<Find<'static>> {
    let Anchored { number, before, .. } = SHAPES.anchored[number];
    let start = at.checked_sub(before)?;
    let weak_place = || is_amid_base64(text, start);
    begins(text, start).then(|| first(&SHAPES, text, start, &[number], weak_place))?
}

/// Where a token may begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum At {
    /// Behind a part of the run that is no letter and no digit.
    Break,
    /// Where the run begins.
    Run,
    /// Before the run, from which one of [`JOINTS`] parts it.
    Joint,
}

/// Whether a token may begin with such bytes.
#[inline]
pub(super) fn may_begin(first: u8, second: u8) -> bool {
    SHAPES.pairs[pair(first, second)] != 0
}

/// The token that begins at `at`, where so much of a run is left. What stands amid base64 has to have a head that
/// base64 cannot have.
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

/// So much of base64 before a place makes it a part of more of it.
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
