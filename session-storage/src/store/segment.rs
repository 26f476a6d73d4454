//! The bytes of the commit log: groups of entries, and how they are told from what a crash left.
//!
//! ```text
//! segment = group*                                    then zeros, or what a recycled file held before
//! group   = magic u32 · body_len u32 · segment u64 · first_offset u64 · entries u32 · crc u32 · entry{entries}
//! entry   = len u32 · crc u32 · payload               crc is CRC-32C, of the payload or of the header before it
//! payload = version u8 · flags u8 · at u64 · first_offset u64 · id_len u8 · id · user_len u32 · user
//!           [flags & 2: base_len u32 · base (a view, JSON)]
//!           count u32 · (kind u8 · line_len u32 · line){count}
//!           [flags & 1: producer_len u32 · producer (JSON)]
//! ```
//! Behind the last group stand [`END`] zeros, which the next group overwrites. All numbers are little-endian. `segment` is the offset in the segment's file name, so that groups which a
//! recycled file held before are not taken for new ones. A group is written and synced as one: if anything of it
//! is wrong and nothing valid follows, it is a torn tail; if something valid follows, it is damage.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use session_model::producer::{Answer, ProducerNumbers};
use session_model::{EventKind, SessionId, Timestamp, UserId};

const MAGIC: u32 = 0x4a52_4631;
/// The length of a group's header.
pub const GROUP_HEADER: usize = 32;
/// Zeros behind the last group.
pub const END: [u8; GROUP_HEADER] = [0; GROUP_HEADER];
const ENTRY_HEADER: usize = 8;
const VERSION: u8 = 1;
const HAS_PRODUCER: u8 = 1;
const HAS_BASE: u8 = 2;

/// A producer's position, committed with what it sent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ProducerCommit {
    /// The numbers of the request.
    pub numbers: ProducerNumbers,
    /// What it was answered.
    pub answer: Answer,
}

/// Writes one entry into a group's buffer.
pub struct EntryWriter<'b> {
    out: &'b mut Vec<u8>,
    start: usize,
    count_at: usize,
    count: u32,
}

impl<'b> EntryWriter<'b> {
    /// Begins an entry.
    pub fn begin(
        out: &'b mut Vec<u8>,
        (session, user): (&SessionId, &UserId),
        at: Timestamp,
        first_offset: u64,
        base: Option<&[u8]>,
    ) -> Self {
        let start = out.len();
        out.extend_from_slice(&[0; ENTRY_HEADER]);
        let flags = if base.is_some() { HAS_BASE } else { 0 };
        out.extend_from_slice(&[VERSION, flags]);
        out.extend_from_slice(&at.as_millis().to_le_bytes());
        out.extend_from_slice(&first_offset.to_le_bytes());
        out.push(session.as_str().len() as u8);
        out.extend_from_slice(session.as_str().as_bytes());
        put_block(out, user.as_str().as_bytes());
        if let Some(base) = base {
            put_block(out, base);
        }
        let count_at = out.len();
        out.extend_from_slice(&[0; 4]);
        Self { out, start, count_at, count: 0 }
    }

    /// Appends an event, whose line `write` appends; answers where the line stands in the buffer.
    pub fn event<R>(
        &mut self,
        kind: EventKind,
        write: impl FnOnce(&mut Vec<u8>) -> R,
    ) -> (std::ops::Range<usize>, R) {
        self.out.push(kind as u8);
        let len_at = self.out.len();
        self.out.extend_from_slice(&[0; 4]);
        let line = self.out.len();
        let result = write(self.out);
        let len = (self.out.len() - line) as u32;
        self.out[len_at..len_at + 4].copy_from_slice(&len.to_le_bytes());
        self.count += 1;
        (line..self.out.len(), result)
    }

    /// Ends the entry, with the position of the producer that sent it.
    pub fn end(self, producer: Option<&ProducerCommit>) {
        if let Some(producer) = producer {
            let json = serde_json::to_vec(producer).expect("numbers and texts always serialize");
            put_block(self.out, &json);
            self.out[self.start + ENTRY_HEADER + 1] |= HAS_PRODUCER;
        }
        self.out[self.count_at..self.count_at + 4].copy_from_slice(&self.count.to_le_bytes());
        let payload = self.start + ENTRY_HEADER;
        let len = (self.out.len() - payload) as u32;
        let crc = crc32c::crc32c(&self.out[payload..]);
        self.out[self.start..self.start + 4].copy_from_slice(&len.to_le_bytes());
        self.out[self.start + 4..payload].copy_from_slice(&crc.to_le_bytes());
    }
}

fn put_block(out: &mut Vec<u8>, block: &[u8]) {
    out.extend_from_slice(&(block.len() as u32).to_le_bytes());
    out.extend_from_slice(block);
}

/// Fills in the header that the first [`GROUP_HEADER`] bytes of the buffer are kept free for.
pub fn write_group_header(group: &mut [u8], segment: u64, first_offset: u64, entries: u32) {
    let body = (group.len() - GROUP_HEADER) as u32;
    group[0..4].copy_from_slice(&MAGIC.to_le_bytes());
    group[4..8].copy_from_slice(&body.to_le_bytes());
    group[8..16].copy_from_slice(&segment.to_le_bytes());
    group[16..24].copy_from_slice(&first_offset.to_le_bytes());
    group[24..28].copy_from_slice(&entries.to_le_bytes());
    let crc = crc32c::crc32c(&group[..28]);
    group[28..32].copy_from_slice(&crc.to_le_bytes());
}

/// A stored event.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    /// What happened.
    pub kind: EventKind,
    /// Its service-wide offset.
    pub offset: u64,
    /// The line, with its newline.
    pub line: Bytes,
}

/// A decoded entry: what one request stored.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Of which session.
    pub session: SessionId,
    /// Whose session it was at that moment.
    pub user: UserId,
    /// When it was accepted.
    pub at: Timestamp,
    /// The offset of its first event (or of the next one, if it has none).
    pub first_offset: u64,
    /// The producer's position.
    pub producer: Option<ProducerCommit>,
    /// The session's view before this entry, if it is the first since a checkpoint.
    pub base: Option<Bytes>,
    /// Its events, with consecutive offsets.
    pub events: Vec<StoredEvent>,
}

/// What a walk over a segment meets.
#[derive(Debug)]
pub enum Found {
    /// An entry.
    Entry(Box<Entry>),
    /// Bytes from `at` on that are no valid entry though something valid follows; the session, if legible.
    Damaged {
        /// Where in the segment.
        at: usize,
        /// Whose it seems to be.
        session: Option<SessionId>,
    },
}

/// The whole group that begins at `at`: its entries (damaged ones left out) and where the next begins; `None` if
/// no whole group stands there (or not enough of it was read).
pub fn group_at(bytes: &Bytes, at: usize, segment: u64) -> Option<(Vec<Entry>, usize)> {
    let header = group_header(bytes, at, segment)?;
    let entries = decode_group(bytes, at, header).into_iter().filter_map(|found| match found {
        Found::Entry(entry) => Some(*entry),
        Found::Damaged { .. } => None,
    });
    Some((entries.collect(), at + GROUP_HEADER + header.body))
}

/// The length of the group whose header begins at `at`.
pub fn group_len(bytes: &[u8], at: usize, segment: u64) -> Option<usize> {
    let header = bytes.get(at..at + GROUP_HEADER)?;
    let valid = u32_at(header, 0)? == MAGIC
        && u32_at(header, 28)? == crc32c::crc32c(&header[..28])
        && u64_at(header, 8)? == segment;
    valid.then_some(GROUP_HEADER + u32_at(header, 4)? as usize)
}

/// How a segment ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentEnd {
    /// Where the next group would go.
    pub at: usize,
    /// Whether an unfinished group stands there.
    pub torn: bool,
}

#[derive(Clone, Copy)]
struct GroupHeader {
    body: usize,
    entries: u32,
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn group_header(bytes: &[u8], at: usize, segment: u64) -> Option<GroupHeader> {
    let len = group_len(bytes, at, segment)?;
    (at + len <= bytes.len())
        .then_some(GroupHeader { body: len - GROUP_HEADER, entries: u32_at(bytes, at + 24)? })
}

/// Decodes a group's body; every entry is an entry or damage.
fn decode_group(bytes: &Bytes, at: usize, header: GroupHeader) -> Vec<Found> {
    let end = at + GROUP_HEADER + header.body;
    let mut cursor = at + GROUP_HEADER;
    let mut found = Vec::with_capacity((header.entries as usize).min(header.body / ENTRY_HEADER));
    for _ in 0..header.entries {
        let Some((len, crc)) = u32_at(bytes, cursor).zip(u32_at(bytes, cursor + 4)) else { break };
        let payload = cursor + ENTRY_HEADER;
        let next = payload + len as usize;
        if next > end {
            break;
        }
        let payload = bytes.slice(payload..next);
        let entry = (crc32c::crc32c(&payload) == crc).then(|| decode_entry(&payload)).flatten();
        found.push(match entry {
            Some(entry) => Found::Entry(Box::new(entry)),
            None => Found::Damaged { at: cursor, session: session_of(&payload) },
        });
        cursor = next;
    }
    if found.len() < header.entries as usize || cursor != end {
        found.push(Found::Damaged { at: cursor, session: None });
    }
    found
}

fn session_of(payload: &[u8]) -> Option<SessionId> {
    let len = usize::from(*payload.get(18)?);
    SessionId::parse(std::str::from_utf8(payload.get(19..19 + len)?).ok()?).ok()
}

fn decode_entry(payload: &Bytes) -> Option<Entry> {
    let session = session_of(payload)?;
    let (version, flags) = (payload[0], payload[1]);
    let first_offset = u64_at(payload, 10)?;
    let mut cursor = 19 + session.as_str().len();
    let user = block(payload, &mut cursor, true)?;
    let user = user.and_then(|user| Some(UserId::stored(std::str::from_utf8(&user).ok()?)))?;
    let base = block(payload, &mut cursor, flags & HAS_BASE != 0)?;
    let count = u32_at(payload, cursor)?;
    cursor += 4;
    let mut events = Vec::new();
    for offset in (first_offset..).take(count as usize) {
        let kind = EventKind::from_u8(*payload.get(cursor)?)?;
        let len = u32_at(payload, cursor + 1)? as usize;
        let start = cursor + 5;
        cursor = start.checked_add(len).filter(|end| *end <= payload.len())?;
        events.push(StoredEvent { kind, offset, line: payload.slice(start..cursor) });
    }
    let producer = block(payload, &mut cursor, flags & HAS_PRODUCER != 0)?;
    let producer = producer.map(|json| serde_json::from_slice(&json)).transpose().ok()?;
    let at = Timestamp::from_millis(u64_at(payload, 2)?.cast_signed());
    (version == VERSION && cursor == payload.len()).then_some(Entry {
        session,
        user,
        at,
        first_offset,
        producer,
        base,
        events,
    })
}

/// Reads a block if it is `wanted`; the outer `None`: the payload ends too early.
#[expect(clippy::option_option, reason = "absent and malformed are different things")]
fn block(payload: &Bytes, cursor: &mut usize, wanted: bool) -> Option<Option<Bytes>> {
    if !wanted {
        return Some(None);
    }
    let len = u32_at(payload, *cursor)? as usize;
    let start = *cursor + 4;
    *cursor = start.checked_add(len).filter(|end| *end <= payload.len())?;
    Some(Some(payload.slice(start..*cursor)))
}

/// Walks over a segment from `start`, a group's beginning; `is_last`: no later segment holds anything.
pub fn walk(
    bytes: &Bytes,
    segment: u64,
    start: usize,
    is_last: bool,
    mut visit: impl FnMut(usize, Found),
) -> SegmentEnd {
    let mut at = start;
    loop {
        let header = group_header(bytes, at, segment);
        let found = header.map(|header| decode_group(bytes, at, header));
        let whole = found.as_ref().is_some_and(|f| f.iter().all(|f| matches!(f, Found::Entry(_))));
        let next = header.map(|h| at + GROUP_HEADER + h.body);
        if whole {
            found.into_iter().flatten().for_each(|f| visit(at, f));
            at = next.expect("a whole group has a header");
            continue;
        }
        let resume = match next {
            Some(next) if group_header(bytes, next, segment).is_some() => Some(next),
            Some(_) | None => next_group(bytes, at + 1, segment),
        };
        match (resume, found) {
            (Some(resume), found) => {
                report_damage(at, found, &mut visit);
                at = resume;
            }
            (None, found) if !is_last && (found.is_some() || has_bytes(bytes, at)) => {
                report_damage(at, found, &mut visit);
                return SegmentEnd { at: next.unwrap_or(at), torn: false };
            }
            (None, _) => {
                return SegmentEnd { at, torn: has_bytes(bytes, at) };
            }
        }
    }
}

fn report_damage(at: usize, found: Option<Vec<Found>>, visit: &mut impl FnMut(usize, Found)) {
    match found {
        Some(found) => found.into_iter().for_each(|f| visit(at, f)),
        None => visit(at, Found::Damaged { at, session: None }),
    }
}

fn has_bytes(bytes: &[u8], at: usize) -> bool {
    bytes.get(at..).is_some_and(|rest| rest.iter().take(GROUP_HEADER).any(|b| *b != 0))
}

/// The next place from `from` on where a group of this segment begins.
fn next_group(bytes: &Bytes, from: usize, segment: u64) -> Option<usize> {
    let rest = bytes.get(from..)?;
    memchr::memmem::find_iter(rest, &MAGIC.to_le_bytes())
        .map(|at| from + at)
        .find(|at| group_header(bytes, *at, segment).is_some())
}

/// The door for the fuzzer: any bytes may be a segment.
pub fn fuzz_decode(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    let end = walk(&bytes, 1, 0, true, |_, _| {});
    assert!(end.at <= bytes.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(segment: u64, first_offset: u64, sessions: &[&str]) -> Vec<u8> {
        let mut out = vec![0; GROUP_HEADER];
        for (n, id) in sessions.iter().enumerate() {
            let id = SessionId::parse(id).unwrap();
            let at = Timestamp::from_millis(5);
            let mut entry =
                EntryWriter::begin(&mut out, (&id, &UserId::unknown()), at, first_offset + n as u64, None);
            entry.event(EventKind::Action, |out| out.extend_from_slice(b"{\"seq\":1}\n"));
            entry.end(None);
        }
        write_group_header(&mut out, segment, first_offset, sessions.len() as u32);
        out
    }

    fn walked(bytes: &[u8], is_last: bool) -> (Vec<String>, SegmentEnd) {
        let mut seen = Vec::new();
        let bytes = Bytes::copy_from_slice(bytes);
        let end = walk(&bytes, 1, 0, is_last, |_, found| {
            seen.push(match found {
                Found::Entry(entry) => entry.session.to_string(),
                Found::Damaged { session, .. } => format!("damaged {session:?}"),
            });
        });
        (seen, end)
    }

    fn three_groups() -> Vec<u8> {
        [group(1, 1, &["a", "b"]), group(1, 3, &["c"]), group(1, 4, &["d"]), vec![0; 100]].concat()
    }

    #[test]
    fn entries_come_back_as_they_were_written() {
        let bytes = three_groups();
        let (seen, end) = walked(&bytes, true);
        assert_eq!(seen, ["a", "b", "c", "d"]);
        assert_eq!(end, SegmentEnd { at: bytes.len() - 100, torn: false });
    }

    #[test]
    fn groups_of_an_older_life_of_the_file_are_not_read() {
        let bytes = [group(1, 1, &["a"]), END.to_vec(), group(9, 2, &["old"])].concat();
        assert_eq!(walked(&bytes, true).0, ["a"]);
        assert!(!walked(&bytes, true).1.torn);
    }

    #[test]
    fn a_cut_anywhere_in_the_last_group_is_a_torn_tail() {
        let whole = [group(1, 1, &["a"]), group(1, 2, &["b", "c"])].concat();
        let first = group(1, 1, &["a"]).len();
        for cut in first..whole.len() {
            let mut bytes = whole[..cut].to_vec();
            bytes.resize(whole.len() + 50, 0);
            let (seen, end) = walked(&bytes, true);
            assert_eq!((seen, end.at), (vec!["a".to_owned()], first), "cut at {cut}");
            assert_eq!(end.torn, whole[first..cut].iter().any(|b| *b != 0), "cut at {cut}");
        }
    }

    #[test]
    fn damage_before_valid_groups_is_reported_and_passed() {
        let whole = three_groups();
        let second = group(1, 1, &["a", "b"]).len();
        let third = second + group(1, 3, &["c"]).len();
        for at in second..third {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x40;
            let (seen, end) = walked(&bytes, true);
            assert_eq!(seen.len(), 4, "byte {at}: {seen:?}");
            assert!(seen[2].starts_with("damaged"), "byte {at}: {seen:?}");
            assert_eq!(seen[3], "d");
            assert!(!end.torn);
        }
    }

    #[test]
    fn the_end_of_a_segment_that_is_not_the_last_cannot_be_torn() {
        let mut bytes = [group(1, 1, &["a"]), group(1, 2, &["b"])].concat();
        let last = bytes.len() - 3;
        bytes[last] ^= 1;
        let (seen, end) = walked(&bytes, false);
        assert_eq!(seen, ["a", "damaged Some(\"b\")"]);
        assert!(!end.torn);
    }
}
