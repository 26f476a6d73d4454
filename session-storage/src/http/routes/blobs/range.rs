//! The range of a blob that a request asks for.

use std::ops::Range;

/// What a `Range` header asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    /// Everything: the header is not one range of bytes, and is ignored.
    Whole,
    /// This part.
    Part(Range<u64>),
    /// A part behind the end.
    Beyond,
}

/// Parses a `Range` header for a blob of this length.
pub(super) fn parse(header: &str, length: u64) -> Asked {
    let is_bytes = |unit: &str| unit.trim().eq_ignore_ascii_case("bytes");
    let Some((unit, range)) = header.split_once('=') else {
        return Asked::Whole;
    };
    let Some((first, last)) = range.trim().split_once('-').filter(|_| is_bytes(unit)) else {
        return Asked::Whole;
    };
    match (number(first), number(last)) {
        (Some(Some(first)), Some(last)) => {
            let last = last.unwrap_or(u64::MAX);
            if last < first {
                Asked::Whole
            } else if first >= length {
                Asked::Beyond
            } else {
                Asked::Part(first..last.saturating_add(1).min(length))
            }
        }
        (Some(None), Some(Some(0))) => Asked::Beyond,
        (Some(None), Some(Some(_))) if length == 0 => Asked::Beyond,
        (Some(None), Some(Some(last))) => Asked::Part(length.saturating_sub(last)..length),
        _ => Asked::Whole,
    }
}

/// Parses a number that may be left out; `None` if it is something else.
#[expect(
    clippy::option_option,
    reason = "left out and malformed are different things"
)]
fn number(text: &str) -> Option<Option<u64>> {
    let text = text.trim();
    if text.is_empty() {
        return Some(None);
    }
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| Some(text.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_of_bytes_is_a_part_and_anything_else_is_ignored() {
        for (header, asked) in [
            ("bytes=0-0", Asked::Part(0..1)),
            ("bytes=2-", Asked::Part(2..10)),
            ("Bytes = 2-4", Asked::Part(2..5)),
            ("bytes=-3", Asked::Part(7..10)),
            ("bytes=-30", Asked::Part(0..10)),
            ("bytes=9-99999999999999999999999", Asked::Part(9..10)),
            ("bytes=10-", Asked::Beyond),
            ("bytes=10-12", Asked::Beyond),
            ("bytes=-0", Asked::Beyond),
            ("bytes=4-2", Asked::Whole),
            ("bytes=0-1,3-4", Asked::Whole),
            ("bytes=-", Asked::Whole),
            ("bytes=a-b", Asked::Whole),
            ("bytes=+1-2", Asked::Whole),
            ("lines=0-1", Asked::Whole),
            ("", Asked::Whole),
        ] {
            assert_eq!(parse(header, 10), asked, "{header}");
        }
        assert_eq!(parse("bytes=0-", 0), Asked::Beyond);
        assert_eq!(parse("bytes=-1", 0), Asked::Beyond);
    }
}
