//! Provider tokens, found by the [list](super::provider_list) of their
//! [shapes](super::provider_shape). The first two bytes at a position determine which shapes may
//! begin there.

use super::alphabet::{ALPHABETS, Alphabet, STD, is};
use super::provider_list::SHAPES as ALL;
use super::provider_shape::{Piece, Shape};
use super::runs::{RUN_LENGTH, is_run};
use super::scan::{Find, begins};
use super::shape::JWT;

/// Bytes that may separate the parts of a token of which only the last part is a run.
pub(super) const JOINTS: &[u8] = b":|$";

/// The numbers of all shapes, grouped by how they are found.
struct Shapes {
    /// For each pair of codes, the bucket of the shapes that begin with it; 0 if there is none.
    pairs: [u8; 1 << 12],
    /// The shapes of the buckets, one bucket after the other.
    numbers: [u16; ALL.len()],
    /// The end of each bucket in `numbers`; it begins where the one before ends.
    ends: [u16; 256],
    /// Shapes that begin with an alphabet, those with the shortest required run first.
    open: ConstList<Open>,
    /// Shapes that are found by a text within them, because no run indicates them.
    anchored: ConstList<Anchored>,
    /// Shapes whose parts are separated by one of [`JOINTS`].
    jointed: ConstList<u16>,
}

/// A list that the compiler makes.
#[derive(Clone, Copy)]
pub(super) struct ConstList<T> {
    items: [T; 32],
    len: usize,
}

impl<T: Copy> ConstList<T> {
    const fn push(&mut self, item: T) {
        self.items[self.len] = item;
        self.len += 1;
    }

    pub(super) const fn all(&self) -> &[T] {
        self.items.split_at(self.len).0
    }
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

const fn pair(first: u8, second: u8) -> usize {
    (CODES[first as usize] as usize) << 6 | CODES[second as usize] as usize
}

static SHAPES: Shapes = {
    let mut shapes = Shapes {
        pairs: [0; 1 << 12],
        numbers: [0; ALL.len()],
        ends: [0; 256],
        open: ConstList {
            items: [Open::NONE; 32],
            len: 0,
        },
        anchored: ConstList {
            items: [Anchored::NONE; 32],
            len: 0,
        },
        jointed: ConstList {
            items: [0; 32],
            len: 0,
        },
    };
    // JSON web tokens have their own detector, but also need an entry in this table.
    shapes.pairs[pair(JWT[0], JWT[1])] = 1;
    let mut number = 0;
    let mut buckets = 1;
    while number < ALL.len() {
        let shape = &ALL[number];
        match shape.shown_by() {
            Shown::Head(first, second) => {
                let bucket = &mut shapes.pairs[pair(first, second)];
                if *bucket == 0 {
                    buckets += 1;
                    *bucket = buckets;
                }
                shapes.ends[*bucket as usize] += 1;
            }
            Shown::Text(before, text) => shapes.anchored.push(Anchored {
                number: number as u16,
                before,
                text,
            }),
            Shown::Joint => shapes.jointed.push(number as u16),
            Shown::Run => {
                let (offset, byte) = shape
                    .first
                    .expect("what is of no fixed length stands behind a joint");
                let run = shape.run_length();
                shapes.open.push(Open {
                    run,
                    offset,
                    byte,
                    number: number as u16,
                });
                let open = &mut shapes.open.items;
                let mut at = shapes.open.len - 1;
                while at > 0 && open[at - 1].run > run {
                    open.swap(at - 1, at);
                    at -= 1;
                }
            }
        }
        number += 1;
    }
    // So far the ends are counts.
    let mut bucket = 1;
    while bucket <= buckets as usize {
        shapes.ends[bucket] += shapes.ends[bucket - 1];
        bucket += 1;
    }
    let mut filled = [0; 256];
    let mut number = 0;
    while number < ALL.len() {
        if let Shown::Head(first, second) = ALL[number].shown_by() {
            let bucket = shapes.pairs[pair(first, second)] as usize;
            let place = shapes.ends[bucket - 1] + filled[bucket];
            shapes.numbers[place as usize] = number as u16;
            filled[bucket] += 1;
        }
        number += 1;
    }
    shapes
};

/// For each shape, a length that the run which the token begins with always has. A run ends at the
/// first `=`, which some alphabets have anywhere.
static RUN_LENGTHS: [u16; ALL.len()] = {
    let mut lengths = [0; ALL.len()];
    let mut number = 0;
    while number < ALL.len() {
        lengths[number] = ALL[number].certain_run_length() as u16;
        number += 1;
    }
    lengths
};

impl Shapes {
    fn bucket(&'static self, first: u8, second: u8) -> &'static [u16] {
        let bucket = usize::from(self.pairs[pair(first, second)]);
        if bucket == 0 {
            return &[];
        }
        &self.numbers[usize::from(self.ends[bucket - 1])..usize::from(self.ends[bucket])]
    }
}

/// The alphabets with bytes that cannot be part of a run, apart from padding.
const BEYOND_RUNS: Alphabet = {
    let mut all = 0;
    let mut byte = 0;
    while byte < 256 {
        if !is_run(byte as u8) && byte as u8 != b'=' {
            all |= ALPHABETS[byte];
        }
        byte += 1;
    }
    all
};

/// The most padding at the end of base64.
const PADDING: usize = 2;

/// A shape that begins with an alphabet.
#[derive(Clone, Copy)]
struct Open {
    /// Minimum length of the run that it begins with.
    run: usize,
    /// A byte that is cheap to compare before anything else: its offset, and its value.
    offset: usize,
    byte: u8,
    number: u16,
}

impl Open {
    const NONE: Self = Self {
        run: 0,
        offset: 0,
        byte: 0,
        number: 0,
    };
}

/// A shape that is found by a text within it.
#[derive(Clone, Copy)]
pub(super) struct Anchored {
    number: u16,
    /// The offset of the text in the token.
    before: usize,
    pub(super) text: &'static [u8],
}

impl Anchored {
    const NONE: Self = Self {
        number: 0,
        before: 0,
        text: &[],
    };
}

/// How it is detected that a shape may be present.
enum Shown {
    /// By a run with a part that begins with these two bytes.
    Head(u8, u8),
    /// By this text, at this offset in the token.
    Text(usize, &'static [u8]),
    /// By a run after one of [`JOINTS`].
    Joint,
    /// By a run, whatever it begins with.
    Run,
}

impl Shape {
    const fn shown_by(&self) -> Shown {
        let mut number = 0;
        while number < self.pieces.len() {
            if let Piece::Text(text) = self.pieces[number]
                && (is_joint(text[0]) || number == 0 && has_joint(text))
            {
                return Shown::Joint;
            }
            number += 1;
        }
        let is_run = self.run_length() >= RUN_LENGTH;
        match self.pieces[0] {
            Piece::Text(head) if is_run => return Shown::Head(head[0], head[1]),
            Piece::Text(head) => return Shown::Text(0, head),
            Piece::Any { .. } if is_run => return Shown::Run,
            Piece::Any { .. } => {}
        }
        let mut before = 0;
        let mut number = 0;
        while number < self.pieces.len() {
            match self.pieces[number] {
                Piece::Any { least, most, .. } if least == most => before += least,
                Piece::Text(text) if text.len() >= 4 => return Shown::Text(before, text),
                Piece::Text(text) => before += text.len(),
                Piece::Any { .. } => break,
            }
            number += 1;
        }
        Shown::Run
    }

    /// Minimum length of the run that the token begins with, if `=` only pads its end. Decides how
    /// a shape is searched for.
    const fn run_length(&self) -> usize {
        self.run_length_with(PADDING)
    }

    /// Length that the run which the token begins with always has, wherever a `=` is.
    const fn certain_run_length(&self) -> usize {
        self.run_length_with(usize::MAX)
    }

    const fn run_length_with(&self, padding: usize) -> usize {
        let mut length = 0;
        let mut number = 0;
        while number < self.pieces.len() {
            match self.pieces[number] {
                Piece::Text(text) => {
                    let mut run = 0;
                    while run < text.len() && is_run(text[run]) {
                        run += 1;
                    }
                    length += run;
                    if run < text.len() {
                        break;
                    }
                }
                Piece::Any {
                    alphabet, least, ..
                } => {
                    if alphabet & BEYOND_RUNS != 0 {
                        break;
                    }
                    if is(b'=', alphabet) {
                        length += least.saturating_sub(padding);
                        if padding > PADDING {
                            break;
                        }
                    } else {
                        length += least;
                    }
                }
            }
            number += 1;
        }
        length
    }
}

const fn is_joint(byte: u8) -> bool {
    let mut at = 0;
    while at < JOINTS.len() {
        if JOINTS[at] == byte {
            return true;
        }
        at += 1;
    }
    false
}

const fn has_joint(text: &[u8]) -> bool {
    let mut at = 0;
    while at < text.len() {
        if is_joint(text[at]) {
            return true;
        }
        at += 1;
    }
    false
}

/// The shapes that are found by a text, by their numbers for [`find_anchored`].
pub(super) static ANCHORED: ConstList<Anchored> = SHAPES.anchored;

/// The token that contains the anchor text with this number at `at`.
pub(super) fn find_anchored(text: &[u8], at: usize, number: usize) -> Option<Find<'static>> {
    let Anchored { number, before, .. } = &ANCHORED.all()[number];
    let start = at.checked_sub(*before)?;
    let weak_place = || is_amid_base64(text, start);
    begins(text, start).then(|| first(text, start, [number], weak_place))?
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

/// Finds the token that begins at `at`; `run` is the remaining length of the run, or more. In the
/// middle of base64 only a token whose head cannot occur in base64 is accepted.
pub(super) fn find(text: &[u8], at: usize, run: usize, begins: At) -> Option<Find<'static>> {
    let bucket = SHAPES.bucket(*text.get(at)?, *text.get(at + 1)?);
    let fits = |number: &&u16| usize::from(RUN_LENGTHS[usize::from(**number)]) <= run;
    let found = first(text, at, bucket.iter().filter(fits), || {
        is_amid_base64(text, at)
    });
    match begins {
        At::Break => found,
        At::Run => found.or_else(|| {
            let rest = &text[at..];
            let long_enough = SHAPES.open.all().iter().take_while(|open| open.run <= run);
            let may = |open: &&'static Open| rest.get(open.offset) == Some(&open.byte);
            let try_one =
                |open: &'static Open| first(text, at, [&open.number], || is_amid_base64(text, at));
            long_enough.filter(may).find_map(try_one)
        }),
        At::Joint => found.or_else(|| first(text, at, SHAPES.jointed.all(), || false)),
    }
}

/// A position is in the middle of base64 if at least this many bytes of it precede.
const AMID: usize = 40;

fn is_amid_base64(text: &[u8], at: usize) -> bool {
    at >= AMID
        && matches!(text[at - 1], b'+' | b'/')
        && text[at - AMID..at].iter().all(|byte| is(*byte, STD))
}

fn first(
    text: &[u8],
    at: usize,
    among: impl IntoIterator<Item = &'static u16>,
    amid_base64: impl Fn() -> bool,
) -> Option<Find<'static>> {
    among.into_iter().find_map(|number| {
        let shape = &ALL[usize::from(*number)];
        if shape
            .first
            .is_some_and(|(offset, byte)| text.get(at + offset) != Some(&byte))
        {
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
        let anchors: Vec<String> = ANCHORED
            .all()
            .iter()
            .map(|anchored| String::from_utf8_lossy(anchored.text).into_owned())
            .collect();
        assert!(anchors.iter().all(|text| text.len() >= 4), "{anchors:?}");
        assert!(anchors.len() <= 20, "{} {anchors:?}", anchors.len());
    }
}
