//! The files beside the sessions: index, checkpoint, lock, redaction key, links, quarantine.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use bytes::Bytes;
use session_model::{EventKind, SessionId, Timestamp, UserId};

use crate::checkpoint::Checkpoint;
use crate::disk::RealDisk;
use crate::error::Damage;
use crate::index::{self, Index, Row};
use crate::layout::Layout;
use crate::lock::{self, DirLock};
use crate::quarantine_folder::{newest, quarantine};
use crate::recent;
use crate::redaction_key::{self, Demand};
use crate::segment::{Entry, StoredEvent};

fn layout() -> (Layout, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    fs::create_dir_all(layout.sessions()).unwrap();
    fs::create_dir_all(layout.journal()).unwrap();
    (layout, dir)
}

fn id(text: &str) -> SessionId {
    SessionId::parse(text).unwrap()
}

/// Three sessions: one with every field, an active one, one that ended without an outcome.
const INDEX: &str = r#"{
  "$epoch": "0123456789ab",
  "$offset": 110,
  "s": {"userId":"ada","created":"2026-09-21T14:13:19.500Z","receivedAt":"2026-09-21T14:13:20.000Z","createdOffset":100,"status":"completed","outcome":"success","tags":["demo"],"originalId":"s:1","subsessions":["c"]},
  "c": {"userId":"ada","created":"2026-09-21T14:13:25.000Z","createdOffset":105,"status":"active"},
  "z": {"userId":"bo","created":"2026-09-21T14:13:26.000Z","createdOffset":0,"status":"completed","outcome":null}
}
"#;

fn rows() -> [(&'static str, Row); 3] {
    let at = Timestamp::from_millis;
    let active = Row {
        user: UserId::stored("ada"),
        created: at(1_790_000_005_000),
        received: at(1_790_000_005_000),
        created_offset: 105,
        completed: false,
        outcome: None,
        tags: Vec::new(),
        original: None,
        children: Vec::new(),
    };
    let full = Row {
        created: at(1_789_999_999_500),
        received: at(1_790_000_000_000),
        created_offset: 100,
        completed: true,
        outcome: Some("success".into()),
        tags: vec!["demo".into()],
        original: Some("s:1".into()),
        children: vec!["c".into()],
        ..active.clone()
    };
    let ended = Row {
        user: UserId::stored("bo"),
        created: at(1_790_000_006_000),
        received: at(1_790_000_006_000),
        created_offset: 0,
        completed: true,
        ..active.clone()
    };
    [("s", full), ("c", active), ("z", ended)]
}

#[test]
fn an_index_is_written_as_these_bytes() {
    let (layout, _dir) = layout();
    let index = Index::default();
    for (name, row) in rows() {
        index.upsert(&id(name), row);
    }
    index
        .write(&layout, &RealDisk, "0123456789ab", 110)
        .unwrap();
    assert_eq!(
        fs::read_to_string(layout.root().join("index.json")).unwrap(),
        INDEX
    );
}

#[test]
fn an_index_of_these_bytes_is_read() {
    let (layout, _dir) = layout();
    fs::write(layout.root().join("index.json"), INDEX).unwrap();
    let found = index::look(&layout);
    assert_eq!(found.position, Some(("0123456789ab".to_owned(), 110)));
    assert!(found.without_outcome.is_empty());
    assert_eq!(found.rows.len(), 3);
    for (name, row) in rows() {
        assert_eq!(found.rows[name], row, "{name}");
    }
}

const CHECKPOINT: &str = r#"{
  "epoch": "0123456789ab",
  "next_offset": 110,
  "clean": true,
  "boot": "6bb6ac18-6d3c-4d9c-8a5d-1a1a8b8f7c11",
  "synced": true,
  "behind": {
    "s": 100
  }
}
"#;

/// A checkpoint as versions wrote it that had fewer fields.
const EARLY_CHECKPOINT: &str = r#"{"epoch":"0123456789ab","next_offset":110,"clean":false}"#;

#[test]
fn a_checkpoint_is_written_and_read_as_these_bytes() {
    let (layout, dir) = layout();
    let path = dir.path().join("journal/checkpoint.json");
    let checkpoint = Checkpoint {
        epoch: "0123456789ab".into(),
        next_offset: 110,
        clean: true,
        boot: Some("6bb6ac18-6d3c-4d9c-8a5d-1a1a8b8f7c11".into()),
        synced: true,
        behind: [("s".to_owned(), 100)].into(),
    };
    checkpoint.write(&layout, &RealDisk).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), CHECKPOINT);
    assert_eq!(Checkpoint::read(&layout).unwrap(), Some(checkpoint.clone()));

    fs::write(&path, EARLY_CHECKPOINT).unwrap();
    let early = Checkpoint {
        clean: false,
        boot: None,
        synced: false,
        behind: [].into(),
        ..checkpoint
    };
    assert_eq!(Checkpoint::read(&layout).unwrap(), Some(early));
}

#[test]
fn a_lock_names_its_holder_in_these_two_lines() {
    let (layout, dir) = layout();
    let path = dir.path().join(".lock");
    let held = DirLock::take(&layout).unwrap();
    let pid = std::process::id();
    let expected = format!("{pid}\n{}\n", held.run());
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    drop(held);

    let inode = fs::metadata(&path).unwrap().ino();
    fs::write(&path, format!("1234\n0123456789ab-{inode}\n")).unwrap();
    let run = format!("0123456789ab-{inode}");
    assert_eq!(lock::last_run(&layout).unwrap(), Some(run));
}

#[test]
fn a_redaction_key_is_written_and_read_as_this_line() {
    let (layout, dir) = layout();
    let path = dir.path().join(".redaction-key");
    let demand = Demand {
        required: false,
        has_sessions: false,
    };
    let made = redaction_key::read_or_make(&layout, demand).unwrap();
    let written = fs::read_to_string(&path).unwrap();
    assert_eq!(written, format!("{}\n", made.to_hex()));
    assert_eq!(written.len(), 33, "{written}");

    fs::write(&path, "000102030405060708090a0b0c0d0e0f\n").unwrap();
    let read = redaction_key::read_or_make(&layout, demand).unwrap();
    assert_eq!(read.to_hex(), "000102030405060708090a0b0c0d0e0f");
}

#[test]
fn the_newest_sessions_are_links_with_these_names() {
    let (layout, dir) = layout();
    recent::update(&layout, &[id("b"), id("a")]).unwrap();
    for (name, target) in [("01-b", "../sessions/b"), ("02-a", "../sessions/a")] {
        let found = fs::read_link(dir.path().join("recent").join(name)).unwrap();
        assert_eq!(found.to_str(), Some(target), "{name}");
    }
}

#[test]
fn a_quarantined_session_has_its_reason_and_its_lines_from_the_journal_in_these_files() {
    let (layout, dir) = layout();
    fs::create_dir_all(layout.session(&id("s"))).unwrap();
    fs::write(layout.session(&id("s")).join("state.json"), "{").unwrap();
    let damage = Damage::Gap {
        file: "actions.jsonl",
        seq: 3,
    };
    let event = |line: &'static [u8]| StoredEvent {
        kind: EventKind::Action,
        offset: 5,
        line: Bytes::from_static(line),
    };
    let entry = Entry {
        session: id("s"),
        user: UserId::unknown(),
        at: Timestamp::from_millis(5),
        first_offset: 5,
        producer: None,
        base: None,
        events: vec![event(b"{\"seq\":2}\n"), event(b"{\"seq\":4}\n")],
    };
    let name = quarantine(&layout, &id("s"), &damage, || Ok(vec![entry])).unwrap();
    assert_eq!(name, "s");
    let text = |name: &str| fs::read_to_string(dir.path().join("quarantine").join(name)).unwrap();
    assert_eq!(
        text("s.reason.txt"),
        "`actions.jsonl` lacks the record with seq 3\n"
    );
    assert_eq!(text("s/journal.jsonl"), "{\"seq\":2}\n{\"seq\":4}\n");
    assert_eq!(text("s/state.json"), "{");

    fs::create_dir_all(dir.path().join("quarantine/s.2")).unwrap();
    assert_eq!(newest(&layout, &id("s")).as_deref(), Some("s.2"));
}
