use serde_json::{Map, Value};

use super::*;

/// Records as earlier versions wrote them, and what they are read as: `by`, `record`, `read`.
/// `read` has the fields of the vocabulary only. A record of another program is read as it is.
const FIXTURE: &str = include_str!("../../tests/fixtures/earlier_records.jsonl");

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn lines() -> impl Iterator<Item = Value> {
    FIXTURE
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
}

#[test]
fn records_of_earlier_versions_are_read_as_the_fixture_says() {
    for line in lines() {
        let record = object(&line["record"]);
        if line["by"] == "other" {
            assert_eq!(upgrade(record.clone()), record);
            continue;
        }
        let mut known = read(record);
        known.extra.clear();
        let expected = object(&line["read"]);
        assert_eq!(known.into_fields(), expected, "{line}");
    }
}

#[test]
fn fields_that_are_read_are_of_the_kinds_that_the_vocabulary_says() {
    for line in lines().filter(|line| line["by"] != "other") {
        let upgraded = upgrade(object(&line["record"]));
        let parsed = Record::of_fields(upgraded);
        assert_eq!(parsed.warnings, [], "{line}");
    }
}

#[test]
fn what_was_read_once_is_not_changed_by_reading_it_again() {
    for line in lines() {
        let once = upgrade(object(&line["record"]));
        assert_eq!(upgrade(once.clone()), once, "{line}");
    }
}

#[test]
fn every_earlier_type_of_a_hook_or_recorder_is_in_the_fixture() {
    let types: Vec<_> = lines()
        .filter_map(|line| Some(line["record"]["type"].as_str()?.to_owned()))
        .collect();
    for kind in [
        "prompt",
        "message",
        "stop",
        "tool_error",
        "stop_failure",
        "session_start",
        "subagent_start",
        "subagent_stop",
        "permission_request",
        "post_compact",
        "step_start",
        "step_end",
        "model_call",
        "output",
        "exit",
    ] {
        assert!(types.iter().any(|found| found == kind), "{kind}");
    }
}
