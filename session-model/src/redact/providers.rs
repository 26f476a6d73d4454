//! The shapes of providers' tokens, read from the list in `providers.txt`, which says where they are from.
//!
//! A shape is matched from its first byte to its last without ever going back, so a token costs no more steps than
//! it is long. Which shapes may begin at a place follows from its first two bytes.

use std::sync::LazyLock;

use super::entropy::is_drawn;
use super::runs::{RUN_LENGTH, is_run};
use super::scan::{Find, begins, run};
use super::shape::JWT;

const LIST: &str = include_str!("providers.txt");

/// The longest token that is taken whole.
const LONGEST: usize = 4096;
/// What is looked at of a run before it is known to be a token's.
const JUDGED: usize = 128;

/// Sets of bytes, as bits of [`ALPHABETS`].
type Alphabet = u16;

const NAMES: [(&str, Alphabet); 14] = [
    ("digit", 1),
    ("lower", 1 << 1),
    ("upper", 1 << 2),
    ("hex", 1 << 3),
    ("letter", 1 << 4),
    ("alnum", 1 << 5),
    ("under", 1 << 6),
    ("dash", 1 << 7),
    ("word", 1 << 8),
    ("dotted", 1 << 9),
    ("std", 1 << 10),
    ("base64", 1 << 11),
    ("url64", 1 << 12),
    ("code", 1 << 13),
];
/// Base64 without its padding.
const STD: Alphabet = NAMES[10].1;
/// What ends a word within a run.
const BREAK: Alphabet = 1 << 14;

static ALPHABETS: [Alphabet; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte as usize] = alphabets(byte as u8);
        byte += 1;
    }
    table
};

const fn alphabets(b: u8) -> Alphabet {
    let (alnum, upper, lower) = (b.is_ascii_alphanumeric(), b.is_ascii_uppercase(), b.is_ascii_lowercase());
    let word = alnum || b == b'_' || b == b'-';
    let std = alnum || b == b'+' || b == b'/';
    let sets = [
        b.is_ascii_digit(),
        b.is_ascii_digit() || lower,
        b.is_ascii_digit() || upper,
        b.is_ascii_hexdigit(),
        upper || lower,
        alnum,
        alnum || b == b'_',
        alnum || b == b'-',
        word,
        word || b == b'.',
        std,
        std || b == b'=',
        word || b == b'=',
        word || b == b'.' || b == b'=' || b == b'~',
        !alnum,
    ];
    let (mut bits, mut at) = (0, 0);
    while at < sets.len() {
        bits |= (sets[at] as Alphabet) << at;
        at += 1;
    }
    bits
}

/// Whether a byte ends a word within a run.
pub(super) fn is_break(byte: u8) -> bool {
    is(byte, BREAK)
}

/// What may stand between the parts of a token of which only the last one is a run.
pub(super) const JOINTS: &[u8] = b":|$";

/// A part of a shape.
#[derive(Clone, Debug)]
enum Piece {
    /// This text.
    Text(Vec<u8>),
    /// So many bytes of an alphabet.
    Any { alphabet: Alphabet, least: usize, most: usize },
}

/// The shape of a provider's token.
#[derive(Debug)]
struct Shape {
    kind: &'static str,
    pieces: Vec<Piece>,
    /// How long its first text is; 0 if it begins with an alphabet.
    head: usize,
    /// It counts even if it does not look drawn.
    plain: bool,
    /// Nothing in its first text is foreign to base64, where it may stand by chance.
    weak: bool,
    /// A byte that is cheap to look for first: how far in it stands, and which it is.
    first: Option<(usize, u8)>,
}

impl Shape {
    /// Where the token ends that begins at `at`.
    fn end(&self, text: &[u8], at: usize) -> Option<usize> {
        let mut end = at;
        for (number, piece) in self.pieces.iter().enumerate() {
            end = match piece {
                Piece::Text(part) => text.get(end..)?.starts_with(part).then_some(end + part.len())?,
                &Piece::Any { alphabet, least, most } => match self.pieces.get(number + 1) {
                    Some(next) => self.inner_end(text, end, (alphabet, least, most), next)?,
                    None => self.last_end(text, at, end, (alphabet, least, most))?,
                },
            };
        }
        let end = end - text[at..end].iter().rev().take_while(|byte| **byte == b'.').count();
        let open = matches!(self.pieces.last(), Some(Piece::Any { most: LONGEST, .. }));
        let goes_on = !open && text[end - 1] != b'=' && text.get(end).is_some_and(u8::is_ascii_alphanumeric);
        (!goes_on && self.is_drawn(&text[at..end])).then_some(end)
    }

    /// Where a part ends behind which there is another one.
    fn inner_end(
        &self,
        text: &[u8],
        from: usize,
        any: (Alphabet, usize, usize),
        next: &Piece,
    ) -> Option<usize> {
        let (alphabet, least, most) = any;
        // Where the length is fixed it is cheaply known whether the next one can follow.
        if let (true, Piece::Text(next)) = (least == most, next) {
            text.get(from + least..)?.starts_with(next).then_some(())?;
        }
        let end = run(text, from, most, |byte| is(byte, alphabet));
        (end - from >= least).then_some(end)
    }

    /// Where the last part ends. A beginning that is no token's is all that is looked at of a run that is none.
    fn last_end(&self, text: &[u8], at: usize, from: usize, any: (Alphabet, usize, usize)) -> Option<usize> {
        let (alphabet, least, most) = any;
        let judged = run(text, from, JUDGED.max(least).min(most), |byte| is(byte, alphabet));
        (judged - from >= least && self.is_drawn(&text[at..judged])).then_some(())?;
        let end = run(text, judged, most - (judged - from), |byte| is(byte, alphabet));
        let too_long = most < LONGEST && text.get(end).is_some_and(|byte| is(*byte, alphabet));
        (!too_long).then_some(end)
    }

    fn is_drawn(&self, token: &[u8]) -> bool {
        self.plain || is_drawn(&token[self.head..])
    }
}

fn is(byte: u8, alphabet: Alphabet) -> bool {
    ALPHABETS[usize::from(byte)] & alphabet != 0
}

/// All shapes, by how they begin.
struct Shapes {
    all: Vec<Shape>,
    /// For each pair of codes the bucket of the shapes that begin with it; 0: none.
    pairs: [u8; 1 << 12],
    buckets: Vec<Vec<u16>>,
    /// Those that begin with an alphabet, each with a byte that is cheap to look for before anything else.
    open: Vec<(usize, u8, u16)>,
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
        codes[byte as usize] = match byte as u8 {
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
                assert!(offset < NEAR, "a shape's first text stands further behind than is looked");
                shapes.open.push((offset, byte, number));
            }
        }
    }
    // Web tokens have a detector of their own, and an entry here.
    let jwt = &mut shapes.pairs[pair(JWT[0], JWT[1])];
    if *jwt == 0 {
        *jwt = shapes.buckets.len() as u8;
        shapes.buckets.push(Vec::new());
    }
    shapes
});

/// The most that pads base64 at its end; a `=` stands nowhere else.
const PADDING: usize = 2;

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
                    if (0..=u8::MAX).any(|byte| is(byte, *alphabet) && !is_run(byte) && byte != b'=') {
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

/// The kinds and shapes of the list.
fn lines() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = LIST.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let split = lines.filter_map(|line| line.split_once(' '));
    split.filter(|(kind, _)| !matches!(*kind, "version" | "date"))
}

/// The shapes of a line, one for each of its choices.
fn read(kind: &'static str, shape: &str) -> Vec<Shape> {
    let mut all: Vec<Vec<Piece>> = vec![Vec::new()];
    for piece in shape.split_ascii_whitespace() {
        let choices = choices(piece);
        all = all.iter().flat_map(|pieces| choices.iter().map(|choice| joined(pieces, choice))).collect();
    }
    let (kind, plain) = kind.strip_prefix('!').map_or((kind, false), |kind| (kind, true));
    let shape = |pieces: Vec<Piece>| {
        let head: &[u8] = if let Some(Piece::Text(head)) = pieces.first() { head } else { b"" };
        let weak = head.iter().all(|byte| is(*byte, STD));
        let first = match &pieces[..] {
            [Piece::Text(head), ..] => head.last().map(|last| (head.len() - 1, *last)),
            [Piece::Any { least, most, .. }, Piece::Text(text), ..] if least == most => {
                Some((*least, text[0]))
            }
            _ => None,
        };
        Shape { kind, head: head.len(), plain, weak, first, pieces }
    };
    all.into_iter().map(shape).collect()
}

/// The pieces with one more; two texts in a row are one.
fn joined(pieces: &[Piece], next: &Piece) -> Vec<Piece> {
    let mut pieces = pieces.to_vec();
    match (pieces.last_mut(), next) {
        (Some(Piece::Text(text)), Piece::Text(more)) => text.extend_from_slice(more),
        _ => pieces.push(next.clone()),
    }
    pieces
}

/// The choices of a piece that is a text, or the one of an alphabet.
fn choices(piece: &str) -> Vec<Piece> {
    any(piece).map_or_else(
        || texts(piece).into_iter().map(|text| Piece::Text(text.into_bytes())).collect(),
        |any| vec![any],
    )
}

/// `(a|b)_(c|d)` is `a_c`, `a_d`, `b_c` and `b_d`.
fn texts(piece: &str) -> Vec<String> {
    let Some((before, (choices, after))) =
        piece.split_once('(').and_then(|(before, rest)| Some((before, rest.split_once(')')?)))
    else {
        return vec![piece.to_owned()];
    };
    let after = texts(after);
    let with =
        |choice: &str| after.iter().map(move |after| [before, choice, after].concat()).collect::<Vec<_>>();
    choices.split('|').flat_map(with).collect()
}

/// `alnum{36}`, `hex{24,34}`, `word{20,}`
fn any(piece: &str) -> Option<Piece> {
    let (name, count) = piece.strip_suffix('}')?.split_once('{')?;
    let (_, alphabet) = NAMES.iter().find(|(known, _)| *known == name)?;
    let (least, most) = count.split_once(',').unwrap_or((count, count));
    let most = if most.is_empty() { LONGEST } else { most.parse().ok()? };
    Some(Piece::Any { alphabet: *alphabet, least: least.parse().ok()?, most })
}

/// The version of the list and its date.
pub fn list_version() -> (&'static str, &'static str) {
    let value = |name| LIST.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    (value("version "), value("date "))
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
pub(super) fn may_begin(first: u8, second: u8) -> bool {
    SHAPES.pairs[pair(first, second)] != 0
}

/// No shape that begins with an alphabet shows later than so far into it.
const NEAR: usize = 64;

/// The token that begins at `at`. What stands amid base64 has to have a head that base64 cannot have.
pub(super) fn find(text: &[u8], at: usize, begins: At) -> Option<Find<'static>> {
    let shapes = &*SHAPES;
    let bucket = shapes.pairs[pair(*text.get(at)?, *text.get(at + 1)?)];
    let found = first(shapes, text, at, &shapes.buckets[usize::from(bucket)], || is_amid_base64(text, at));
    match begins {
        At::Break => found,
        At::Run => found.or_else(|| {
            let rest = &text[at..];
            let try_one = |number: u16| first(shapes, text, at, &[number], || is_amid_base64(text, at));
            // The bounds of most are checked at once.
            if let Some(near) = rest.first_chunk::<NEAR>() {
                let may = |(offset, byte, _): &&(usize, u8, u16)| near[offset % NEAR] == *byte;
                return shapes.open.iter().filter(may).find_map(|(.., number)| try_one(*number));
            }
            let may = |(offset, byte, _): &&(usize, u8, u16)| rest.get(*offset) == Some(byte);
            shapes.open.iter().filter(may).find_map(|(.., number)| try_one(*number))
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
    fn the_list_is_read_whole_and_says_of_when_it_is() {
        let (version, date) = list_version();
        assert!(version.starts_with(&date[..4]) && date.len() == 10, "{version} {date}");
        for (kind, line) in lines() {
            let shapes = read(kind, line);
            assert!(shapes.iter().all(|shape| crate::redact::tag::is_kind(shape.kind)), "{kind}");
            for shape in shapes {
                let unread = |piece: &Piece| matches!(piece, Piece::Text(text) if text.iter().any(|b| b"{}()".contains(b)));
                assert!(!shape.pieces.iter().any(unread), "{line}");
                // Nothing goes back: where a length may vary, what follows cannot be a part of it.
                for pair in shape.pieces.windows(2) {
                    if let [Piece::Any { alphabet, least, most }, Piece::Text(next)] = pair {
                        assert!(least == most || !is(next[0], *alphabet), "{line}");
                    }
                }
            }
        }
    }

    #[test]
    fn few_shapes_need_an_anchor_and_each_is_long_enough() {
        let anchors: Vec<String> =
            anchors().map(|(text, _)| String::from_utf8_lossy(text).into_owned()).collect();
        assert!(anchors.iter().all(|text| text.len() >= 4), "{anchors:?}");
        assert!(anchors.len() <= 20, "{} {anchors:?}", anchors.len());
    }
}
