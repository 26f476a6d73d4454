//! Damage at every position of a segment, and how a walk reports it.

use bytes::Bytes;
use session_model::hex::hex;
use session_model::producer::{Answer, ProducerNumbers};
use session_model::{EventKind, SessionId, Timestamp, UserId};

use super::decode::SegmentEnd;
use super::*;

fn group(segment: u64, first_offset: u64, sessions: &[&str]) -> Vec<u8> {
    let mut out = vec![0; GROUP_HEADER];
    for (n, id) in sessions.iter().enumerate() {
        let id = SessionId::parse(id).unwrap();
        let at = Timestamp::from_millis(5);
        let mut entry = EntryWriter::begin(
            &mut out,
            (&id, &UserId::unknown()),
            at,
            first_offset + n as u64,
            None,
        );
        entry.event(EventKind::Action, |out| {
            out.extend_from_slice(b"{\"seq\":1}\n");
        });
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
    [
        group(1, 1, &["a", "b"]),
        group(1, 3, &["c"]),
        group(1, 4, &["d"]),
        vec![0; 100],
    ]
    .concat()
}

#[test]
fn entries_come_back_as_they_were_written() {
    let bytes = three_groups();
    let (seen, end) = walked(&bytes, true);
    assert_eq!(seen, ["a", "b", "c", "d"]);
    assert_eq!(
        end,
        SegmentEnd {
            at: bytes.len() - 100,
            torn: false
        }
    );
}

#[test]
fn groups_left_over_in_a_recycled_file_are_not_read() {
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
        assert_eq!(seen, ["a"], "cut at {cut}");
        assert_eq!(end.at, first, "cut at {cut}");
        assert_eq!(
            end.torn,
            whole[first..cut].iter().any(|b| *b != 0),
            "cut at {cut}"
        );
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

#[test]
fn the_end_of_an_offset_is_the_end_of_the_last_group_that_does_not_go_beyond_it() {
    let groups = [
        group(1, 1, &["a", "b"]),
        group(1, 3, &["c"]),
        group(1, 4, &["d"]),
    ];
    let bytes = Bytes::from(three_groups());
    let ends: Vec<usize> = groups
        .iter()
        .scan(0, |end, group| {
            *end += group.len();
            Some(*end)
        })
        .collect();
    for (offset, end) in [
        (0, 0),
        (2, ends[0]),
        (3, ends[1]),
        (4, ends[2]),
        (9, ends[2]),
    ] {
        assert_eq!(end_of(&bytes, 1, offset), end, "{offset}");
    }
    // A producer's position without events, committed after the last event.
    let mut alone = vec![0; GROUP_HEADER];
    let owner = (&SessionId::parse("a").unwrap(), &UserId::unknown());
    EntryWriter::begin(&mut alone, owner, Timestamp::from_millis(5), 3, None).end(None);
    write_group_header(&mut alone, 1, 3, 1);
    let bytes = Bytes::from([&groups[0][..], &alone, &groups[1]].concat());
    assert_eq!(end_of(&bytes, 1, 2), ends[0] + alone.len());
}

/// A group with one entry, which has every part: image, two events, producer. Journals on disk
/// contain these bytes: changing them makes existing directories unreadable.
const GROUP: &str = concat!(
    "3146524a",         // magic
    "89000000",         // length of the body
    "0300000000000000", // segment
    "0700000000000000", // first offset
    "01000000",         // entries
    "4208f944",         // checksum of the header
    "81000000",         // length of the entry
    "692f23c6",         // checksum
    "0103",             // version, flags
    "0500000000000000", // time
    "0700000000000000", // first offset
    "0173",             // session
    "0100000075",       // user
    "020000007b7d",     // image
    "02000000",         // events
    "0002000000630a",   // session_created
    "0b02000000640a",   // session_deleted
    "4c000000",         // length of the producer's commit
);

/// The end of that entry: the producer's commit.
const COMMIT: &str =
    r#"{"numbers":{"id":"p","epoch":1,"seq":2},"answer":{"status":200,"body":"{}"}}"#;

fn producer_commit() -> ProducerCommit {
    ProducerCommit {
        numbers: ProducerNumbers {
            id: "p".into(),
            epoch: 1,
            seq: 2,
        },
        answer: Answer {
            status: 200,
            body: "{}".into(),
            part: None,
        },
    }
}

#[test]
fn a_group_is_written_as_these_bytes() {
    let id = SessionId::parse("s").unwrap();
    let user = UserId::parse("u").unwrap();
    let mut out = vec![0; GROUP_HEADER];
    let mut entry = EntryWriter::begin(
        &mut out,
        (&id, &user),
        Timestamp::from_millis(5),
        7,
        Some(b"{}"),
    );
    entry.event(EventKind::SessionCreated, |out| {
        out.extend_from_slice(b"c\n");
    });
    entry.event(EventKind::SessionDeleted, |out| {
        out.extend_from_slice(b"d\n");
    });
    entry.end(Some(&producer_commit()));
    write_group_header(&mut out, 3, 7, 1);
    assert_eq!(hex(&out), format!("{GROUP}{}", hex(COMMIT.as_bytes())));
}

#[test]
fn a_group_of_these_bytes_is_read() {
    let digits = GROUP.as_bytes().chunks_exact(2);
    let mut bytes: Vec<u8> = digits
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    bytes.extend_from_slice(COMMIT.as_bytes());
    let length = bytes.len();
    bytes.extend_from_slice(&END);
    let (entries, end) = group_at(&Bytes::from(bytes), 0, 3).unwrap();
    assert_eq!(end, length);
    let [entry] = &entries[..] else {
        panic!("one entry: {entries:?}");
    };
    assert_eq!(entry.session.as_str(), "s");
    assert_eq!(entry.user.as_str(), "u");
    assert_eq!(entry.at, Timestamp::from_millis(5));
    assert_eq!(entry.first_offset, 7);
    assert_eq!(entry.base.as_deref(), Some(&b"{}"[..]));
    assert_eq!(entry.producer, Some(producer_commit()));
    let events: Vec<_> = entry
        .events
        .iter()
        .map(|event| (event.kind, event.offset, &event.line[..]))
        .collect();
    let expected = [
        (EventKind::SessionCreated, 7, &b"c\n"[..]),
        (EventKind::SessionDeleted, 8, &b"d\n"[..]),
    ];
    assert_eq!(events, expected);
}
