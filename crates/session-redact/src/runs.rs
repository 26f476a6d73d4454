//! Runs of the bytes that tokens are made of, found in blocks of 64 bytes. The kinds of a block are
//! one number, in which a run of sufficient length shows after five shifts. Checking byte by byte
//! would cost several times as much.

#[cfg(test)]
use std::ops::Range;

/// The shortest run that indicates a token.
pub(super) const RUN_LENGTH: usize = 20;

/// The number of bytes in a block: one for each bit of a number.
const BLOCK: usize = 64;

/// Letters, digits, `-`, `_`, `.` and `~`, in a form that the compiler turns into vector
/// instructions.
#[expect(
    clippy::needless_bitwise_bool,
    reason = "a jump would keep it from being one instruction for many bytes"
)]
pub(super) const fn is_run(byte: u8) -> bool {
    ((byte | 0x20).wrapping_sub(b'a') < 26)
        | (byte.wrapping_sub(b'0') < 10)
        | (byte.wrapping_sub(b'-') < 2)
        | (byte == b'_')
        | (byte == b'~')
}

/// The first sufficiently long run at or after `from`: what [`run_signs`](super::run_signs) finds,
/// and those in which no token is possible.
#[cfg(test)]
pub(super) fn next(text: &[u8], from: usize) -> Option<Range<usize>> {
    let mut at = from;
    // The length of the run at the end of the previous block.
    let mut before = 0;
    loop {
        let rest = text
            .get(at..)
            .filter(|rest| rest.len() + before >= RUN_LENGTH)?;
        let kinds = kinds_of(rest);
        let goes_on = kinds.trailing_ones() as usize;
        let begins = run_begins(kinds);
        let (start, end) = if before > 0 && before + goes_on >= RUN_LENGTH {
            (at - before, at + goes_on)
        } else if begins != 0 {
            let first = begins.trailing_zeros();
            let start = at + first as usize;
            (start, start + (kinds >> first).trailing_ones() as usize)
        } else {
            before = kinds.leading_ones() as usize;
            at += BLOCK;
            continue;
        };
        return Some(
            start..if end == at + BLOCK {
                run_end(text, end)
            } else {
                end
            },
        );
    }
}

/// The end of a run that reaches `from` and may continue there.
pub(super) fn run_end(text: &[u8], from: usize) -> usize {
    let mut end = from;
    loop {
        let more = kinds_of(&text[end..]).trailing_ones() as usize;
        end += more;
        if more < BLOCK {
            return end;
        }
    }
}

/// The kinds of the first bytes of a text; bytes after its end belong to no run.
fn kinds_of(text: &[u8]) -> u64 {
    if let Some(block) = text.first_chunk() {
        return kinds(block);
    }
    let mut block = [0; BLOCK];
    block[..text.len()].copy_from_slice(text);
    kinds(&block)
}

/// One bit for each byte of a block: whether it belongs to a run.
fn kinds(block: &[u8; BLOCK]) -> u64 {
    let mut each = [0_u8; BLOCK];
    for (each, byte) in each.iter_mut().zip(block) {
        *each = u8::from(is_run(*byte));
    }
    let (eights, _) = each.as_chunks::<8>();
    let bits = eights
        .iter()
        .map(|eight| u64::from_le_bytes(*eight).wrapping_mul(GATHER) >> 56);
    bits.enumerate()
        .fold(0, |kinds, (number, bits)| kinds | bits << (8 * number))
}

/// Moves the lowest bits of eight bytes into the highest byte.
const GATHER: u64 = 0x0102_0408_1020_4080;

/// The bits at which [`RUN_LENGTH`] set bits begin.
pub(super) const fn run_begins(kinds: u64) -> u64 {
    let two = kinds & kinds >> 1;
    let four = two & two >> 2;
    let eight = four & four >> 4;
    let sixteen = eight & eight >> 8;
    sixteen & four >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reference implementation, byte by byte.
    fn slowly(text: &[u8], from: usize) -> Option<Range<usize>> {
        let mut start = from;
        for at in from..=text.len() {
            if text.get(at).is_some_and(|byte| is_run(*byte)) {
                continue;
            }
            if at - start >= RUN_LENGTH {
                return Some(start..at);
            }
            start = at + 1;
        }
        None
    }

    #[test]
    fn runs_are_found_wherever_they_stand_and_however_long_they_are() {
        for before in 0..140 {
            for length in (17..=23).chain([43, 44, 45, 63, 64, 65, 130]) {
                for after in [0, 1, 18, 19, 20, 64] {
                    let text = [
                        "/a".repeat(before),
                        "/".to_owned(),
                        "x".repeat(length),
                        "+b".repeat(after),
                    ]
                    .concat();
                    for from in [0, before, 2 * before, 2 * before + 2] {
                        assert_eq!(
                            next(text.as_bytes(), from),
                            slowly(text.as_bytes(), from),
                            "{text} {from}"
                        );
                    }
                }
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn runs_are_those_that_byte_after_byte_shows(
            text in proptest::collection::vec(proptest::sample::select(b"aZ09-_.~/ +\x00\x7f\xff".to_vec()), 0..400),
            from in 0..80_usize,
        ) {
            proptest::prop_assert_eq!(next(&text, from.min(text.len())), slowly(&text, from.min(text.len())));
        }
    }
}
