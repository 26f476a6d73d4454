//! Tests Claude Code's hooks as Claude Code calls them: one process each, with the payload on
//! standard input.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::command::command;
use crate::service::Fault;
use crate::setup::{SESSION, Setup, setup, sooner_or_later};

const FIXTURE: &str =
    include_str!("../../../crates/session-model/tests/fixtures/claude_code_hooks.jsonl");

fn start(setup: &Setup, payload: &str) -> Child {
    start_with(setup, &["claude-code"], payload)
}

fn start_with(setup: &Setup, arguments: &[&str], payload: &str) -> Child {
    start_command(command(setup, arguments), payload)
}

fn start_command(mut command: Command, payload: &str) -> Child {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(payload.as_bytes())
        .unwrap();
    child
}

fn silent(output: &Output) {
    assert!(
        output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(),
        "{output:?}"
    );
}

fn hook(setup: &Setup, payload: &str) {
    silent(&start(setup, payload).wait_with_output().unwrap());
}

fn call(n: usize) -> String {
    json!({"session_id": "c", "hook_event_name": "PreToolUse", "tool_name": "Read", "tool_use_id": format!("t{n}")})
        .to_string()
}

fn end() -> String {
    json!({"session_id": "c", "hook_event_name": "SessionEnd", "reason": "other"}).to_string()
}

/// Returns the lines that the service has.
fn lines(setup: &Setup) -> Vec<Value> {
    setup
        .service
        .lock()
        .sessions
        .get(SESSION)
        .map(|session| session.lines.clone())
        .unwrap_or_default()
}

/// Returns the data of the service's last line.
fn last(setup: &Setup) -> Value {
    lines(setup).last().expect("a hook was delivered")["data"].clone()
}

/// Returns the ids of the calls that the service has, in order.
fn calls(setup: &Setup) -> Vec<String> {
    let is_call = |line: &&Value| line["data"]["type"] != "tool_result";
    let id = |line: &Value| line["data"]["callId"].as_str().map(str::to_owned);
    lines(setup).iter().filter(is_call).filter_map(id).collect()
}

fn folder(setup: &Setup) -> PathBuf {
    let mut entries = setup
        .dir
        .path()
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .find(|path| {
            path.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with("shared-")
        })
        .unwrap()
}

fn troubles(setup: &Setup) -> String {
    std::fs::read_to_string(folder(setup).join("trouble.log")).unwrap_or_default()
}

fn flush(setup: &Setup) {
    assert!(
        command(setup, &["flush", "--timeout", "30000"])
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn a_whole_recorded_run_arrives_in_order_with_each_call_and_result() {
    let setup = setup();
    for payload in FIXTURE.lines() {
        let patient = start_with(&setup, &["claude-code", "--wait", "1000"], payload);
        silent(&patient.wait_with_output().unwrap());
    }
    flush(&setup);
    let is = |event: &str, wanted: &[&str]| wanted.contains(&event);
    let hooks: Vec<Value> = FIXTURE.lines().map(|line| line.parse().unwrap()).collect();
    let of = |wanted: &[&str]| -> Vec<Value> {
        let found = hooks
            .iter()
            .filter(|hook| is(hook["hook_event_name"].as_str().unwrap(), wanted));
        found.map(|hook| hook["tool_use_id"].clone()).collect()
    };
    let lines = lines(&setup);
    let recorded = |prefix: &str| -> Vec<Value> {
        let has = |line: &&Value| {
            line["data"]["key"]
                .as_str()
                .is_some_and(|key| key.starts_with(prefix))
        };
        lines
            .iter()
            .filter(has)
            .map(|line| line["data"]["callId"].clone())
            .collect()
    };
    assert_eq!(recorded("call:"), of(&["PreToolUse"]));
    let mut results = of(&["PostToolUse", "PostToolUseFailure"]);
    // The call that was denied has its result from the batch.
    results.push(json!("toolu_stub0000310"));
    assert_eq!(recorded("result:"), results);
    // On a busy machine a hook may leave its records to the next one, which is logged; nothing else
    // is.
    let troubles = troubles(&setup);
    assert!(
        troubles
            .lines()
            .all(|line| line.contains(" not delivered yet: ")),
        "{troubles}"
    );
}

#[test]
fn hooks_that_run_at_once_lose_nothing_and_what_follows_comes_after() {
    let setup = setup();
    for round in 0..5 {
        let children: Vec<Child> = (0..8)
            .map(|n| start(&setup, &call(round * 8 + n)))
            .collect();
        children
            .into_iter()
            .for_each(|child| silent(&child.wait_with_output().unwrap()));
    }
    flush(&setup);
    let found = calls(&setup);
    for (round, chunk) in found.chunks(8).enumerate() {
        let mut chunk = chunk.to_vec();
        chunk.sort_by_key(|id| id[1..].parse::<usize>().unwrap());
        assert_eq!(
            chunk,
            (0..8)
                .map(|n| format!("t{}", round * 8 + n))
                .collect::<Vec<_>>()
        );
    }
    assert_eq!(found.len(), 40);
}

#[test]
fn what_an_outage_held_up_arrives_once_and_in_order_by_the_hooks_after_it() {
    let setup = setup();
    hook(&setup, &call(0));
    setup.service.down();
    (1..20).for_each(|n| hook(&setup, &call(n)));
    setup.service.up();
    sooner_or_later(|| {
        hook(&setup, &end());
        let found = calls(&setup).len();
        (found >= 20)
            .then_some(())
            .ok_or(format!("{found} of 20 calls have arrived"))
    });
    assert_eq!(
        calls(&setup),
        (0..20).map(|n| format!("t{n}")).collect::<Vec<_>>()
    );
    assert_eq!(lines(&setup).last().unwrap()["type"], "finalize");
    assert!(troubles(&setup).contains("not delivered yet"));
}

#[test]
fn an_answer_that_is_lost_stores_nothing_twice() {
    let setup = setup();
    for n in 0..6 {
        setup.service.lock().faults.push_back(Fault::CloseStored);
        hook(&setup, &call(n));
    }
    flush(&setup);
    assert_eq!(
        calls(&setup),
        (0..6).map(|n| format!("t{n}")).collect::<Vec<_>>()
    );
}

#[test]
fn a_payload_of_three_megabytes_is_recorded_whole() {
    let setup = setup();
    let content = "another line\n".repeat(250_000);
    let payload = json!({
        "session_id": "c", "hook_event_name": "PostToolUse", "tool_name": "Write", "tool_use_id": "t0",
        "tool_input": {"content": content}, "tool_response": {"content": content},
    });
    hook(&setup, &payload.to_string());
    flush(&setup);
    let lines = lines(&setup);
    let of = |kind: &str| {
        &lines
            .iter()
            .find(|line| line["data"]["type"] == kind)
            .unwrap()["data"]
    };
    assert_eq!(of("tool_result")["output"], payload["tool_response"]);
    assert_eq!(of("file_write")["input"], payload["tool_input"]);
}

#[test]
fn what_is_larger_than_an_event_is_kept_by_its_start() {
    let setup = setup();
    let payload = json!({
        "session_id": "c", "hook_event_name": "PreToolUse", "tool_name": "Write", "tool_use_id": "t0",
        "tool_input": {"content": "x".repeat(33 << 20)},
    });
    hook(&setup, &payload.to_string());
    flush(&setup);
    let lines = lines(&setup);
    let kept = &lines
        .iter()
        .find(|line| line["data"]["callId"] == "t0")
        .unwrap()["data"]["raw"];
    assert_eq!(kept["too_large"]["bytes"], payload.to_string().len());
}

#[test]
fn hooks_that_run_at_once_forget_no_call_and_no_result() {
    let setup = setup();
    let done = |n: usize, large: bool| {
        let response = if large {
            "x".repeat(300_000)
        } else {
            String::new()
        };
        json!({"session_id": "c", "hook_event_name": "PostToolUse", "tool_name": "Read", "tool_use_id": format!("t{n}"),
            "tool_response": {"text": response}})
        .to_string()
    };
    for round in 0..3 {
        let numbers = round * 12..round * 12 + 12;
        let called: Vec<Child> = numbers.clone().map(|n| start(&setup, &call(n))).collect();
        called
            .into_iter()
            .for_each(|child| silent(&child.wait_with_output().unwrap()));
        // One call of each round gets no result.
        let answered: Vec<Child> = numbers
            .skip(1)
            .map(|n| start(&setup, &done(n, n % 3 == 0)))
            .collect();
        answered
            .into_iter()
            .for_each(|child| silent(&child.wait_with_output().unwrap()));
    }
    hook(&setup, &end());
    flush(&setup);
    let lines = lines(&setup);
    let of = |status: &str| {
        let is_result = |line: &&Value| {
            line["data"]["type"] == "tool_result" && line["data"]["status"] == status
        };
        let found = lines.iter().filter(is_result);
        let mut ids: Vec<&str> = found
            .map(|line| line["data"]["callId"].as_str().unwrap())
            .collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(of("interrupted"), ["t0", "t12", "t24"]);
    assert_eq!(of("ok").len(), 33);
    assert_eq!(lines.last().unwrap()["data"]["status"], "interrupted");
    let troubles = troubles(&setup);
    assert!(
        troubles
            .lines()
            .all(|line| line.contains(" not delivered yet: ")),
        "{troubles}"
    );
}

#[test]
fn an_agent_that_runs_is_not_started_once_more_and_one_without_a_start_is_made_known_by_its_end() {
    let setup = setup();
    let of = |event: &str, agent: &str| {
        json!({"session_id": "c", "hook_event_name": event, "agent_id": agent, "agent_type": "plan"})
            .to_string()
    };
    hook(&setup, &call(0));
    for (event, agent) in [
        ("SubagentStart", "a"),
        ("SubagentStart", "a"),
        ("SubagentStop", "b"),
    ] {
        hook(&setup, &of(event, agent));
    }
    flush(&setup);
    let lines = lines(&setup);
    let started = lines
        .iter()
        .filter(|line| line["data"].get("task").is_some_and(|task| task == ""));
    let ids: Vec<&str> = started
        .map(|line| line["data"]["agentId"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["a", "b"]);
}

#[test]
fn a_hostile_transcript_is_refused_and_noted_and_holds_nothing_up() {
    let setup = setup();
    let path = |name: &str| setup.dir.path().join(name);
    let made = Command::new("mkfifo").arg(path("fifo.jsonl")).status();
    assert!(made.unwrap().success());
    std::fs::write(path("plain.jsonl"), answer("m", "stolen")).unwrap();
    std::os::unix::fs::symlink(path("plain.jsonl"), path("link.jsonl")).unwrap();
    for (n, name) in [
        "fifo.jsonl",
        "link.jsonl",
        "/proc/self/environ",
        "/dev/zero",
    ]
    .iter()
    .enumerate()
    {
        let payload = json!({"session_id": "c", "hook_event_name": "Stop", "transcript_path": path(name),
            "last_assistant_message": format!("done {n}")});
        hook(&setup, &payload.to_string());
        let troubles = troubles(&setup);
        assert!(
            troubles.contains("refused transcript") && troubles.contains(name),
            "{name}: {troubles}"
        );
    }
    flush(&setup);
    let texts: Vec<Value> = lines(&setup)
        .iter()
        .map(|line| line["data"]["text"].clone())
        .collect();
    let texts: Vec<&str> = texts.iter().filter_map(Value::as_str).collect();
    assert_eq!(texts, ["done 0", "done 1", "done 2", "done 3"]);
}

/// Returns a line of a transcript.
fn answer(id: &str, text: &str) -> String {
    json!({"type": "assistant", "timestamp": "2026-01-01T00:00:00.000Z", "message": {"id": id, "model": "opus",
        "stop_reason": "end_turn", "content": [{"type": "text", "text": text}],
        "usage": {"input_tokens": 3, "output_tokens": 4}}})
    .to_string()
        + "\n"
}

/// Returns the type and key of the service's log records that came from transcripts.
fn from_transcripts(setup: &Setup) -> Vec<String> {
    let is_from = |line: &&Value| line["data"]["origin"]["lane"] == "transcript";
    let name = |line: &Value| {
        let text = |name: &str| line["data"][name].as_str().unwrap_or("-").to_owned();
        format!("{} {} {}", text("key"), text("agentId"), text("type"))
    };
    lines(setup).iter().filter(is_from).map(name).collect()
}

#[test]
fn only_the_new_lines_of_the_transcripts_are_read_when_an_agent_stops() {
    let setup = setup();
    let main = setup.dir.path().join("s.jsonl");
    let agents = setup.dir.path().join("s/subagents");
    std::fs::create_dir_all(&agents).unwrap();
    let stop = |event: &str, text: &str| {
        let mut payload = json!({"session_id": "c", "hook_event_name": event, "transcript_path": main,
            "last_assistant_message": text});
        if event == "SubagentStop" {
            payload["agent_id"] = json!("a1");
            payload["agent_type"] = json!("plan");
        }
        hook(&setup, &payload.to_string());
    };
    std::fs::write(&main, answer("m1", "one")).unwrap();
    stop("Stop", "one");
    std::fs::write(agents.join("agent-a1.jsonl"), answer("a", "sub")).unwrap();
    stop("SubagentStop", "sub");
    std::fs::write(&main, answer("m1", "one") + &answer("m2", "two")).unwrap();
    stop("Stop", "two");
    stop("SessionEnd", "two");
    flush(&setup);
    assert_eq!(
        from_transcripts(&setup),
        [
            "msg:m1:0 - assistant_message",
            "usage:m1 - usage",
            "msg:a:0 a1 assistant_message",
            "usage:a a1 usage",
            "msg:m2:0 - assistant_message",
            "usage:m2 - usage",
        ]
    );
    let metadata = lines(&setup);
    let reported = metadata
        .iter()
        .filter(|line| line["data"]["model"] == "opus" && line["type"] == "metadata_update");
    assert_eq!(reported.count(), 1);
    assert_eq!(
        troubles(&setup).matches("transcript").count(),
        0,
        "{}",
        troubles(&setup)
    );
}

#[test]
fn a_line_that_cannot_be_read_is_noted_once_with_its_place() {
    let setup = setup();
    let main = setup.dir.path().join("s.jsonl");
    let first = answer("m1", "one");
    let broken = "{\"type\":\"assistant\",\"mess\n";
    let torn = "{\"type\":\"assistant\",";
    std::fs::write(&main, [&first, broken, &answer("m2", "two"), torn].concat()).unwrap();
    let stop = json!({"session_id": "c", "hook_event_name": "Stop", "transcript_path": main, "last_assistant_message": "two"});
    hook(&setup, &stop.to_string());
    hook(&setup, &stop.to_string());
    flush(&setup);
    let noted = troubles(&setup);
    let place = format!("the line at byte {} of {}", first.len(), main.display());
    assert_eq!(noted.matches("failed to read").count(), 1, "{noted}");
    assert!(noted.contains(&place), "{noted}");
    let found = from_transcripts(&setup);
    assert!(found.contains(&"usage:m2 - usage".to_owned()), "{found:?}");
}

#[test]
fn what_the_hooks_left_unread_is_recorded_by_flush() {
    let setup = setup();
    let main = setup.dir.path().join("s.jsonl");
    std::fs::write(&main, answer("m1", "one")).unwrap();
    let stop = json!({"session_id": "c", "hook_event_name": "Stop", "transcript_path": main, "last_assistant_message": "one"});
    hook(&setup, &stop.to_string());
    std::fs::write(&main, answer("m1", "one") + &answer("m2", "two")).unwrap();
    flush(&setup);
    flush(&setup);
    let found = from_transcripts(&setup);
    assert_eq!(
        found.iter().filter(|key| key.contains("m2")).count(),
        2,
        "{found:?}"
    );
}

/// Makes the state of the session name a process that has ended.
#[cfg(target_os = "linux")]
fn kill_run(setup: &Setup) {
    let path = folder(setup).join(format!("runs/{SESSION}.json"));
    let mut run: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    run["process"]["startTime"] = json!(1);
    std::fs::write(&path, run.to_string()).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn what_a_killed_run_displayed_is_recorded_by_flush_once() {
    let setup = setup();
    let main = setup.dir.path().join("s.jsonl");
    let of = |event: &str, more: Value| {
        let mut payload = json!({"session_id": "c", "hook_event_name": event, "transcript_path": main,
            "prompt_id": "p"});
        payload
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        hook(&setup, &payload.to_string());
    };
    of("SessionStart", json!({"source": "startup"}));
    of("UserPromptSubmit", json!({"prompt": "go"}));
    for (id, delta) in [("d1", "one"), ("d2", "displayed only")] {
        of(
            "MessageDisplay",
            json!({"message_id": id, "index": 0, "delta": delta}),
        );
    }
    // No hook has read it.
    std::fs::write(&main, answer("m1", "one") + &answer("m2", "two")).unwrap();
    let said = || {
        let is_said = |line: &&Value| line["data"]["type"] == "assistant_message";
        let text = |line: &Value| line["data"]["text"].as_str().unwrap().to_owned();
        lines(&setup)
            .iter()
            .filter(is_said)
            .map(text)
            .collect::<Vec<_>>()
    };
    flush(&setup);
    assert_eq!(said(), ["one"], "it still runs");
    kill_run(&setup);
    flush(&setup);
    flush(&setup);
    assert_eq!(said(), ["one", "two", "displayed only"]);
}

/// The transcript ends with the message's call: no line of another message follows.
#[cfg(target_os = "linux")]
#[test]
fn the_last_message_of_a_killed_run_is_taken_from_its_transcript_by_the_next_start() {
    let setup = setup();
    let main = setup.dir.path().join("s.jsonl");
    let of = |event: &str, more: Value| {
        let mut payload = json!({"session_id": "c", "hook_event_name": event, "transcript_path": main, "prompt_id": "p"});
        let fields = payload.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        hook(&setup, &payload.to_string());
    };
    of("SessionStart", json!({"source": "startup"}));
    of("UserPromptSubmit", json!({"prompt": "go"}));
    of(
        "MessageDisplay",
        json!({"message_id": "d1", "index": 0, "delta": "one"}),
    );
    std::fs::write(&main, answer("m1", "one")).unwrap();
    kill_run(&setup);
    of("SessionStart", json!({"source": "resume"}));
    std::fs::write(&main, answer("m1", "one") + &answer("m2", "two")).unwrap();
    of("Stop", json!({"last_assistant_message": "two"}));
    flush(&setup);
    let lines = lines(&setup);
    let keys = |kind: &str| {
        let of_kind = lines.iter().filter(|line| line["data"]["type"] == kind);
        let keys = of_kind.map(|line| line["data"]["key"].as_str().unwrap().to_owned());
        keys.collect::<Vec<_>>()
    };
    assert_eq!(keys("assistant_message"), ["msg:m1:0", "msg:m2:0"]);
    assert_eq!(keys("amend"), [""; 0]);
}

#[test]
fn a_killed_run_leaves_its_messages_to_the_next_start() {
    let setup = setup();
    let main = setup.dir.path().join("s.jsonl");
    let of = |event: &str| {
        json!({"session_id": "c", "hook_event_name": event, "transcript_path": main, "source": "resume", "prompt": "go"})
            .to_string()
    };
    hook(&setup, &of("UserPromptSubmit"));
    std::fs::write(&main, answer("m1", "one") + &answer("m2", "two")).unwrap();
    hook(&setup, &of("SessionStart"));
    flush(&setup);
    let found = from_transcripts(&setup);
    assert!(found.contains(&"usage:m1 - usage".to_owned()), "{found:?}");
}

#[test]
fn the_calls_of_a_run_tell_the_model_as_soon_as_the_transcript_has_it() {
    let setup = setup();
    let transcript = setup.dir.path().join("transcript.jsonl");
    let answer = json!({"type": "assistant", "message": {"model": "opus"}}).to_string() + "\n";
    for (n, text) in ["", &answer, &answer].into_iter().enumerate() {
        std::fs::write(&transcript, text).unwrap();
        let mut payload: Value = serde_json::from_str(&call(n)).unwrap();
        payload["transcript_path"] = json!(transcript);
        hook(&setup, &payload.to_string());
    }
    flush(&setup);
    let models: Vec<Value> = lines(&setup)
        .iter()
        .map(|line| line["data"]["model"].clone())
        .collect();
    let reported: Vec<&Value> = models.iter().filter(|model| !model.is_null()).collect();
    assert_eq!(reported, ["opus"]);
    assert_eq!(last(&setup)["callId"], "t2");
}

#[test]
fn a_payload_is_recorded_though_its_pipe_stays_open() {
    let setup = setup();
    let mut hook = command(&setup, &["claude-code"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = hook.stdin.take().unwrap();
    pipe.write_all(br#"{"session_id":"c","hook_event_name":"UserPromptSubmit","prompt":"}\"{"}"#)
        .unwrap();
    sooner_or_later(|| {
        let ended = hook.try_wait().unwrap();
        ended
            .filter(std::process::ExitStatus::success)
            .map(|_| ())
            .ok_or_else(|| format!("{ended:?}"))
    });
    drop(pipe);
    flush(&setup);
    assert_eq!(last(&setup)["text"], "}\"{");
}

#[test]
fn half_a_character_spoils_neither_the_record_nor_the_end() {
    let setup = setup();
    for payload in [
        r#"{"session_id":"c","hook_event_name":"UserPromptSubmit","prompt":"go \ud83d on"}"#,
        r#"{"session_id":"c","hook_event_name":"PostToolUseFailure","tool_name":"Bash","tool_use_id":"t","error":"bad \udc00"}"#,
        "\u{feff}{\"session_id\":\"c\",\"hook_event_name\":\"StopFailure\",\"error\":\"rate \\ud83d limit\"}",
        r#"{"session_id":"c","hook_event_name":"SessionEnd","reason":"other"}"#,
    ] {
        hook(&setup, payload);
    }
    flush(&setup);
    let lines = lines(&setup);
    let of = |kind: &str| {
        &lines
            .iter()
            .find(|line| line["data"]["type"] == kind)
            .unwrap()["data"]
    };
    assert_eq!(of("user_message")["text"], "go \u{fffd} on");
    assert_eq!(of("tool_result")["error"], json!("bad \u{fffd}"));
    assert_eq!(of("tool_result")["tool"], json!("Bash"));
    assert_eq!(of("error")["kind"], "rate \u{fffd} limit");
    let end = lines
        .iter()
        .find(|line| line["type"] == "finalize")
        .unwrap();
    assert_eq!(end["data"]["status"], "error");
}

#[test]
fn calls_whose_ids_differ_in_half_a_character_are_both_stored() {
    let setup = setup();
    for half in ["\\ud83d", "\\ud83e"] {
        let payload = call(1).replace("t1", half);
        assert!(payload.contains(half), "{payload}");
        hook(&setup, &payload);
    }
    flush(&setup);
    let keys: Vec<String> = lines(&setup)
        .iter()
        .filter(|line| line["data"]["event"] == "PreToolUse")
        .map(|line| line["data"]["key"].to_string())
        .collect();
    assert_eq!(keys.len(), 2, "{keys:?}");
    assert_ne!(keys[0], keys[1]);
}

#[test]
fn the_hook_exits_with_0_and_prints_nothing_for_any_input() {
    let setup = setup();
    for payload in [
        "",
        "{",
        "[]",
        "null",
        "{}",
        "\u{0}\u{7}",
        "{\"hook_event_name\":7}",
    ] {
        hook(&setup, payload);
    }
    flush(&setup);
    let kinds: Vec<Value> = lines(&setup)
        .iter()
        .map(|line| line["data"]["type"].clone())
        .collect();
    assert_eq!(
        kinds
            .iter()
            .filter(|kind| *kind == "unreadable_hook")
            .count(),
        5,
        "{kinds:?}"
    );
    assert!(troubles(&setup).lines().count() >= 5);
    for arguments in [
        vec!["claude-code", "--nope"],
        vec!["claude-code", "more"],
        vec!["--wait", "x", "claude-code"],
    ] {
        let output = command(&setup, &arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        if arguments[0] == "claude-code" {
            silent(&output);
        }
    }
    let output = command(&setup, &["claude-code"])
        .env("SESSION_SERVICE_URL", "ftp://x")
        .output()
        .unwrap();
    silent(&output);
}

#[test]
fn settings_that_cannot_be_read_are_noted_where_the_records_would_have_gone() {
    let setup = setup();
    let mut hook = command(&setup, &["claude-code"]);
    hook.env(
        "HOOK_AGENT_REDACTION_RULES",
        setup.dir.path().join("no-such-rules.toml"),
    )
    .stdin(Stdio::null());
    silent(&hook.output().unwrap());
    assert_eq!(
        troubles(&setup).matches("no-such-rules.toml").count(),
        1,
        "{}",
        troubles(&setup)
    );

    let named = crate::setup::setup();
    let elsewhere = tempfile::tempdir().unwrap();
    let url = named.service.url();
    let dir = named.dir.path().to_str().unwrap();
    let mut hook = command(&setup, &["claude-code", "--url", &url, "--spool-dir", dir]);
    hook.env("HOOK_AGENT_SPOOL_MAX_BYTES", "9")
        .env("HOME", elsewhere.path())
        .stdin(Stdio::null());
    silent(&hook.output().unwrap());
    assert!(
        troubles(&named).contains("HOOK_AGENT_SPOOL_MAX_BYTES"),
        "{}",
        troubles(&named)
    );
    assert_eq!(
        troubles(&setup).lines().count(),
        1,
        "nothing in the place that the options replace"
    );
    assert_eq!(elsewhere.path().read_dir().unwrap().count(), 0);
}

#[test]
fn without_a_spool_the_records_go_straight_to_the_service() {
    sooner_or_later(|| {
        let setup = setup();
        let mut command = command(&setup, &["claude-code"]);
        command
            .env("HOOK_AGENT_SPOOL_DIR", "/proc/none")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(call(0).as_bytes())
            .unwrap();
        silent(&child.wait_with_output().unwrap());
        let found = calls(&setup);
        (found == ["t0"]).then_some(()).ok_or(format!("{found:?}"))
    });
}

#[test]
fn what_did_not_fit_goes_straight_to_the_service_and_what_fitted_is_stored_once() {
    sooner_or_later(|| {
        let setup = setup();
        let lines = with_a_spool_that_is_full(&setup);
        // Records that the service did not accept within a hook's second are lost, and reported as
        // lost.
        if troubles(&setup).contains(" records lost: ") {
            return Err(troubles(&setup));
        }
        let count = |what: &dyn Fn(&Value) -> bool| lines.iter().filter(|line| what(line)).count();
        assert_eq!(count(&|line| line["type"] == "agent_spawn"), 1, "fitted");
        assert_eq!(
            count(&|line| line["data"]["type"] == "agent_started"),
            1,
            "did not"
        );
        assert_eq!(
            count(&|line| line["data"]["type"] == "notification"),
            1,
            "was there before"
        );
        Ok(())
    });
}

/// Returns the service's lines after a spool had room for all of an agent's records but the last.
fn with_a_spool_that_is_full(setup: &Setup) -> Vec<Value> {
    let bounded = |payload: &str| {
        let mut command = command(setup, &["claude-code", "--wait", "1000"]);
        command
            .env("HOOK_AGENT_SPOOL_MAX_BYTES", "1048576")
            .env("HOOK_AGENT_SPOOL_FULL", "reject-new");
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(payload.as_bytes())
            .unwrap();
        assert!(child.wait().unwrap().success());
    };
    let of = |event: &str, size: usize| {
        json!({"session_id": "c", "hook_event_name": event, "agent_id": "a", "agent_type": "t", "more": "x".repeat(size)})
            .to_string()
    };
    setup.service.down();
    bounded(&of("Notification", 1_040_000));
    setup.service.up();
    bounded(&of("SubagentStart", 20_000));
    assert!(troubles(setup).contains("is full"), "{}", troubles(setup));
    flush(setup);
    lines(setup)
}

#[test]
fn the_session_belongs_to_the_user_who_is_named_or_else_to_that_of_the_system() {
    for (variables, user) in [
        (&[("USER", "ada")][..], "ada"),
        (
            &[("USER", "ada"), ("SESSION_USER_ID", "grace")][..],
            "grace",
        ),
    ] {
        let setup = setup();
        let mut hook = command(&setup, &["claude-code", "--wait", "20000"]);
        hook.envs(variables.iter().copied());
        let begin = json!({"session_id": "c", "hook_event_name": "SessionStart"}).to_string();
        silent(&start_command(hook, &begin).wait_with_output().unwrap());
        let service = setup.service.lock();
        let created = service
            .requests
            .iter()
            .find(|request| request.path == "/api/sessions")
            .unwrap();
        let body: Value = serde_json::from_str(&created.body).unwrap();
        assert_eq!(body["userId"], user);
    }
}

#[test]
fn a_record_that_keeps_breaking_the_service_does_not_hold_the_rest_back_for_ever() {
    for breaking in ["t1", "\"userId\""] {
        let setup = setup();
        setup.service.lock().breaks_on = Some(breaking);
        setup.service.down();
        hook(
            &setup,
            &json!({"session_id": "c", "hook_event_name": "SessionStart"}).to_string(),
        );
        (1..4).for_each(|n| hook(&setup, &call(n)));
        setup.service.up();
        let flush = |timeout: &str, max_age: &str| {
            let mut flush = command(&setup, &["flush", "--timeout", timeout]);
            flush
                .env("HOOK_AGENT_SPOOL_MAX_AGE", max_age)
                .output()
                .unwrap()
                .status
                .code()
        };
        // More attempts than would suffice once the time is over. The time is a 2000th of the
        // spool's age limit.
        let failed = || {
            let state = setup.service.lock();
            state
                .requests
                .iter()
                .filter(|request| request.body.contains(breaking))
                .count()
        };
        sooner_or_later(|| {
            assert_eq!(
                flush("100", "60480000"),
                Some(69),
                "given up though eight hours are not over"
            );
            let failed = failed();
            (failed > 30)
                .then_some(())
                .ok_or(format!("it was tried {failed} times"))
        });
        assert!(!folder(&setup).join("rejected").exists());
        assert_eq!(
            flush("30000", "600"),
            Some(76),
            "not given up after a third of a second: {}",
            failed()
        );
        let all = ["t1", "t2", "t3"];
        assert_eq!(calls(&setup), all[usize::from(breaking == "t1")..]);
        let rejected =
            std::fs::read_to_string(folder(&setup).join("rejected/events.jsonl")).unwrap();
        assert!(
            rejected.contains("service_failed") && rejected.contains(breaking),
            "{rejected}"
        );
        assert_eq!(rejected.lines().count(), 1);
    }
}

#[test]
fn a_service_that_hangs_costs_a_hook_its_bounded_moment_and_the_end_its_second() {
    for (payload, most) in [
        (call(0), Duration::from_millis(700)),
        (end(), Duration::from_millis(1500)),
    ] {
        sooner_or_later(|| {
            // A new setup for each attempt: a hook that keeps the pause after a failure is quick
            // anyway.
            let setup = setup();
            setup.service.lock().always = Some(Fault::Hang);
            let begun = Instant::now();
            hook(&setup, &payload);
            let took = begun.elapsed();
            let asked = !setup.service.lock().requests.is_empty();
            (asked && took < most)
                .then_some(())
                .ok_or(format!("{took:?} for {payload}, asked: {asked}"))
        });
    }
}

#[test]
fn the_session_is_claude_codes_own_where_none_is_named() {
    let setup = setup();
    let mut command = command(&setup, &["claude-code"]);
    let mut child = command
        .env_remove("SESSION_ID")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(call(0).as_bytes())
        .unwrap();
    assert!(child.wait().unwrap().success());
    flush(&setup);
    let data = setup.service.data("c");
    assert_eq!(data.last().unwrap()["callId"], "t0");
}

#[test]
fn install_writes_the_settings_once_and_uninstall_takes_them_out() {
    let setup = setup();
    let home = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = command(&setup, arguments);
        let output = command
            .env("HOME", home.path())
            .current_dir(home.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let path = home.path().join(".claude/settings.json");
    let shown = run(&["install", "claude-code", "--user", "--dry-run"]);
    assert!(!path.exists() && shown.contains("\"SessionEnd\""));
    for place in ["--user", "--project"] {
        run(&["install", "claude-code", place]);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), shown);
    }
    let settings: Value = shown.parse().unwrap();
    let hook = &settings["hooks"]["SessionEnd"][0]["hooks"][0];
    assert_eq!(hook["command"], json!(env!("CARGO_BIN_EXE_hook-agent")));
    assert_eq!(hook["args"], json!(["claude-code"]));
    // A hook of an earlier version whose program would not be found is repaired.
    std::fs::write(
        &path,
        shown.replace(env!("CARGO_BIN_EXE_hook-agent"), "/gone/hook-agent"),
    )
    .unwrap();
    let said = run(&["install", "claude-code"]);
    assert!(said.contains(env!("CARGO_BIN_EXE_hook-agent")), "{said}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), shown);
    run(&["uninstall", "claude-code"]);
    assert!(!path.exists(), "it was made for the hooks alone");
}

#[test]
fn hooks_drain_a_full_spool_once_the_service_is_back() {
    let setup = setup();
    let bounded = |name: &str, wait: &str| {
        let mut hook = command(&setup, &["claude-code", "--wait", wait]);
        hook.env("HOOK_AGENT_SPOOL_MAX_BYTES", "65536")
            .env("HOOK_AGENT_SPOOL_FULL", "reject-new");
        let message = format!("{name}{}", " ".repeat(9_000));
        let payload =
            json!({"session_id": "c", "hook_event_name": "Notification", "message": message})
                .to_string();
        silent(&start_command(hook, &payload).wait_with_output().unwrap());
    };
    setup.service.down();
    ["a", "b", "c"].iter().for_each(|name| bounded(name, "1"));
    setup.service.up();
    let names = || {
        let first = |line: &Value| {
            line["data"]["message"]
                .as_str()
                .and_then(|text| text.chars().next())
        };
        lines(&setup).iter().filter_map(first).collect::<String>()
    };
    // Hooks pause for up to a second after a failure.
    sooner_or_later(|| {
        bounded("d", "20000");
        names().contains("abc").then_some(()).ok_or_else(names)
    });
    assert!(
        !troubles(&setup).contains(" records lost: "),
        "{}",
        troubles(&setup)
    );
}
