//! Finds the runs in which a token is possible at all.
//!
//! Documents are full of hashes and UUIDs, which are long [runs](super::runs) too. A run of lower
//! case hexadecimal digits and `-` is no token, except in the few cases that [`Masks::signs`]
//! lists. Bytes are examined 64 at a time. The windows overlap, so that a run of sufficient length
//! with the byte before it is in one window.

#![expect(
    clippy::inline_always,
    reason = "the vector instructions are available only in the function that is dispatched to"
)]

use std::ops::Range;

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, u8x16, u8x64};

use super::runs::{RUN_LENGTH, is_run, run_begins, run_end};

/// The number of bytes in a window.
const WINDOW: usize = 64;
/// A window and the byte after it.
const WIDE: usize = WINDOW + 1;
/// The distance from one window to the next.
const STEP: usize = WINDOW - RUN_LENGTH - 1;

/// The shortest run that begins with `00` or `4b` and can be a token.
const HEAD_RUN: u32 = 42;

/// The classes of bytes, as bits of an entry of both [`LOW`] and [`HIGH`].
const DIGITS: [u8; 2] = [1 << 4, 1 << 5];
const DASH: u8 = 1 << 6;
/// Any other byte of a run, and for simplicity some bytes that are in no run. Among these are those
/// before which the text before a run matters: `:` and `|` and `$`, and those that begin an escape.
const OTHER: u8 = 0b1111;

/// For the low half of a byte, the classes that have it.
const LOW: [u8; 16] = [
    0x23, 0x31, 0x31, 0x31, 0x35, 0x35, 0x31, 0x23, 0x23, 0x23, 0x0b, 0x0b, 0x03, 0x43, 0x07, 0x03,
];
/// For the high half of a byte, the classes that have it.
const HIGH: [u8; 16] = [
    0,
    0,
    DASH | 1 << 2,
    DIGITS[1] | 1 << 3,
    1,
    1,
    DIGITS[0] | 1 << 1,
    1,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
];

/// The first run at or after `from` in which a token is possible.
pub(super) fn next(text: &[u8], from: usize) -> Option<Range<usize>> {
    // A search that goes on within a run does not know what it passed.
    if from > 0 && text.get(from).is_some_and(|byte| is_run(*byte)) {
        let end = run_end(text, from);
        if end - from >= RUN_LENGTH {
            return Some(from..end);
        }
    }
    let within = dispatch!(Level::new(), simd => find(simd, text, from))?;
    let before = text[from..within].iter().rev();
    let start = within - before.take_while(|byte| is_run(**byte)).count();
    Some(start..run_end(text, within))
}

/// A place in the first run in which a token is possible.
#[inline(always)]
fn find<S: Simd>(simd: S, text: &[u8], from: usize) -> Option<usize> {
    let search = Search::new(simd);
    let mut at = from;
    // Before the first window is what the caller has examined already; its first byte counts as the
    // first of a word.
    let mut before = 0;
    while let Some(window) = text.get(at..).and_then(<[u8]>::first_chunk) {
        if let Some(place) = search.place(window, before) {
            return Some(at + place);
        }
        at += STEP;
        before = 1;
    }
    let rest = text.get(at..).filter(|rest| rest.len() >= RUN_LENGTH)?;
    let mut window = [0; WIDE];
    window[..rest.len()].copy_from_slice(rest);
    Some(at + search.place(&window, before)?)
}

/// The tables, in registers.
struct Search<S: Simd> {
    simd: S,
    low: u8x64<S>,
    high: u8x64<S>,
}

impl<S: Simd> Search<S> {
    #[inline(always)]
    fn new(simd: S) -> Self {
        Self {
            simd,
            low: u8x64::block_splat(u8x16::simd_from(simd, LOW)),
            high: u8x64::block_splat(u8x16::simd_from(simd, HIGH)),
        }
    }

    /// A place in the first run of the window in which a token is possible. `before` is 1 if the
    /// byte before the window counts as part of a word.
    #[inline(always)]
    fn place(&self, window: &[u8; WIDE], before: u64) -> Option<usize> {
        let bytes = u8x64::from_slice(self.simd, &window[..WINDOW]);
        let next = u8x64::from_slice(self.simd, &window[1..]);
        let classes = self.low.swizzle_dyn_within_blocks(bytes & 15)
            & self.high.swizzle_dyn_within_blocks(bytes >> 4);
        let all = !classes.simd_eq(0).to_bitmask();
        let begins = run_begins(all);
        if begins == 0 {
            return None;
        }
        let masks = Masks {
            all,
            other: !(classes & OTHER).simd_eq(0).to_bitmask(),
            dash: bytes.simd_eq(b'-').to_bitmask(),
            heads: ((bytes.simd_eq(b'0') & next.simd_eq(b'0'))
                | (bytes.simd_eq(b'4') & next.simd_eq(b'b')))
            .to_bitmask(),
        };
        let long = members(all, begins);
        let starts = masks.starts(before);
        let mut signs = masks.signs(starts) & long;
        let mut heads = masks.heads & starts & long;
        while heads != 0 {
            let first = heads.trailing_zeros();
            let run = (all >> first).trailing_ones();
            if run >= HEAD_RUN || first + run == WINDOW as u32 {
                signs |= 1 << first;
            }
            heads &= heads - 1;
        }
        if signs == 0 {
            return None;
        }
        // Some of the bytes are in no run.
        let letters = (bytes | 0x20) - b'a';
        let runs = letters.simd_lt(26)
            | (bytes - b'0').simd_lt(10)
            | (bytes - b'-').simd_lt(2)
            | bytes.simd_eq(b'_')
            | bytes.simd_eq(b'~');
        let runs = runs.to_bitmask();
        let mut begins = run_begins(runs);
        while begins != 0 {
            let first = begins & begins.wrapping_neg();
            let run = members(runs, first);
            if signs & (run | first >> 1) != 0 {
                return Some(first.trailing_zeros() as usize);
            }
            begins &= !run;
        }
        None
    }
}

/// One bit for each byte of a window.
struct Masks {
    /// The bytes of any class.
    all: u64,
    /// Those of [`OTHER`].
    other: u64,
    dash: u64,
    /// The first bytes of `00` and `4b`.
    heads: u64,
}

impl Masks {
    /// The first bytes of the words in runs.
    #[inline(always)]
    fn starts(&self, before: u64) -> u64 {
        self.all & !((self.all & !self.dash) << 1 | before)
    }

    /// The bytes that make a token possible: all that are neither digits nor `-`, the `-` of
    /// `fc-`, and the second of two `-` that are nine bytes apart (`hex{32} - hex{8} - hex{8}`).
    #[inline(always)]
    fn signs(&self, starts: u64) -> u64 {
        self.other | starts << 2 & self.dash | self.dash << 9 & self.dash
    }
}

/// The members of the runs that begin with the first of each group of bits.
#[inline(always)]
const fn members(runs: u64, begins: u64) -> u64 {
    let first = begins & !(begins << 1);
    runs & !runs.wrapping_add(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_have_the_classes_of_all_bytes() {
        for byte in 0..=u8::MAX {
            let classes = LOW[usize::from(byte & 15)] & HIGH[usize::from(byte >> 4)];
            let is_digit = matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            assert_eq!(classes & (DIGITS[0] | DIGITS[1]) != 0, is_digit, "{byte}");
            assert_eq!(classes & DASH != 0, byte == b'-', "{byte}");
            let is_other = is_run(byte) || b":|$\\%[;".contains(&byte);
            if is_other && !is_digit && byte != b'-' {
                assert_ne!(classes & OTHER, 0, "{byte}");
            } else if is_digit || byte == b'-' {
                assert_eq!(classes & OTHER, 0, "{byte}");
            }
        }
    }
}
