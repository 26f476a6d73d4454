//! Tests of the records that helpers make.

use serde_json::{Value, json};
use session_model::records::Record;

use super::*;

fn record(helper: Helper, parts: &Value, fields: &Value) -> Value {
    let text = helper.record(&parts.to_string(), &fields.to_string());
    text.unwrap().json.parse().unwrap()
}

#[test]
fn every_helper_is_found_by_its_name_and_writes_to_the_log_of_its_type() {
    let calls = Helper::ALL.iter().map(|helper| {
        assert_eq!(Helper::parse(helper.name()), Some(*helper));
        helper.call().name()
    });
    let calls: Vec<_> = calls.collect();
    let said = "response";
    let done = "action";
    assert_eq!(calls, [done, done, said, said, said, done, done, done]);
    assert_eq!(Helper::parse("log_action"), None);
}

#[test]
fn a_record_of_every_helper_has_all_that_the_vocabulary_requires() {
    let rows = [
        (
            Helper::ToolCall,
            json!({"tool": "Bash", "input": {"command": "ls"}}),
        ),
        (
            Helper::ToolResult,
            json!({"tool": "Bash", "callId": "c", "output": 1}),
        ),
        (Helper::UserMessage, json!({"text": "t"})),
        (Helper::AssistantMessage, json!({"text": "t"})),
        (Helper::Thinking, json!({"text": null})),
        (Helper::Usage, json!({"messageId": "m", "model": "o"})),
        (Helper::FileChange, json!({"path": "/a", "op": "edit"})),
        (Helper::Checkpoint, json!({"message": "here"})),
    ];
    assert_eq!(rows.len(), Helper::ALL.len());
    for (helper, parts) in rows {
        let Value::Object(fields) = record(helper, &parts, &json!({})) else {
            unreachable!("a record is an object")
        };
        let kind = RecordType::parse(fields["type"].as_str().unwrap()).unwrap();
        for field in kind.fields().iter().filter(|field| field.is_required) {
            assert!(
                fields.contains_key(field.name),
                "{} of {kind:?}",
                field.name
            );
        }
        assert_eq!(Record::of_fields(fields).warnings, [], "{kind:?}");
    }
}

#[test]
fn digits_and_unknown_fields_stay_as_the_caller_wrote_them() {
    let fields = r#"{"n":1e3,"big":123456789012345678901234567890,"nested":{"a":[1.0]}}"#;
    let text = Helper::Checkpoint
        .record(r#"{"message":"m"}"#, fields)
        .unwrap()
        .json;
    assert!(text.ends_with(&fields[1..]), "{text}");
}

#[test]
fn an_origin_is_completed_and_keeps_its_fields() {
    let origin = |given: Value| {
        let fields = json!({"origin": given});
        record(Helper::Checkpoint, &json!({"message": "m"}), &fields)["origin"].clone()
    };
    assert_eq!(
        origin(json!(null)),
        json!({"agent": "unknown", "lane": "sdk"})
    );
    assert_eq!(
        origin(json!({"agent": "codex", "agentVersion": "1", "line": 2, "x": true})),
        json!({"agent": "codex", "agentVersion": "1", "lane": "sdk", "line": 2, "x": true})
    );
    assert_eq!(
        origin(json!({"agent": "codex", "lane": "exec"})),
        json!({"agent": "codex", "lane": "exec"})
    );
    assert_eq!(origin(json!("codex")), json!("codex"));
}

#[test]
fn a_key_needs_all_of_its_ids_and_is_shortened_if_it_is_long() {
    let key = |helper, fields: Value| record(helper, &json!({}), &fields)["key"].clone();
    let message = json!({"messageId": "m"});
    assert_eq!(key(Helper::AssistantMessage, message.clone()), json!(null));
    assert_eq!(key(Helper::Usage, message), json!("usage:m"));
    assert_eq!(key(Helper::ToolCall, json!({"callId": ""})), json!(null));
    let file = json!({"path": "/a"});
    assert_eq!(key(Helper::FileChange, file), json!(null));
    let task = json!({"turnId": "t", "agentId": "a"});
    assert_eq!(key(Helper::UserMessage, task), json!(null));
    let long = key(Helper::Checkpoint, json!({"key": "k".repeat(300)}));
    assert_eq!(long.as_str().unwrap().len(), 256);
    let call = json!({"key": "own", "callId": "c"});
    assert_eq!(key(Helper::ToolCall, call), json!("own"));
}

#[test]
fn parts_of_another_kind_are_recorded_as_they_are() {
    let parts = json!({"tool": {"name": "x"}, "input": null});
    let call = record(Helper::ToolCall, &parts, &json!({"callId": ["c"]}));
    assert_eq!(
        call,
        json!({
            "type": "tool_call", "origin": {"agent": "unknown", "lane": "sdk"},
            "tool": {"name": "x"}, "input": null, "callId": ["c"],
        })
    );
}

#[test]
fn text_that_is_no_object_is_refused_by_the_name_of_the_helper() {
    let error = Helper::Usage.record("[1]", "{}").unwrap_err();
    let error = not_json(Helper::Usage, &error);
    assert_eq!(error.code(), "invalid_json");
    assert!(
        error
            .to_string()
            .starts_with("`log_usage` needs a JSON object")
    );
}

#[test]
fn a_time_of_the_caller_stays_and_is_known() {
    let made = |fields: &Value| {
        let record = Helper::Checkpoint.record(r#"{"message":"m"}"#, &fields.to_string());
        record.unwrap().has_timestamp
    };
    assert!(made(&json!({"timestamp": "2026-01-01T00:00:00Z"})));
    assert!(!made(&json!({"time": 1})));
}

#[test]
fn values_and_their_json_make_the_same_record() {
    let fields = r#"{"callId":"c\"1","na\"me":1}"#;
    let values = [r#""Bash""#.to_owned(), r#"{"command":"ls"}"#.to_owned()];
    let of_values = Helper::ToolCall.record_of_values(&values, fields).unwrap();
    let of_text = Helper::ToolCall
        .record(&Helper::ToolCall.object(&values), fields)
        .unwrap();
    assert_eq!(of_values.json, of_text.json);
    let read: Value = of_text.json.parse().unwrap();
    assert_eq!(read["na\"me"], 1);
    assert_eq!(read["key"], "call:c\"1");
}
