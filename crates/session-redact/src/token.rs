//! Provider tokens: where one may begin, and of which kind it is.
//!
//! Each token contains a run of at least twenty of the bytes that tokens, paths and words are made
//! of, and few texts contain such [runs]. Within a run a token begins after a byte that is neither
//! a letter nor a digit, or after an escape.

use std::ops::Range;

use super::alphabet::is_break;
use super::entropy::is_drawn;
use super::providers::{self, At, JOINTS};
use super::run_signs;
use super::runs::{RUN_LENGTH, is_run};
use super::scan::{Find, begins, is_base64, run};
use super::shape;

/// Up to this length, checking byte by byte costs less than starting a search.
const SHORT: usize = 48;
/// How far before its run a token may begin.
const BEFORE: usize = 48;

/// The first token at or after `from` that a run indicates.
pub(super) fn next(text: &[u8], from: usize) -> Option<Find<'static>> {
    let mut at = from;
    while let Some(place) = run_signs::next(text, at) {
        at = place.end;
        if let Some(find) = search(text, from, place) {
            return Some(find);
        }
    }
    None
}

/// As [`next`], but by all runs.
#[cfg(test)]
fn next_slowly(text: &[u8], from: usize) -> Option<Find<'static>> {
    let mut at = from;
    while let Some(place) = super::runs::next(text, at) {
        at = place.end;
        if let Some(find) = search(text, from, place) {
            return Some(find);
        }
    }
    None
}

/// The first token of a run.
fn search(text: &[u8], from: usize, place: Range<usize>) -> Option<Find<'static>> {
    let Range { start, end } = place;
    let mut rest = 0;
    if let Some(before) = start.checked_sub(1) {
        if JOINTS.contains(&text[before])
            && let Some(find) = before_run(text, from, start)
        {
            return Some(find);
        }
        rest = escape_rest(text, start);
    }
    let at_begin = |at| found(text, at, end.saturating_sub(at), At::Run);
    if begins(text, start)
        && let Some(find) = at_begin(start)
    {
        return Some(find);
    }
    if rest > 0
        && let Some(find) = at_begin(start + rest)
    {
        return Some(find);
    }
    // A token that began later would be shorter than any shape allows.
    let most = &text[start..end - RUN_LENGTH];
    let behind = |at: usize| found(text, start + at + 1, end - (start + at + 1), At::Break);
    if most.len() <= SHORT || memchr::memchr(b'~', most).is_some() {
        return (0..most.len())
            .filter(|at| is_break(most[*at]))
            .find_map(behind);
    }
    memchr::memchr3_iter(b'-', b'_', b'.', most).find_map(behind)
}

/// The token whose last part is the run at `start`.
fn before_run(text: &[u8], from: usize, start: usize) -> Option<Find<'static>> {
    let joint = |byte: &&u8| is_run(**byte) || JOINTS.contains(byte) || **byte == b'/';
    let before = start
        - text[from..start]
            .iter()
            .rev()
            .take(BEFORE)
            .take_while(joint)
            .count();
    let begins_at = |at: &usize| *at == 0 || !is_run(text[at - 1]);
    let escaped = before + escape_rest(text, before);
    let places = [escaped]
        .into_iter()
        .filter(|at| *at < start)
        .chain((before..start).filter(begins_at));
    let mut all = places.filter_map(|at| found(text, at, usize::MAX, At::Joint));
    all.find(|find| find.range.end > start)
}

#[inline]
fn found(text: &[u8], at: usize, run: usize, begins: At) -> Option<Find<'static>> {
    let first = *text.get(at)?;
    let second = *text.get(at + 1)?;
    let has_head = providers::may_begin(first, second);
    if !has_head && begins == At::Break {
        return None;
    }
    providers::find(text, at, run, begins).or_else(|| {
        if has_head && text[at..].starts_with(shape::JWT) {
            shape::jwt(text, at)
        } else {
            None
        }
    })
}

/// How many bytes at the start of a run belong to an escape: `\n` in JSON within JSON, `%3D` in a
/// URL, or a terminal colour.
fn escape_rest(text: &[u8], start: usize) -> usize {
    let Some(before) = start.checked_sub(1).map(|before| text[before]) else {
        return 0;
    };
    let rest = &text[start..];
    let digits = |from: usize, count: usize| {
        let hex = rest
            .get(from..from + count)
            .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        if hex { from + count } else { 0 }
    };
    match (before, rest.first()) {
        (b'\\', Some(b'n' | b'r' | b't' | b'b' | b'f')) => 1,
        (b'\\', Some(b'u')) => digits(1, 4),
        (b'\\', Some(b'x')) => digits(1, 2),
        (b'%', _) => {
            let again = rest
                .chunks_exact(2)
                .take(4)
                .take_while(|two| two == b"25")
                .count()
                * 2;
            digits(again, 2)
        }
        (b'[' | b';', _) => {
            let count = run(rest, 0, 16, |byte| byte.is_ascii_digit());
            if rest.get(count).is_some_and(u8::is_ascii_alphabetic) {
                count + 1
            } else {
                0
            }
        }
        _ => 0,
    }
}

/// The secret key of an AWS key pair, if it directly follows the access key.
pub(super) fn aws_secret<'r>(text: &[u8], access_key: &Find<'_>) -> Option<Find<'r>> {
    let from = access_key.range.end;
    let start = run(text, from, 16, |byte| !is_base64(byte) || byte == b'=');
    let end = run(text, start, 41, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'+')
    });
    let fits = start > from && end - start == 40 && is_drawn(&text[start..end]);
    fits.then(|| Find::shape("aws_secret_key", start..end))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::alphabet::is;
    use crate::provider_list::SHAPES;
    use crate::provider_shape::Piece;

    /// Digits as a shape needs them: as often as possible only those of hashes.
    fn body(alphabet: u16, length: usize, seed: &mut u64, of_hashes: bool) -> Vec<u8> {
        let mut draw = || {
            *seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (*seed >> 33) as u8
        };
        let from: Vec<u8> = (0..128)
            .filter(|byte| is(*byte, alphabet))
            .filter(|byte| !of_hashes || b"0123456789abcdef".contains(byte))
            .collect();
        (0..length)
            .map(|_| from[usize::from(draw()) % from.len()])
            .collect()
    }

    fn token(number: usize, mut seed: u64, of_hashes: bool) -> Vec<u8> {
        let piece = |piece: &Piece| match *piece {
            Piece::Text(text) => text.to_vec(),
            Piece::Any {
                alphabet,
                least,
                most,
            } => {
                let more = (most - least).min(3);
                let length = least + (seed >> 7) as usize % (more + 1);
                body(alphabet, length, &mut seed, of_hashes)
            }
        };
        SHAPES[number].pieces.iter().flat_map(piece).collect()
    }

    fn part() -> impl Strategy<Value = Vec<u8>> {
        let between: Vec<&[u8]> = vec![
            b"\"",
            b" ",
            b", ",
            b":",
            b"|",
            b"$",
            b"\\n",
            b"\\f",
            b"\\u0020",
            b"%20",
            b"%3D",
            b";1m",
            b"[31m",
            b"-",
            b"_",
            b".",
            b"~",
            b"/",
            b"+",
            b"=",
            b"\n",
            b"fc-",
            b"00",
            b"4b",
            b"0",
            b"x",
            b"\xc3\xa4",
            b"word",
            b"1/",
            b"{\"id\":\"",
        ];
        prop_oneof![
            4 => (0..SHAPES.len(), any::<u64>(), any::<bool>()).prop_map(|(number, seed, hashes)| token(number, seed, hashes)),
            4 => "[0-9a-f]{1,12}(-[0-9a-f]{1,40}){0,4}".prop_map(String::into_bytes),
            1 => "[0-9a-f]{60,150}".prop_map(String::into_bytes),
            8 => proptest::sample::select(between).prop_map(<[u8]>::to_vec),
        ]
    }

    fn assert_same(text: &[u8], from: usize) {
        assert_eq!(
            next(text, from),
            next_slowly(text, from),
            "{from} {}",
            String::from_utf8_lossy(text)
        );
    }

    #[test]
    fn tokens_that_look_like_hashes_are_found_wherever_they_stand() {
        for number in 0..SHAPES.len() {
            for seed in 0..12 {
                let token = token(number, seed << 40 | seed, seed % 3 != 0);
                for before in [0, 1, 20, 22, 41, 43, 44, 63, 64, 65, 106] {
                    for head in ["", "\"", ":", "\\f", "-"] {
                        let text = [
                            " ".repeat(before).as_bytes(),
                            head.as_bytes(),
                            &token,
                            b"\"",
                        ]
                        .concat();
                        assert_same(&text, 0);
                    }
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]
        #[test]
        fn runs_without_signs_contain_no_token(
            parts in proptest::collection::vec(part(), 1..12),
            before in 0..70_usize,
            from in 0..200_usize,
        ) {
            let text = [b" ".repeat(before), parts.concat()].concat();
            assert_same(&text, 0);
            assert_same(&text, from.min(text.len()));
        }
    }
}
