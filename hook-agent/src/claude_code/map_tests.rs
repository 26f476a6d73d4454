use std::collections::HashMap;

use serde_json::Value;

use super::*;

const FIXTURE: &str = include_str!("../../../session-model/tests/fixtures/claude_code_hooks.jsonl");
const AT: &str = "2026-01-01T00:00:00.000Z";

fn mapped(raw: &str, run: &mut Run) -> Vec<(String, Value)> {
    mapped_as(raw, run, false, AgentNote::default())
}

fn mapped_as(raw: &str, run: &mut Run, named: bool, note: AgentNote) -> Vec<(String, Value)> {
    let payload = Payload::parse(raw).unwrap();
    let scene = Scene {
        stamp: Stamp { at: AT, raw },
        user: "ann",
        named,
        note,
        caller: None,
        is_left: false,
        model: None,
    };
    run.begun = true;
    let told =
        |draft: &Draft<'_>| (format!("{:?}", draft.call.kind()), serde_json::from_str(&draft.json).unwrap());
    map(&payload, &scene, run).iter().map(told).collect()
}

/// Returns `kind:type` of each record.
fn names(records: &[(String, Value)]) -> String {
    let name = |(kind, data): &(String, Value)| match kind.as_str() {
        "Action" | "Response" => format!("{kind}:{}", data["type"].as_str().unwrap()),
        _ => kind.clone(),
    };
    records.iter().map(name).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_recorded_payload_becomes_what_the_table_says() {
    let table = [
        ("SessionStart", "startup", "CreateSession Reopen StateUpdate Action:session_start"),
        ("SessionStart", "resume", "CreateSession Reopen StateUpdate Action:session_start"),
        ("SessionStart", "compact", "Action:session_start MetadataUpdate"),
        ("UserPromptSubmit", "", "Response:prompt"),
        ("MessageDisplay", "", "Response:message"),
        ("PreToolUse", "Bash", "Action:bash_exec"),
        ("PreToolUse", "Read", "Action:tool_call"),
        ("PreToolUse", "Write", "Action:file_write"),
        ("PreToolUse", "Agent", "Action:tool_call"),
        ("PermissionRequest", "Bash", "Action:permission_request"),
        ("PostToolUse", "Bash", "Action:tool_result"),
        ("PostToolUse", "Write", "Action:tool_result"),
        ("PostToolUse", "Agent", "Action:tool_result StateUpdate"),
        ("PostToolUseFailure", "Bash", "Action:tool_error StateUpdate"),
        ("PostToolUseFailure", "Read", "Action:tool_error StateUpdate"),
        ("PostToolBatch", "", "Action:post_tool_batch"),
        ("SubagentStart", "general-purpose", "AgentSpawn Action:subagent_start"),
        ("SubagentStop", "general-purpose", "AgentComplete Action:subagent_stop"),
        ("SubagentStop", "", "Action:subagent_stop"),
        ("Stop", "", "Response:stop"),
        ("StopFailure", "", "Action:stop_failure StateUpdate"),
        ("PreCompact", "", "Action:pre_compact"),
        ("PostCompact", "", "Action:post_compact"),
        ("SessionEnd", "", "Action:session_end Finalize"),
    ];
    let table: HashMap<_, _> = table.iter().map(|(event, of, records)| ((*event, *of), *records)).collect();
    let mut met = std::collections::HashSet::new();
    for raw in FIXTURE.lines() {
        let hook: Value = serde_json::from_str(raw).unwrap();
        let event = hook["hook_event_name"].as_str().unwrap();
        let of = match event {
            "SessionStart" => &hook["source"],
            "SubagentStart" | "SubagentStop" => &hook["agent_type"],
            _ => &hook["tool_name"],
        };
        let key = (event, of.as_str().unwrap_or_default());
        assert_eq!(names(&mapped(raw, &mut Run::default())), table[&key], "{key:?}");
        met.insert(format!("{key:?}"));
    }
    assert_eq!(met.len(), table.len(), "a row that no payload is for");
}

#[test]
fn every_log_record_has_the_payload_as_it_came_and_the_stamp() {
    for raw in FIXTURE.lines() {
        let payload = Payload::parse(raw).unwrap();
        let stamp = Stamp { at: AT, raw };
        let scene = Scene {
            stamp,
            user: "ann",
            named: false,
            note: AgentNote::default(),
            caller: None,
            is_left: false,
            model: None,
        };
        let drafts = map(&payload, &scene, &mut Run { begun: true, ..Run::default() });
        let logs = drafts.iter().filter(|draft| matches!(draft.call, Call::Action | Call::Response));
        assert_eq!(logs.clone().count(), 1, "{raw}");
        for draft in logs {
            assert!(draft.json.starts_with(&format!(r#"{{"timestamp":"{AT}","#)), "{}", draft.json);
            assert!(draft.json.ends_with(&format!(r#","payload":{raw}}}"#)), "{}", draft.json);
        }
    }
}

#[test]
fn a_call_and_its_result_share_an_id_and_the_result_has_the_duration() {
    let of = |event: &str| {
        let raw = FIXTURE.lines().find(|raw| raw.contains(&format!("\"{event}\""))).unwrap();
        mapped(raw, &mut Run::default()).remove(0).1
    };
    let (call, result, error) = (of("PreToolUse"), of("PostToolUse"), of("PostToolUseFailure"));
    assert_eq!(call["toolUseId"], result["toolUseId"]);
    assert_eq!((call["summary"].as_str(), call.get("durationMs")), (Some("echo a"), None));
    assert_eq!((&result["durationMs"], &result["success"]), (&json!(30.0), &json!(true)));
    assert_eq!((&error["error"], &error["success"]), (&json!("Exit code 3"), &json!(false)));
}

#[test]
fn an_agent_starts_again_and_one_without_a_start_is_made_known_by_its_end() {
    let of = |event: &str, agent: &str| {
        format!(
            r#"{{"hook_event_name":"{event}","session_id":"s","agent_id":"{agent}","agent_type":"plan"}}"#
        )
    };
    let mut run = Run { follows: true, ..Run::default() };
    for (event, agent, records) in [
        ("SubagentStart", "a", "AgentSpawn Action:subagent_start"),
        ("SubagentStart", "a", "Action:subagent_start"),
        ("SubagentStop", "a", "AgentComplete Action:subagent_stop"),
        ("SubagentStop", "a", "AgentComplete Action:subagent_stop"),
        ("SubagentStart", "a", "AgentSpawn Action:subagent_start"),
        ("SubagentStop", "b", "AgentSpawn AgentComplete Action:subagent_stop"),
    ] {
        assert_eq!(names(&mapped(&of(event, agent), &mut run)), records, "{event} {agent}");
    }
    assert_eq!(run.agents, [("a".to_owned(), true), ("b".to_owned(), false)]);
    for number in 0..1100 {
        mapped(&of("SubagentStop", &format!("n{number}")), &mut run);
    }
    assert_eq!((run.agents.len(), run.agents[0].1), (1024, true), "those that run are remembered");
}

#[test]
fn the_end_tells_how_the_last_turn_ended() {
    let mut run = Run::default();
    let failure = r#"{"hook_event_name":"StopFailure","session_id":"s","error":"unknown"}"#;
    let end = r#"{"hook_event_name":"SessionEnd","session_id":"s","reason":"other"}"#;
    mapped(failure, &mut run);
    let last = mapped(end, &mut run).pop().unwrap().1;
    assert_eq!(last, json!({"status": "error", "outcome": {"reason": "other"}, "response": "unknown"}));
    mapped(r#"{"hook_event_name":"Stop","session_id":"s","last_assistant_message":"done"}"#, &mut run);
    let last = mapped(end, &mut run).pop().unwrap().1;
    assert_eq!(last, json!({"status": "success", "outcome": {"reason": "other"}, "response": "done"}));
}

#[test]
fn a_named_session_outlives_the_ones_that_make_way_in_it() {
    for (reason, named, records) in [
        ("clear", true, "Action:session_end"),
        ("resume", true, "Action:session_end"),
        ("clear", false, "Action:session_end Finalize"),
        ("prompt_input_exit", true, "Action:session_end Finalize"),
    ] {
        let raw = format!(r#"{{"hook_event_name":"SessionEnd","session_id":"s","reason":"{reason}"}}"#);
        let made = mapped_as(&raw, &mut Run::default(), named, AgentNote::default());
        assert_eq!(names(&made), records, "{reason}");
    }
}

#[test]
fn errors_add_up_to_a_bound() {
    let raw = r#"{"hook_event_name":"PostToolUseFailure","session_id":"s","tool_name":"Bash","error":"no"}"#;
    let mut run = Run::default();
    let lengths: Vec<usize> =
        (0..102).map(|_| mapped(raw, &mut run)[1].1["errors"].as_array().unwrap().len()).collect();
    assert_eq!((lengths[0], lengths[1], lengths[101]), (1, 2, 100));
}

#[test]
fn an_agent_is_nested_by_the_call_that_started_it() {
    let start = r#"{"hook_event_name":"SubagentStart","session_id":"s","agent_id":"a1","agent_type":"plan"}"#;
    let spawned = mapped(start, &mut Run::default()).remove(0).1;
    assert_eq!(spawned, json!({"agentId": "a1", "type": "plan", "task": ""}));
    let note = serde_json::from_str(r#"{"description":"look","toolUseId":"t1","spawnDepth":1}"#).unwrap();
    let stop = start.replace("SubagentStart", "SubagentStop");
    let done = mapped_as(&stop, &mut Run::default(), false, note).remove(0).1;
    assert_eq!(done, json!({"task": "look", "toolUseId": "t1", "depth": 1}));
    let result = r#"{"hook_event_name":"PostToolUse","session_id":"s","tool_name":"Agent","tool_use_id":"t1",
        "agent_id":"a0","tool_response":{"agentId":"a1"}}"#;
    let nested = mapped(result, &mut Run::default()).remove(1).1;
    let place = json!({"toolUseId": "t1", "parentAgentId": "a0"});
    assert_eq!(nested, json!({"claudeCode": {"agents": {"a1": place}}}));
}

#[test]
fn what_is_not_known_is_an_action_with_its_payload() {
    for (raw, kind) in [
        (r#"{"hook_event_name":"SomethingNew","session_id":"s","x":[1]}"#, "something_new"),
        (r#"{"session_id":"s"}"#, "unknown_hook"),
        (r#"{"hook_event_name":"PreToolUse","session_id":"s","tool_name":7}"#, "tool_call"),
    ] {
        let (call, data) = mapped(raw, &mut Run::default()).remove(0);
        assert_eq!((call.as_str(), data["type"].as_str()), ("Action", Some(kind)));
        assert_eq!(data["payload"], serde_json::from_str::<Value>(raw).unwrap());
    }
}

/// Returns a payload of session `s` with these fields.
fn hook(event: &str, fields: &Value) -> String {
    let mut payload = json!({"hook_event_name": event, "session_id": "s"});
    payload.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    payload.to_string()
}

/// Returns the records of several hooks as `kind:type`, results with their call and status.
fn told(hooks: &[String]) -> Vec<String> {
    let mut run = Run::default();
    let mut told = Vec::new();
    for raw in hooks {
        for record in mapped(raw, &mut run) {
            let name = names(std::slice::from_ref(&record));
            let text = |key: &str| record.1[key].as_str().map(|text| format!(" {text}")).unwrap_or_default();
            if matches!(name.as_str(), "Action:tool_result" | "Action:tool_error" | "Finalize") {
                told.push(format!("{name}{}{}", text("toolUseId"), text("status")));
            }
        }
    }
    told
}

fn call(id: &str) -> String {
    hook("PreToolUse", &json!({"tool_name": "Bash", "tool_use_id": id, "tool_input": {"command": "x"}}))
}

fn done(id: &str) -> String {
    hook("PostToolUse", &json!({"tool_name": "Bash", "tool_use_id": id, "tool_response": {}}))
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
    let (prompt, stop) = (hook("UserPromptSubmit", &json!({"prompt": "go"})), hook("Stop", &json!({})));
    let end = hook("SessionEnd", &json!({"reason": "other"}));
    let start = hook("SessionStart", &json!({"source": "startup"}));
    for (hooks, wanted) in [
        // Done, denied, invalid.
        (
            vec![&start, &prompt, &call("a"), &done("a"), &call("b"), &batch(&["a", "b", "c"]), &stop, &end],
            vec![
                "Action:tool_result a ok",
                "Action:tool_error b denied",
                "Action:tool_error c error",
                "Finalize success",
            ],
        ),
        // Reported twice.
        (
            vec![&start, &call("b"), &batch(&["b"]), &batch(&["b"]), &stop, &end],
            vec!["Action:tool_error b denied", "Finalize success"],
        ),
        // A signal in the middle of a tool call, and of an answer.
        (
            vec![&start, &prompt, &call("a"), &end],
            vec!["Action:tool_error a interrupted", "Finalize interrupted"],
        ),
        (vec![&start, &prompt, &end], vec!["Finalize interrupted"]),
        // Interrupted by the user, who goes on.
        (
            vec![&start, &prompt, &call("a"), &prompt, &stop, &end],
            vec!["Action:tool_error a interrupted", "Finalize success"],
        ),
        // Nothing is invented about calls from before recording began.
        (vec![&batch(&["a"]), &stop, &end], vec!["Finalize success"]),
        (vec![&start, &end], vec!["Finalize success"]),
        (
            vec![&start, &prompt, &call("a"), &hook("StopFailure", &json!({"error": "rate limit"})), &end],
            vec!["Action:tool_error a interrupted", "Finalize error"],
        ),
    ] {
        let hooks: Vec<String> = hooks.into_iter().cloned().collect();
        assert_eq!(told(&hooks), wanted, "{hooks:?}");
    }
}

#[test]
fn a_field_that_is_not_what_it_was_spoils_no_other() {
    let failure = hook("StopFailure", &json!({"error": {"kind": "overloaded"}, "duration_ms": "soon"}));
    let record = mapped(&failure, &mut Run::default()).remove(0).1;
    assert_eq!(
        (&record["type"], &record["error"]),
        (&json!("stop_failure"), &json!(r#"{"kind":"overloaded"}"#))
    );
    let prompt = hook("UserPromptSubmit", &json!({"prompt": "hi", "agent_id": [1], "is_interrupt": "no"}));
    assert_eq!(mapped(&prompt, &mut Run::default()).remove(0).1["content"], "hi");
    let twice = r#"{"hook_event_name":"UserPromptSubmit","session_id":"s","prompt":"a","prompt":"b"}"#;
    assert_eq!(mapped(twice, &mut Run::default()).remove(0).1["content"], "b");
}

#[test]
fn the_model_is_told_when_it_is_another_and_before_the_end() {
    let mut run = Run { begun: true, ..Run::default() };
    let mut of = |raw: &str, model: Option<&str>| {
        let payload = Payload::parse(raw).unwrap();
        let (note, model) = (AgentNote::default(), model.map(str::to_owned));
        let stamp = Stamp { at: AT, raw };
        let scene = Scene { stamp, user: "ann", named: false, note, caller: None, is_left: false, model };
        let told = map(&payload, &scene, &mut run);
        told.iter().map(|draft| format!("{:?}", draft.call.kind())).collect::<Vec<_>>().join(" ")
    };
    let (stop, end) = (hook("Stop", &json!({})), hook("SessionEnd", &json!({})));
    assert_eq!(of(&stop, Some("a")), "Response MetadataUpdate");
    assert_eq!(of(&stop, Some("a")), "Response");
    assert_eq!(of(&end, Some("b")), "Action MetadataUpdate Finalize");
    assert_eq!(of(&end, None), "Action Finalize");
}

/// Returns a Claude Code process with this command line.
fn called(line: &str) -> Caller {
    Caller { process: json!({"pid": 7}), words: line.split(' ').map(str::to_owned).collect() }
}

/// Returns the records of a hook called by a process whose predecessor has ended.
fn mapped_by(raw: &str, run: &mut Run, caller: &Caller, named: bool) -> Vec<(String, Value)> {
    let payload = Payload::parse(raw).unwrap();
    let (stamp, note, caller) = (Stamp { at: AT, raw }, AgentNote::default(), Some(caller.clone()));
    let scene = Scene { stamp, user: "ann", named, note, caller, is_left: true, model: None };
    let told =
        |draft: &Draft<'_>| (format!("{:?}", draft.call.kind()), serde_json::from_str(&draft.json).unwrap());
    map(&payload, &scene, run).iter().map(told).collect()
}

const ORIGIN: &str = "1bbb8452-1055-45c8-a347-3e503ba932c3";

/// Returns the hooks of `--resume ORIGIN --fork-session`: the start has the origin's id, everything
/// else the fork's.
fn fork() -> (Caller, String, String) {
    let caller = called(&format!("claude -p go --resume {ORIGIN} --fork-session"));
    let start =
        json!({"hook_event_name": "SessionStart", "session_id": ORIGIN, "source": "resume"}).to_string();
    (caller, start, hook("UserPromptSubmit", &json!({"prompt": "go"})))
}

#[test]
fn a_fork_leaves_its_origin_as_it_was_and_is_made_by_its_first_hook() {
    let (caller, start, prompt) = fork();
    let before = Run { begun: true, message: Some("done".to_owned()), ..Run::default() };
    let mut origin = before.clone();
    assert_eq!(names(&mapped_by(&start, &mut origin, &caller, false)), "Action:session_start");
    assert_eq!(origin, before);
    let mut forked = Run::default();
    let records = mapped_by(&prompt, &mut forked, &caller, false);
    assert_eq!(names(&records), "CreateSession StateUpdate Response:prompt");
    assert_eq!(records[0].1["source"], "claude-code");
    let state = &records[1].1["claudeCode"];
    assert_eq!(state["sessionId"], "s");
    assert_eq!(state["process"], json!({"pid": 7}));
    assert_eq!(state["forkedFrom"], ORIGIN);
    assert_eq!(names(&mapped_by(&prompt, &mut forked, &caller, false)), "Response:prompt");
    let invalid = mapped_by(&batch(&["a"]), &mut forked, &caller, false);
    assert_eq!(
        names(&invalid),
        "Action:bash_exec Action:tool_error StateUpdate Action:post_tool_batch",
        "a call that never began"
    );
}

#[test]
fn a_named_session_that_goes_on_with_a_fork_names_the_fork() {
    let (caller, start, prompt) = fork();
    let mut run = Run { begun: true, ..Run::default() };
    let records = mapped_by(&start, &mut run, &caller, true);
    assert_eq!(names(&records), "CreateSession Reopen StateUpdate Action:session_start");
    let records = mapped_by(&prompt, &mut run, &caller, true);
    assert_eq!(names(&records), "CreateSession StateUpdate Response:prompt");
    assert_eq!(records[1].1["claudeCode"]["sessionId"], "s");
}

#[test]
fn calls_that_a_killed_run_left_are_interrupted_by_the_next_start() {
    let mut run = Run { begun: true, ..Run::default() };
    mapped(&call("a"), &mut run);
    let caller = called("claude --resume s");
    let records = mapped_by(&hook("SessionStart", &json!({"source": "resume"})), &mut run, &caller, false);
    assert_eq!(names(&records), "CreateSession Reopen StateUpdate Action:tool_error Action:session_start");
    let result = &records[3].1;
    assert_eq!(result["toolUseId"], "a");
    assert_eq!(result["status"], "interrupted");
    assert!(run.open.is_empty());
}

#[test]
fn calls_of_a_process_that_may_be_at_work_stay_open_at_a_start() {
    let mut run = Run { begun: true, ..Run::default() };
    mapped(&call("a"), &mut run);
    let records = mapped(&hook("SessionStart", &json!({"source": "resume"})), &mut run);
    assert_eq!(names(&records), "CreateSession Reopen StateUpdate Action:session_start");
    assert_eq!(run.open.len(), 1);
}
