//! Pins the bytes of every file of a spool folder: a later version must read and continue the
//! folders of this one, and the other way round.
//!
//! Each file is written by the code and compared with bytes written out here, and the same bytes
//! are read back. The checksums were computed apart from this code. The files that the hooks add to
//! a shared folder are tested beside their code: `pause`, `runs/`, `errors/` and `trouble.log`.

use std::path::Path;

use serde_json::value::RawValue;
use session_model::BatchLine;

use super::line_files::LOST;
use super::loss::{self, Losses};
use super::producer::producer_of;
use super::progress::{Position, StateFile};
use super::rejected;
use super::*;
use crate::config::Config;
use crate::kind::Kind;

const SERVICE: &str = "http://127.0.0.1:9";

/// Two records: an action of the session `s-1` with time 42, and the creation of the session
/// `claude`. Each is: length and checksum; kind, length of the session's name and time; session and
/// line.
const SEGMENT: &[u8] = b"\
    \x2d\x00\x00\x00\x9a\x5d\x49\x35\
    \x01\x03\x2a\x00\x00\x00\x00\x00\x00\x00\
    s-1{\"type\":\"action\",\"data\":{\"n\":1}}\
    \x26\x00\x00\x00\x96\x69\xb7\xf9\
    \x0b\x06\xbd\x4f\x74\x28\xa2\x01\x00\x00\
    claude{\"sessionId\":\"claude\"}";

const SEGMENT_NAME: &str = "00000000000000000000.seg";

fn framed(kind: Kind, session: &str, time: u64, line: &str) -> Vec<u8> {
    let mut frame = begin_frame(kind, session, time, line.len());
    frame.extend_from_slice(line.as_bytes());
    finish_frame(&mut frame);
    frame
}

fn open(folder: &Path) -> (Spool, Head) {
    let limits = Limits::of(&Config::new(SERVICE).unwrap(), false);
    Spool::open(
        SpoolStorage::Disk(folder.to_owned()),
        "p".to_owned(),
        limits,
    )
    .unwrap()
}

fn bytes(folder: &Path, name: &str) -> Vec<u8> {
    std::fs::read(folder.join(name)).unwrap()
}

/// Returns the names of the files and folders of a folder.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

fn is_producer(name: &str) -> bool {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    name.len() == 32 && name.bytes().all(is_digit)
}

#[test]
fn a_segment_has_these_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _head) = open(dir.path());
    let action = Kind::Line(BatchLine::Action);
    let line = r#"{"type":"action","data":{"n":1}}"#;
    spool.append(&framed(action, "s-1", 42, line)).unwrap();
    let line = r#"{"sessionId":"claude"}"#;
    let create = framed(Kind::CreateSession, "claude", 1_795_975_040_957, line);
    spool.append(&create).unwrap();
    assert_eq!(names(dir.path()), [SEGMENT_NAME, "state"]);
    assert_eq!(
        bytes(dir.path(), SEGMENT_NAME).escape_ascii().to_string(),
        SEGMENT.escape_ascii().to_string()
    );
}

#[test]
fn a_segment_of_these_bytes_is_read() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(SEGMENT_NAME), SEGMENT).unwrap();
    let (spool, head) = open(dir.path());
    assert_eq!(spool.pending(), 2);
    let mut head = head.that_keeps_old();

    let window = head.window(&spool).unwrap().unwrap();
    assert_eq!(window.records.len(), 1);
    let record = &window.records[0];
    assert_eq!(record.number, 0);
    assert_eq!(record.kind, Kind::Line(BatchLine::Action));
    assert_eq!(record.time, 42);
    assert_eq!(window.batches[0].session, "s-1");
    assert_eq!(window.line(record), br#"{"type":"action","data":{"n":1}}"#);
    head.settle(&window, 0, 1, true);

    let window = head.window(&spool).unwrap().unwrap();
    assert_eq!(window.records.len(), 1);
    let record = &window.records[0];
    assert_eq!(record.number, 1);
    assert_eq!(record.kind, Kind::CreateSession);
    assert_eq!(record.time, 1_795_975_040_957);
    assert_eq!(window.batches[0].session, "claude");
    assert_eq!(window.line(record), br#"{"sessionId":"claude"}"#);
}

/// Returns one slot of a state file: checksum and JSON, padded with blanks to 4096 bytes.
fn slot(text: &str) -> String {
    format!("{text:<4095}\n")
}

/// The second slot: every field is set.
const FIRST: &str = "73c7fa52 {\"generation\":1,\"epoch\":1795975040913,\
    \"cursor\":{\"segment\":3,\"offset\":118,\"record\":5},\
    \"broken\":2,\"broken_since\":1795975040900,\
    \"plan\":{\"end\":{\"segment\":3,\"offset\":1180,\"record\":9},\"batches\":[\
    {\"e\":1795975040913,\"q\":7,\"s\":1,\"n\":2,\"f\":1,\"r\":4,\"b\":4,\"k\":true},\
    {\"e\":1795975040913,\"q\":0}]},\
    \"held\":[4,0,2]}";

/// The first slot, written next.
const SECOND: &str = "26bcd99c {\"generation\":2,\"epoch\":1795975040913,\
    \"cursor\":{\"segment\":3,\"offset\":118,\"record\":5},\
    \"broken\":2,\"broken_since\":1795975040900,\
    \"plan\":{\"end\":{\"segment\":3,\"offset\":1180,\"record\":9},\"batches\":[\
    {\"e\":1795975040913,\"q\":7,\"s\":1,\"n\":2,\"f\":1,\"r\":4,\"b\":4,\"k\":true},\
    {\"e\":1795975040913,\"q\":0}]},\
    \"held\":[4,0,2]}";

#[test]
fn a_state_is_read_and_written_with_these_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let blank = " ".repeat(4096);
    let before = format!("{blank}{}", slot(FIRST));
    std::fs::write(dir.path().join("state"), before).unwrap();

    let storage = SpoolStorage::Disk(dir.path().to_owned());
    let (state_file, mut progress) = StateFile::open(&storage).unwrap();
    assert_eq!(progress.generation, 1);
    assert_eq!(progress.epoch, 1_795_975_040_913);
    let cursor = Position {
        segment: 3,
        offset: 118,
        record: 5,
    };
    assert_eq!(progress.cursor, cursor);
    assert_eq!(progress.broken, 2);
    assert_eq!(progress.broken_since, Some(1_795_975_040_900));
    assert_eq!(progress.held, Some(vec![4, 0, 2]));
    let plan = progress.plan.clone().unwrap();
    let end = Position {
        segment: 3,
        offset: 1180,
        record: 9,
    };
    assert_eq!(plan.end, end);
    assert_eq!(plan.batches.len(), 2);
    let step = &plan.batches[0];
    assert_eq!(step.epoch, 1_795_975_040_913);
    assert_eq!(step.seq, 7);
    assert_eq!(step.settled, 1);
    assert_eq!(step.lines, 2);
    assert!(step.in_doubt(), "`r`");
    assert!(step.has_to_ask(&(1..4)), "`k`");
    assert_eq!(step.shown(4), Some((1..4, 0)), "`f`, `r` and `b`");
    assert_eq!(plan.batches[1], Step::new(1_795_975_040_913, 0));

    state_file.save(&mut progress).unwrap();
    let after = format!("{}{}", slot(SECOND), slot(FIRST));
    assert_eq!(
        String::from_utf8(bytes(dir.path(), "state")).unwrap(),
        after
    );
}

#[test]
fn a_new_state_is_two_blank_slots() {
    let dir = tempfile::tempdir().unwrap();
    StateFile::open(&SpoolStorage::Disk(dir.path().to_owned())).unwrap();
    assert_eq!(bytes(dir.path(), "state"), [b' '; 8192]);
}

#[test]
fn a_rejected_record_is_kept_and_counted_as_this_line() {
    const LINE: &str = concat!(
        r#"{"at":"2026-11-29T17:57:20.993Z","session":"s-1","code":"goal_not_found","#,
        r#""reason":"session `s-1` has no goal `g`","event":{"type":"action","data":{"n":1.0}}}"#,
        "\n"
    );
    let dir = tempfile::tempdir().unwrap();
    let event = r#"{"type":"action","data":{"n":1.0}}"#.to_owned();
    let event = RawValue::from_string(event).unwrap();
    let rejection = Rejection {
        at: "2026-11-29T17:57:20.993Z".to_owned(),
        session: "s-1",
        code: "goal_not_found",
        reason: "session `s-1` has no goal `g`",
        event: &event,
    };
    keep(&SpoolStorage::Disk(dir.path().to_owned()), &[rejection]).unwrap();
    let written = bytes(dir.path(), "rejected/events.jsonl");
    assert_eq!(String::from_utf8(written).unwrap(), LINE);

    let (count, reason) = rejected::survey(dir.path()).unwrap();
    assert_eq!(count, 1);
    let expected = "goal_not_found: session `s-1` has no goal `g`";
    assert_eq!(reason.as_deref(), Some(expected));
}

#[test]
fn a_loss_is_kept_and_counted_as_this_line() {
    const START: &str = concat!(
        r#"{"session":"s-1","type":"gap","reason":"damaged","count":2,"atLeast":true,"#,
        r#""from":"1970-01-01T00:00:00.042Z","to":"1970-01-01T00:00:00.042Z","#,
        r#""message":"at least 2 records were damaged in the spool's file","timestamp":""#
    );
    let dir = tempfile::tempdir().unwrap();
    let mut losses = Losses::default();
    losses.add(b"s-1", Reason::Damaged, 2, Some(42));
    losses
        .keep(&SpoolStorage::Disk(dir.path().to_owned()))
        .unwrap();
    let written = String::from_utf8(bytes(dir.path(), "lost/events.jsonl")).unwrap();
    let now = written.strip_prefix(START).expect(&written);
    let now = now.strip_suffix("\"}\n").expect(&written);
    assert_eq!(now.len(), "2026-11-29T17:57:20.993Z".len(), "{written}");
    now.parse::<jiff::Timestamp>().unwrap();

    let line = format!("{START}2026-11-29T17:57:20.993Z\"}}\n");
    std::fs::write(dir.path().join("lost/events.jsonl"), line).unwrap();
    assert!(LOST.is_in(dir.path()));
    let (count, message) = loss::survey(dir.path()).unwrap();
    assert_eq!(count, 2);
    let expected = "at least 2 records were damaged in the spool's file";
    assert_eq!(message.as_deref(), Some(expected));
}

#[test]
fn a_processs_folder_has_these_files() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::claim(dir.path(), SERVICE, None, |_| true).unwrap();
    assert_eq!(names(dir.path()), [folder.producer.as_str()]);
    assert!(is_producer(&folder.producer), "{}", folder.producer);
    assert_eq!(names(&folder.path), ["lock", "service"]);
    assert_eq!(bytes(&folder.path, "lock"), b"");
    assert_eq!(bytes(&folder.path, "service"), b"http://127.0.0.1:9\n");
}

#[test]
fn a_shared_folder_has_these_files() {
    let dir = tempfile::tempdir().unwrap();
    let folder = SharedFolder::open(dir.path(), SERVICE).unwrap();
    assert_eq!(names(dir.path()), ["shared-f63dc3d7"]);
    let lock = folder.try_deliver().unwrap();
    assert!(lock.is_some());
    let limits = Limits::of(&Config::new(SERVICE).unwrap(), false);
    let (spool, _) = folder.hold().unwrap().open(limits).unwrap();
    assert_eq!(
        names(&folder.path),
        ["append", "lock", "producer", "service", "state"]
    );
    assert_eq!(bytes(&folder.path, "append"), b"");
    assert_eq!(bytes(&folder.path, "lock"), b"");
    assert_eq!(bytes(&folder.path, "producer"), spool.producer.as_bytes());
    assert!(is_producer(&spool.producer), "{}", spool.producer);
    assert_eq!(bytes(&folder.path, "service"), b"http://127.0.0.1:9\n");

    let known = "94b52a99a0394fbf92a64b882b197b45";
    std::fs::write(folder.path.join("producer"), known).unwrap();
    assert_eq!(producer_of(&folder.path).unwrap(), known);
}

#[test]
fn held_records_are_a_spool_with_these_files() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _head) = open(dir.path());
    let held = spool.make_held(3, "s-1").unwrap().unwrap();
    held.spool.append_copies(&[SEGMENT]).unwrap();
    let slot = dir.path().join("held/3");
    assert_eq!(names(&dir.path().join("held")), ["3"]);
    assert_eq!(names(&slot), [SEGMENT_NAME, "producer", "state"]);
    assert_eq!(bytes(&slot, SEGMENT_NAME), SEGMENT);
    assert_eq!(bytes(&slot, "producer"), held.spool.producer.as_bytes());
    assert!(is_producer(&held.spool.producer), "{}", held.spool.producer);
}
