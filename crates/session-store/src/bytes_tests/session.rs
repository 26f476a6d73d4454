//! The files of one session, and its image in the journal.

use std::fs;

use session_model::event::{Creation, PatchFormat};
use session_model::producer::{Answer, Part, ProducerNumbers, Producers};
use session_model::transition::{self, Outcome};
use session_model::{
    Change, Command, LogKind, SessionId, Stamp, StatePatch, Timestamp, UserId, View, change_line,
    json,
};

use crate::disk::RealDisk;
use crate::journaled::Journaled;
use crate::layout::{FINAL, INITIAL, Layout, METADATA, PRODUCERS, STATE, log_name};
use crate::legacy::IndexedFields;
use crate::recent;
use crate::session_dir;
use crate::snapshots::{documents, pretty};

use super::session_files as files;

/// A session that is driven by batch lines, with fixed times and offsets.
struct Driven {
    view: View,
    logs: [Vec<u8>; 3],
}

impl Driven {
    fn create() -> Self {
        let id = SessionId::parse("s").unwrap();
        let creation = Creation {
            initial: serde_json::json!({"source": "test", "config": {"model": "m-1"}})
                .as_object()
                .cloned()
                .unwrap(),
            parent: Some("p".into()),
            began: Some(Timestamp::from_millis(1_789_999_999_500)),
        };
        let change = transition::create(&id, &UserId::stored("ada"), creation);
        let at = Timestamp::from_millis(1_790_000_000_000);
        let mut line = Vec::new();
        change_line::write(&mut line, None, &change, 1, at, 100);
        let stamp = Stamp {
            seq: 1,
            offset: 100,
            at,
            bytes: line.len() as u64,
            keyframe: false,
        };
        Self {
            view: View::at_creation(&id, &change, stamp),
            logs: [Vec::new(), Vec::new(), line],
        }
    }

    fn submit(&mut self, batch_line: &str) {
        self.command(Command::parse_line(batch_line).unwrap());
    }

    /// Patches the state in one of the formats that a batch line cannot name.
    fn patch_state(&mut self, format: PatchFormat, patch: serde_json::Value) {
        self.command(Command::PatchState(StatePatch {
            format,
            patch,
            if_version: None,
        }));
    }

    fn command(&mut self, command: Command<'_>) {
        let offset = self.view.offset + 1;
        let at = Timestamp::from_millis(1_790_000_000_000 + (offset.cast_signed() - 100) * 1_000);
        match transition::decide(&self.view, command, at).unwrap() {
            Outcome::Record(log, body) => {
                let mut line = Vec::new();
                let seq = self.view.next_seq(log);
                let redactions = body.write_line(&mut line, seq, at, offset);
                let stamp = Stamp {
                    seq,
                    offset,
                    at,
                    bytes: line.len() as u64,
                    keyframe: false,
                };
                self.view
                    .apply_record(log, body.tally(), body.indexed(), redactions, stamp);
                self.logs[log.index()].extend_from_slice(&line);
            }
            Outcome::Change(change, _) => self.change(&change, at, offset),
            Outcome::Nothing(_) => panic!("every command changes something"),
        }
    }

    fn change(&mut self, change: &Change, at: Timestamp, offset: u64) {
        let mut line = Vec::new();
        let seq = self.view.next_seq(LogKind::Changes);
        let keyframe = change_line::write(&mut line, Some(&self.view), change, seq, at, offset);
        let stamp = Stamp {
            seq,
            offset,
            at,
            bytes: line.len() as u64,
            keyframe,
        };
        self.view.apply(change, stamp).unwrap();
        self.logs[LogKind::Changes.index()].extend_from_slice(&line);
    }
}

/// A session with every file: records, changes, state patches in the three formats, two final
/// documents, two producers.
fn driven() -> Driven {
    let mut driven = Driven::create();
    driven.submit(r#"{"type":"action","data":{"type":"tool_call","n":1.0,"token":"[redacted:token:0badcafe]"}}"#);
    driven.submit(r#"{"type":"response","data":{"type":"assistant","text":"line\nbreak"}}"#);
    driven.submit(r#"{"type":"state_update","data":{"phase":"planning"}}"#);
    driven.patch_state(
        PatchFormat::MergePatch,
        serde_json::json!({"currentStep": "s1", "note": null}),
    );
    driven.patch_state(
        PatchFormat::JsonPatch,
        serde_json::json!([{"op": "replace", "path": "/currentStep", "value": "s2"}]),
    );
    // So long ago that the next line contains the state.
    driven.view.keyframe.bytes = 1 << 20;
    driven.submit(r#"{"type":"goal_add","data":{"id":"g1","description":"fly"}}"#);
    driven.submit(
        r#"{"type":"agent_spawn","data":{"agentId":"a1","type":"scout","subsession":"c"}}"#,
    );
    driven.submit(r#"{"type":"metadata_update","data":{"tags":["demo"],"tokenUsage.input":5}}"#);
    driven.submit(r#"{"type":"finalize","data":{"outcome":"landed"}}"#);
    driven.submit(r#"{"type":"reopen","data":{}}"#);
    driven.submit(r#"{"type":"finalize","data":{"outcome":"landed again"}}"#);
    let answer = |part| Answer {
        status: 200,
        body: r#"{"success":true}"#.to_owned(),
        part,
    };
    let numbers = |id: &str, seq| ProducerNumbers {
        id: id.to_owned(),
        epoch: 1_790_000_000_000,
        seq,
    };
    let part = Part {
        from: 0,
        done: 2,
        last: false,
    };
    let producers = &mut driven.view.producers;
    producers.accept(numbers("p-1", 7), answer(None), 108);
    producers.accept(numbers("p-2", 0), answer(Some(part)), 109);
    driven
}

/// The documents: name and bytes.
fn documents_on_disk() -> [(&'static str, &'static str); 6] {
    [
        (METADATA, files::METADATA_JSON),
        (STATE, files::STATE_JSON),
        (INITIAL, files::INITIAL_JSON),
        (FINAL, files::FINAL_JSON),
        ("final-1.json", files::FINAL_1_JSON),
        (PRODUCERS, files::PRODUCERS_JSON),
    ]
}

/// The logs: name and bytes, in the order of [`LogKind::ALL`].
fn logs_on_disk() -> [(&'static str, &'static str); 3] {
    [
        ("actions.jsonl", files::ACTIONS_JSONL),
        ("responses.jsonl", files::RESPONSES_JSONL),
        ("changes.jsonl", files::CHANGES_JSONL),
    ]
}

/// Writes these files into a session's folder and opens the session.
fn opened(files: &[(&str, &str)]) -> View {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    let id = SessionId::parse("s").unwrap();
    fs::create_dir_all(layout.session(&id)).unwrap();
    for (name, bytes) in files {
        fs::write(layout.file(&id, name), bytes).unwrap();
    }
    let opened = session_dir::open(
        &layout,
        &RealDisk,
        &id,
        Journaled::NOTHING,
        &IndexedFields::default(),
    );
    let opened = opened.unwrap().unwrap().whole().unwrap();
    assert!(opened.damaged.is_empty(), "{:?}", opened.damaged);
    opened.view
}

#[test]
fn the_documents_of_a_session_are_written_as_these_bytes() {
    let driven = driven();
    let mut written = documents(&driven.view);
    written.push((PRODUCERS.to_owned(), pretty(&driven.view.producers)));
    assert_eq!(written.len(), documents_on_disk().len());
    for (name, bytes) in documents_on_disk() {
        let (_, found) = written.iter().find(|(found, _)| found == name).expect(name);
        assert_eq!(str::from_utf8(found).unwrap(), bytes, "{name}");
    }
}

#[test]
fn the_logs_of_a_session_are_written_as_these_bytes() {
    let driven = driven();
    for ((log, found), (name, bytes)) in LogKind::ALL.iter().zip(&driven.logs).zip(logs_on_disk()) {
        assert_eq!(log_name(*log), name);
        assert_eq!(str::from_utf8(found).unwrap(), bytes, "{name}");
    }
}

#[test]
fn a_session_is_read_from_files_of_these_bytes() {
    let found = opened(&[&documents_on_disk()[..], &logs_on_disk()[..]].concat());
    let mut expected = driven().view;
    // These files are there already.
    expected.outbox.clear();
    assert_eq!(found, expected);
}

#[test]
fn documents_of_versions_without_record_keys_are_read() {
    let (kept, _) = files::METADATA_JSON.split_once(",\n  \"$keyed\"").unwrap();
    let metadata = format!("{kept}\n}}\n");
    let mut documents = documents_on_disk().to_vec();
    documents[0].1 = &metadata;
    let found = opened(&[&documents[..], &logs_on_disk()[..]].concat());
    assert_eq!(found.keyed, None);
}

#[test]
fn a_session_is_read_from_logs_of_these_bytes_alone() {
    let found = opened(&logs_on_disk());
    let mut expected = driven().view;
    // No log has the producers.
    expected.producers = Producers::default();
    assert_eq!(found, expected);
}

#[test]
fn an_image_in_the_journal_is_written_and_read_as_these_bytes() {
    let view = driven().view;
    assert_eq!(serde_json::to_string(&view).unwrap(), files::IMAGE);
    assert_eq!(json::stored::<View>(files::IMAGE.as_bytes()).unwrap(), view);
}

#[test]
fn a_session_links_to_its_children_with_these_names() {
    let dir = tempfile::tempdir().unwrap();
    recent::update_children(dir.path(), &["c".to_owned()]).unwrap();
    let target = fs::read_link(dir.path().join("subsessions/c")).unwrap();
    assert_eq!(target.to_str(), Some("../../c"));
}
