//! One record as bytes: `length u32 · crc32c u32 · kind u8 · session length u8 · time u64 · session
//! · line`.
//!
//! Length and checksum cover the bytes after them. Numbers are little-endian; time is in Unix
//! milliseconds.

use std::ops::Range;

use crate::kind::Kind;

/// The bytes of length and checksum.
pub(crate) const HEADER_BYTES: usize = 8;
const FIXED_BYTES: usize = 10;
/// The largest size of everything before the line.
pub(crate) const MAX_HEAD_BYTES: usize = HEADER_BYTES + FIXED_BYTES + u8::MAX as usize;

/// A record, as ranges of the bytes that it was read with.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub number: u64,
    pub kind: Kind,
    pub time: u64,
    pub session: Range<usize>,
    pub line: Range<usize>,
}

/// Returns where the frame of a record starts.
pub(crate) fn frame_start(record: &Record) -> usize {
    record.session.start - HEADER_BYTES - FIXED_BYTES
}

/// Starts a frame. The caller appends the line and calls [`finish_frame`].
pub(crate) fn begin_frame(kind: Kind, session: &str, time: u64, capacity: usize) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEADER_BYTES + FIXED_BYTES + session.len() + capacity);
    frame.extend_from_slice(&[0; HEADER_BYTES]);
    frame.push(kind.number());
    frame.push(session.len() as u8);
    frame.extend_from_slice(&time.to_le_bytes());
    frame.extend_from_slice(session.as_bytes());
    frame
}

/// Fills in the length and the checksum.
pub(crate) fn finish_frame(frame: &mut [u8]) {
    let length = (frame.len() - HEADER_BYTES) as u32;
    let checksum = crc32c::crc32c(&frame[HEADER_BYTES..]);
    frame[..4].copy_from_slice(&length.to_le_bytes());
    frame[4..8].copy_from_slice(&checksum.to_le_bytes());
}

/// Returns the length of the whole frame whose header starts at `at`, if the header is there.
pub(crate) fn frame_length(bytes: &[u8], at: usize) -> Option<usize> {
    let length = bytes
        .get(at..at + 4)?
        .try_into()
        .ok()
        .map(u32::from_le_bytes)?;
    Some(HEADER_BYTES + length as usize)
}

/// Returns the session of the first frame, read from its head without checking the checksum.
pub(crate) fn session(head: &[u8]) -> &[u8] {
    let length = head.get(HEADER_BYTES + 1).copied().unwrap_or_default();
    let from = HEADER_BYTES + FIXED_BYTES;
    head.get(from..from + usize::from(length))
        .unwrap_or_default()
}

/// Returns the time of the first frame, read from its head without checking the checksum.
pub(crate) fn time(head: &[u8]) -> Option<u64> {
    head.get(HEADER_BYTES + 2..HEADER_BYTES + FIXED_BYTES)?
        .try_into()
        .ok()
        .map(u64::from_le_bytes)
}

/// Returns the record at `at`, and where the next one starts. Returns `None` if it is torn,
/// damaged, or of an unknown kind.
pub(crate) fn decode(bytes: &[u8], at: usize, number: u64) -> Option<(Record, usize)> {
    let end = at + frame_length(bytes, at)?;
    let checksum = u32::from_le_bytes(bytes.get(at + 4..at + 8)?.try_into().ok()?);
    let payload = at + HEADER_BYTES;
    let body = bytes.get(payload..end)?;
    if body.len() < FIXED_BYTES || crc32c::crc32c(body) != checksum {
        return None;
    }
    let session = payload + FIXED_BYTES..payload + FIXED_BYTES + body[1] as usize;
    let record = Record {
        number,
        kind: Kind::from_number(body[0])?,
        time: u64::from_le_bytes(body[2..10].try_into().ok()?),
        line: session.end..end,
        session,
    };
    (record.session.end <= end).then_some((record, end))
}

/// Returns where the next record after a damaged one starts, or `None` at the end.
pub(crate) fn behind_damage(bytes: &[u8], at: usize) -> Option<usize> {
    let by_length = at + frame_length(bytes, at)?;
    let is_record = |next: &usize| decode(bytes, *next, 0).is_some();
    // A damaged length leads to no record, so search for one. Text holds no zero bytes, so few
    // places look like a length, and fewer still require computing a checksum.
    Some(by_length)
        .filter(is_record)
        .or_else(|| (at + 1..bytes.len()).find(is_record))
}

/// Returns whether the bytes after the last record are an incompletely written record.
pub(crate) fn is_torn(rest: &[u8]) -> bool {
    rest.len() < HEADER_BYTES || frame_length(rest, 0).is_none_or(|length| length > rest.len())
}

/// Counts the leading records, damaged ones included, and returns the count and where they end.
pub(super) fn count_records(bytes: &[u8]) -> (u64, usize) {
    let mut count = 0;
    let mut at = 0;
    while let Some(next) = decode(bytes, at, 0)
        .map(|(_, next)| next)
        .or_else(|| behind_damage(bytes, at))
    {
        count += 1;
        at = next;
    }
    (count, at)
}

/// Returns the session of the last readable record before `end`.
pub(super) fn nearest_session(bytes: &[u8], end: usize) -> &[u8] {
    let mut session: &[u8] = b"";
    let mut at = 0;
    while at < end {
        let record = decode(bytes, at, 0);
        session = record
            .as_ref()
            .map_or(session, |(record, _)| &bytes[record.session.clone()]);
        let Some(next) = record
            .map(|(_, next)| next)
            .or_else(|| behind_damage(bytes, at))
        else {
            break;
        };
        at = next;
    }
    session
}

/// Returns where the record after the first `records` records starts, or the end if there are not
/// so many.
pub(super) fn record_start(bytes: &[u8], records: u64) -> usize {
    let mut at = 0;
    for _ in 0..records {
        let Some((_, next)) = decode(bytes, at, 0) else {
            break;
        };
        at = next;
    }
    at
}

#[cfg(test)]
mod tests {
    use session_model::BatchLine;

    use super::*;

    fn sample() -> Vec<u8> {
        let mut frame = begin_frame(Kind::Line(BatchLine::Action), "s-1", 42, 0);
        frame.extend_from_slice(br#"{"type":"action","data":{}}"#);
        finish_frame(&mut frame);
        frame
    }

    #[test]
    fn a_record_comes_back_as_it_was() {
        let frame = sample();
        let (record, end) = decode(&frame, 0, 7).unwrap();
        assert_eq!(record.number, 7);
        assert_eq!(record.kind, Kind::Line(BatchLine::Action));
        assert_eq!(record.time, 42);
        assert_eq!(end, frame.len());
        assert_eq!(&frame[record.session], b"s-1");
        assert_eq!(&frame[record.line], br#"{"type":"action","data":{}}"#);
    }

    #[test]
    fn a_record_cut_or_changed_anywhere_is_no_record() {
        let frame = sample();
        for cut in 0..frame.len() {
            assert!(decode(&frame[..cut], 0, 0).is_none(), "cut at {cut}");
        }
        for at in 0..frame.len() {
            let mut changed = frame.clone();
            changed[at] ^= 0x40;
            assert!(decode(&changed, 0, 0).is_none(), "changed at {at}");
        }
    }
}
