//! HAIL files: what is written is valid and can be read back.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use session_insight::hail::{
    CountedTokens, Event, Export, FileNotes, Import, Item, ReadError, Reader, Rule, SessionInfo,
    Stats, Timed, Timeline, Validator, project, restore,
};
use session_insight::usage::{OrderedUsage, RecordRef};
use session_model::LogKind;
use session_model::record_key::is_key;
use session_model::records::{Field, Kind, Record, RecordKey, RecordType};
use session_model::timestamp::Timestamp;

use crate::hail_rules::{broken_rules, refused_by_a_strict_reader};

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => panic!("{other}"),
    }
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// A record that waits for its place: the number of its line, its fields and its tokens.
type Waiting = (usize, Map<String, Value>, Option<CountedTokens>);

/// Writes the records of a session as a file would contain them, all of the actions log.
fn export(records: &[Value]) -> Vec<String> {
    let mut usage = OrderedUsage::default();
    let mut info = SessionInfo {
        session_id: "s1".to_owned(),
        ..SessionInfo::default()
    };
    let place = |line: usize| RecordRef {
        log: LogKind::Actions,
        seq: line as u64,
    };
    for (line, record) in records.iter().enumerate() {
        let record = Record::of_fields(object(record.clone())).record;
        usage.add(place(line + 1), &record);
        info.learn(&record);
    }
    let mut verdicts = usage.into_verdicts();
    let mut export = Export::new(info.created);
    let mut timeline = Timeline::default();
    let mut lines = vec![text(info.header().into_fields())];
    let mut write = |timed: Timed<Waiting>, export: &mut Export| {
        let (line, fields, tokens) = timed.record;
        let place = (LogKind::Actions, line as u64);
        let event = export.event(place, timed.at, fields, tokens);
        lines.push(text(event.into_fields()));
    };
    for (line, record) in records.iter().enumerate() {
        let time = record["timestamp"]
            .as_str()
            .and_then(Timestamp::parse)
            .unwrap_or_default();
        let parsed = Record::of_fields(object(record.clone())).record;
        let tokens = CountedTokens::of(place(line + 1), &parsed, &mut verdicts);
        timeline.push(time, 100, (line + 1, object(record.clone()), tokens));
        while let Some(timed) = timeline.ready() {
            write(timed, &mut export);
        }
    }
    while let Some(timed) = timeline.pop() {
        write(timed, &mut export);
    }
    if let Some(event) = export.stand_in() {
        lines.push(text(event.into_fields()));
    }
    lines.push(text(export.finish()));
    lines
}

fn text(fields: Map<String, Value>) -> String {
    Value::Object(fields).to_string()
}

/// Checks a file that we wrote, by our rules and by those of the specification.
fn faults(lines: &[String]) -> Vec<String> {
    let ours = check(lines);
    [ours, broken_rules(lines), refused_by_a_strict_reader(lines)].concat()
}

/// Reads and checks a file.
fn check(lines: &[String]) -> Vec<String> {
    let mut reader = Reader::default();
    let mut validator = Validator::default();
    for line in lines {
        match reader.line(line).unwrap() {
            Some(Item::Header(header)) => validator.header(&header),
            Some(Item::Event(event)) => validator.event(&event),
            Some(Item::Stats(_) | Item::Unknown(_)) | None => {}
        }
    }
    reader.finish().unwrap();
    validator.finish().iter().map(ToString::to_string).collect()
}

fn events(lines: &[String]) -> Vec<Event> {
    let mut reader = Reader::default();
    lines
        .iter()
        .filter_map(|line| match reader.line(line).unwrap() {
            Some(Item::Event(event)) => Some(event),
            _ => None,
        })
        .collect()
}

fn stats(lines: &[String]) -> Value {
    serde_json::from_str(lines.last().unwrap()).unwrap()
}

/// The records of a file, as an import makes them.
fn import(lines: &[String]) -> Vec<(LogKind, Value)> {
    let mut notes = FileNotes::default();
    events(lines).iter().for_each(|event| notes.note(event));
    let mut reader = Reader::default();
    let mut import = Import::default();
    let mut records = Vec::new();
    for line in lines {
        match reader.line(line).unwrap() {
            Some(Item::Header(header)) => import = Import::new(&header, notes.clone()),
            Some(Item::Event(event)) => records.extend(import.event(event)),
            Some(Item::Unknown(line)) => records.push(Import::unknown(line)),
            Some(Item::Stats(_)) | None => {}
        }
    }
    records
        .into_iter()
        .map(|record| (record.log, Value::Object(record.fields)))
        .collect()
}

fn foreign(events: &[Value]) -> Vec<String> {
    let header = json!({"type": "header", "version": "hail-1.0.0", "session_id": "s",
        "agent": {"provider": "anthropic", "model": "claude-sonnet-4-5", "tool": "claude-code"},
        "context": {"tags": [], "created_at": "2026-03-03T00:00:00Z", "updated_at": "2026-03-03T00:00:00Z"}});
    std::iter::once(&header)
        .chain(events)
        .map(ToString::to_string)
        .collect()
}

fn event(id: &str, kind: &Value) -> Value {
    json!({"type": "event", "event_id": id, "timestamp": "2026-03-03T00:00:00Z", "event_type": kind,
        "content": {"blocks": []}})
}

#[test]
fn beside_running_totals_the_counts_of_single_events_do_not_count() {
    let message = json!({"type": "AgentMessage"});
    let mut events = [("e1", 5, 6), ("e2", 7, 8), ("e3", 0, 0)].map(|(id, input, output)| {
        let mut event = event(id, &message);
        event["attributes"] = json!({"input_tokens": input, "output_tokens": output});
        event
    });
    events[2]["attributes"] = json!({"input_tokens_total": 50, "output_tokens_total": 60});
    let sum = |events: &[Value]| {
        let records = import(&foreign(events));
        let usage = records
            .iter()
            .filter(|(_, record)| record["type"] == "usage");
        let counts = usage
            .map(|(_, record)| [&record["input"], &record["output"]].map(|n| n.as_u64().unwrap()));
        counts.fold([0, 0], |sum, one| [sum[0] + one[0], sum[1] + one[1]])
    };
    assert_eq!(sum(&events), [50, 60]);
    assert_eq!(sum(&events[..2]), [12, 14]);
}

#[test]
fn each_type_of_a_record_becomes_the_event_that_means_it() {
    for (record, kind, data) in [
        (
            json!({"type": "user_message", "text": "hi"}),
            "UserMessage",
            json!({}),
        ),
        (
            json!({"type": "assistant_message", "text": "hi"}),
            "AgentMessage",
            json!({}),
        ),
        (
            json!({"type": "system_message", "text": "hi", "reason": "notice"}),
            "SystemMessage",
            json!({}),
        ),
        (
            json!({"type": "thinking", "encrypted": true}),
            "Thinking",
            json!({}),
        ),
        (
            json!({"type": "bash_exec", "command": "ls", "tool": "Bash", "input": {}}),
            "ShellCommand",
            json!({"command": "ls"}),
        ),
        (
            json!({"type": "file_read", "path": "/a", "tool": "Read", "input": {}}),
            "FileRead",
            json!({"path": "/a"}),
        ),
        (
            json!({"type": "file_write", "path": "/a", "tool": "Write", "input": {}}),
            "FileCreate",
            json!({"path": "/a"}),
        ),
        (
            json!({"type": "file_edit", "path": "/a", "tool": "Edit", "input": {}}),
            "FileEdit",
            json!({"path": "/a"}),
        ),
        (
            json!({"type": "file_delete", "path": "/a", "tool": "rm", "input": {}}),
            "FileDelete",
            json!({"path": "/a"}),
        ),
        (
            json!({"type": "search", "pattern": "x", "target": "content"}),
            "CodeSearch",
            json!({"query": "x"}),
        ),
        (
            json!({"type": "search", "pattern": "*.x", "target": "files"}),
            "FileSearch",
            json!({"pattern": "*.x"}),
        ),
        (
            json!({"type": "web_search", "query": "x"}),
            "WebSearch",
            json!({"query": "x"}),
        ),
        (
            json!({"type": "web_fetch", "url": "http://x"}),
            "WebFetch",
            json!({"url": "http://x"}),
        ),
        (
            json!({"type": "tool_call", "tool": "t", "input": {"a": 1}}),
            "ToolCall",
            json!({"name": "t"}),
        ),
        (
            json!({"type": "mcp_call", "tool": "t", "server": "s", "input": {}}),
            "ToolCall",
            json!({"name": "t"}),
        ),
        (
            json!({"type": "tool_result", "tool": "t", "callId": "c", "status": "error"}),
            "ToolResult",
            json!({"name": "t", "call_id": "c", "is_error": true}),
        ),
        (
            json!({"type": "tool_result", "tool": "t", "callId": "c", "status": "denied"}),
            "ToolResult",
            json!({"name": "t", "call_id": "c", "is_error": false}),
        ),
        (
            json!({"type": "file_change", "path": "/a", "op": "edit", "diff": "+x"}),
            "FileEdit",
            json!({"path": "/a", "diff": "+x"}),
        ),
        (
            json!({"type": "file_change", "path": "/a", "op": "create"}),
            "FileCreate",
            json!({"path": "/a"}),
        ),
        (
            json!({"type": "file_change", "path": "/a", "op": "rename"}),
            "Custom",
            json!({"kind": "file_change"}),
        ),
        (
            json!({"type": "agent_started", "agentId": "a", "agentType": "t"}),
            "TaskStart",
            json!({"title": "t"}),
        ),
        (
            json!({"type": "agent_stopped", "agentId": "a", "result": "r"}),
            "TaskEnd",
            json!({"summary": "r"}),
        ),
        (
            json!({"type": "of_somebody"}),
            "Custom",
            json!({"kind": "of_somebody"}),
        ),
        (json!({"no": "type"}), "Custom", json!({"kind": "record"})),
        // A record without what the event type needs becomes one that every reader accepts.
        (
            json!({"type": "bash_exec", "tool": "Bash", "input": {}}),
            "ToolCall",
            json!({"name": "Bash"}),
        ),
        (
            json!({"type": "file_read", "path": "", "input": {}}),
            "ToolCall",
            json!({"name": "unknown"}),
        ),
        (
            json!({"type": "tool_result", "callId": "c", "status": "ok"}),
            "ToolResult",
            json!({"name": "unknown", "call_id": "c", "is_error": false}),
        ),
    ] {
        let event = project(
            "e".to_owned(),
            LogKind::Actions,
            object(record.clone()),
            at(0),
        );
        assert_eq!(event.kind, kind, "{record}");
        assert_eq!(Value::Object(event.data), data, "{record}");
    }
}

#[test]
fn an_export_is_valid_and_has_the_counters_of_the_specification() {
    let time = |second: u32| format!("2026-11-01T00:00:{second:02}.000Z");
    let lines = export(&[
        json!({"type": "user_message", "timestamp": time(0), "text": "do it"}),
        json!({"type": "assistant_message", "timestamp": time(1), "text": "yes", "model": "m"}),
        json!({"type": "bash_exec", "timestamp": time(2), "command": "ls", "tool": "Bash", "input": {}}),
        json!({"type": "file_read", "timestamp": time(3), "path": "/a", "tool": "Read", "input": {}}),
        json!({"type": "file_change", "timestamp": time(4), "path": "/a", "op": "edit", "diff": "--- a\n+++ b\n-x\n+y\n+z\n w"}),
        json!({"type": "file_change", "timestamp": time(4), "path": "/b", "op": "create"}),
        json!({"type": "tool_call", "timestamp": time(5), "tool": "t", "input": {}, "agentId": "a1"}),
        json!({"type": "agent_stopped", "timestamp": time(6), "agentId": "a1", "result": "done"}),
        json!({"type": "agent_stopped", "timestamp": time(6), "agentId": "a2", "result": "  "}),
        json!({"type": "usage", "timestamp": time(7), "messageId": "m", "model": "gpt-5", "input": 10, "output": 2, "cacheRead": 500}),
        json!({"type": "usage", "timestamp": time(8), "messageId": "m", "model": "gpt-5", "input": 10, "output": 90, "cacheRead": 500}),
        json!({"type": "usage", "timestamp": time(9), "messageId": "m", "model": "gpt-5", "input": 10, "output": 90, "cacheRead": 500}),
    ]);
    assert_eq!(faults(&lines), [] as [&str; 0]);
    assert_eq!(
        stats(&lines),
        json!({"type": "stats", "event_count": 12, "message_count": 3, "tool_call_count": 2, "task_count": 2,
            "duration_seconds": 9, "total_input_tokens": 10, "total_output_tokens": 90,
            "user_message_count": 1, "files_changed": 2, "lines_added": 2, "lines_removed": 1})
    );
}

#[test]
fn the_greatest_running_total_wins_over_the_sum() {
    let mut stats = Stats::default();
    for attributes in [
        json!({"input_tokens": 5, "output_tokens": 7}),
        json!({"input_tokens": 5, "input_tokens_total": 400}),
        json!({"input_tokens_total": 250}),
    ] {
        let attributes = object(attributes);
        stats.add(&Event {
            attributes,
            ..Event::default()
        });
    }
    let stats = stats.into_fields();
    assert_eq!(stats["total_input_tokens"], 400);
    assert_eq!(stats["total_output_tokens"], 7);
}

#[test]
fn every_rule_is_checked_and_every_error_is_collected() {
    let mut lines = vec![
        json!({"type": "header", "version": "2", "session_id": "", "agent": {"provider": ""}})
            .to_string(),
    ];
    let numbered = |id: &str, kind: Value, time: &str| {
        json!({"type": "event", "event_id": id, "timestamp": time, "event_type": kind, "content": {"blocks": []}}).to_string()
    };
    lines.extend([
        numbered(
            "",
            json!({"type": "ToolCall", "data": {"name": ""}}),
            "2026-01-01T00:00:02Z",
        ),
        numbered(
            "e",
            json!({"type": "FileRead", "data": {}}),
            "2026-01-01T00:00:02.0000001Z",
        ),
        numbered(
            "e",
            json!({"type": "ShellCommand", "data": {"command": ""}}),
            "2026-01-01T00:00:02Z",
        ),
        numbered(
            "f",
            json!({"type": "ToolResult", "data": {"name": "", "is_error": false}}),
            "2026-01-01T00:00:01Z",
        ),
        numbered("g", json!({"type": "NewType"}), "2026-01-01T00:00:01Z"),
    ]);
    assert_eq!(
        check(&lines),
        [
            "header: invalid version \"2\": it must start with \"hail-\"",
            "header: missing field `session_id`",
            "header: missing field `agent.provider`",
            "header: missing field `agent.tool`",
            "event 1: missing field `event_id`",
            "event 1: missing field `event_type.data.name`",
            "event 2: missing field `event_type.data.path`",
            "event 3: duplicate id \"e\"",
            "event 3: missing field `event_type.data.command`",
            "event 3: out of order: 2026-01-01T00:00:02Z is earlier than the event before",
            "event 4: missing field `event_type.data.name`",
            "event 4: out of order: 2026-01-01T00:00:01Z is earlier than the event before",
        ]
    );
    let mut validator = Validator::default();
    assert_eq!(
        std::mem::take(&mut validator).finish()[0].rule,
        Rule::EmptySession
    );
}

#[test]
fn any_version_with_the_prefix_is_read_and_a_model_may_be_empty() {
    let header = json!({"type": "header", "version": "hail-9", "session_id": "s", "agent": {"provider": "p", "model": "", "tool": "t"}});
    let lines = [
        header.to_string(),
        event("e", &json!({"type": "UserMessage"})).to_string(),
    ];
    assert_eq!(check(&lines), [] as [&str; 0]);
}

#[test]
fn a_reader_skips_blank_lines_and_a_second_header_and_refuses_events_before_the_first() {
    let mut lines = foreign(&[event("e", &json!({"type": "UserMessage"}))]);
    lines.insert(1, "  ".to_owned());
    lines.insert(2, lines[0].clone());
    assert_eq!(events(&lines).len(), 1);

    let mut reader = Reader::default();
    let error = reader.line(&lines[3]).unwrap_err();
    assert!(matches!(error, ReadError::NoHeader { line: 1 }), "{error}");
    let error = reader.line("{").unwrap_err();
    assert!(
        error.to_string().starts_with("line 2 is not a JSON object"),
        "{error}"
    );
    let error = reader.line("[]").unwrap_err();
    assert!(
        matches!(error, ReadError::NotAnObject { line: 3 }),
        "{error}"
    );
    assert!(reader.finish().is_err());
}

#[test]
fn an_event_without_a_time_is_refused_with_its_line() {
    let mut lines = foreign(&[event("e", &json!({"type": "UserMessage"}))]);
    lines[1] = lines[1].replace("2026-03-03T00:00:00Z", "yesterday");
    let mut reader = Reader::default();
    reader.line(&lines[0]).unwrap();
    let error = reader.line(&lines[1]).unwrap_err().to_string();
    assert!(
        error.contains("line 2") && error.contains("yesterday"),
        "{error}"
    );
}

#[test]
fn a_task_without_title_has_the_data_that_older_readers_require() {
    let record = json!({"type": "agent_started", "agentId": "a"});
    let event = project("e".to_owned(), LogKind::Actions, object(record), at(0));
    let line = event.into_fields();
    assert_eq!(line["event_type"], json!({"type": "TaskStart", "data": {}}));
}

#[test]
fn an_event_names_every_blob_of_its_record_and_the_record_comes_back() {
    let text = json!({"$blob": format!("sha256:{}", "0a".repeat(32)), "bytes": 90_000, "mediaType": "text/plain"});
    let image = json!({"$blob": format!("sha256:{}", "0b".repeat(32)), "bytes": 5, "mediaType": "image/png"});
    let record = json!({"type": "user_message", "text": "head\n[89000 bytes left out]\ntail", "truncated": {"text": 90_000},
        "blobs": {"text": text}, "blocks": [{"type": "image", "source": {"type": "base64", "data": image}}]});
    let event = project(
        "e".to_owned(),
        LogKind::Responses,
        object(record.clone()),
        at(0),
    );
    let named: Vec<&str> = event
        .blocks
        .iter()
        .filter_map(|block| block["uri"].as_str())
        .collect();
    let uri = |digits: &str| format!("blob:sha256:{}", digits.repeat(32));
    assert_eq!(named.len(), 2);
    assert!(named.contains(&uri("0a").as_str()) && named.contains(&uri("0b").as_str()));
    let lines = export(std::slice::from_ref(&record));
    assert_eq!(check(&lines), Vec::<String>::new());
    let (_, mut restored) = import(&lines).remove(0);
    let restored = restored.as_object_mut().unwrap();
    restored.retain(|name, _| record.get(name).is_some());
    assert_eq!(Value::Object(restored.clone()), record);
}

#[test]
fn a_session_without_records_is_a_valid_file() {
    let lines = export(&[]);
    assert_eq!(faults(&lines), [] as [&str; 0]);
    assert_eq!(stats(&lines)["event_count"], 1);
}

#[test]
fn the_record_of_any_event_id_has_a_key() {
    let event = |id: &str| {
        json!({"type": "event", "event_id": id, "timestamp": "2026-03-03T00:00:00Z",
        "event_type": {"type": "UserMessage"}, "content": {"blocks": []}, "attributes": {}})
    };
    let long = "x".repeat(300);
    let records = import(&foreign(&[event(&long), event("a\u{fffd}"), event("b")]));
    let keys: Vec<&str> = records
        .iter()
        .map(|(_, fields)| fields["key"].as_str().unwrap())
        .collect();
    assert_eq!(keys[2], "b");
    for (key, id) in keys.iter().zip([long.as_str(), "a\u{fffd}", "b"]) {
        assert!(is_key(key), "{key}");
        assert_eq!(*key, RecordKey::own(id).unwrap().as_str());
    }
}

#[test]
fn events_of_another_program_become_records_of_the_vocabulary() {
    let lines = foreign(&[
        json!({"type": "event", "event_id": "e1", "timestamp": "2026-03-03T00:00:00Z", "event_type": {"type": "UserMessage"},
            "content": {"blocks": [{"type": "Text", "text": "hello"}]}, "attributes": {"semantic.group_id": "t1", "x": 1}}),
        json!({"type": "event", "event_id": "e2", "timestamp": "2026-03-03T00:00:01Z", "event_type": {"type": "ToolCall", "data": {"name": "Bash"}},
            "content": {"blocks": [{"type": "Json", "data": {"command": "ls"}}]}, "attributes": {"call_id": "c1"}}),
        json!({"type": "event", "event_id": "e3", "timestamp": "2026-03-03T00:00:02Z", "event_type": {"type": "ToolResult", "data": {"name": "Bash", "is_error": true, "call_id": "c1"}},
            "content": {"blocks": [{"type": "Text", "text": "no"}]}, "duration_ms": 12}),
        json!({"type": "event", "event_id": "e4", "timestamp": "2026-03-03T00:00:03Z", "event_type": {"type": "AgentMessage"},
            "content": {"blocks": [{"type": "Text", "text": "done"}]}, "attributes": {"input_tokens_total": 100, "output_tokens": 7, "model": "gpt-5"}}),
        json!({"type": "event", "event_id": "e5", "timestamp": "2026-03-03T00:00:03Z", "event_type": {"type": "Telepathy", "data": {"to": "x"}}, "content": {"blocks": []}}),
        json!({"type": "footnote", "about": "e5"}),
        json!({"type": "mark", "timestamp": "2020-02-02T02:02:02.5Z"}),
        json!({"type": "mark", "timestamp": "noon"}),
    ]);
    let records = import(&lines);
    let expect = [
        (
            LogKind::Responses,
            json!({"type": "user_message", "turnId": "t1", "text": "hello", "timestamp": "2026-03-03T00:00:00Z",
            "hail": {"event_id": "e1", "event_type": {"type": "UserMessage"}, "attributes": {"x": 1}}, "key": "e1"}),
        ),
        (
            LogKind::Actions,
            json!({"type": "bash_exec", "tool": "Bash", "command": "ls", "input": {"command": "ls"}, "callId": "c1", "timestamp": "2026-03-03T00:00:01Z",
            "hail": {"event_id": "e2", "event_type": {"type": "ToolCall", "data": {"name": "Bash"}}, "content": {"blocks": [{"type": "Json", "data": {"command": "ls"}}]}, "attributes": {}}, "key": "e2"}),
        ),
        (
            LogKind::Actions,
            json!({"type": "tool_result", "tool": "Bash", "callId": "c1", "output": "no", "durationMs": 12, "status": "error", "timestamp": "2026-03-03T00:00:02Z",
            "hail": {"event_id": "e3", "event_type": {"type": "ToolResult", "data": {"name": "Bash", "is_error": true, "call_id": "c1"}}, "duration_ms": 12}, "key": "e3"}),
        ),
        (
            LogKind::Responses,
            json!({"type": "assistant_message", "text": "done", "model": "gpt-5", "timestamp": "2026-03-03T00:00:03Z",
            "hail": {"event_id": "e4", "event_type": {"type": "AgentMessage"}, "attributes": {"input_tokens_total": 100, "output_tokens": 7, "model": "gpt-5"}}, "key": "e4"}),
        ),
        (
            LogKind::Actions,
            json!({"type": "usage", "timestamp": "2026-03-03T00:00:03Z", "key": "usage:e4", "messageId": "e4", "model": "gpt-5", "provider": "anthropic",
            "input": 100, "output": 7, "cacheRead": 0, "cacheWrite": 0, "reasoning": 0}),
        ),
        (
            LogKind::Actions,
            json!({"type": "notification", "kind": "Telepathy", "message": "", "timestamp": "2026-03-03T00:00:03Z",
            "hail": {"event_id": "e5", "event_type": {"type": "Telepathy", "data": {"to": "x"}}}, "key": "e5"}),
        ),
        (
            LogKind::Actions,
            json!({"type": "notification", "kind": "hail:footnote", "message": "a line of an unknown type", "timeSource": "received", "hail": {"type": "footnote", "about": "e5"}}),
        ),
        (
            LogKind::Actions,
            json!({"type": "notification", "kind": "hail:mark", "message": "a line of an unknown type", "timestamp": "2020-02-02T02:02:02.5Z",
            "hail": {"type": "mark", "timestamp": "2020-02-02T02:02:02.5Z"}}),
        ),
        (
            LogKind::Actions,
            json!({"type": "notification", "kind": "hail:mark", "message": "a line of an unknown type", "timeSource": "received",
            "hail": {"type": "mark", "timestamp": "noon"}}),
        ),
    ];
    assert_eq!(records.len(), expect.len());
    for (record, expected) in records.iter().zip(&expect) {
        assert_eq!(record, expected);
    }
}

/// An event of another program with counts of tokens.
fn with_tokens(id: &str, model: &str) -> Value {
    let mut event = event(id, &json!({"type": "AgentMessage"}));
    event["attributes"] = json!({"input_tokens": 5, "output_tokens": 2, "model": model});
    event
}

#[test]
fn the_key_of_a_usage_record_is_that_of_no_event() {
    let ids = ["a", "usage:a", "hail-usage-1:a", "usage:usage:a", "1:a"];
    for reversed in [false, true] {
        let mut events: Vec<Value> = ids.iter().map(|id| with_tokens(id, "m")).collect();
        if reversed {
            events.reverse();
        }
        let records = import(&foreign(&events));
        assert_eq!(records.len(), 2 * ids.len());
        let keys: std::collections::HashSet<&str> = records
            .iter()
            .map(|(_, record)| record["key"].as_str().unwrap())
            .collect();
        assert_eq!(keys.len(), records.len(), "{keys:?}");
        assert!(keys.contains("hail-usage-2:a"), "{keys:?}");
        assert!(keys.contains("usage:1:a"), "{keys:?}");
    }
}

#[test]
fn a_key_of_our_own_record_is_not_taken_for_usage() {
    let mut ours = event(
        "actions-1",
        &json!({"type": "Custom", "data": {"kind": "mine"}}),
    );
    ours["attributes"] = json!({"source.schema_version": "session-records-1", "source.raw_type": "mine",
        "record.fields": {"key": "usage:a"}});
    let records = import(&foreign(&[with_tokens("a", "m"), ours]));
    assert_eq!(records[1].1["key"], "hail-usage-1:a");
    assert_eq!(records[2].1["key"], "usage:a");
}

#[test]
fn an_empty_model_is_no_model() {
    let mut lines = foreign(&[with_tokens("a", "")]);
    let records = import(&lines);
    assert_eq!(records[0].1.get("model"), None);
    assert_eq!(records[1].1["model"], "claude-sonnet-4-5");
    lines[0] = lines[0].replace("claude-sonnet-4-5", "");
    assert_eq!(import(&lines)[1].1.get("model"), None);
}

#[test]
fn the_rules_of_the_tests_find_each_fault() {
    let valid = foreign(&[event(
        "e",
        &json!({"type": "FileRead", "data": {"path": "/a"}}),
    )]);
    assert_eq!(broken_rules(&valid), [] as [&str; 0]);
    for (from, to, error) in [
        ("hail-1.0.0", "1.0.0", "invalid version"),
        (
            r#""session_id":"s""#,
            r#""session_id":"""#,
            "missing field session_id",
        ),
        ("anthropic", "", "missing field agent.provider"),
        ("claude-code", "", "missing field agent.tool"),
        (
            r#""event_id":"e""#,
            r#""event_id":"""#,
            "missing field event_id",
        ),
        ("/a", "", "missing field FileRead.path"),
    ] {
        let broken: Vec<String> = valid.iter().map(|line| line.replace(from, to)).collect();
        assert_eq!(broken_rules(&broken), [error]);
        assert_eq!(check(&broken).len(), 1, "{error}");
    }
    assert_eq!(broken_rules(&valid[..1]), ["empty session"]);
    let twice = [&valid[..], &valid[1..]].concat();
    assert_eq!(broken_rules(&twice), ["duplicate id e"]);
    let mut earlier = event("f", &json!({"type": "UserMessage"}));
    earlier["timestamp"] = "2026-03-02T23:59:59.999999999Z".into();
    let unordered = [&valid[..], &[earlier.to_string()]].concat();
    assert_eq!(broken_rules(&unordered), ["out of order"]);
}

#[test]
fn records_that_arrive_late_are_sorted_and_times_never_decrease() {
    let mut timeline = Timeline::default();
    // One clock is years ahead; the others are out of order by less than the bound.
    let times: Vec<i64> = std::iter::once(4_000_000_000_000)
        .chain((0..5_000).map(|n| if n % 7 == 0 { n * 10 - 900 } else { n * 10 }))
        .collect();
    let mut out = Vec::new();
    for (place, time) in times.iter().enumerate() {
        timeline.push(at(*time), 10, place);
        out.extend(std::iter::from_fn(|| timeline.ready()));
    }
    out.extend(std::iter::from_fn(|| timeline.pop()));
    assert_eq!(out.len(), times.len());
    assert!(out.is_sorted_by_key(|timed| timed.at));
    assert!(out.iter().all(|timed| timed.at == at(times[timed.record])));
    assert_eq!(out.last().unwrap().record, 0);
}

#[test]
fn a_record_that_arrives_too_late_gets_the_time_of_the_one_before() {
    let mut timeline = Timeline::default();
    let mut out = Vec::new();
    for n in 0..3_000 {
        timeline.push(at(1_000 + n), 10, n);
        out.extend(std::iter::from_fn(|| timeline.ready()));
    }
    timeline.push(at(5), 10, -1);
    out.extend(std::iter::from_fn(|| timeline.ready()));
    let late = out.last().unwrap();
    assert_eq!(late.record, -1);
    assert_eq!(late.at, out[out.len() - 2].at);
}

#[test]
fn records_of_many_bytes_leave_the_timeline_before_they_fill_the_memory() {
    let mut timeline = Timeline::default();
    for n in 0..10 {
        timeline.push(at(n), 3 * 1024 * 1024, n);
        while timeline.ready().is_some() {}
    }
    let mut left = 0;
    while timeline.pop().is_some() {
        left += 1;
    }
    assert!(left <= 3, "{left}");
}

/// Values of a field's kind, and of others.
fn value_of(field: &'static Field) -> BoxedStrategy<Value> {
    let any = prop_oneof![
        "[ -~]{0,12}".prop_map(Value::from),
        Just(json!("")),
        any::<i32>().prop_map(Value::from),
        Just(json!(1.5)),
        any::<bool>().prop_map(Value::from),
        Just(json!({"a": [1, {"b": null}]})),
        Just(json!([])),
        Just(json!(["x", {"type": "Text", "text": "y"}])),
        Just(Value::Null),
        Just(
            json!({"$blob": format!("sha256:{}", "0a".repeat(32)), "bytes": 5, "mediaType": "image/png"})
        ),
    ];
    let fitting = match field.kind {
        Kind::OneOf(names) => prop::sample::select(names).prop_map(Value::from).boxed(),
        Kind::Integer | Kind::Number => (0_u32..5_000).prop_map(Value::from).boxed(),
        _ => "[ -~]{1,12}".prop_map(Value::from).boxed(),
    };
    prop_oneof![3 => fitting, 1 => any].boxed()
}

fn any_record() -> impl Strategy<Value = Value> {
    prop::sample::select(RecordType::ALL).prop_flat_map(|kind| {
        let common = session_model::records::Common::fields();
        let fields: Vec<&'static Field> = kind.fields().iter().chain(common).collect();
        let values: Vec<_> = fields
            .into_iter()
            .filter(|field| field.name != "timestamp")
            .map(|field| {
                (
                    Just(field.name),
                    prop::option::weighted(0.6, value_of(field)),
                )
            })
            .collect();
        let kind = prop_oneof![9 => Just(Some(kind.name())), 1 => Just(None)];
        let time = prop::option::of(0_i64..100_000);
        (kind, values, time, "[a-z]{1,4}", any::<bool>()).prop_map(
            |(kind, values, time, other, with_other)| {
                let mut record = Map::new();
                if let Some(kind) = kind {
                    record.insert("type".to_owned(), kind.into());
                }
                if let Some(time) = time {
                    record.insert("timestamp".to_owned(), at(time).to_string().into());
                }
                for (name, value) in values {
                    if let Some(value) = value {
                        record.insert(name.to_owned(), value);
                    }
                }
                if with_other {
                    record.insert(format!("x_{other}"), json!({"kept": 1e3}));
                }
                Value::Object(record)
            },
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_record_survives_the_way_through_a_file(record in any_record(), is_said in any::<bool>(), millis in 0_i64..100_000) {
        let log = if is_said { LogKind::Responses } else { LogKind::Actions };
        let event = project("e1".to_owned(), log, object(record.clone()), at(millis));
        let line = Value::Object(event.into_fields()).to_string();
        let mut reader = Reader::default();
        reader.line(r#"{"type":"header"}"#).unwrap();
        let Some(Item::Event(event)) = reader.line(&line).unwrap() else { panic!("{line}") };
        let restored = restore(event, "claude-code");
        prop_assert_eq!(restored.log, log, "{}", &line);
        prop_assert_eq!(Value::Object(restored.fields), record, "{}", &line);
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn every_export_is_valid(records in prop::collection::vec(any_record(), 0..30)) {
        let lines = export(&records);
        prop_assert_eq!(faults(&lines), Vec::<String>::new());
        prop_assert_eq!(&stats(&lines)["event_count"], &json!(records.len().max(1)));
    }

    #[test]
    fn a_foreign_event_of_any_form_is_read(kind in "[A-Z][a-z]{0,8}", value in any_record()) {
        let mut event = event("e", &json!({"type": kind, "data": value}));
        event["attributes"] = value.clone();
        event["extra"] = value;
        let records = import(&foreign(&[event]));
        prop_assert_eq!(records.len(), 1);
        prop_assert!(records[0].1["hail"]["extra"].is_object());
    }
}
