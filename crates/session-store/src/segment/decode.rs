//! Segment decoding: reads one group at a position, or walks over a segment and tells a torn tail
//! from damage.

use bytes::Bytes;
use session_model::{EventKind, SessionId, Timestamp, UserId};

use super::{ENTRY_HEADER, GROUP_HEADER, HAS_BASE, HAS_PRODUCER, MAGIC, ProducerCommit, VERSION};

/// An event as stored in the journal.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    /// The kind of event.
    pub kind: EventKind,
    /// The event's service-wide offset.
    pub offset: u64,
    /// The line, with its newline.
    pub line: Bytes,
}

/// A decoded entry: the events that one request stored.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The session.
    pub session: SessionId,
    /// The session's user at that moment.
    pub user: UserId,
    /// When the entry was accepted.
    pub at: Timestamp,
    /// The offset of its first event (or of the next one, if it has none).
    pub first_offset: u64,
    /// The producer's position.
    pub producer: Option<ProducerCommit>,
    /// The session's view before this entry, if it is the session's first entry since a
    /// checkpoint.
    pub base: Option<Bytes>,
    /// The events, with consecutive offsets.
    pub events: Vec<StoredEvent>,
}

/// An item found by a walk over a segment.
#[derive(Debug)]
pub(crate) enum Found {
    /// An entry.
    Entry(Box<Entry>),
    /// The bytes from `at` on are not a valid entry although something valid follows; the session
    /// is given if it can be read.
    Damaged {
        /// The position in the segment.
        at: usize,
        /// The session that the bytes seem to belong to.
        session: Option<SessionId>,
    },
}

/// Decodes the whole group that begins at `at`.
///
/// Returns its entries, without damaged ones, and the position where the next group begins; `None`
/// if there is no whole group at `at`, or if too few bytes were read.
pub(crate) fn group_at(bytes: &Bytes, at: usize, segment: u64) -> Option<(Vec<Entry>, usize)> {
    let header = group_header(bytes, at, segment)?;
    let entries = decode_group(bytes, at, header)
        .into_iter()
        .filter_map(|found| match found {
            Found::Entry(entry) => Some(*entry),
            Found::Damaged { .. } => None,
        });
    Some((entries.collect(), at + GROUP_HEADER + header.body))
}

/// Returns the length of the group whose header begins at `at`.
pub(crate) fn group_len(bytes: &[u8], at: usize, segment: u64) -> Option<usize> {
    let header = bytes.get(at..at + GROUP_HEADER)?;
    let valid = u32_at(header, 0)? == MAGIC
        && u32_at(header, 28)? == crc32c::crc32c(&header[..28])
        && u64_at(header, 8)? == segment;
    valid.then_some(GROUP_HEADER + u32_at(header, 4)? as usize)
}

/// Returns the position where the groups up to an offset end.
///
/// The first group with later events, and everything after it, is excluded. A group without events,
/// which holds only a producer's position, belongs to the events before it.
pub(crate) fn end_of(bytes: &Bytes, segment: u64, offset: u64) -> usize {
    let mut cut = None;
    let end = walk(bytes, segment, 0, true, |at, found| {
        let later = |entry: &Entry| !entry.events.is_empty() && entry.first_offset > offset;
        if cut.is_none() && matches!(&found, Found::Entry(entry) if later(entry)) {
            cut = Some(at);
        }
    });
    cut.unwrap_or(end.at)
}

/// The end of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SegmentEnd {
    /// The position where the next group would go.
    pub at: usize,
    /// Whether there is an incomplete group at that position.
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
    (at + len <= bytes.len()).then_some(GroupHeader {
        body: len - GROUP_HEADER,
        entries: u32_at(bytes, at + 24)?,
    })
}

/// Decodes a group's body; each item is an entry or damage.
fn decode_group(bytes: &Bytes, at: usize, header: GroupHeader) -> Vec<Found> {
    let end = at + GROUP_HEADER + header.body;
    let mut cursor = at + GROUP_HEADER;
    let mut found = Vec::with_capacity((header.entries as usize).min(header.body / ENTRY_HEADER));
    for _ in 0..header.entries {
        let Some((len, crc)) = u32_at(bytes, cursor).zip(u32_at(bytes, cursor + 4)) else {
            break;
        };
        let payload = cursor + ENTRY_HEADER;
        let next = payload + len as usize;
        if next > end {
            break;
        }
        let payload = bytes.slice(payload..next);
        let entry = (crc32c::crc32c(&payload) == crc)
            .then(|| decode_entry(&payload))
            .flatten();
        found.push(match entry {
            Some(entry) => Found::Entry(Box::new(entry)),
            None => Found::Damaged {
                at: cursor,
                session: session_of(&payload),
            },
        });
        cursor = next;
    }
    if found.len() < header.entries as usize || cursor != end {
        found.push(Found::Damaged {
            at: cursor,
            session: None,
        });
    }
    found
}

fn session_of(payload: &[u8]) -> Option<SessionId> {
    let len = usize::from(*payload.get(18)?);
    SessionId::parse(std::str::from_utf8(payload.get(19..19 + len)?).ok()?).ok()
}

fn decode_entry(payload: &Bytes) -> Option<Entry> {
    let session = session_of(payload)?;
    let version = payload[0];
    let flags = payload[1];
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
        events.push(StoredEvent {
            kind,
            offset,
            line: payload.slice(start..cursor),
        });
    }
    let producer = block(payload, &mut cursor, flags & HAS_PRODUCER != 0)?;
    let producer = producer
        .map(|json| serde_json::from_slice(&json))
        .transpose()
        .ok()?;
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

/// Reads a block if `wanted`; the outer `None` means that the payload ends too early.
#[expect(
    clippy::option_option,
    reason = "absent and malformed are different things"
)]
fn block(payload: &Bytes, cursor: &mut usize, wanted: bool) -> Option<Option<Bytes>> {
    if !wanted {
        return Some(None);
    }
    let len = u32_at(payload, *cursor)? as usize;
    let start = *cursor + 4;
    *cursor = start.checked_add(len).filter(|end| *end <= payload.len())?;
    Some(Some(payload.slice(start..*cursor)))
}

/// Walks over a segment from `start`, where a group begins; `is_last` means that no later segment
/// holds any group.
pub(crate) fn walk(
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
        let whole = found
            .as_ref()
            .is_some_and(|f| f.iter().all(|f| matches!(f, Found::Entry(_))));
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
                return SegmentEnd {
                    at: next.unwrap_or(at),
                    torn: false,
                };
            }
            (None, _) => {
                return SegmentEnd {
                    at,
                    torn: has_bytes(bytes, at),
                };
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
    bytes
        .get(at..)
        .is_some_and(|rest| rest.iter().take(GROUP_HEADER).any(|b| *b != 0))
}

/// Returns the next position, from `from` on, where a group of this segment begins.
fn next_group(bytes: &Bytes, from: usize, segment: u64) -> Option<usize> {
    let rest = bytes.get(from..)?;
    memchr::memmem::find_iter(rest, &MAGIC.to_le_bytes())
        .map(|at| from + at)
        .find(|at| group_header(bytes, *at, segment).is_some())
}

/// Entry point for the fuzzer: any bytes may be a segment.
pub fn fuzz_decode(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    let end = walk(&bytes, 1, 0, true, |_, _| {});
    assert!(end.at <= bytes.len());
}
