//! Tests what becomes of long values: blobs, references and excerpts.

use hook_agent::{Call, HookAgent};
use serde_json::{Value, json};

use crate::command::{command, output, run};
use crate::service::Blob;
use crate::setup::{DEADLINE, SESSION, Setup, config, numbered, setup_with};

/// A service with blobs, and an agent that uses it.
pub fn with_blobs() -> Setup {
    let setup = setup_with(|_| {});
    setup.service.lock().has_blobs = true;
    setup
}

/// Bytes that look like an image.
pub fn image(bytes: usize) -> Vec<u8> {
    let noise = (0..bytes).map(|n| (n * 7919 % 253) as u8);
    b"\x89PNG\r\n\x1a\n".iter().copied().chain(noise).collect()
}

pub fn base64(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let mut all = [0; 3];
        all[..three.len()].copy_from_slice(three);
        let all = u32::from_be_bytes([0, all[0], all[1], all[2]]);
        for at in 0..4 {
            let digit = DIGITS[(all >> (18 - 6 * at)) as usize & 63] as char;
            let _ = text.write_char(if at <= three.len() as u32 as usize {
                digit
            } else {
                '='
            });
        }
    }
    text
}

/// Returns the blob that a reference names.
pub fn blob(setup: &Setup, session: &str, reference: &Value) -> Blob {
    let name = reference["$blob"].as_str().unwrap();
    let state = setup.service.lock();
    let blobs = &state.sessions[session].blobs;
    blobs[name.strip_prefix("sha256:").unwrap()].clone()
}

fn text_of(blob: &Blob) -> &str {
    assert_eq!(blob.media_type, "text/plain; charset=utf-8");
    std::str::from_utf8(&blob.bytes).unwrap()
}

pub fn paths(setup: &Setup) -> Vec<String> {
    let state = setup.service.lock();
    let name = |request: &crate::service::Request| {
        let last = request.path.rsplit('/').next().unwrap();
        let last = if last.len() == 64 { "blob" } else { last };
        format!("{} {last}", request.method)
    };
    state.requests.iter().map(name).collect()
}

#[test]
fn a_long_text_keeps_its_ends_and_an_image_becomes_a_reference() {
    let setup = with_blobs();
    let text = format!("start {} end", "line\n".repeat(40_000));
    let image = image(5000);
    let record = json!({
        "type": "tool_result", "n": 0, "output": text, "raw": {"stdout": text},
        "blocks": [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": base64(&image)}}],
    });
    setup.agent.log_action(&record).unwrap();
    setup.agent.log_action(&numbered(1)).unwrap();
    assert!(setup.agent.flush(DEADLINE).unwrap());
    let data = &setup.service.data(SESSION)[0];
    let output = data["output"].as_str().unwrap();
    assert!(output.starts_with("start line\n") && output.ends_with("line\n end"));
    assert!(output.contains("bytes left out]\n") && output.len() < 40_000);
    assert_eq!(data["raw"]["stdout"], data["output"]);
    let lengths = json!({"output": text.len(), "raw.stdout": text.len()});
    assert_eq!(data["truncated"], lengths);
    let whole = blob(&setup, SESSION, &data["blobs"]["output"]);
    assert!(text_of(&whole) == text);
    assert_eq!(data["blobs"]["raw.stdout"], data["blobs"]["output"]);
    let reference = &data["blocks"][0]["source"]["data"];
    let shown = blob(&setup, SESSION, reference);
    assert_eq!(shown.media_type, "image/png");
    assert!(shown.bytes == image);
    assert_eq!(reference["bytes"], image.len());
    assert_eq!(setup.service.numbers(SESSION), [0, 1]);
    assert_eq!(
        paths(&setup)[..3],
        ["PUT blob", "PUT blob", "POST events"],
        "each blob once, before the record"
    );
    let stats = setup.agent.stats().unwrap();
    assert_eq!(stats.blobs, 3);
    assert_eq!(stats.shortened, 0);
    assert_eq!(stats.pending, 0);
}

#[test]
fn what_a_program_reads_back_stays_whole() {
    let setup = with_blobs();
    let text = "x".repeat(200_000);
    setup.agent.create_session(&json!({"input": text})).unwrap();
    setup.agent.update_state(&json!({"notes": text})).unwrap();
    setup
        .agent
        .add_goal(&json!({"id": "g", "description": text}))
        .unwrap();
    setup
        .agent
        .finalize_session(&json!({"response": text}))
        .unwrap();
    assert!(setup.agent.flush(DEADLINE).unwrap());
    assert_eq!(setup.service.data(SESSION)[0]["notes"], text);
    assert!(!paths(&setup).contains(&"PUT blob".to_owned()));
}

#[test]
fn a_record_beyond_the_service_s_limit_is_taken_if_its_long_values_are_blobs() {
    let setup = with_blobs();
    let image = image(11 << 20);
    let large = json!({"type": "tool_result", "n": 0, "output": [{"data": base64(&image), "mimeType": "image/png"}]});
    setup.agent.log_action(&large).unwrap();
    assert!(setup.agent.flush(DEADLINE).unwrap());
    let data = &setup.service.data(SESSION)[0];
    assert!(blob(&setup, SESSION, &data["output"][0]["data"]).bytes == image);
    let words: Vec<String> = (0..11_000).map(|n| format!("{n:01000}")).collect();
    for refused in [
        json!({"many": words}),
        json!({"text": "x".repeat(33 << 20)}),
    ] {
        let error = setup.agent.log_action(&refused).unwrap_err();
        assert_eq!(error.code(), "event_too_large");
    }
    let state = json!({"text": "x".repeat(11 << 20)});
    let error = setup.agent.update_state(&state).unwrap_err();
    assert_eq!(error.code(), "event_too_large");
}

#[test]
fn it_can_be_turned_off_and_its_threshold_set() {
    for (name, value, blobs) in [
        ("HOOK_AGENT_BLOBS", "on", 1),
        ("HOOK_AGENT_BLOBS", "off", 0),
        ("HOOK_AGENT_BLOB_THRESHOLD", "100000", 0),
        ("HOOK_AGENT_BLOB_THRESHOLD", "99999", 1),
    ] {
        let setup = with_blobs();
        let record = json!({"n": 0, "text": "x".repeat(100_000)}).to_string();
        let mut action = command(&setup, &["action", "-", "--wait", "20000", "--strict"]);
        action.env(name, value);
        let done = output(action, &record);
        assert!(done.status.success(), "{done:?}");
        assert_eq!(
            setup.service.lock().sessions[SESSION].blobs.len(),
            blobs,
            "{value}"
        );
        let text = setup.service.data(SESSION)[0]["text"]
            .as_str()
            .unwrap()
            .len();
        assert_eq!(text == 100_000, blobs == 0, "{value}");
    }
}

#[test]
fn no_secret_is_sent_in_a_blob() {
    let setup = with_blobs();
    let secret = format!("gh{}_{}", "p", "a1B2c3D4e5F6".repeat(3));
    let text = format!(
        "{}\ntoken {secret}\n{}",
        "x y\n".repeat(30_000),
        "z\n".repeat(30_000)
    );
    setup
        .agent
        .log_response(&json!({"n": 0, "text": text}))
        .unwrap();
    assert!(setup.agent.flush(DEADLINE).unwrap());
    let data = &setup.service.data(SESSION)[0];
    let whole = blob(&setup, SESSION, &data["blobs"]["text"]);
    let whole = text_of(&whole);
    assert!(whole.contains("[redacted:github_token:") && !whole.contains(&secret));
}

#[test]
fn the_image_that_a_tool_returns_to_claude_code_is_a_blob() {
    let setup = with_blobs();
    let image = image(90_000);
    let payload = json!({
        "session_id": "c", "hook_event_name": "PostToolUse", "tool_name": "Read", "tool_use_id": "t1",
        "tool_input": {"file_path": "/x/shot.png"},
        "tool_response": {"type": "image", "file": {"base64": base64(&image), "type": "image/png", "originalSize": image.len()}},
    });
    let done = run(
        &setup,
        &["claude-code", "--wait", "20000"],
        &payload.to_string(),
    );
    assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
    let data = setup.service.data(SESSION);
    let result = data
        .iter()
        .find(|data| data["type"] == "tool_result")
        .unwrap();
    let reference = &result["output"]["file"]["base64"];
    let shown = blob(&setup, SESSION, reference);
    assert_eq!(shown.media_type, "image/png");
    assert!(shown.bytes == image);
    assert!(result.to_string().len() < 2000, "{result}");
}

#[test]
fn a_payload_beyond_the_limit_of_an_event_is_recorded_whole() {
    let setup = with_blobs();
    let content = "line of a file\n".repeat(1 << 20);
    let payload = json!({
        "session_id": "c", "hook_event_name": "PreToolUse", "tool_name": "Write", "tool_use_id": "t0",
        "tool_input": {"file_path": "/x", "content": content},
    });
    let done = run(
        &setup,
        &["claude-code", "--wait", "20000"],
        &payload.to_string(),
    );
    assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
    let flush = command(&setup, &["flush", "--timeout", "30000"]).status();
    assert!(flush.unwrap().success());
    let data = setup.service.data(SESSION);
    let call = data.iter().find(|data| data["callId"] == "t0").unwrap();
    let whole = blob(&setup, SESSION, &call["blobs"]["input.content"]);
    assert!(text_of(&whole) == content);
}

#[test]
fn exec_records_a_long_output_whole() {
    let setup = with_blobs();
    let script = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done";
    let done = run(
        &setup,
        &["exec", "--wait", "20000", "--", "sh", "-c", script],
        "",
    );
    assert!(done.status.success(), "{done:?}");
    let data = setup.service.data(SESSION);
    let result = data
        .iter()
        .find(|data| data["type"] == "tool_result")
        .unwrap();
    assert_eq!(result["truncated"]["output"], done.stdout.len());
    let whole = blob(&setup, SESSION, &result["blobs"]["output"]);
    assert!(whole.bytes == done.stdout);
}

#[test]
fn a_call_with_a_long_value_is_answered_like_any_other() {
    let setup = with_blobs();
    let text = "x".repeat(100_000);
    let ticket = setup
        .agent
        .log_action(&json!({"n": 0, "text": text}))
        .unwrap();
    let answer: Value = ticket.wait(DEADLINE).unwrap().parse().unwrap();
    assert_eq!(answer["seq"], 1);
    let other = HookAgent::new(config(&setup.service.url(), setup.dir.path()));
    let json = json!({"n": 1, "text": text}).to_string();
    let ticket = other
        .for_session("s-2")
        .unwrap()
        .send(Call::Response, &json)
        .unwrap();
    ticket.wait(DEADLINE).unwrap();
    let data = &setup.service.data("s-2")[0];
    assert!(blob(&setup, "s-2", &data["blobs"]["text"]).bytes == text.as_bytes());
}
