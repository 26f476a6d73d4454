//! Calls of tools, their results, the files that they changed, and permissions for them.

use serde_json::json;
use serde_json::value::RawValue;
use session_model::records::{Body, Decision, RecordKey, ResultStatus, body};
use session_model::tools::{call_fields, exit_code};

use super::digest::digest;
use super::draft::{AGENT, Draft, Entry};
use super::file_change::change_of;
use super::map_inputs::{MapInputs, add_error, short_error};
use super::meaning::snake_case;
use super::payload::{Fields, Payload, input_without_bodies, text_of};
use super::run::{OpenCall, Run};
use crate::Call;

/// The fields of a payload that say which call it is about.
const OF_CALL: [&str; 3] = ["tool_name", "tool_input", "tool_use_id"];

/// A call, however it became known.
struct Known<'p, 'a> {
    id: Option<&'p str>,
    tool: Option<&'p str>,
    agent: Option<&'p str>,
    input: Option<&'a RawValue>,
}

fn digest_of(input: Option<&RawValue>) -> Option<u64> {
    input.map(|input| digest(input.get().bytes()))
}

/// A call begins.
pub(super) fn called<'a>(
    payload: &'a Payload<'_>,
    inputs: &MapInputs<'a>,
    run: &mut Run,
) -> Vec<Draft<'a>> {
    let call = Known {
        id: payload.tool_use_id.as_deref(),
        tool: payload.tool_name.as_deref(),
        agent: payload.agent(),
        input: payload.tool_input,
    };
    let entry = call_entry(payload, inputs, run, &call);
    vec![entry.raw(inputs.rest(payload, run, &OF_CALL)).draft()]
}

/// Begins the record of a call, and remembers the call.
fn call_entry<'a>(
    payload: &Payload<'_>,
    inputs: &MapInputs<'_>,
    run: &mut Run,
    call: &Known<'_, 'a>,
) -> Entry<'a> {
    let input = input_without_bodies(call.input);
    let (kind, mut fields) = call_fields(AGENT, call.tool.unwrap_or_default(), &input);
    if call.tool.is_none() {
        fields.shift_remove("tool");
    }
    fields.insert("type".to_owned(), kind.name().into());
    let is_shell = kind.name() == "bash_exec" && !fields.contains_key("cwd");
    if let Some(cwd) = payload.cwd.as_deref().filter(|_| is_shell) {
        fields.insert("cwd".to_owned(), cwd.into());
    }
    let key = match call.id {
        Some(id) => {
            run.opened(OpenCall {
                id: id.to_owned(),
                tool: call.tool.map(str::to_owned),
                agent: call.agent.map(str::to_owned),
                input: digest_of(call.input),
            });
            RecordKey::call(id)
        }
        None => inputs.key_of(payload, run),
    };
    let entry = inputs.stamp.entry(payload, Body::default()).fields(fields);
    entry
        .key(key)
        .call_id(call.id)
        .agent(call.agent)
        .splice("input", call.input)
}

/// A call has ended well, or its response says otherwise. In every CLI version, the result of an
/// `Agent` call identifies for certain the agent that it started and the agent that called it.
pub(super) fn succeeded<'a>(
    payload: &'a Payload<'_>,
    inputs: &MapInputs<'a>,
    run: &mut Run,
) -> Vec<Draft<'a>> {
    let outcome = payload.tool_response.map(Outcome::of).unwrap_or_default();
    let started = payload.started_agent();
    let result = body::ToolResult {
        status: Some(outcome.status),
        exit_code: outcome.exit_code,
        duration_ms: payload.duration_ms.clone(),
        ..body::ToolResult::default()
    };
    let mut drafts = ended(payload, inputs, run, result, &["tool_response"], |entry| {
        let entry = entry.splice("output", payload.tool_response);
        match &started {
            Some(agent) => entry.extra("spawnedAgentId", agent.as_str()),
            None => entry,
        }
    });
    if outcome.status == ResultStatus::Ok {
        drafts.extend(changed(payload, inputs));
    }
    if let Some(agent) = started {
        let place = json!({"toolUseId": payload.tool_use_id, "parentAgentId": payload.agent()});
        let nested = json!({"claudeCode": {"agents": {agent: place}}});
        drafts.push(Draft::of(Call::StateUpdate { if_version: None }, nested));
    }
    drafts
}

/// A call has failed, or was interrupted.
pub(super) fn failed<'a>(
    payload: &'a Payload<'_>,
    inputs: &MapInputs<'a>,
    run: &mut Run,
) -> Vec<Draft<'a>> {
    let is_interrupted = payload.is_interrupt == Some(true);
    let error = payload.error.as_deref();
    let status = if is_interrupted {
        ResultStatus::Interrupted
    } else {
        ResultStatus::Error
    };
    let result = body::ToolResult {
        status: Some(status),
        exit_code: error.and_then(exit_code),
        error: error.map(Into::into),
        duration_ms: payload.duration_ms.clone(),
        ..body::ToolResult::default()
    };
    let placed = ["error", "is_interrupt", "tool_response"];
    let mut drafts = ended(payload, inputs, run, result, &placed, |entry| {
        entry.splice("output", payload.tool_response)
    });
    drafts.push(add_error(
        run,
        json!({
            "timestamp": inputs.stamp.at, "tool": payload.tool_name, "toolUseId": payload.tool_use_id,
            "agentId": payload.agent(), "error": short_error(error.unwrap_or("unknown")),
        }),
    ));
    drafts
}

/// Records the result of a call, after the call itself if no hook reported that.
fn ended<'a>(
    payload: &'a Payload<'_>,
    inputs: &MapInputs<'a>,
    run: &mut Run,
    mut result: body::ToolResult,
    placed: &[&str],
    complete: impl FnOnce(Entry<'a>) -> Entry<'a>,
) -> Vec<Draft<'a>> {
    let id = payload.tool_use_id.as_deref();
    let mut drafts = Vec::new();
    if let Some(id) = id.filter(|id| !run.is_known(id)) {
        let call = Known {
            id: Some(id),
            tool: payload.tool_name.as_deref(),
            agent: payload.agent(),
            input: payload.tool_input,
        };
        drafts.push(call_entry(payload, inputs, run, &call).draft());
    }
    let open = id.and_then(|id| run.closed(id));
    result.tool = payload.tool_name.as_deref().map(own_name);
    let mut placed = [placed, &["tool_name", "tool_use_id", "duration_ms"]].concat();
    // Another hook may have changed the input.
    let is_changed = open.is_some_and(|open| open.input != digest_of(payload.tool_input));
    if id.is_some() && !is_changed {
        placed.push("tool_input");
    }
    let key = match id {
        Some(id) => RecordKey::result(id),
        None => inputs.key_of(payload, run),
    };
    let entry = inputs.stamp.entry(payload, result).key(key).call_id(id);
    let entry = entry.raw(inputs.rest(payload, run, &placed));
    drafts.push(complete(entry).draft());
    drafts
}

/// Returns the name that the call's record has: of an MCP server's tool, the server's own.
fn own_name(tool: &str) -> String {
    let (_, fields) = call_fields(AGENT, tool, &serde_json::Value::Null);
    let name = fields.get("tool").and_then(|name| name.as_str());
    name.unwrap_or(tool).to_owned()
}

/// The file that a call has changed.
fn changed<'a>(payload: &Payload<'_>, inputs: &MapInputs<'_>) -> Option<Draft<'a>> {
    let change = change_of(payload.tool_response?)?;
    let id = payload.tool_use_id.as_deref();
    let path = change.body.path.clone().unwrap_or_default();
    let truncated = change.truncated();
    let entry = inputs.stamp.entry(payload, change.body).call_id(id);
    let entry = match id {
        Some(id) => entry.key(RecordKey::change(id, &path)),
        None => entry,
    };
    Some(entry.truncated(truncated).draft())
}

/// What the fields of a response say about how the call ended.
struct Outcome {
    status: ResultStatus,
    exit_code: Option<i64>,
}

impl Default for Outcome {
    /// The hook itself is called after a call that succeeded.
    fn default() -> Self {
        Self {
            status: ResultStatus::Ok,
            exit_code: None,
        }
    }
}

impl Outcome {
    fn of(response: &RawValue) -> Self {
        let Ok(fields) = Fields::of(response.get()) else {
            return Self::default();
        };
        let is = |name: &str, value: bool| fields.get::<bool>(name) == Some(value);
        let exit_code = ["exitCode", "exit_code"]
            .into_iter()
            .find_map(|name| fields.get::<i64>(name));
        let status = if is("interrupted", true) {
            ResultStatus::Interrupted
        } else if is("timedOut", true) {
            ResultStatus::Timeout
        } else if is("is_error", true)
            || is("isError", true)
            || is("success", false)
            || exit_code.is_some_and(|code| code != 0)
        {
            ResultStatus::Error
        } else {
            ResultStatus::Ok
        };
        Self { status, exit_code }
    }
}

/// A tool batch, the only hook that reports calls that were denied, or never started because their
/// input was invalid. The results of all other calls are known before it, unless recording began
/// after them: then they are recorded here, and how they ended is not known.
pub(super) fn batch<'a>(
    payload: &'a Payload<'_>,
    inputs: &MapInputs<'a>,
    run: &mut Run,
) -> Vec<Draft<'a>> {
    let follows = run.follows;
    let mut drafts = Vec::new();
    for call in &payload.tool_calls {
        let id = call.tool_use_id.as_str();
        if run.is_closed(id) {
            continue;
        }
        let is_begun = run.open.iter().any(|open| open.id == id);
        if !is_begun {
            let known = Known {
                id: Some(id),
                tool: call.tool_name.as_deref(),
                agent: payload.agent(),
                input: call.tool_input,
            };
            drafts.push(call_entry(payload, inputs, run, &known).draft());
        }
        let Some(open) = run.closed(id) else { continue };
        if !is_begun && !follows {
            drafts.push(result_of_batch(payload, inputs, &open, call.response));
            continue;
        }
        let status = if is_begun {
            ResultStatus::Denied
        } else {
            ResultStatus::Error
        };
        let error = call.response.map(text_of);
        let error = error.as_deref();
        drafts.push(result_without_hook(payload, inputs, &open, status, error));
        if status == ResultStatus::Error {
            let error = short_error(error.unwrap_or("unknown"));
            drafts.push(add_error(
                run,
                json!({
                    "timestamp": inputs.stamp.at, "tool": open.tool, "toolUseId": id, "agentId": open.agent, "error": error,
                }),
            ));
        }
    }
    if let Some(others) = payload.other_calls.as_deref() {
        let name = snake_case(&payload.hook_event_name);
        let entry = inputs.stamp.named(payload, &name);
        let entry = entry.key(inputs.key_of(payload, run));
        let mut rest = inputs.rest(payload, run, &["tool_calls"]);
        rest.push(("tool_calls", others));
        drafts.push(entry.raw(rest).draft());
    }
    drafts
}

/// Returns the result of a call that ended before recording began.
fn result_of_batch<'a>(
    payload: &Payload<'_>,
    inputs: &MapInputs<'_>,
    call: &OpenCall,
    response: Option<&'a RawValue>,
) -> Draft<'a> {
    let result = body::ToolResult {
        tool: call.tool.as_deref().map(own_name),
        ..body::ToolResult::default()
    };
    let entry = inputs
        .stamp
        .entry(payload, result)
        .key(RecordKey::result(&call.id))
        .call_id(Some(&call.id));
    entry.splice("output", response).draft()
}

/// Returns results for calls that will never get one.
pub(super) fn interrupted<'a>(
    payload: &Payload<'_>,
    inputs: &MapInputs<'_>,
    run: &mut Run,
    which: impl Fn(&OpenCall) -> bool,
) -> Vec<Draft<'a>> {
    let ended: Vec<OpenCall> = run
        .open
        .iter()
        .filter(|call| which(call))
        .cloned()
        .collect();
    let result = |call: OpenCall| {
        run.closed(&call.id);
        result_without_hook(payload, inputs, &call, ResultStatus::Interrupted, None)
    };
    ended.into_iter().map(result).collect()
}

/// Returns the result of a call that got no result hook.
fn result_without_hook<'a>(
    payload: &Payload<'_>,
    inputs: &MapInputs<'_>,
    call: &OpenCall,
    status: ResultStatus,
    error: Option<&str>,
) -> Draft<'a> {
    let result = body::ToolResult {
        tool: call.tool.as_deref().map(own_name),
        status: Some(status),
        error: error.map(Into::into),
        ..body::ToolResult::default()
    };
    let entry = inputs
        .stamp
        .entry(payload, result)
        .key(RecordKey::result(&call.id));
    entry
        .call_id(Some(&call.id))
        .agent(call.agent.as_deref())
        .draft()
}

/// A permission is asked for. The hook does not name the call: it is the open one with this input.
pub(super) fn asked<'a>(
    payload: &'a Payload<'_>,
    inputs: &MapInputs<'a>,
    run: &mut Run,
) -> Vec<Draft<'a>> {
    let input = digest_of(payload.tool_input);
    let open = run
        .open
        .iter()
        .rfind(|call| call.tool == payload.tool_name && call.input == input);
    let id = payload
        .tool_use_id
        .clone()
        .or_else(|| open.map(|call| call.id.clone()));
    vec![permission(
        payload,
        inputs,
        run,
        Decision::Asked,
        id.as_deref(),
    )]
}

/// A permission was refused.
pub(super) fn refused<'a>(
    payload: &'a Payload<'_>,
    inputs: &MapInputs<'a>,
    run: &mut Run,
) -> Vec<Draft<'a>> {
    let id = payload.tool_use_id.as_deref();
    vec![permission(payload, inputs, run, Decision::Denied, id)]
}

fn permission<'a>(
    payload: &'a Payload<'_>,
    inputs: &MapInputs<'a>,
    run: &mut Run,
    decision: Decision,
    id: Option<&str>,
) -> Draft<'a> {
    let body = body::Permission {
        tool: payload.tool_name.as_deref().map(own_name),
        decision: Some(decision),
        by: None,
    };
    let mut placed = vec!["tool_name", "tool_use_id"];
    // The call has it.
    placed.extend(id.map(|_| "tool_input"));
    let key = inputs.key_of(payload, run);
    let entry = inputs.stamp.entry(payload, body).key(key).call_id(id);
    entry.raw(inputs.rest(payload, run, &placed)).draft()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_of_a_call_is_what_the_fields_of_its_response_say() {
        for (response, status) in [
            (
                r#"{"stdout":"error: failed","interrupted":false}"#,
                ResultStatus::Ok,
            ),
            (
                r#"{"stdout":"","interrupted":true}"#,
                ResultStatus::Interrupted,
            ),
            (r#"{"timedOut":true}"#, ResultStatus::Timeout),
            (r#"{"isError":true,"content":[]}"#, ResultStatus::Error),
            (r#"{"success":false}"#, ResultStatus::Error),
            (r#"{"exitCode":2}"#, ResultStatus::Error),
            (r#"{"exitCode":0}"#, ResultStatus::Ok),
            (r#""Exit code 1""#, ResultStatus::Ok),
            ("[]", ResultStatus::Ok),
        ] {
            let raw = RawValue::from_string(response.to_owned()).unwrap();
            assert_eq!(Outcome::of(&raw).status, status, "{response}");
        }
    }
}
