//! The stored line: how a record of any log is written, sealed with a checksum, and checked.
//!
//! ```text
//! {"seq":7,"timestamp":"2026-11-21T04:00:00.000Z","$offset":91, …payload… ,"$crc":"1f0a99c3"}\n
//! ```
//! `$crc` is the CRC-32C of everything before its comma. A line of the legacy service has neither
//! `$offset` nor `$crc`: it is [`Seal::Legacy`]. A line with either of them but without a matching
//! checksum is damaged and never served.

use crate::timestamp::Timestamp;

/// Length of the seal `,"$crc":"xxxxxxxx"}`, in bytes.
pub const SEAL_LEN: usize = 19;
const SEAL_START: &[u8] = b",\"$crc\":\"";

/// The result of checking a line's checksum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seal {
    /// Written by this service, and the checksum matches.
    Whole,
    /// Written by the legacy service, which had no checksums.
    Legacy,
    /// Written by this service, and the content does not match the checksum.
    Damaged,
}

/// The fields at the start of every line written by this service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LineHead<'a> {
    /// Sequence number of the record in its log.
    pub seq: u64,
    /// Time of the record, as stored.
    pub timestamp: &'a str,
    /// Service-wide offset of the event.
    pub offset: u64,
    /// Index where the payload begins (at its comma, or at the closing brace).
    pub payload: usize,
}

/// Opens a line: writes everything before the payload's comma.
pub fn open(out: &mut Vec<u8>, seq: u64, timestamp: &str, offset: u64) {
    out.extend_from_slice(b"{\"seq\":");
    number(out, seq);
    out.extend_from_slice(b",\"timestamp\":\"");
    out.extend_from_slice(timestamp.as_bytes());
    out.extend_from_slice(b"\",\"$offset\":");
    number(out, offset);
}

/// Closes the line that began at `start`: appends its checksum and the newline.
pub fn seal(out: &mut Vec<u8>, start: usize) {
    let sum = crc32c::crc32c(&out[start..]);
    out.extend_from_slice(SEAL_START);
    out.extend_from_slice(&hex(sum));
    out.extend_from_slice(b"\"}\n");
}

fn hex(sum: u32) -> [u8; 8] {
    std::array::from_fn(|place| b"0123456789abcdef"[(sum >> (28 - place * 4) & 0xf) as usize])
}

/// Appends a number in decimal.
pub fn number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Whether the bytes have the form of a line's seal. The checksum itself is not verified.
pub fn is_seal(bytes: &[u8]) -> bool {
    bytes.len() == SEAL_LEN && bytes.starts_with(SEAL_START) && bytes.ends_with(b"\"}")
}

/// Checks a line, given without its newline.
pub fn check(line: &[u8]) -> Seal {
    let (body, seal) = line.split_at(line.len().saturating_sub(SEAL_LEN));
    check_parts(line, seal, || crc32c::crc32c(body))
}

/// Checks a line that is not wholly in memory: by its first bytes, its last [`SEAL_LEN`] bytes, and
/// the checksum of everything before these.
pub fn check_parts(start: &[u8], seal: &[u8], sum: impl FnOnce() -> u32) -> Seal {
    if seal.len() == SEAL_LEN && seal.starts_with(SEAL_START) && seal.ends_with(b"\"}") {
        let written = std::str::from_utf8(&seal[SEAL_START.len()..SEAL_START.len() + 8])
            .ok()
            .filter(|hex| {
                hex.bytes()
                    .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
            })
            .and_then(|hex| u32::from_str_radix(hex, 16).ok());
        return if written == Some(sum()) {
            Seal::Whole
        } else {
            Seal::Damaged
        };
    }
    if head(start).is_some() {
        Seal::Damaged
    } else {
        Seal::Legacy
    }
}

/// Reads the head of a line written by this service; `None` for a line of the legacy service.
pub fn head(line: &[u8]) -> Option<LineHead<'_>> {
    let rest = line.strip_prefix(b"{\"seq\":")?;
    let (seq, rest) = leading_number(rest)?;
    let rest = rest.strip_prefix(b",\"timestamp\":\"")?;
    let end = memchr::memchr(b'"', rest)?;
    let timestamp = std::str::from_utf8(&rest[..end]).ok()?;
    let rest = rest[end..].strip_prefix(b"\",\"$offset\":")?;
    let (offset, rest) = leading_number(rest)?;
    Some(LineHead {
        seq,
        timestamp,
        offset,
        payload: line.len() - rest.len(),
    })
}

/// Splits the digits at the start from the bytes after them.
pub fn leading_number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let digits = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
    let number = std::str::from_utf8(&bytes[..digits]).ok()?.parse().ok()?;
    Some((number, &bytes[digits..]))
}

/// The time in a line's head, if it is a valid timestamp.
pub fn time(head: &LineHead<'_>) -> Option<Timestamp> {
    Timestamp::parse(head.timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let mut line = Vec::new();
        open(&mut line, 7, "2026-11-21T04:00:00.000Z", 91);
        line.extend_from_slice(b",\"type\":\"tool_call\"");
        seal(&mut line, 0);
        line
    }

    #[test]
    fn a_sealed_line_is_json_and_whole() {
        let line = sample();
        let text = &line[..line.len() - 1];
        assert_eq!(check(text), Seal::Whole);
        let value: serde_json::Value = serde_json::from_slice(text).unwrap();
        assert_eq!(value["$offset"], 91);
        let head = head(text).unwrap();
        assert_eq!(head.seq, 7);
        assert_eq!(head.offset, 91);
        assert!(text[head.payload..].starts_with(b",\"type\""));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let line = sample();
        let text = &line[..line.len() - 1];
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut bad = text.to_vec();
                bad[at] ^= 1 << bit;
                assert_eq!(
                    check(&bad),
                    Seal::Damaged,
                    "byte {at} bit {bit}: {}",
                    String::from_utf8_lossy(&bad)
                );
            }
        }
        let start = text
            .windows(12)
            .position(|w| w == b"\"$offset\":91")
            .unwrap()
            + 12;
        for cut in start..text.len() {
            assert_eq!(check(&text[..cut]), Seal::Damaged, "cut at {cut}");
        }
    }

    #[test]
    fn a_line_of_the_older_service_is_legacy() {
        assert_eq!(
            check(br#"{"seq":3,"timestamp":"2024-01-01T00:00:00.000Z","type":"x"}"#),
            Seal::Legacy
        );
        assert_eq!(check(b"{}"), Seal::Legacy);
    }
}
