use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::*;
use crate::claude_code::draft::Stamp;
use crate::claude_code::new_lines::NewLines;
use crate::claude_code::payload::AgentNote;
use crate::claude_code::process::Caller;
use crate::kind::Kind;

const FIXTURE: &str =
    include_str!("../../../crates/session-model/tests/fixtures/claude_code_hooks.jsonl");
const AT: &str = "2026-01-01T00:00:00.000Z";

fn inputs(raw: &str, named: bool, note: AgentNote) -> MapInputs<'_> {
    MapInputs {
        stamp: Stamp {
            at: AT,
            version: Some("2.1.197"),
        },
        raw,
        replaced: &[],
        now: 0,
        user: "ann",
        named,
        process_id: None,
        note,
        caller: None,
        is_left: false,
        model: None,
    }
}

fn recorded(draft: &Draft<'_>) -> (String, Value) {
    (kind(draft), serde_json::from_str(&draft.json).unwrap())
}

fn mapped(raw: &str, run: &mut Run) -> Vec<(String, Value)> {
    mapped_as(raw, run, false, AgentNote::default())
}

fn mapped_as(raw: &str, run: &mut Run, named: bool, note: AgentNote) -> Vec<(String, Value)> {
    run.begun = true;
    mapped_in(raw, run, &inputs(raw, named, note))
}

fn mapped_in<'a>(raw: &'a str, run: &mut Run, inputs: &MapInputs<'a>) -> Vec<(String, Value)> {
    let payload = Payload::parse(raw).unwrap();
    let drafts = map(&payload, inputs, &NewLines::default(), run);
    drafts.iter().map(recorded).collect()
}

fn kind(draft: &Draft<'_>) -> String {
    match draft.call.kind() {
        Kind::Line(line) => format!("{line:?}"),
        kind => format!("{kind:?}"),
    }
}

/// Returns the kind of each record; of log records `A` or `R`, and the type.
fn names(records: &[(String, Value)]) -> String {
    let name = |(kind, data): &(String, Value)| match kind.as_str() {
        "Action" | "Response" => format!("{}:{}", &kind[..1], data["type"].as_str().unwrap()),
        _ => kind.clone(),
    };
    records.iter().map(name).collect::<Vec<_>>().join(" ")
}

/// The records of the recorded payloads, in their order: `-` for none, `A` for an action, `R` for a
/// response.
const TABLE: [(&str, &str); 47] = [
    (
        "SessionStart",
        "CreateSession Reopen StateUpdate A:session_started",
    ),
    ("UserPromptSubmit", "R:user_message"),
    ("MessageDisplay", "-"),
    ("PreToolUse", "A:bash_exec"),
    ("PostToolUse", "A:tool_result"),
    ("PreToolUse", "A:bash_exec"),
    ("PostToolUseFailure", "A:tool_result StateUpdate"),
    ("PreToolUse", "A:file_read"),
    ("PostToolUseFailure", "A:tool_result StateUpdate"),
    ("PostToolBatch", "-"),
    ("PreToolUse", "A:file_write"),
    // The file had that content before.
    ("PostToolUse", "A:tool_result"),
    ("PostToolBatch", "-"),
    ("PreToolUse", "A:task_spawn"),
    ("SubagentStart", "AgentSpawn A:agent_started"),
    ("PostToolUse", "A:tool_result StateUpdate"),
    ("PostToolBatch", "-"),
    ("MessageDisplay", "-"),
    ("PreToolUse", "A:bash_exec"),
    // There is no transcript: the messages are recorded as they were displayed.
    ("Stop", "R:assistant_message R:assistant_message A:stop"),
    ("PostToolUse", "A:tool_result"),
    ("PostToolBatch", "-"),
    ("SubagentStop", "AgentComplete A:agent_stopped"),
    ("UserPromptSubmit", "R:system_message"),
    ("MessageDisplay", "-"),
    ("Stop", "R:assistant_message"),
    ("SessionEnd", "A:session_end Finalize"),
    (
        "SessionStart",
        "CreateSession Reopen StateUpdate A:session_started",
    ),
    ("UserPromptSubmit", "R:user_message"),
    ("PreToolUse", "A:bash_exec"),
    ("PermissionRequest", "A:permission"),
    ("PostToolBatch", "A:tool_result"),
    ("MessageDisplay", "-"),
    ("Stop", "R:assistant_message"),
    ("SessionEnd", "A:session_end Finalize"),
    (
        "SessionStart",
        "CreateSession Reopen StateUpdate A:session_started",
    ),
    ("UserPromptSubmit", "R:user_message"),
    ("MessageDisplay", "-"),
    ("StopFailure", "A:error StateUpdate"),
    ("SessionEnd", "A:session_end Finalize"),
    (
        "SessionStart",
        "CreateSession Reopen StateUpdate A:session_resumed",
    ),
    ("PreCompact", "A:pre_compact"),
    // Agents of Claude Code itself.
    ("SubagentStop", "A:subagent_stop"),
    ("SubagentStop", "A:subagent_stop"),
    ("SessionStart", "A:session_start MetadataUpdate"),
    ("PostCompact", "A:compaction"),
    ("SessionEnd", "A:session_end Finalize"),
];

/// Replays the recorded payloads, and returns the records of each.
fn replayed() -> Vec<(Value, Vec<(String, Value)>)> {
    let mut runs: HashMap<String, Run> = HashMap::new();
    let replay = |raw: &str| {
        let hook: Value = serde_json::from_str(raw).unwrap();
        let session = hook["session_id"].as_str().unwrap().to_owned();
        let records = mapped(raw, runs.entry(session).or_default());
        (hook, records)
    };
    FIXTURE.lines().map(replay).collect()
}

#[test]
fn every_recorded_payload_becomes_what_the_table_says() {
    let replayed = replayed();
    let found: Vec<(&str, String)> = replayed
        .iter()
        .map(|(hook, records)| (hook["hook_event_name"].as_str().unwrap(), names(records)))
        .collect();
    let wanted = TABLE.map(|(event, records)| (event, records.replace('-', "")));
    assert_eq!(found, wanted);
}

/// Counts the log records by type, and by status, reason or decision if they have one.
fn counted(records: &[Value]) -> Vec<(String, usize)> {
    let mut counts = std::collections::BTreeMap::new();
    for record in records {
        let kind = record["type"].as_str().unwrap();
        let detail = ["status", "reason", "decision"]
            .iter()
            .find_map(|name| record[*name].as_str());
        let name = detail.map_or(kind.to_owned(), |detail| format!("{kind} {detail}"));
        *counts.entry(name).or_insert(0) += 1;
    }
    counts.into_iter().collect()
}

#[test]
fn the_counts_of_the_recorded_payloads_are_those_made_by_hand() {
    let records: Vec<Value> = replayed()
        .into_iter()
        .flat_map(|(_, records)| records)
        .filter(|(kind, _)| matches!(kind.as_str(), "Action" | "Response"))
        .map(|(_, record)| record)
        .collect();
    let wanted = [
        ("agent_started", 1),
        ("agent_stopped", 1),
        ("assistant_message", 4),
        ("bash_exec", 4),
        ("compaction", 1),
        ("error", 1),
        ("file_read", 1),
        ("file_write", 1),
        ("permission asked", 1),
        ("pre_compact", 1),
        ("session_end other", 4),
        ("session_resumed", 1),
        ("session_start", 1),
        ("session_started", 3),
        ("stop", 1),
        ("subagent_stop", 2),
        ("system_message injected", 1),
        ("task_spawn", 1),
        ("tool_result denied", 1),
        ("tool_result error", 2),
        ("tool_result ok", 4),
        ("user_message", 3),
    ];
    assert_eq!(
        counted(&records),
        wanted.map(|(name, count)| (name.to_owned(), count))
    );
}

#[test]
fn every_record_is_of_the_vocabulary_and_has_a_key_of_its_own() {
    let mut keys = std::collections::HashSet::new();
    for (hook, records) in replayed() {
        let logs = records
            .into_iter()
            .filter(|(kind, _)| matches!(kind.as_str(), "Action" | "Response"));
        for (_, record) in logs {
            let Value::Object(fields) = record.clone() else {
                unreachable!()
            };
            assert_eq!(
                session_model::records::Record::of_fields(fields).warnings,
                [],
                "{record}"
            );
            assert_eq!(
                record["origin"],
                json!({"agent": "claude-code", "agentVersion": "2.1.197", "lane": "hook"})
            );
            let key = (
                hook["session_id"].clone(),
                record["key"].as_str().unwrap().to_owned(),
            );
            assert!(keys.insert(key), "{record}");
        }
    }
}

/// Adds all texts and numbers within a value.
fn leaves(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| leaves(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| leaves(field, found)),
        Value::Null => {}
        Value::String(text) => found.push(text.clone()),
        other => found.push(other.to_string()),
    }
}

#[test]
fn every_field_of_a_payload_is_in_some_record_of_its_session_or_left_out_on_purpose() {
    // Left out: the event of a hook that makes no record of its own; what a stop says when there is
    // nothing to say; the numbers of displayed parts; the text that the model is shown for a result
    // that has a record; the flag that the status tells.
    let left_out = [
        "hook_event_name",
        "stop_hook_active",
        "index",
        "final",
        "turn_id",
        "tool_calls",
        "is_interrupt",
    ];
    let mut said: HashMap<String, Vec<String>> = HashMap::new();
    let replayed = replayed();
    for (hook, records) in &replayed {
        let said = said
            .entry(hook["session_id"].as_str().unwrap().to_owned())
            .or_default();
        records.iter().for_each(|(_, record)| leaves(record, said));
    }
    for (hook, _) in &replayed {
        let said = &said[hook["session_id"].as_str().unwrap()];
        for (name, value) in hook.as_object().unwrap() {
            let mut wanted = Vec::new();
            leaves(value, &mut wanted);
            // A message has the id that the transcript gives it.
            let is_message_id =
                name == "message_id" && hook["delta"] == "API Error: 400 stub error";
            if left_out.contains(&name.as_str()) || is_message_id || name == "session_id" {
                continue;
            }
            for text in wanted {
                let is_there = said.iter().any(|said| said.contains(&text))
                    || LEFT_OUT_ALWAYS.contains(&name.as_str());
                assert!(is_there, "{name}: {text} of {hook}");
            }
        }
    }
}

/// Where the transcripts are; the state has the main one.
const LEFT_OUT_ALWAYS: [&str; 1] = ["agent_transcript_path"];

#[test]
fn a_call_and_its_result_share_an_id_and_the_result_has_the_duration() {
    let replayed = replayed();
    let of = |event: &str| {
        let found = replayed
            .iter()
            .find(|(hook, _)| hook["hook_event_name"] == event);
        found.unwrap().1[0].1.clone()
    };
    let call = of("PreToolUse");
    let result = of("PostToolUse");
    let error = of("PostToolUseFailure");
    assert_eq!(call["callId"], result["callId"]);
    assert_eq!(call["command"], "echo a");
    assert_eq!(call["cwd"], "/home/u/proj");
    assert_eq!(call["key"], "call:toolu_stub0000241");
    assert_eq!(
        call["input"],
        json!({"command": "echo a", "description": "a"})
    );
    assert_eq!(call.get("durationMs"), None);
    assert_eq!(result["key"], "result:toolu_stub0000241");
    assert_eq!(result["durationMs"], json!(30));
    assert_eq!(result["output"]["stdout"], "a");
    assert_eq!(result.get("raw"), None);
    assert_eq!(error["error"], "Exit code 3");
    assert_eq!(error["exitCode"], 3);
}

#[test]
fn a_result_without_its_call_brings_the_call_and_a_changed_input_is_kept() {
    let result = |input: &str| {
        hook(
            "PostToolUse",
            &json!({"tool_name": "Write", "tool_use_id": "t", "tool_input": {"file_path": input},
                "tool_response": {"type": "create", "filePath": "f", "content": "x\n", "structuredPatch": []}}),
        )
    };
    let mut run = Run::default();
    let records = mapped(&result("f"), &mut run);
    assert_eq!(names(&records), "A:file_write A:tool_result A:file_change");
    assert_eq!(records[2].1["key"], "change:t:f");
    assert_eq!(records[2].1["added"], 1);
    let call = hook(
        "PreToolUse",
        &json!({"tool_name": "Write", "tool_use_id": "t", "tool_input": {"file_path": "f"}}),
    );
    let mut run = Run::default();
    mapped(&call, &mut run);
    let records = mapped(&result("g"), &mut run);
    assert_eq!(names(&records), "A:tool_result A:file_change");
    assert_eq!(
        records[0].1["raw"],
        json!({"tool_input": {"file_path": "g"}})
    );
}

#[test]
fn a_prompt_is_the_users_unless_all_of_it_is_an_envelope() {
    for (prompt, source, wanted) in [
        ("hi", None, "user_message -"),
        ("hi", Some("user"), "user_message typed"),
        ("hi", Some("sdk"), "user_message sdk"),
        ("hi", Some("loop_wakeup"), "system_message -"),
        (
            "<task-notification>\n<task-id>a</task-id>\n</task-notification>",
            None,
            "system_message -",
        ),
        ("<task-notification>\n<task-id>a", None, "system_message -"),
        (
            "<system-reminder>x</system-reminder>",
            None,
            "system_message -",
        ),
        (
            "<system-reminder>x</system-reminder> and now?",
            None,
            "user_message -",
        ),
        (
            "<system-reminder> is what? It is never closed",
            None,
            "user_message -",
        ),
        (
            "<local-command-stdout>x</local-command-stdout>",
            None,
            "system_message -",
        ),
    ] {
        let raw = hook(
            "UserPromptSubmit",
            &json!({"prompt": prompt, "prompt_id": "p", "source": source}),
        );
        let record = mapped(&raw, &mut Run::default()).remove(0).1;
        let source = record["source"].as_str().unwrap_or("-");
        assert_eq!(
            format!("{} {source}", record["type"].as_str().unwrap()),
            wanted,
            "{prompt}"
        );
        assert_eq!(record["text"], prompt);
        assert_eq!(record["turnId"], "p");
        assert_eq!(record["key"], "prompt:p");
    }
}

#[test]
fn a_permission_that_is_asked_for_names_the_open_call_with_that_input() {
    let mut run = Run::default();
    mapped(&call("a"), &mut run);
    let ask = |command: &str| {
        hook(
            "PermissionRequest",
            &json!({"tool_name": "Bash", "tool_input": {"command": command}}),
        )
    };
    let asked = mapped(&ask("x"), &mut run).remove(0).1;
    assert_eq!(asked["callId"], "a");
    assert_eq!(asked["decision"], "asked");
    let other = mapped(&ask("y"), &mut run).remove(0).1;
    assert_eq!(other.get("callId"), None);
    assert_eq!(other["raw"], json!({"tool_input": {"command": "y"}}));
}

#[test]
fn a_second_copy_of_the_hooks_makes_the_same_keys() {
    let mut run = Run::default();
    for raw in FIXTURE.lines().take(27) {
        let keys = |run: &mut Run| {
            let records = mapped(raw, run);
            let keys = records
                .iter()
                .filter_map(|(_, record)| record.get("key").cloned());
            keys.collect::<Vec<_>>()
        };
        let first = keys(&mut run);
        let second = keys(&mut run);
        assert!(
            second.iter().all(|key| first.contains(key)),
            "{raw}: {first:?} {second:?}"
        );
    }
}

/// Returns a message of the transcript.
fn heard(text: &str, id: &str) -> NewLines {
    let at = "2026-01-01T00:00:00.500Z";
    let line = json!({"type": "assistant", "timestamp": at, "message": {"id": id, "model": "opus",
        "content": [{"type": "text", "text": text}]}});
    let mut listener = crate::claude_code::transcript_lines::Listener::new(None, None);
    let mut place = crate::claude_code::read_position::ReadPosition::default();
    listener.line(line.to_string().as_bytes(), 0, &mut place);
    listener.close(&mut place);
    let read = crate::claude_code::new_lines::NewOfAgent {
        agent: None,
        path: "t.jsonl".into(),
        found: listener.found,
        place,
    };
    NewLines {
        transcripts: vec![read],
        ..NewLines::default()
    }
}

/// Returns the records of a hook that has read this in the transcript.
fn mapped_with(raw: &str, news: &NewLines, run: &mut Run) -> Vec<(String, Value)> {
    run.begun = true;
    let payload = Payload::parse(raw).unwrap();
    let inputs = inputs(raw, false, AgentNote::default());
    map(&payload, &inputs, news, run)
        .iter()
        .map(recorded)
        .collect()
}

#[test]
fn a_message_is_recorded_once_whether_the_transcript_has_it_before_or_after_the_stop() {
    let show = hook(
        "MessageDisplay",
        &json!({"message_id": "d", "index": 0, "delta": "All\ndone."}),
    );
    let stop = hook("Stop", &json!({"last_assistant_message": "All done."}));
    let mut run = Run::default();
    assert_eq!(names(&mapped(&show, &mut run)), "");
    let records = mapped_with(&stop, &heard("All done.", "m"), &mut run);
    assert_eq!(names(&records), "R:assistant_message");
    assert_eq!(records[0].1["key"], "msg:m:0");
    assert!(run.shown.is_empty());
    // The transcript is late.
    for show in [Some(&show), None] {
        let mut run = Run::default();
        show.map(|show| mapped(show, &mut run));
        let records = mapped(&stop, &mut run);
        assert_eq!(names(&records), "R:assistant_message");
        let end = hook("SessionEnd", &json!({"reason": "other"}));
        let later = mapped_with(&end, &heard("All done.", "m"), &mut run);
        assert_eq!(names(&later), "R:amend A:session_end Finalize");
        assert_eq!(later[0].1["of"], records[0].1["key"]);
        assert_eq!(later[0].1["messageId"], "m");
        assert_eq!(later[0].1["model"], "opus");
        assert_eq!(later[0].1.get("text"), None);
    }
}

#[test]
fn a_last_message_of_several_texts_is_not_recorded_once_more() {
    let stop = hook("Stop", &json!({"last_assistant_message": "one\ntwo"}));
    let mut news = heard("two", "m");
    let crate::claude_code::transcript_lines::Found::Message { whole, .. } =
        &mut news.transcripts[0].found[0]
    else {
        unreachable!()
    };
    *whole = crate::claude_code::digest::text_digest("one two");
    let records = mapped_with(&stop, &news, &mut Run::default());
    assert_eq!(names(&records), "R:assistant_message");
}

#[test]
fn the_parts_of_a_displayed_message_are_one_message_in_whatever_order_they_come() {
    let show = |index: usize, text: &str| {
        hook(
            "MessageDisplay",
            &json!({"message_id": "d", "index": index, "delta": text}),
        )
    };
    let mut run = Run::default();
    for (index, text) in [(1, "b"), (0, "a"), (1, "b"), (2, "c")] {
        mapped(&show(index, text), &mut run);
    }
    let end = hook("SessionEnd", &json!({"reason": "other"}));
    let records = mapped(&end, &mut run);
    assert_eq!(records[0].1["text"], "abc");
    assert_eq!(records[0].1["key"], "msg:d:0");
}

#[test]
fn more_displayed_text_than_is_kept_is_recorded_at_once() {
    let mut run = Run::default();
    let show = |n: usize| {
        hook(
            "MessageDisplay",
            &json!({"message_id": format!("d{n}"), "index": 0, "delta": "x".repeat(10_000)}),
        )
    };
    let recorded: usize = (0..20).map(|n| mapped(&show(n), &mut run).len()).sum();
    assert_eq!(recorded + run.shown.len(), 20);
    assert!(recorded >= 13, "{recorded}");
}

#[test]
fn an_agent_starts_again_and_one_without_a_start_is_made_known_by_its_end() {
    let of = |event: &str, agent: &str, text: &str| {
        hook(
            event,
            &json!({"agent_id": agent, "agent_type": "plan", "last_assistant_message": text}),
        )
    };
    let mut run = Run {
        follows: true,
        ..Run::default()
    };
    for (event, agent, text, records, key) in [
        (
            "SubagentStart",
            "a",
            "",
            "AgentSpawn A:agent_started",
            "agent:a:start:1",
        ),
        (
            "SubagentStart",
            "a",
            "",
            "A:agent_started",
            "agent:a:start:1",
        ),
        (
            "SubagentStop",
            "a",
            "x",
            "AgentComplete A:agent_stopped",
            "agent:a:stop:1",
        ),
        (
            "SubagentStop",
            "a",
            "x",
            "A:agent_stopped",
            "agent:a:stop:1",
        ),
        (
            "SubagentStop",
            "b",
            "",
            "AgentSpawn AgentComplete A:agent_stopped",
            "agent:b:stop:1",
        ),
        (
            "SubagentStart",
            "b",
            "",
            "A:agent_started",
            "agent:b:start:1",
        ),
    ] {
        let made = mapped(&of(event, agent, text), &mut run);
        assert_eq!(names(&made), records, "{event} {agent}");
        assert_eq!(made.last().unwrap().1["key"], key);
    }
    for number in 0..1100 {
        mapped(&of("SubagentStop", &format!("n{number}"), ""), &mut run);
    }
    assert_eq!(run.subagents.len(), 1024);
}

#[test]
fn the_end_tells_how_the_last_turn_ended() {
    let mut run = Run::default();
    let failure = r#"{"hook_event_name":"StopFailure","session_id":"s","error":"unknown"}"#;
    let end = r#"{"hook_event_name":"SessionEnd","session_id":"s","reason":"other"}"#;
    mapped(failure, &mut run);
    let last = mapped(end, &mut run).pop().unwrap().1;
    assert_eq!(
        last,
        json!({"status": "error", "outcome": {"reason": "other"}, "response": "unknown"})
    );
    mapped(
        r#"{"hook_event_name":"Stop","session_id":"s","last_assistant_message":"done"}"#,
        &mut run,
    );
    let last = mapped(end, &mut run).pop().unwrap().1;
    assert_eq!(
        last,
        json!({"status": "success", "outcome": {"reason": "other"}, "response": "done"})
    );
}

#[test]
fn a_named_session_outlives_the_sessions_that_end_in_it() {
    for (reason, named, records) in [
        ("clear", true, "A:session_end"),
        ("resume", true, "A:session_end"),
        ("clear", false, "A:session_end Finalize"),
        ("prompt_input_exit", true, "A:session_end Finalize"),
    ] {
        let raw =
            format!(r#"{{"hook_event_name":"SessionEnd","session_id":"s","reason":"{reason}"}}"#);
        let made = mapped_as(&raw, &mut Run::default(), named, AgentNote::default());
        assert_eq!(names(&made), records, "{reason}");
    }
}

#[test]
fn errors_add_up_to_a_bound() {
    let raw = r#"{"hook_event_name":"PostToolUseFailure","session_id":"s","tool_name":"Bash","error":"no"}"#;
    let mut run = Run::default();
    let lengths: Vec<usize> = (0..102)
        .map(|_| {
            mapped(raw, &mut run)[1].1["errors"]
                .as_array()
                .unwrap()
                .len()
        })
        .collect();
    assert_eq!(lengths[0], 1);
    assert_eq!(lengths[1], 2);
    assert_eq!(lengths[101], 100);
}

#[test]
fn an_agent_is_nested_by_the_call_that_started_it() {
    let start = r#"{"hook_event_name":"SubagentStart","session_id":"s","agent_id":"a1","agent_type":"plan"}"#;
    let spawned = mapped(start, &mut Run::default()).remove(0).1;
    assert_eq!(
        spawned,
        json!({"agentId": "a1", "type": "plan", "task": ""})
    );
    let note = AgentNote::read(br#"{"description":"look \ud83d","toolUseId":"t1","spawnDepth":1}"#);
    let stop = start.replace("SubagentStart", "SubagentStop");
    let done = mapped_as(&stop, &mut Run::default(), false, note)
        .remove(0)
        .1;
    assert_eq!(
        done,
        json!({"task": "look \u{fffd}", "toolUseId": "t1", "depth": 1})
    );
    let result = r#"{"hook_event_name":"PostToolUse","session_id":"s","tool_name":"Agent","tool_use_id":"t1",
        "agent_id":"a0","tool_response":{"agentId":"a1"}}"#;
    let nested = mapped(result, &mut Run::default()).remove(2).1;
    let place = json!({"toolUseId": "t1", "parentAgentId": "a0"});
    assert_eq!(nested, json!({"claudeCode": {"agents": {"a1": place}}}));
}

#[test]
fn what_is_not_known_is_an_action_with_its_fields() {
    for (raw, kind) in [
        (
            r#"{"hook_event_name":"SomethingNew","session_id":"s","x":[1]}"#,
            "something_new",
        ),
        (r#"{"session_id":"s"}"#, "unknown_hook"),
        (
            r#"{"hook_event_name":"PreToolUse","session_id":"s","tool_name":7}"#,
            "tool_call",
        ),
    ] {
        let (call, data) = mapped(raw, &mut Run::default()).remove(0);
        assert_eq!(call.as_str(), "Action");
        assert_eq!(data["type"].as_str(), Some(kind));
        let given: Value = serde_json::from_str(raw).unwrap();
        assert_eq!(data["raw"]["x"], given["x"]);
    }
}

/// Returns a payload of session `s` with these fields.
fn hook(event: &str, fields: &Value) -> String {
    let mut payload = json!({"hook_event_name": event, "session_id": "s"});
    payload
        .as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    payload.to_string()
}

/// Returns the results and ends of several hooks.
fn outcomes(hooks: &[String]) -> Vec<String> {
    let mut run = Run::default();
    let mut found = Vec::new();
    for raw in hooks {
        for (kind, record) in mapped(raw, &mut run) {
            let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
            if record["type"] == "tool_result" {
                found.push(format!("{} {}", text("callId"), text("status")));
            } else if kind == "Finalize" {
                found.push(format!("Finalize {}", text("status")));
            }
        }
    }
    found
}

fn call(id: &str) -> String {
    hook(
        "PreToolUse",
        &json!({"tool_name": "Bash", "tool_use_id": id, "tool_input": {"command": "x"}}),
    )
}

fn done(id: &str) -> String {
    hook(
        "PostToolUse",
        &json!({"tool_name": "Bash", "tool_use_id": id, "tool_response": {}}),
    )
}

fn batch(ids: &[&str]) -> String {
    let calls: Vec<Value> = ids
        .iter()
        .map(|id| json!({"tool_name": "Bash", "tool_use_id": id, "tool_input": {"command": "x"}, "tool_response": "no"}))
        .collect();
    hook("PostToolBatch", &json!({"tool_calls": calls}))
}

#[test]
fn calls_without_a_result_of_their_own_get_one_once() {
    let prompt = hook("UserPromptSubmit", &json!({"prompt": "go"}));
    let stop = hook("Stop", &json!({}));
    let end = hook("SessionEnd", &json!({"reason": "other"}));
    let start = hook("SessionStart", &json!({"source": "startup"}));
    for (hooks, wanted) in [
        // Done, denied, invalid.
        (
            vec![
                &start,
                &prompt,
                &call("a"),
                &done("a"),
                &call("b"),
                &batch(&["a", "b", "c"]),
                &stop,
                &end,
            ],
            vec!["a ok", "b denied", "c error", "Finalize success"],
        ),
        // Reported twice.
        (
            vec![
                &start,
                &call("b"),
                &batch(&["b"]),
                &batch(&["b"]),
                &stop,
                &end,
            ],
            vec!["b denied", "Finalize success"],
        ),
        // A signal in the middle of a tool call, and of an answer.
        (
            vec![&start, &prompt, &call("a"), &end],
            vec!["a interrupted", "Finalize interrupted"],
        ),
        (vec![&start, &prompt, &end], vec!["Finalize interrupted"]),
        // Interrupted by the user, who goes on.
        (
            vec![&start, &prompt, &call("a"), &prompt, &stop, &end],
            vec!["a interrupted", "Finalize success"],
        ),
        // Nothing is invented about calls from before recording began.
        (
            vec![&batch(&["a"]), &stop, &end],
            vec!["a ", "Finalize success"],
        ),
        (vec![&start, &end], vec!["Finalize success"]),
        (
            vec![
                &start,
                &prompt,
                &call("a"),
                &hook("StopFailure", &json!({"error": "rate limit"})),
                &end,
            ],
            vec!["a interrupted", "Finalize error"],
        ),
    ] {
        let hooks: Vec<String> = hooks.into_iter().cloned().collect();
        assert_eq!(outcomes(&hooks), wanted, "{hooks:?}");
    }
}

#[test]
fn a_field_that_is_not_what_it_was_spoils_no_other() {
    let failure = hook(
        "StopFailure",
        &json!({"error": {"kind": "overloaded"}, "duration_ms": "soon"}),
    );
    let record = mapped(&failure, &mut Run::default()).remove(0).1;
    assert_eq!(record["type"], json!("error"));
    assert_eq!(record["kind"], json!(r#"{"kind":"overloaded"}"#));
    let prompt = hook(
        "UserPromptSubmit",
        &json!({"prompt": "hi", "agent_id": [1], "is_interrupt": "no"}),
    );
    assert_eq!(
        mapped(&prompt, &mut Run::default()).remove(0).1["text"],
        "hi"
    );
    let twice =
        r#"{"hook_event_name":"UserPromptSubmit","session_id":"s","prompt":"a","prompt":"b"}"#;
    assert_eq!(mapped(twice, &mut Run::default()).remove(0).1["text"], "b");
}

#[test]
fn the_model_is_recorded_when_it_changes_and_before_the_end() {
    let mut run = Run {
        begun: true,
        ..Run::default()
    };
    let mut of = |raw: &str, model: Option<&str>| {
        let inputs = MapInputs {
            model: model.map(str::to_owned),
            ..inputs(raw, false, AgentNote::default())
        };
        names(&mapped_in(raw, &mut run, &inputs))
    };
    let stop = hook("Stop", &json!({}));
    let end = hook("SessionEnd", &json!({}));
    assert_eq!(of(&stop, Some("a")), "MetadataUpdate");
    assert_eq!(of(&stop, Some("a")), "");
    assert_eq!(of(&end, Some("b")), "A:session_end MetadataUpdate Finalize");
    assert_eq!(of(&end, None), "A:session_end Finalize");
}

/// Returns a Claude Code process with this command line.
fn called(line: &str) -> Caller {
    Caller {
        process: json!({"pid": 7}),
        words: line.split(' ').map(str::to_owned).collect(),
    }
}

/// Returns the records of a hook called by a process whose predecessor has ended.
fn mapped_by(raw: &str, run: &mut Run, caller: &Caller, named: bool) -> Vec<(String, Value)> {
    let inputs = MapInputs {
        caller: Some(caller.clone()),
        is_left: true,
        ..inputs(raw, named, AgentNote::default())
    };
    mapped_in(raw, run, &inputs)
}

const ORIGIN: &str = "1bbb8452-1055-45c8-a347-3e503ba932c3";

/// Returns the hooks of `--resume ORIGIN --fork-session`: the start has the origin's id, everything
/// else the fork's.
fn fork() -> (Caller, String, String) {
    let caller = called(&format!("claude -p go --resume {ORIGIN} --fork-session"));
    let start =
        json!({"hook_event_name": "SessionStart", "session_id": ORIGIN, "source": "resume"})
            .to_string();
    (
        caller,
        start,
        hook("UserPromptSubmit", &json!({"prompt": "go"})),
    )
}

#[test]
fn a_fork_leaves_its_origin_as_it_was_and_is_made_by_its_first_hook() {
    let (caller, start, prompt) = fork();
    let before = Run {
        begun: true,
        message: Some("done".to_owned()),
        ..Run::default()
    };
    let mut origin = before.clone();
    assert_eq!(
        names(&mapped_by(&start, &mut origin, &caller, false)),
        "A:session_start"
    );
    assert_eq!(origin, before);
    let mut forked = Run::default();
    let records = mapped_by(&prompt, &mut forked, &caller, false);
    assert_eq!(
        names(&records),
        "CreateSession StateUpdate A:session_forked R:user_message"
    );
    assert_eq!(records[0].1["source"], "claude-code");
    let state = &records[1].1["claudeCode"];
    assert_eq!(state["sessionId"], "s");
    assert_eq!(state["process"], json!({"pid": 7}));
    assert_eq!(state["forkedFrom"], ORIGIN);
    assert_eq!(
        names(&mapped_by(&prompt, &mut forked, &caller, false)),
        "R:user_message"
    );
    let invalid = mapped_by(&batch(&["a"]), &mut forked, &caller, false);
    assert_eq!(
        names(&invalid),
        "A:bash_exec A:tool_result StateUpdate",
        "a call that never began"
    );
}

#[test]
fn a_named_session_that_goes_on_with_a_fork_names_the_fork() {
    let (caller, start, prompt) = fork();
    let mut run = Run {
        begun: true,
        ..Run::default()
    };
    let records = mapped_by(&start, &mut run, &caller, true);
    assert_eq!(
        names(&records),
        "CreateSession Reopen StateUpdate A:session_resumed"
    );
    let records = mapped_by(&prompt, &mut run, &caller, true);
    assert_eq!(
        names(&records),
        "CreateSession StateUpdate A:session_forked R:user_message"
    );
    assert_eq!(records[1].1["claudeCode"]["sessionId"], "s");
    assert_eq!(records[2].1["from"], ORIGIN);
}

#[test]
fn two_processes_that_resume_a_session_at_once_have_a_start_each() {
    let mut run = Run::default();
    let start = hook("SessionStart", &json!({"source": "resume"}));
    let mut key = |pid: u32| {
        let caller = Caller {
            process: json!({"pid": pid}),
            ..called("claude --resume s")
        };
        let records = mapped_by(&start, &mut run, &caller, false);
        records.last().unwrap().1["key"].clone()
    };
    let first = key(7);
    assert_eq!(key(7), first, "a second copy of the hooks");
    assert_ne!(key(8), first);
}

#[test]
fn two_processes_that_load_the_same_instructions_have_a_record_each() {
    let mut run = Run::default();
    let raw = hook("InstructionsLoaded", &json!({"memory_type": "Project"}));
    let mut key = |pid: &str| {
        let inputs = MapInputs {
            process_id: Some(pid.to_owned()),
            ..inputs(&raw, false, AgentNote::default())
        };
        let drafts = mapped_in(&raw, &mut run, &inputs);
        drafts.last().unwrap().1["key"].clone()
    };
    let first = key("7");
    assert_eq!(key("7"), first, "a second copy of the hooks");
    assert_ne!(key("8"), first);
}

#[test]
fn calls_that_a_killed_run_left_are_interrupted_by_the_next_start() {
    let mut run = Run {
        begun: true,
        ..Run::default()
    };
    mapped(&call("a"), &mut run);
    let caller = called("claude --resume s");
    let records = mapped_by(
        &hook("SessionStart", &json!({"source": "resume"})),
        &mut run,
        &caller,
        false,
    );
    assert_eq!(
        names(&records),
        "CreateSession Reopen StateUpdate A:tool_result A:session_resumed"
    );
    let result = &records[3].1;
    assert_eq!(result["callId"], "a");
    assert_eq!(result["status"], "interrupted");
    assert!(run.open.is_empty());
}

#[test]
fn calls_of_a_process_that_may_be_at_work_stay_open_at_a_start() {
    let mut run = Run {
        begun: true,
        ..Run::default()
    };
    mapped(&call("a"), &mut run);
    let records = mapped(
        &hook("SessionStart", &json!({"source": "resume"})),
        &mut run,
    );
    assert_eq!(
        names(&records),
        "CreateSession Reopen StateUpdate A:session_resumed"
    );
    assert_eq!(run.open.len(), 1);
}

/// Ids that tell nothing apart, as JSON.
const NO_IDS: [&str; 6] = [r#""""#, "null", "{}", "[1]", "true", r#""a\ufffd""#];

#[test]
fn calls_whose_ids_tell_nothing_apart_are_all_recorded() {
    for id in NO_IDS {
        let mut run = Run::default();
        let mut of = |event: &str, command: &str| {
            let raw = format!(
                r#"{{"hook_event_name":"{event}","session_id":"s","tool_name":"Bash","tool_use_id":{id},"tool_input":{{"command":"{command}"}},"tool_response":{{"stdout":"{command}"}}}}"#
            );
            let (_, record) = mapped(&raw, &mut run).remove(0);
            assert_eq!(record.get("callId"), None, "{id}");
            // What is no id has no other place.
            let is_kept = !matches!(id, r#""""# | "null");
            assert_eq!(record["raw"].get("tool_use_id").is_some(), is_kept, "{id}");
            record["key"].as_str().unwrap().to_owned()
        };
        let mut keys = HashSet::new();
        for command in ["one", "two"] {
            assert!(keys.insert(of("PreToolUse", command)), "{id}");
            assert!(keys.insert(of("PostToolUse", command)), "{id}");
        }
        assert!(run.open.is_empty() && run.results.is_empty(), "{id}");
    }
}

#[test]
fn prompts_whose_ids_tell_nothing_apart_are_all_recorded() {
    for id in NO_IDS {
        let mut run = Run::default();
        let keys: HashSet<String> = ["one", "two"]
            .iter()
            .map(|text| {
                let raw = format!(
                    r#"{{"hook_event_name":"UserPromptSubmit","session_id":"s","prompt_id":{id},"prompt":"{text}"}}"#
                );
                let (_, record) = mapped(&raw, &mut run).remove(0);
                assert_eq!(record.get("turnId"), None, "{id}");
                record["key"].as_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(keys.len(), 2, "{id}");
    }
}

#[test]
fn an_id_that_is_a_number_is_an_id() {
    let raw = r#"{"hook_event_name":"PreToolUse","session_id":7,"tool_name":"Bash","tool_use_id":7,"prompt_id":8}"#;
    let (_, record) = mapped(raw, &mut Run::default()).remove(0);
    assert_eq!(record["callId"], "7");
    assert_eq!(record["turnId"], "8");
    assert_eq!(record["key"], "call:7");
    assert_eq!(Payload::parse(raw).unwrap().session_id, "7");
}

#[test]
fn displayed_messages_whose_ids_tell_nothing_apart_are_all_recorded() {
    for id in NO_IDS {
        let mut run = Run::default();
        for (index, delta) in [
            ("0", "one "),
            ("1", "more"),
            ("0", "two"),
            ("null", "three"),
        ] {
            let raw = format!(
                r#"{{"hook_event_name":"MessageDisplay","session_id":"s","message_id":{id},"index":{index},"delta":"{delta}"}}"#
            );
            // A second copy of the hooks.
            for _ in 0..2 {
                assert_eq!(mapped(&raw, &mut run).len(), 0, "{id}");
            }
        }
        let stop = r#"{"hook_event_name":"Stop","session_id":"s"}"#;
        let records = mapped(stop, &mut run);
        let texts: Vec<&Value> = records.iter().map(|(_, record)| &record["text"]).collect();
        assert_eq!(texts, ["one more", "two", "three"], "{id}");
        let keys: HashSet<_> = records
            .iter()
            .map(|(_, record)| record["key"].as_str())
            .collect();
        assert_eq!(keys.len(), 3, "{id}");
    }
}

#[test]
fn payloads_that_differ_in_broken_characters_are_two() {
    let raw = r#"{"hook_event_name":"PreToolUse","session_id":"s","tool_use_id":"\ufffd"}"#;
    let mut run = Run {
        begun: true,
        ..Run::default()
    };
    let mut key = |replaced| {
        let inputs = MapInputs {
            replaced,
            ..inputs(raw, false, AgentNote::default())
        };
        mapped_in(raw, &mut run, &inputs).remove(0).1["key"].take()
    };
    let first = key(b"\xd8\x3d");
    assert_eq!(first, key(b"\xd8\x3d"));
    assert_ne!(first, key(b"\xd8\x3e"));
}

#[test]
fn what_a_batch_lists_besides_calls_is_recorded_as_it_is() {
    let known = r#"{"tool_name":"Bash","tool_use_id":"a","tool_response":"1E5"}"#;
    let nameless = r#"{"tool_name":"Bash","tool_use_id":"","tool_response":"x"}"#;
    for (listed, kept) in [
        (r#""evidence""#.to_owned(), r#""evidence""#.to_owned()),
        (known.to_owned(), known.to_owned()),
        ("7E1".to_owned(), "7E1".to_owned()),
        (r#"["evidence"]"#.to_owned(), r#"["evidence"]"#.to_owned()),
        (
            format!("[{known},null, {nameless}]"),
            format!("[null,{nameless}]"),
        ),
    ] {
        let raw = format!(
            r#"{{"hook_event_name":"PostToolBatch","session_id":"s","tool_calls":{listed}}}"#
        );
        let mut run = Run {
            begun: true,
            follows: true,
            ..Run::default()
        };
        run.results.push_back("a".to_owned());
        let payload = Payload::parse(&raw).unwrap();
        let inputs = inputs(&raw, false, AgentNote::default());
        let drafts = map(&payload, &inputs, &NewLines::default(), &mut run);
        assert_eq!(drafts.len(), 1, "{listed}");
        let json = &drafts[0].json;
        assert!(json.contains(r#""type":"post_tool_batch""#), "{json}");
        assert!(
            json.contains(&format!(r#""raw":{{"tool_calls":{kept}}}"#)),
            "{json}"
        );
    }
}

#[test]
fn the_calls_of_a_batch_that_is_the_first_hook_are_recorded_without_a_status() {
    let mut run = Run::default();
    let first = batch(&["a", "b"]);
    let records = mapped(&first, &mut run);
    assert_eq!(
        names(&records),
        "A:bash_exec A:tool_result A:bash_exec A:tool_result"
    );
    let result = &records[1].1;
    assert_eq!(result["key"], "result:a");
    assert_eq!(result["output"], "no");
    assert_eq!(result.get("status"), None);
    assert!(mapped(&first, &mut run).is_empty(), "a second copy");
    let next = mapped(&batch(&["c"]), &mut run);
    assert_eq!(next[1].1["status"], "error", "it was never called");
}

#[test]
fn a_displayed_message_without_a_text_is_recorded_as_it_is() {
    let raw = r#"{"hook_event_name":"MessageDisplay","session_id":"s","text":"new name"}"#;
    let records = mapped(raw, &mut Run::default());
    assert_eq!(names(&records), "A:message_display");
    assert_eq!(records[0].1["raw"], json!({"text": "new name"}));
}

/// Returns the keys of the log records of these hooks, which come at once, each from two copies of
/// the hooks.
fn keys_of_copies(hooks: &[&str]) -> HashSet<String> {
    let mut run = Run::default();
    let twice = hooks.iter().flat_map(|hook| [hook, hook]);
    let records = twice.flat_map(|raw| mapped(raw, &mut run));
    let keys: Vec<String> = records
        .filter_map(|(_, record)| Some(record["key"].as_str()?.to_owned()))
        .collect();
    keys.into_iter().collect()
}

#[test]
fn equal_calls_without_an_id_are_two_if_the_first_has_its_result() {
    let of = |event: &str, command: &str| {
        hook(
            event,
            &json!({"tool_name": "Bash", "tool_input": {"command": command}}),
        )
    };
    let call = of("PreToolUse", "ls");
    let done = of("PostToolUse", "ls");
    let failed = of("PostToolUseFailure", "ls");
    let other = of("PostToolUse", "cd");
    for (hooks, wanted) in [
        (vec![&call, &done], 2),
        (vec![&call, &done, &call, &done], 4),
        (vec![&call, &failed, &call, &done], 4),
        (vec![&call, &other, &call], 2),
    ] {
        let hooks: Vec<&str> = hooks.into_iter().map(String::as_str).collect();
        assert_eq!(keys_of_copies(&hooks).len(), wanted, "{hooks:?}");
    }
}

#[test]
fn equal_turns_without_an_id_are_two() {
    let prompt = hook("UserPromptSubmit", &json!({"prompt": "go on"}));
    let stop = hook("Stop", &json!({"last_assistant_message": "Done."}));
    assert_eq!(keys_of_copies(&[&prompt, &stop]).len(), 2);
    assert_eq!(keys_of_copies(&[&prompt, &stop, &prompt, &stop]).len(), 4);
}
