//! Searches a text for all anchors at once.
//!
//! Every stored byte passes through here, so the search looks at 64 bytes at a time. For each of
//! four adjacent bytes two tables, one for the high half of the byte and one for the low half,
//! say which of eight groups of literals may have such a byte there (the method is known as
//! "Teddy"). Where all four agree on a group is a candidate, which is then compared with the
//! literals that begin with its first bytes. The compiler makes the tables.

#![expect(
    clippy::inline_always,
    reason = "the vector instructions are available only in the function that is dispatched to"
)]

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, u8x16, u8x64};

use super::anchors::{ANCHORS, Anchor, Sign};
use super::plain::unseen;
use super::providers::ANCHORED;

/// The number of bytes in a block.
const BLOCK: usize = 64;
/// How many of a literal's first bytes the tables check.
const SEEN: usize = 4;
/// A block and the bytes that are checked with its last byte.
const WIDE: usize = BLOCK + SEEN - 1;

/// The number of literals.
const COUNT: usize = ANCHORS.len() + ANCHORED.all().len();

/// The literals, and what each may indicate. If two begin at one place, the first one counts.
static LITERALS: [(&[u8], Sign); COUNT] = {
    let none: &[u8] = b"";
    let mut literals = [(none, Sign::Tag); COUNT];
    let mut number = 0;
    while number < ANCHORS.len() {
        literals[number] = (ANCHORS[number].0.as_bytes(), ANCHORS[number].1);
        number += 1;
    }
    while number < COUNT {
        let token = number - ANCHORS.len();
        literals[number] = (ANCHORED.all()[token].text, Sign::Token(token));
        number += 1;
    }
    literals
};

/// The zero-width characters that count as anchors, each as its first two bytes and the range of
/// its third byte.
const HIDDEN: [(u8, u8, u8, u8); 4] = [
    (0xc2, 0xad, 0, 0xff),
    (0xe2, 0x80, 0x8b, 0x8f),
    (0xe2, 0x81, 0xa0, 0xa4),
    (0xef, 0xbb, 0xbf, 0xbf),
];

/// For each byte position and each half of a byte, the groups of literals that may have it there.
type Halves = [[u8; 16]; SEEN];

struct Tables {
    low: Halves,
    high: Halves,
    /// For each hash of the first bytes, one more than the number of the first such literal.
    first: [u8; 1 << HASH_BITS],
    /// One more than the number of the next literal with the same hash.
    next: [u8; COUNT],
}

static TABLES: Tables = {
    let mut tables = Tables {
        low: [[0; 16]; SEEN],
        high: [[0; 16]; SEEN],
        first: [0; 1 << HASH_BITS],
        next: [0; COUNT],
    };
    let mut number = 0;
    while number < HIDDEN.len() {
        let (first, second, from, to) = HIDDEN[number];
        tables.allow(0, 0, first);
        tables.allow(0, 1, second);
        let mut third = from;
        while third < to {
            tables.allow(0, 2, third);
            third += 1;
        }
        tables.allow(0, 2, to);
        tables.allow_all(0, 3);
        number += 1;
    }
    number = 0;
    while number < COUNT {
        let literal = LITERALS[number].0;
        let group = group_of(literal);
        let mut place = 0;
        while place < SEEN {
            if place < literal.len() {
                tables.allow(group, place, literal[place]);
            } else {
                tables.allow_all(group, place);
            }
            place += 1;
        }
        number += 1;
    }
    while number > 0 {
        number -= 1;
        let first = &mut tables.first[hash(LITERALS[number].0)];
        tables.next[number] = *first;
        *first = number as u8 + 1;
    }
    tables
};

impl Tables {
    const fn allow(&mut self, group: usize, place: usize, byte: u8) {
        self.low[place][(byte & 15) as usize] |= 1 << group;
        self.high[place][(byte >> 4) as usize] |= 1 << group;
    }

    const fn allow_all(&mut self, group: usize, place: usize) {
        let mut half = 0;
        while half < 16 {
            self.low[place][half] |= 1 << group;
            self.high[place][half] |= 1 << group;
            half += 1;
        }
    }
}

/// The groups, by the first bytes of their literals. The fewer combinations of halves a group
/// allows, the fewer candidates are none; these groups were found by trying many on source text,
/// records and hashes. One group each for what begins with a byte beyond ASCII and for `pwd`.
const GROUPS: [&[&str]; 8] = [
    &["pwd"],
    &[
        "assw", "ASSW", "assp", "sig=", "mysq", "sshp", "ops_", "glc_", "syt_",
    ],
    &[
        "LS0t", "ecre", "ECRE", "piKe", "pike", "ssKe", "endr", "sntr",
    ],
    &["utho", "\\u00", "\\u20", "[red", "whse"],
    &[
        "--BE", "eare", "oken", "OKEN", "curl", "mari", "\\ufe", "\\uFE", "+AEh",
    ],
    &[
        "://", ":\\/\\", "PWD", "ABSK", "1//0", "AVNS", "+ASt", "+ASb", "+ACR",
    ],
    &[
        "ooks", "_key", "_KEY", "-key", "-Key", "mong", "fm2_", "fm1a", "fm1r", "eyJr",
    ],
    &[
        "asic", "ntKe", "ooki", "OOKI", "redi", "logi", "ACDb", "AIoT",
    ],
];

/// The group of a literal; those in no group go to the first one.
const fn group_of(literal: &[u8]) -> usize {
    let mut group = 0;
    while group < GROUPS.len() {
        let mut number = 0;
        while number < GROUPS[group].len() {
            let first = GROUPS[group][number].as_bytes();
            let mut at = 0;
            while at < first.len() && at < literal.len() && first[at] == literal[at] {
                at += 1;
            }
            if at == first.len() {
                return group;
            }
            number += 1;
        }
        group += 1;
    }
    0
}

/// So many that most candidates have the hash of no literal.
const HASH_BITS: u32 = 11;

const fn hash(text: &[u8]) -> usize {
    let three = text[0] as u32 | (text[1] as u32) << 8 | (text[2] as u32) << 16;
    (three.wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS)) as usize
}

/// The places in a block where literals may begin.
#[derive(Clone, Copy)]
pub(super) struct Candidates {
    block: usize,
    places: u64,
}

impl Candidates {
    /// Finds the first block at or after `from` that has any.
    pub(super) fn find(text: &[u8], from: usize) -> Option<Self> {
        dispatch!(Level::new(), simd => find(simd, text, from))
    }

    /// The first anchor among them at or after `from`, and then the first one in later blocks.
    pub(super) fn next(&mut self, text: &[u8], from: usize) -> Option<Anchor> {
        loop {
            let passed = from.saturating_sub(self.block);
            self.places &= u64::MAX
                .checked_shl(passed.min(BLOCK) as u32)
                .unwrap_or_default();
            while self.places != 0 {
                let at = self.block + self.places.trailing_zeros() as usize;
                self.places &= self.places - 1;
                if let Some(anchor) = anchor_at(text, at) {
                    return Some(anchor);
                }
            }
            *self = Self::find(text, from.max(self.block + BLOCK))?;
        }
    }
}

fn anchor_at(text: &[u8], at: usize) -> Option<Anchor> {
    let rest = &text[at..];
    if !rest[0].is_ascii() {
        let length = unseen(rest)?;
        if !HIDDEN.iter().any(|hidden| hidden.0 == rest[0]) {
            return None;
        }
        return Some(Anchor {
            at,
            length,
            sign: Sign::Hidden,
        });
    }
    if rest.len() < 3 {
        return None;
    }
    let mut number = TABLES.first[hash(rest)];
    while number != 0 {
        let (literal, sign) = LITERALS[usize::from(number - 1)];
        if rest.starts_with(literal) {
            return Some(Anchor {
                at,
                length: literal.len(),
                sign,
            });
        }
        number = TABLES.next[usize::from(number - 1)];
    }
    None
}

#[inline(always)]
fn find<S: Simd>(simd: S, text: &[u8], from: usize) -> Option<Candidates> {
    let search = Search::new(simd);
    let mut block = from;
    while let Some(wide) = text.get(block..).and_then(<[u8]>::first_chunk) {
        let places = search.places(wide);
        if places != 0 {
            return Some(Candidates { block, places });
        }
        block += BLOCK;
    }
    let rest = text.get(block..)?;
    let mut wide = [0; WIDE];
    wide[..rest.len()].copy_from_slice(rest);
    let places = search.places(&wide);
    (places != 0).then_some(Candidates { block, places })
}

/// The tables, in registers.
struct Search<S: Simd> {
    simd: S,
    low: [u8x64<S>; SEEN],
    high: [u8x64<S>; SEEN],
}

impl<S: Simd> Search<S> {
    #[inline(always)]
    fn new(simd: S) -> Self {
        Self {
            simd,
            low: [
                Self::table(simd, TABLES.low[0]),
                Self::table(simd, TABLES.low[1]),
                Self::table(simd, TABLES.low[2]),
                Self::table(simd, TABLES.low[3]),
            ],
            high: [
                Self::table(simd, TABLES.high[0]),
                Self::table(simd, TABLES.high[1]),
                Self::table(simd, TABLES.high[2]),
                Self::table(simd, TABLES.high[3]),
            ],
        }
    }

    #[inline(always)]
    fn table(simd: S, table: [u8; 16]) -> u8x64<S> {
        u8x64::block_splat(u8x16::simd_from(simd, table))
    }

    /// The places of a block at which a group of literals may begin.
    #[inline(always)]
    fn places(&self, wide: &[u8; WIDE]) -> u64 {
        let groups = (self.groups(wide, 0) & self.groups(wide, 1))
            & (self.groups(wide, 2) & self.groups(wide, 3));
        !groups.simd_eq(0).to_bitmask()
    }

    /// For each place, the groups that may have the byte that is so far behind it.
    #[inline(always)]
    fn groups(&self, wide: &[u8; WIDE], behind: usize) -> u8x64<S> {
        let bytes = u8x64::from_slice(self.simd, &wide[behind..behind + BLOCK]);
        self.low[behind].swizzle_dyn_within_blocks(bytes & 15)
            & self.high[behind].swizzle_dyn_within_blocks(bytes >> 4)
    }
}

/// The anchors of a text, in order.
pub(super) struct Anchors<'t> {
    text: &'t [u8],
    candidates: Option<Candidates>,
    next: Option<Anchor>,
}

impl<'t> Anchors<'t> {
    pub(super) fn of(text: &'t [u8]) -> Self {
        let mut candidates = Candidates::find(text, 0);
        let next = candidates.as_mut().and_then(|all| all.next(text, 0));
        Self {
            text,
            candidates,
            next,
        }
    }

    /// The first anchor at or after `from`, which must never decrease.
    pub(super) fn next(&mut self, from: usize) -> Option<Anchor> {
        if self.next.is_some_and(|next| next.at < from) {
            let candidates = self.candidates.as_mut()?;
            self.next = candidates.next(self.text, from);
        }
        self.next
    }
}

#[cfg(test)]
mod tests {
    use proptest::strategy::Strategy as _;

    use super::*;

    /// Reference implementation, byte by byte.
    fn slowly(text: &[u8], from: usize) -> Option<Anchor> {
        (from..text.len()).find_map(|at| {
            let rest = &text[at..];
            let literal = LITERALS
                .iter()
                .find(|(literal, _)| rest.starts_with(literal))
                .map(|(literal, sign)| (literal.len(), *sign));
            let is_hidden = [0xc2, 0xe2, 0xef].contains(&rest[0]);
            let hidden = if is_hidden { unseen(rest) } else { None };
            let (length, sign) = literal.or(hidden.map(|length| (length, Sign::Hidden)))?;
            Some(Anchor { at, length, sign })
        })
    }

    fn all(text: &[u8], from: usize) -> Vec<Anchor> {
        let mut candidates = Candidates::find(text, from);
        let mut all: Vec<Anchor> = Vec::new();
        while let Some(anchor) = candidates
            .as_mut()
            .and_then(|rest| rest.next(text, all.last().map_or(from, |last| last.at + 1)))
        {
            all.push(anchor);
        }
        all
    }

    fn all_slowly(text: &[u8], from: usize) -> Vec<Anchor> {
        let mut all: Vec<Anchor> = Vec::new();
        while let Some(anchor) = slowly(text, all.last().map_or(from, |last| last.at + 1)) {
            all.push(anchor);
        }
        all
    }

    #[test]
    fn every_literal_is_in_a_group() {
        for (literal, _) in LITERALS {
            let is_in = |first: &&str| literal.starts_with(first.as_bytes());
            assert!(
                GROUPS[group_of(literal)].iter().any(is_in),
                "{}",
                String::from_utf8_lossy(literal)
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn the_literals_are_those_that_byte_after_byte_shows(
            parts in proptest::collection::vec(
                proptest::prop_oneof![
                    proptest::sample::select(LITERALS.to_vec()).prop_map(|(text, _)| text.to_vec()),
                    proptest::sample::select(LITERALS.to_vec()).prop_map(|(text, _)| text[..text.len() - 1].to_vec()),
                    proptest::sample::select(vec!["\u{ad}", "\u{180e}", "\u{200b}", "\u{2013}", "\u{2060}", "\u{2065}", "\u{feff}", "\u{e4}"]).prop_map(|text| text.as_bytes().to_vec()),
                    "[ -~]{0,40}".prop_map(String::into_bytes),
                    proptest::collection::vec(proptest::num::u8::ANY, 0..4),
                ],
                0..12,
            ),
            from in 0..200_usize,
        ) {
            let text = parts.concat();
            proptest::prop_assert_eq!(all(&text, 0), all_slowly(&text, 0));
            let from = from.min(text.len());
            proptest::prop_assert_eq!(all(&text, from), all_slowly(&text, from));
        }
    }
}
