//! Tests the commands below `log`: they record what the typed helpers of the library record.

use hook_agent::Helper;
use serde_json::{Value, json};

use crate::command::{run, silent};
use crate::scenarios::{Scenario, matches, shared};
use crate::setup::{SESSION, Setup, setup};

/// Runs a command, and waits until the service has the record.
fn log(setup: &Setup, words: &[&str], input: &str) -> Value {
    let strict = ["--strict", "--wait", "20000"];
    silent(&run(setup, &[&["log"], words, &strict].concat(), input), 0);
    let state = setup.service.lock();
    state.sessions[SESSION].lines.last().cloned().unwrap()
}

/// The word of the helper below `log`.
fn kind(helper: Helper) -> String {
    helper.name().trim_start_matches("log_").replace('_', "-")
}

/// The arguments of a scenario as words; `None` if a value has no form on the command line.
fn words(scenario: &Scenario) -> Option<Vec<String>> {
    let word = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Object(_) => Some(value.to_string()),
        _ => None,
    };
    scenario.args.iter().map(word).collect()
}

#[test]
fn each_records_what_its_helper_records_in_every_language() {
    let mut seen = Vec::new();
    for scenario in &shared().scenarios {
        let Some(helper) = Helper::parse(&scenario.call) else {
            continue;
        };
        let Some(words) = words(scenario) else {
            continue;
        };
        let setup = setup();
        let kind = kind(helper);
        let words = [&[kind], &words[..]].concat();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let sent = log(&setup, &words, "");
        let expected = &scenario.requests[0].lines[0];
        assert!(
            matches(expected, &sent),
            "{}: {sent} instead of {expected}",
            scenario.name
        );
        seen.push(helper);
    }
    for helper in Helper::ALL {
        assert!(seen.contains(helper), "no scenario of {helper:?}");
    }
}

#[test]
fn one_argument_may_come_from_standard_input() {
    let setup = setup();
    let answer = log(
        &setup,
        &["assistant-message", "-"],
        "It\nbuilds \"again\".\n",
    );
    assert_eq!(answer["data"]["text"], "It\nbuilds \"again\".\n");
    let result = log(
        &setup,
        &["tool-result", "Bash", "c-1", "-", r#"{"exitCode":2}"#],
        "[31mno rule to make\n",
    );
    assert_eq!(result["data"]["output"], "[31mno rule to make\n");
    assert_eq!(result["data"]["status"], "error");
    let usage = log(&setup, &["usage", "m-1", "opus", "-"], r#"{"input":7}"#);
    assert_eq!(usage["data"]["input"], 7);
    let empty = log(&setup, &["usage", "m-2", "opus", "-"], "");
    assert_eq!(empty["data"]["input"], 0);
}

#[test]
fn an_output_is_a_value_only_if_it_is_an_object_or_an_array() {
    let setup = setup();
    for (given, recorded) in [
        (r#"{"n":1}"#, json!({"n": 1})),
        ("[1, 2]", json!([1, 2])),
        ("12", json!("12")),
        ("null", json!("null")),
        ("{not JSON", json!("{not JSON")),
        ("", json!("")),
    ] {
        let sent = log(&setup, &["tool-result", "Bash", "c-1", given], "");
        assert_eq!(sent["data"]["output"], recorded, "{given}");
    }
}

#[test]
fn other_fields_that_are_no_object_are_refused() {
    let setup = setup();
    for fields in ["[1]", "nonsense", "{"] {
        let output = run(&setup, &["log", "checkpoint", "here", fields], "");
        silent(&output, 65);
        let printed = String::from_utf8(output.stderr).unwrap();
        assert!(printed.contains("`checkpoint`"), "{printed}");
    }
    assert!(setup.service.lock().requests.is_empty());
}
