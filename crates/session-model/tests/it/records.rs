//! Records of the vocabulary, read and written.

use proptest::prelude::*;
use serde_json::{Map, Number, Value, json};
use session_model::RecordBody;
use session_model::records::{
    Body, Common, Content, Kind, Origin, Record, RecordType, ResultStatus, Warning, body,
};

const DIGEST: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn read(value: Value) -> (Record, Vec<Warning>) {
    let parsed = Record::parse(&value.to_string()).unwrap();
    (parsed.record, parsed.warnings)
}

fn warnings(value: &Value) -> Vec<Value> {
    let text = value.to_string();
    let body = RecordBody::parse(text.as_bytes()).unwrap();
    let appended = serde_json::to_value(body.warnings()).unwrap();
    let parsed = serde_json::to_value(Record::parse(&text).unwrap().warnings).unwrap();
    let parsed = parsed.as_array().unwrap().clone();
    // The answer to an append has the first eight.
    assert_eq!(
        appended.as_array().unwrap()[..],
        parsed[..parsed.len().min(8)],
        "{text}"
    );
    parsed
}

#[test]
fn a_result_is_read_into_its_fields() {
    let (record, warnings) = read(json!({
        "seq": 7, "type": "tool_result", "callId": "c1", "tool": "Bash", "status": "error", "exitCode": 2,
        "output": {"stdout": ""}, "error": "no such file", "durationMs": 1.5,
        "origin": {"agent": "codex", "lane": "hook", "line": 3, "x": 1},
    }));
    assert_eq!(warnings, []);
    assert_eq!(record.seq, Some(7));
    assert_eq!(record.common.call_id.as_deref(), Some("c1"));
    let origin: &Origin = record.common.origin.as_ref().unwrap();
    assert_eq!(origin.fields.agent.as_deref(), Some("codex"));
    assert_eq!(origin.fields.line, Some(3));
    assert_eq!(origin.extra["x"], 1);
    let Body::ToolResult(result) = &record.body else {
        panic!("{:?}", record.body);
    };
    assert_eq!(result.status, Some(ResultStatus::Error));
    assert_eq!(result.exit_code, Some(2));
    assert_eq!(result.duration_ms, Number::from_f64(1.5));
    assert_eq!(result.error, Some(Content::from("no such file")));
    assert_eq!(record.extra, Map::new());
}

#[test]
fn a_record_that_is_built_is_the_json_of_the_specification() {
    let mut record = Record::new(body::ToolResult {
        tool: Some("Bash".to_owned()),
        status: Some(ResultStatus::Ok),
        exit_code: Some(0),
        ..body::ToolResult::default()
    });
    record.common = Common {
        call_id: Some("c1".to_owned()),
        ..Common::default()
    };
    let expected = json!({"type": "tool_result", "callId": "c1", "tool": "Bash", "status": "ok", "exitCode": 0});
    assert_eq!(Value::Object(record.into_fields()), expected);
}

#[test]
fn a_field_of_another_kind_is_kept_as_given_and_reported() {
    let (record, warnings) = read(json!({
        "type": "tool_result", "callId": 5, "tool": "Bash", "status": "fine", "exitCode": "2", "durationMs": null,
    }));
    let reported = serde_json::to_value(&warnings).unwrap();
    let expected = json!([
        {"field": "callId", "expected": "string", "found": "integer"},
        {"field": "status", "expected": "one of ok, error, denied, interrupted, timeout, unknown", "found": "\"fine\""},
        {"field": "exitCode", "expected": "integer", "found": "string"},
    ]);
    assert_eq!(reported, expected);
    assert_eq!(record.extra["exitCode"], "2");
    assert_eq!(record.extra["durationMs"], Value::Null);
}

#[test]
fn appended_records_are_reported_as_read_ones_are() {
    let blob = json!({"$blob": format!("sha256:{DIGEST}"), "bytes": 3, "mediaType": "text/plain"});
    for (record, fields) in [
        (json!({"type": "bash_exec", "command": "ls"}), vec![]),
        (
            json!({"command": ["ls"], "type": "bash_exec"}),
            vec!["command"],
        ),
        (json!({"type": "bash_exec", "command": blob}), vec![]),
        (
            json!({"type": "bash_exec", "command": {"$blob": "sha256:12"}}),
            vec!["command"],
        ),
        (
            json!({"type": "bash_exec", "command": null, "background": "yes"}),
            vec!["background"],
        ),
        (
            json!({"type": "usage", "input": 1.0, "output": 3, "cacheRead": -0.0}),
            vec!["input", "cacheRead"],
        ),
        (
            json!({"type": "usage", "input": {}, "output": []}),
            vec!["input", "output"],
        ),
        (
            json!({"type": "tool_call", "input": 5, "output": 6, "exitCode": "?"}),
            vec![],
        ),
        (
            json!({"type": "step_ended", "status": "timeout"}),
            vec!["status"],
        ),
        (json!({"type": "tool_result", "status": "timeout"}), vec![]),
        (
            json!({"type": "tool_result", "status": true}),
            vec!["status"],
        ),
        (
            json!({"type": "session_started", "status": true, "source": 1}),
            vec![],
        ),
        (
            json!({"type": "user_message", "source": "startup"}),
            vec!["source"],
        ),
        (
            json!({"type": "search", "target": "documents", "pattern": "x"}),
            vec!["target"],
        ),
        (
            json!({"type": "thinking", "timestamp": 5, "key": 6, "timeSource": "x"}),
            vec!["timestamp", "key", "timeSource"],
        ),
        (
            json!({"type": "anything", "callId": 5, "status": 1}),
            vec![],
        ),
        (json!({"type": "session_start", "callId": 5}), vec![]),
        (json!({"type": 5, "callId": 5}), vec![]),
        (json!({"callId": 5}), vec![]),
    ] {
        let reported = warnings(&record);
        let reported: Vec<&str> = reported
            .iter()
            .map(|one| one["field"].as_str().unwrap())
            .collect();
        assert_eq!(reported, fields, "{record}");
    }
}

#[test]
fn of_a_repeated_key_the_last_value_counts() {
    for (text, odd) in [
        (r#"{"type":"bash_exec","cwd":1,"cwd":"/"}"#, 0),
        (r#"{"type":"bash_exec","cwd":"/","cwd":1}"#, 1),
        (r#"{"type":"tool_result","status":"ok","status":"odd"}"#, 1),
        (r#"{"type":"tool_result","cwd":1,"type":"bash_exec"}"#, 1),
    ] {
        let body = RecordBody::parse(text.as_bytes()).unwrap();
        assert_eq!(body.warnings().len(), odd, "{text}");
        assert_eq!(Record::parse(text).unwrap().warnings.len(), odd, "{text}");
    }
}

#[test]
fn numbers_keep_their_digits() {
    let text = r#"{"type":"usage","input":25000000000000000001,"output":-0,"cacheRead":1e3,"reasoning":-5,"costUsd":0.10,"n":1E5}"#;
    let parsed = Record::parse(text).unwrap();
    let written = parsed.record.to_string();
    for digits in ["25000000000000000001", "-0", "1e3", "-5", "0.10", "1E5"] {
        assert!(
            written.contains(&format!(":{digits}")),
            "{digits}: {written}"
        );
    }
    assert_eq!(parsed.warnings.len(), 3);
}

#[test]
fn names_of_types_lead_back_to_them() {
    for kind in RecordType::ALL.iter().copied() {
        assert_eq!(RecordType::parse(kind.name()), Some(kind));
        assert!(
            kind.call_type()
                .is_none_or(|call| call.record_type() == kind)
        );
    }
    for name in ["", "Bash_exec", "bash_exec ", "session_start", "__proto__"] {
        assert_eq!(RecordType::parse(name), None, "{name}");
    }
}

/// Values that are near to what a field of this kind should have.
fn any_value() -> impl Strategy<Value = Value> {
    let words = RecordType::ALL
        .iter()
        .flat_map(|kind| kind.fields())
        .filter_map(|field| match field.kind {
            Kind::OneOf(names) => Some(names),
            _ => None,
        })
        .flatten()
        .map(|word| Value::from(*word))
        .collect::<Vec<_>>();
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        prop::sample::select(vec![
            "-0",
            "1.0",
            "1e3",
            "1E5",
            "0.10",
            "99999999999999999999999"
        ])
        .prop_map(|digits| serde_json::from_str(digits).unwrap()),
        "[a-z\"\\\\\u{e9}\n]{0,6}".prop_map(Value::from),
        prop::sample::select(words),
        Just(json!({"$blob": format!("sha256:{DIGEST}"), "bytes": 1})),
        Just(json!({"agent": "codex", "lane": 5})),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map("[a-z$]{0,5}", inner, 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn any_record() -> impl Strategy<Value = Value> {
    let mut names = vec!["seq", "$offset", "$crc", "success", "unknown"];
    names.extend(Common::fields().iter().map(|field| field.name));
    names.extend(
        RecordType::ALL
            .iter()
            .flat_map(|kind| kind.fields())
            .map(|field| field.name),
    );
    let kind = prop_oneof![
        8 => prop::sample::select(RecordType::ALL).prop_map(|kind| Some(Value::from(kind.name()))),
        1 => any_value().prop_map(Some),
        1 => Just(None),
    ];
    let fields = prop::collection::vec((prop::sample::select(names), any_value()), 0..12);
    (kind, fields).prop_map(|(kind, fields)| {
        let mut record: Map<String, Value> = fields
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        record.extend(kind.map(|kind| ("type".to_owned(), kind)));
        Value::Object(record)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_object_is_written_as_it_was_read(record in any_record()) {
        let parsed = Record::parse(&record.to_string()).unwrap().record;
        prop_assert_eq!(Value::Object(parsed.into_fields()), record);
    }

    #[test]
    fn every_field_of_another_kind_is_reported_and_no_other(record in any_record()) {
        let reported = warnings(&record);
        let mut reported: Vec<_> = reported.iter().map(|one| one["field"].as_str().unwrap()).collect();
        let listed = record["type"].as_str().and_then(RecordType::parse);
        let fields = listed.map_or(&[][..], RecordType::fields);
        let common = listed.map_or(&[][..], |_| Common::fields());
        let mut odd: Vec<_> = common.iter().chain(fields)
            .filter(|field| record.get(field.name).is_some_and(|value| !field.kind.accepts(value)))
            .map(|field| field.name)
            .collect();
        reported.sort_unstable();
        odd.sort_unstable();
        prop_assert_eq!(reported, odd);
    }
}
