use std::io::Write;
use std::os::unix::fs::symlink;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::draft::Draft;
use super::super::messages::heard;
use super::super::new_lines::{NewLines, NewOfAgent};
use super::super::run::Run;
use super::super::transcript_lines::Found;
use super::*;

/// A transcript that grows, and up to where it was read.
struct Transcript {
    /// Where the lines began that could not be read.
    unreadable: Vec<u64>,
    file: tempfile::NamedTempFile,
    place: ReadPosition,
    run: Run,
}

fn line(id: &str, blocks: &Value, output: i64) -> Value {
    json!({"type": "assistant", "timestamp": "2026-01-01T00:00:01.000Z", "version": "2.1.197", "requestId": "r",
        "message": {"id": id, "model": "opus", "stop_reason": "end_turn", "content": blocks,
            "usage": {"input_tokens": 3, "output_tokens": output, "cache_read_input_tokens": 5,
                "cache_creation_input_tokens": 7, "output_tokens_details": {"thinking_tokens": 2}}}})
}

fn text(text: &str) -> Value {
    json!([{"type": "text", "text": text}])
}

impl Transcript {
    fn new() -> Self {
        let file = tempfile::Builder::new()
            .suffix(".jsonl")
            .tempfile()
            .unwrap();
        Self {
            unreadable: Vec::new(),
            file,
            place: ReadPosition::default(),
            run: Run::default(),
        }
    }

    fn add(&mut self, lines: &[Value]) {
        for line in lines {
            writeln!(self.file, "{line}").unwrap();
        }
    }

    /// Reads the new lines, and returns the keys of the records, with the output of usage.
    fn read(&mut self, is_end: bool) -> Vec<String> {
        self.records(is_end).iter().map(shown).collect()
    }

    fn records(&mut self, is_end: bool) -> Vec<Value> {
        self.records_of(is_end, None)
    }

    fn records_of(&mut self, is_end: bool, since: Option<&str>) -> Vec<Value> {
        let mut listener = Listener::new(None, since);
        let until = Instant::now() + Duration::from_mins(1);
        read_new(
            self.file.path(),
            &mut self.place,
            &mut listener,
            1 << 30,
            until,
        )
        .unwrap();
        if is_end {
            listener.close(&mut self.place);
        } else {
            listener.leave(&mut self.place);
        }
        self.unreadable
            .extend(listener.unreadable.iter().map(|line| line.start));
        let read = NewOfAgent {
            agent: None,
            path: self.file.path().to_owned(),
            found: listener.found,
            place: self.place.clone(),
        };
        let news = NewLines {
            transcripts: vec![read],
            ..NewLines::default()
        };
        let drafts: Vec<Draft<'_>> = heard(&news, &mut self.run);
        drafts
            .iter()
            .map(|draft| serde_json::from_str(&draft.json).unwrap())
            .collect()
    }
}

fn shown(record: &Value) -> String {
    let key = record["key"].as_str().unwrap();
    match record["output"].as_i64() {
        Some(output) => format!("{key} {output}"),
        None => key.to_owned(),
    }
}

#[test]
fn a_message_is_recorded_once_it_is_complete_with_the_greatest_usage() {
    let mut transcript = Transcript::new();
    transcript.add(&[
        line("m", &text("a"), 5),
        line(
            "m",
            &json!([{"type": "tool_use", "id": "t", "name": "Bash"}]),
            5,
        ),
    ]);
    assert_eq!(transcript.read(false), [""; 0], "more of it may come");
    transcript.add(&[line("m", &text("b"), 631)]);
    transcript.add(&[json!({"type": "attachment", "attachment": {"type": "queued_command"}})]);
    transcript.add(&[line("m", &text("c"), 5), line("n", &text("d"), 1)]);
    assert_eq!(
        transcript.read(false),
        ["msg:m:0", "msg:m:2", "msg:m:3", "usage:m:r 631"]
    );
    assert_eq!(transcript.read(false), [""; 0]);
    assert_eq!(transcript.read(true), ["msg:n:0", "usage:n:r 1"]);
    assert_eq!(transcript.read(true), [""; 0]);
}

#[test]
fn lines_that_show_all_blocks_so_far_are_one_message() {
    let mut transcript = Transcript::new();
    let all = json!([{"type": "text", "text": "one two"}, {"type": "text", "text": "three"}]);
    transcript.add(&[
        line("m", &text("one"), 1),
        line("m", &text("one two"), 2),
        line("m", &all, 3),
    ]);
    let records = transcript.records(true);
    let texts: Vec<&str> = records
        .iter()
        .filter_map(|record| record["text"].as_str())
        .collect();
    assert_eq!(texts, ["one two", "three"]);
}

#[test]
fn a_line_is_found_however_its_json_is_spaced() {
    let mut transcript = Transcript::new();
    let spaced = line("m", &text("a"), 1).to_string().replace("\":", "\": ");
    writeln!(transcript.file, "{spaced}").unwrap();
    assert_eq!(transcript.read(true), ["msg:m:0", "usage:m:r 1"]);
}

#[test]
fn a_message_that_goes_on_after_the_end_of_a_turn_gets_further_keys() {
    let mut transcript = Transcript::new();
    transcript.add(&[line("m", &text("a"), 1)]);
    assert_eq!(transcript.read(true), ["msg:m:0", "usage:m:r 1"]);
    transcript.add(&[line("m", &json!([{"type": "text", "text": "z"}]), 1)]);
    assert_eq!(transcript.read(true)[0], "msg:m:1");
}

#[test]
fn a_record_has_what_the_transcript_says() {
    let mut transcript = Transcript::new();
    let thinking = json!([{"type": "thinking", "thinking": "hm", "signature": "s"}]);
    let hidden = json!([{"type": "redacted_thinking", "data": "x"}]);
    transcript.add(&[
        line("m", &thinking, 9),
        line("m", &hidden, 9),
        line("m", &text("hi"), 9),
    ]);
    let origin = json!({"agent": "claude-code", "agentVersion": "2.1.197", "lane": "transcript"});
    let at = "2026-01-01T00:00:01.000Z";
    assert_eq!(
        transcript.records(true),
        [
            json!({"type": "thinking", "timestamp": at, "key": "msg:m:0", "origin": origin, "text": "hm", "messageId": "m"}),
            json!({"type": "thinking", "timestamp": at, "key": "msg:m:1", "origin": origin, "encrypted": true, "messageId": "m"}),
            json!({"type": "assistant_message", "timestamp": at, "key": "msg:m:2", "origin": origin, "text": "hi",
                "model": "opus", "messageId": "m", "stopReason": "end_turn"}),
            json!({"type": "usage", "timestamp": at, "key": "usage:m:r", "origin": origin, "messageId": "m",
                "requestId": "r", "model": "opus", "input": 3, "output": 9, "cacheRead": 5, "cacheWrite": 7, "reasoning": 2}),
        ]
    );
    assert_eq!(
        transcript.run.transcript.as_deref(),
        transcript.file.path().to_str()
    );
}

#[test]
fn messages_that_no_model_wrote_and_broken_lines_are_passed_over() {
    let mut transcript = Transcript::new();
    let mut synthetic = line("m", &text("API Error"), 1);
    synthetic["message"]["model"] = json!("<synthetic>");
    transcript.add(&[synthetic]);
    let broken = length(&transcript);
    writeln!(transcript.file, "{{\"type\":\"assistant\",\"message\":").unwrap();
    transcript.add(&[line("n", &text("a"), 1)]);
    write!(transcript.file, "{{\"type\":\"assistant\"").unwrap();
    assert_eq!(transcript.read(true), ["msg:n:0", "usage:n:r 1"]);
    assert_eq!(
        transcript.unreadable,
        [broken],
        "the last line may be written just now"
    );
}

fn length(transcript: &Transcript) -> u64 {
    transcript.file.as_file().metadata().unwrap().len()
}

#[test]
fn what_is_no_character_is_read_as_a_replacement() {
    for (given, read) in [
        (&br"cut \ud83d"[..], "cut \u{fffd}"),
        (br"\ude00 \ud83d\ude00", "\u{fffd} \u{1f600}"),
        (b"raw \xff byte", "raw \u{fffd} byte"),
    ] {
        for kind in ["text", "thinking"] {
            let mut transcript = Transcript::new();
            let line = line("m", &json!([{"type": kind, kind: "GIVEN"}]), 1).to_string();
            let (before, after) = line.split_once("GIVEN").unwrap();
            let bytes = [before.as_bytes(), given, after.as_bytes(), b"\n"].concat();
            transcript.file.write_all(&bytes).unwrap();
            let records = transcript.records(true);
            assert_eq!(records[0]["text"], read);
            assert_eq!(records[0].get("encrypted"), None);
            assert_eq!(shown(&records[1]), "usage:m:r 1");
            assert_eq!(transcript.unreadable, [0; 0]);
        }
    }
}

#[test]
fn a_text_that_was_cut_within_a_character_is_the_start_of_the_whole_one() {
    let mut transcript = Transcript::new();
    let cut = line("m", &text("so CUT"), 1).to_string();
    writeln!(transcript.file, "{}", cut.replace("CUT", r"\ud83d")).unwrap();
    transcript.add(&[line("m", &text("so \u{1f600} on"), 2)]);
    let records = transcript.records(true);
    assert_eq!(records.len(), 2, "{records:?}");
    assert_eq!(records[0]["text"], "so \u{1f600} on");
}

#[test]
fn a_message_without_a_known_model_is_recorded() {
    for model in [json!(null), json!(""), json!(7)] {
        let mut transcript = Transcript::new();
        let mut unknown = line("m", &text("a"), 1);
        unknown["message"]["model"] = model;
        transcript.add(&[unknown]);
        let records = transcript.records(true);
        let keys: Vec<String> = records.iter().map(shown).collect();
        assert_eq!(keys, ["msg:m:0", "usage:m:r 1"]);
        assert!(records.iter().all(|record| record.get("model").is_none()));
    }
}

#[test]
fn thinking_of_another_type_is_recorded_as_its_json() {
    let mut transcript = Transcript::new();
    transcript.add(&[line(
        "m",
        &json!([{"type": "thinking", "thinking": ["hm"]}]),
        1,
    )]);
    let thinking = &transcript.records(true)[0];
    assert_eq!(thinking["text"], r#"["hm"]"#);
    assert_eq!(thinking.get("encrypted"), None);
}

#[test]
fn an_id_of_a_message_that_is_empty_is_none() {
    let mut transcript = Transcript::new();
    let mut nameless = line("", &text("a"), 1);
    nameless["requestId"] = json!("");
    nameless["uuid"] = json!("u");
    transcript.add(&[nameless.clone()]);
    assert_eq!(transcript.read(true), ["msg:u:0", "usage:u 1"]);
    nameless["uuid"] = json!(null);
    let start = length(&transcript);
    transcript.add(&[nameless]);
    assert_eq!(transcript.read(true), [""; 0]);
    assert_eq!(transcript.unreadable, [start]);
}

#[test]
fn a_field_of_another_type_spoils_neither_its_line_nor_its_message() {
    let blocks = json!([7, {"type": "text", "text": "a", "id": {}}, {"type": "text", "text": 3}]);
    for (pointer, value) in [
        ("/version", json!(2)),
        ("/requestId", json!(["r"])),
        ("/timestamp", json!(1_700_000_000)),
        ("/message/stop_reason", json!({"kind": "end"})),
        ("/message/usage/cache_read_input_tokens", json!(null)),
        ("/message/usage/input_tokens", json!("3")),
        ("/message/usage/output_tokens_details", json!([])),
        ("/message/content", blocks),
    ] {
        let mut transcript = Transcript::new();
        let mut changed = line(
            "m",
            &json!([{"type": "other"}, {"type": "text", "text": "a"}]),
            1,
        );
        *changed.pointer_mut(pointer).unwrap() = value;
        transcript.add(&[changed]);
        let usage = if pointer == "/requestId" {
            "usage:m 1"
        } else {
            "usage:m:r 1"
        };
        let keys = match pointer {
            "/message/content" => vec!["msg:m:1", "msg:m:2", usage],
            _ => vec!["msg:m:1", usage],
        };
        assert_eq!(transcript.read(true), keys, "{pointer}");
    }
}

#[test]
fn tokens_that_are_cached_for_an_hour_are_separate() {
    let mut transcript = Transcript::new();
    let mut written = line("m", &text("a"), 1);
    written["message"]["usage"]["cache_creation"] =
        json!({"ephemeral_1h_input_tokens": 4, "ephemeral_5m_input_tokens": 3});
    transcript.add(&[written]);
    let usage = &transcript.records(true)[1];
    assert_eq!([&usage["cacheWrite"], &usage["cacheWrite1h"]], [7, 4]);
}

#[test]
fn tokens_that_are_not_reported_are_absent() {
    let mut transcript = Transcript::new();
    let mut reported = line("m", &text("a"), 1);
    reported["message"]["usage"] = json!({"output_tokens": 1});
    transcript.add(&[reported]);
    let usage = &transcript.records(true)[1];
    assert_eq!(usage["output"], 1);
    for name in [
        "input",
        "cacheRead",
        "cacheWrite",
        "cacheWrite1h",
        "reasoning",
    ] {
        assert_eq!(usage.get(name), None, "{name}");
    }
}

#[test]
fn a_transcript_that_is_another_file_or_shorter_is_read_from_its_start() {
    let mut transcript = Transcript::new();
    transcript.add(&[line("m", &text("a long first message"), 1)]);
    transcript.read(true);
    transcript.file.as_file().set_len(0).unwrap();
    transcript.file.seek(SeekFrom::Start(0)).unwrap();
    transcript.add(&[line("n", &text("b"), 1)]);
    assert_eq!(transcript.read(true), ["msg:n:0", "usage:n:r 1"]);
    let path = transcript.file.path().to_owned();
    std::fs::remove_file(&path).unwrap();
    std::fs::write(
        &path,
        format!(
            "{}\n{}\n",
            line("o", &text("c"), 1),
            line("p", &text("d"), 1)
        ),
    )
    .unwrap();
    assert_eq!(transcript.read(true)[0], "msg:o:0");
}

#[test]
fn the_lines_that_a_fork_has_from_its_origin_are_not_its_own() {
    let mut transcript = Transcript::new();
    let mut own = line("n", &text("own"), 1);
    own["timestamp"] = json!("2026-01-01T00:00:09.000Z");
    transcript.add(&[line("m", &text("origin's"), 1), own]);
    let records = transcript.records_of(true, Some("2026-01-01T00:00:05.000Z"));
    assert_eq!(
        records.iter().map(shown).collect::<Vec<_>>(),
        ["msg:n:0", "usage:n:r 1"]
    );
}

#[test]
fn a_decision_about_a_permission_names_its_call_and_tool() {
    let mut transcript = Transcript::new();
    transcript.add(&[
        line("m", &json!([{"type": "tool_use", "id": "t", "name": "Bash"}]), 1),
        json!({"type": "user", "uuid": "u", "timestamp": "2026-01-01T00:00:02.000Z", "promptId": "p",
            "permissionDecision": {"decision": "allow", "source": "rule"},
            "message": {"content": [{"type": "tool_result", "tool_use_id": "t"}]}}),
    ]);
    let records = transcript.records(true);
    assert_eq!(
        records[0],
        json!({"type": "permission", "timestamp": "2026-01-01T00:00:02.000Z", "key": "u", "callId": "t", "turnId": "p",
            "origin": {"agent": "claude-code", "lane": "transcript"}, "tool": "Bash", "decision": "allowed", "by": "rule"})
    );
}

#[test]
fn lines_beyond_the_limit_are_read_later() {
    let mut transcript = Transcript::new();
    transcript.add(
        &(0..100)
            .map(|n| line(&format!("m{n}"), &text("x"), 1))
            .collect::<Vec<_>>(),
    );
    let mut found = 0;
    let mut rounds = 0;
    loop {
        let mut listener = Listener::new(None, None);
        let until = Instant::now() + Duration::from_mins(1);
        let is_whole = read_new(
            transcript.file.path(),
            &mut transcript.place,
            &mut listener,
            4096,
            until,
        )
        .unwrap();
        listener.leave(&mut transcript.place);
        found += listener.found.len();
        rounds += 1;
        if is_whole {
            break;
        }
    }
    assert_eq!(found, 2 * 99, "the last one may not be complete");
    assert!(rounds > 5, "{rounds}");
}

#[test]
fn a_line_that_is_longer_than_a_reading_is_read_whole() {
    let mut transcript = Transcript::new();
    transcript.add(&[
        line("m", &text(&"x".repeat(10_000)), 1),
        line("n", &text("y"), 1),
    ]);
    let mut keys = Vec::new();
    loop {
        let mut listener = Listener::new(None, None);
        let until = Instant::now() + Duration::from_mins(1);
        let path = transcript.file.path();
        let is_whole = read_new(path, &mut transcript.place, &mut listener, 4096, until).unwrap();
        listener.close(&mut transcript.place);
        keys.extend(listener.found.iter().filter_map(|found| match found {
            Found::Message { key, .. } => Some(key.as_str().to_owned()),
            Found::Record(_) | Found::Compacted { .. } => None,
        }));
        assert!(listener.unreadable.is_empty(), "{:?}", listener.unreadable);
        if is_whole {
            break;
        }
    }
    assert_eq!(keys, ["msg:m:0", "msg:n:0"]);
}

#[test]
fn a_path_that_is_no_transcript_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("plain.jsonl"), "").unwrap();
    std::fs::write(path("id_rsa"), "").unwrap();
    symlink(path("plain.jsonl"), path("link.jsonl")).unwrap();
    std::fs::create_dir(path("folder.jsonl")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        path("fifo.jsonl"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    assert!(open(&path("plain.jsonl"), "jsonl").is_ok());
    for (name, why) in [
        ("link.jsonl", "it is a symbolic link"),
        ("folder.jsonl", "it is no regular file"),
        ("fifo.jsonl", "it is no regular file"),
        ("id_rsa", "its name has another ending"),
    ] {
        let refusal = open(&path(name), "jsonl").unwrap_err().to_string();
        assert!(refusal.contains(why) && refusal.contains(name), "{refusal}");
    }
    assert!(matches!(
        open(&path("none.jsonl"), "jsonl"),
        Err(Refusal::Missing(_))
    ));
}

#[test]
fn a_file_of_the_system_is_recognised() {
    let environment = File::open("/proc/self/environ").unwrap();
    assert!(is_of_the_system(&environment));
    let own = tempfile::tempfile().unwrap();
    assert!(!is_of_the_system(&own));
}

#[test]
fn the_last_answer_tells_the_model() {
    let file = tempfile::Builder::new()
        .suffix(".jsonl")
        .tempfile()
        .unwrap();
    for (text, model) in [
        ("", None),
        (
            r#"{"type":"user","message":{"role":"user","model":"no"}}"#,
            None,
        ),
        (r#"{"type":"assistant","message":{"model":"a"}}"#, Some("a")),
        (r#"{"type":"assistant","message":{"model":"b"}}"#, Some("b")),
        (
            r#"{"type":"assistant","message":{"model":"<synthetic>"}}"#,
            Some("b"),
        ),
        (r#"{"type":"assistant","message":{"mod"#, Some("b")),
    ] {
        let before = std::fs::read_to_string(file.path()).unwrap();
        std::fs::write(file.path(), format!("{before}{text}\n")).unwrap();
        assert_eq!(last_model(file.path()).unwrap().as_deref(), model, "{text}");
    }
}
