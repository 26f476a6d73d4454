//! Tests the scenarios that all languages share: one call, its request, the service's response, the
//! call's result.

use hook_agent::{HookAgent, RESTORE_LAST, Ticket};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::setup::{DEADLINE, setup};

#[derive(Deserialize)]
pub struct File {
    session: String,
    pub scenarios: Vec<Scenario>,
}

#[derive(Deserialize)]
pub struct Scenario {
    pub name: String,
    pub call: String,
    pub args: Vec<Value>,
    #[serde(default)]
    pub requests: Vec<Expected>,
    #[serde(default)]
    answers: Vec<Answer>,
    #[serde(default)]
    result: Value,
    /// The error's code, if the call fails.
    #[serde(default)]
    error: Option<String>,
}

#[derive(Deserialize)]
pub struct Expected {
    method: String,
    path: String,
    #[serde(default)]
    content_type: Option<String>,
    /// The body, line by line, as JSON.
    #[serde(default)]
    pub lines: Vec<Value>,
}

#[derive(Deserialize)]
struct Answer {
    status: u16,
    body: Value,
}

fn call(agent: &HookAgent, scenario: &Scenario) -> Result<Ticket, hook_agent::Error> {
    let none = json!({});
    let data = |index: usize| scenario.args.get(index).unwrap_or(&none);
    let text = |index: usize| scenario.args[index].as_str().unwrap();
    match scenario.call.as_str() {
        "create_session" => agent.create_session(data(0)),
        "log_action" => agent.log_action(data(0)),
        "log_response" => agent.log_response(data(0)),
        "log_tool_call" => agent.log_tool_call(text(0), data(1), data(2)),
        "log_tool_result" => agent.log_tool_result(text(0), text(1), data(2), data(3)),
        "log_user_message" => agent.log_user_message(text(0), data(1)),
        "log_assistant_message" => agent.log_assistant_message(text(0), data(1)),
        "log_thinking" => agent.log_thinking(scenario.args[0].as_str(), data(1)),
        "log_usage" => agent.log_usage(text(0), text(1), data(2)),
        "log_file_change" => agent.log_file_change(text(0), text(1), data(2)),
        "checkpoint" => agent.checkpoint(text(0), data(1)),
        "update_state" => agent.update_state(data(0)),
        "update_state_if" => agent.update_state_if(scenario.args[0].as_u64().unwrap(), data(1)),
        "add_goal" => agent.add_goal(data(0)),
        "update_goal" => agent.update_goal(text(0), data(1)),
        "spawn_agent" => agent.spawn_agent(data(0)),
        "complete_agent" => agent.complete_agent(text(0)),
        "update_metadata" => agent.update_metadata(data(0)),
        "finalize_session" => agent.finalize_session(data(0)),
        "reopen_session" => agent.reopen_session(),
        "get_state" => agent.get_state(),
        "restore" => agent.restore(scenario.args.first().map_or(RESTORE_LAST, |last| {
            usize::try_from(last.as_u64().unwrap()).unwrap()
        })),
        "test_connection" => agent.test_connection(),
        other => panic!("no such call: {other}"),
    }
}

/// Compares JSON; `"$timestamp"` matches any RFC 3339 time.
pub fn matches(expected: &Value, actual: &Value) -> bool {
    match (expected, actual) {
        (Value::String(any), Value::String(time)) if any == "$timestamp" => {
            time.len() == 24 && time.parse::<jiff::Timestamp>().is_ok()
        }
        (Value::Object(expected), Value::Object(actual)) => {
            expected.len() == actual.len()
                && expected
                    .iter()
                    .all(|(key, value)| actual.get(key).is_some_and(|found| matches(value, found)))
        }
        _ => expected == actual,
    }
}

/// Reads the scenarios that all languages share.
pub fn shared() -> File {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../crates/session-model/tests/fixtures/hook_scenarios.json"
    );
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn every_shared_scenario_holds() {
    let file = shared();
    for scenario in &file.scenarios {
        let setup = setup();
        let answers = scenario
            .answers
            .iter()
            .map(|answer| (answer.status, answer.body.to_string()));
        setup.service.lock().scripted.extend(answers);
        let agent = setup.agent.for_session(&file.session).unwrap();
        let settled = call(&agent, scenario).and_then(|ticket| ticket.wait(DEADLINE));
        let name = &scenario.name;
        match (settled, &scenario.error) {
            (Ok(answer), None) => {
                assert_eq!(answer.parse::<Value>().unwrap(), scenario.result, "{name}");
            }
            (Err(error), Some(code)) => assert_eq!(error.code(), code, "{name}: {error}"),
            (settled, _) => panic!("{name}: {settled:?}"),
        }
        let state = setup.service.lock();
        let (first, again) = state
            .requests
            .split_at(scenario.requests.len().min(state.requests.len()));
        assert_eq!(first.len(), scenario.requests.len(), "{name}");
        // A queued record is soon sent again; nothing else is.
        let queued = scenario.result["queued"] == true;
        let repeats = again
            .iter()
            .all(|request| queued && Some(&request.body) == first.last().map(|r| &r.body));
        assert!(repeats, "{name}: {again:?}");
        for (request, expected) in state.requests.iter().zip(&scenario.requests) {
            assert_eq!(request.method, expected.method, "{name}");
            assert_eq!(request.path, expected.path, "{name}");
            assert_eq!(
                request.headers.get("content-type"),
                expected.content_type.as_ref(),
                "{name}"
            );
            if request.method == "PUT" {
                continue;
            }
            let lines: Vec<Value> = request
                .body
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            let same = lines.len() == expected.lines.len()
                && lines
                    .iter()
                    .zip(&expected.lines)
                    .all(|(line, expected)| matches(expected, line));
            assert!(same, "{name}: {lines:?}");
        }
    }
}

#[test]
fn the_default_of_restore_is_the_one_of_every_language() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../crates/session-model/tests/fixtures/client_api.json"
    );
    let api: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let methods = api["methods"].as_array().unwrap();
    let restore = methods.iter().find(|method| method["name"] == "restore");
    assert_eq!(restore.unwrap()["defaults"]["last"], RESTORE_LAST);
}
