//! Maps each hook to records. Pure: takes the payload, the saved state and the agent's note,
//! returns records.

use serde_json::json;

use super::draft::{Draft, Stamp};
use super::meaning::{Meaning, action_type, snake_case};
use super::payload::{AgentNote, Payload, shortened, summary};
use super::process::Caller;
use super::run::{OpenCall, Run};
use crate::Call;

/// The length of a text field beside the payload. The whole text is in the payload.
const MAX_CONTENT: usize = 16 * 1024;
const MAX_ERROR: usize = 2 * 1024;

/// The inputs of the mapping besides the payload.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    pub stamp: Stamp<'a>,
    /// The owner of the session, if it has to be created.
    pub user: &'a str,
    /// Whether `SESSION_ID` names the session, which then spans several of Claude Code's sessions.
    pub named: bool,
    pub note: AgentNote,
    /// The process that runs the session, set where the session begins.
    pub caller: Option<Caller>,
    /// Whether the process that ran the session before has ended.
    pub is_left: bool,
    /// The model of the last answer, set at the end of a turn, or at a call while none is known.
    pub model: Option<String>,
}

/// Returns the records of one hook, in order.
pub(super) fn map<'a>(payload: &'a Payload<'_>, scene: &Scene<'a>, run: &mut Run) -> Vec<Draft<'a>> {
    let meaning = Meaning::of(&payload.hook_event_name);
    // A fork starts with the id of the session that it continues. That session must not change.
    if meaning == Meaning::SessionStart && forks(payload, scene) && !scene.named {
        return vec![other(payload, scene.stamp)];
    }
    let has_begun = run.begun || payload.session_id.is_empty();
    let is_late = !has_begun && meaning.remembers() && meaning != Meaning::SessionStart;
    let mut drafts = if is_late { begin(payload, scene, run) } else { Vec::new() };
    drafts.append(&mut records(payload, scene, run));
    let told = payload.model.as_ref().or(scene.model.as_ref());
    if let Some(model) = told.filter(|model| run.model.as_ref() != Some(model)) {
        run.model = Some(model.clone());
        // Before the end of the session, if this hook is the end.
        let at = drafts.iter().position(|draft| matches!(draft.call, Call::Finalize)).unwrap_or(drafts.len());
        drafts.insert(at, Draft::of(Call::MetadataUpdate, json!({"model": model})));
    }
    drafts
}

fn records<'a>(payload: &'a Payload<'_>, scene: &Scene<'a>, run: &mut Run) -> Vec<Draft<'a>> {
    let stamp = scene.stamp;
    match Meaning::of(&payload.hook_event_name) {
        Meaning::SessionStart => session_start(payload, scene, run),
        Meaning::Prompt => prompt(payload, stamp, run),
        Meaning::Message => vec![said(payload, stamp, "message", payload.delta.as_deref())],
        Meaning::Stop => {
            (run.failed, run.prompted) = (false, false);
            run.message = content(payload.last_assistant_message.as_deref());
            vec![said(payload, stamp, "stop", payload.last_assistant_message.as_deref())]
        }
        Meaning::StopFailure => stop_failure(payload, stamp, run),
        Meaning::ToolCall => tool_call(payload, stamp, run),
        Meaning::ToolResult => tool_result(payload, stamp, run),
        Meaning::ToolError => tool_error(payload, stamp, run),
        Meaning::ToolBatch => tool_batch(payload, stamp, run),
        Meaning::AgentStart => agent_start(payload, stamp, run),
        Meaning::AgentStop => agent_stop(payload, scene, run),
        Meaning::SessionEnd => session_end(payload, scene, run),
        Meaning::Other => vec![other(payload, stamp)],
    }
}

/// Handles the start of a session. Compaction starts nothing: the session goes on. Any other source
/// (startup, `/clear`, resume) creates the session if it does not exist, and reopens it if it had
/// ended; neither call changes anything else.
fn session_start<'a>(payload: &'a Payload<'_>, scene: &Scene<'a>, run: &mut Run) -> Vec<Draft<'a>> {
    let action = other(payload, scene.stamp);
    if payload.source.as_deref() == Some("compact") {
        return vec![action];
    }
    let cut_off = if scene.is_left { interrupted(payload, scene.stamp, run, |_| true) } else { Vec::new() };
    let Run { errors, model, agents, open, results, .. } = std::mem::take(run);
    *run = Run { errors, model, agents, open, results, follows: true, ..Run::default() };
    let mut drafts = begin(payload, scene, run);
    drafts.insert(1, Draft::of(Call::Reopen, json!({})));
    drafts.extend(cut_off);
    drafts.push(action);
    // A fork's own id comes with its next hook.
    run.begun = !forks(payload, scene);
    drafts
}

/// Returns whether the session is resumed only to be continued under another id.
fn forks(payload: &Payload<'_>, scene: &Scene<'_>) -> bool {
    let is_resumed = payload.source.as_deref() == Some("resume");
    is_resumed && scene.caller.as_ref().is_some_and(|caller| caller.forks(&payload.session_id))
}

/// Creates the session if it does not exist, and stores Claude Code's session and process in its
/// state. Called at the session's start, or at the first hook of a session without a start hook: a
/// fork, or a run whose hooks were installed later.
fn begin<'a>(payload: &'a Payload<'_>, scene: &Scene<'a>, run: &mut Run) -> Vec<Draft<'a>> {
    let process = scene.caller.as_ref().map(|caller| caller.process.clone());
    (run.begun, run.process) = (true, process.clone());
    // Nothing of a fork comes before its prompt.
    let is_fork = scene.caller.as_ref().is_some_and(Caller::is_fork);
    run.follows |= is_fork && Meaning::of(&payload.hook_event_name) == Meaning::Prompt;
    let skips = payload.permission_mode.as_deref() == Some("bypassPermissions");
    let mut config = json!({"permissionMode": payload.permission_mode, "dangerouslySkipPermissions": skips});
    if let Some(model) = &payload.model {
        config["model"] = model.as_str().into();
    }
    let initial = json!({
        "source": "claude-code", "input": {"cwd": payload.cwd, "source": payload.source}, "config": config,
        "claudeSessionId": payload.session_id,
    });
    let origin =
        scene.caller.as_ref().and_then(Caller::origin).filter(|origin| *origin != payload.session_id);
    let mut names = json!({
        "sessionId": payload.session_id, "transcriptPath": payload.transcript_path, "process": process,
    });
    if let Some(origin) = origin {
        names["forkedFrom"] = origin.into();
    }
    let state = json!({"workspace": {"cwd": payload.cwd}, "claudeCode": names});
    vec![
        Draft::of(Call::CreateSession { user_id: scene.user, parent: None }, initial),
        Draft::of(Call::StateUpdate { if_version: None }, state),
    ]
}

/// Handles the end of a session. A session named by `SESSION_ID` may span several of Claude Code's
/// sessions; it does not end when one of them is replaced by the next.
fn session_end<'a>(payload: &'a Payload<'_>, scene: &Scene<'a>, run: &mut Run) -> Vec<Draft<'a>> {
    let is_interrupted = run.prompted || !run.open.is_empty();
    let mut drafts = interrupted(payload, scene.stamp, run, |_| true);
    run.prompted = false;
    drafts.push(other(payload, scene.stamp));
    let reason = payload.reason.as_deref().unwrap_or("other");
    if scene.named && matches!(reason, "clear" | "resume") {
        return drafts;
    }
    let status = match (run.failed, is_interrupted) {
        (true, _) => "error",
        (false, true) => "interrupted",
        (false, false) => "success",
    };
    let end = json!({"status": status, "outcome": {"reason": reason}, "response": run.message});
    drafts.push(Draft::of(Call::Finalize, end));
    drafts
}

/// Handles a prompt. Claude Code has no hook for a turn that the user interrupted: the calls still
/// open at the next prompt show it. Calls of background agents may go on.
fn prompt<'a>(payload: &'a Payload<'_>, stamp: Stamp<'_>, run: &mut Run) -> Vec<Draft<'a>> {
    let mut drafts = interrupted(payload, stamp, run, |call| call.agent.is_none());
    run.prompted = true;
    drafts.push(said(payload, stamp, "prompt", payload.prompt.as_deref()));
    drafts
}

/// Returns results for calls that will never get one.
fn interrupted<'a>(
    payload: &Payload<'_>,
    stamp: Stamp<'_>,
    run: &mut Run,
    which: impl Fn(&OpenCall) -> bool,
) -> Vec<Draft<'a>> {
    let ended: Vec<OpenCall> = run.open.iter().filter(|call| which(call)).cloned().collect();
    let result = |call: OpenCall| {
        run.closed(&call.id);
        result_without_hook(payload, stamp, &call, "interrupted", None)
    };
    ended.into_iter().map(result).collect()
}

/// Returns the result of a call that got no result hook.
fn result_without_hook<'a>(
    payload: &Payload<'_>,
    stamp: Stamp<'_>,
    call: &OpenCall,
    status: &str,
    error: Option<&str>,
) -> Draft<'a> {
    let fields = json!({
        "timestamp": stamp.at, "type": "tool_error", "event": payload.hook_event_name, "tool": call.tool,
        "toolUseId": call.id, "agentId": call.agent, "success": false, "status": status,
        "interrupted": (status == "interrupted").then_some(true),
        "error": error.map(|error| shortened(error.to_owned(), MAX_ERROR)),
    });
    Draft::of(Call::Action, fields)
}

fn said<'a>(payload: &Payload<'_>, stamp: Stamp<'_>, kind: &str, text: Option<&str>) -> Draft<'a> {
    stamp.record(
        Call::Response,
        json!({
            "type": kind, "event": payload.hook_event_name, "content": content(text),
            "promptId": payload.prompt_id, "agentId": payload.agent(),
        }),
    )
}

fn stop_failure<'a>(payload: &Payload<'_>, stamp: Stamp<'_>, run: &mut Run) -> Vec<Draft<'a>> {
    let told = payload.last_assistant_message.as_deref().or(payload.error.as_deref()).unwrap_or("unknown");
    let error = shortened(told.to_owned(), MAX_ERROR);
    (run.failed, run.prompted, run.message) = (true, false, content(Some(told)));
    let action = json!({
        "type": "stop_failure", "event": payload.hook_event_name, "error": error, "agentId": payload.agent(),
    });
    let errors = run.add_error(json!({"timestamp": stamp.at, "error": error}));
    vec![stamp.record(Call::Action, action), errors_of(errors)]
}

fn tool_call<'a>(payload: &Payload<'_>, stamp: Stamp<'_>, run: &mut Run) -> Vec<Draft<'a>> {
    if let Some(id) = &payload.tool_use_id {
        run.opened(id, payload.tool_name.as_deref(), payload.agent());
    }
    vec![tool(payload, stamp, action_type(payload.tool_name.as_deref()), None)]
}

/// Handles a tool batch, the only hook that reports calls that were denied, or never started
/// because their input was invalid. The results of all other calls are known before it.
fn tool_batch<'a>(payload: &'a Payload<'_>, stamp: Stamp<'_>, run: &mut Run) -> Vec<Draft<'a>> {
    let mut drafts = Vec::new();
    for call in payload.tool_calls.iter().filter(|_| run.follows).collect::<Vec<_>>() {
        let Some(id) = call.tool_use_id.as_deref().filter(|id| !run.is_closed(id)) else { continue };
        let is_begun = run.closed(id);
        let status = if is_begun.is_some() { "denied" } else { "error" };
        let open = is_begun.unwrap_or_else(|| {
            let open = OpenCall {
                id: id.to_owned(),
                tool: call.tool_name.clone(),
                agent: payload.agent().map(str::to_owned),
            };
            drafts.push(Draft::of(
                Call::Action,
                json!({
                    "timestamp": stamp.at, "type": action_type(open.tool.as_deref()),
                    "event": payload.hook_event_name, "tool": open.tool, "toolUseId": id, "agentId": open.agent,
                    "summary": call.tool_input.and_then(summary), "input": call.tool_input,
                }),
            ));
            open
        });
        let error = call.response.as_deref();
        drafts.push(result_without_hook(payload, stamp, &open, status, error));
        if status == "error" {
            let error = shortened(error.unwrap_or("unknown").to_owned(), MAX_ERROR);
            let errors = run.add_error(json!({
                "timestamp": stamp.at, "tool": open.tool, "toolUseId": id, "agentId": open.agent, "error": error,
            }));
            drafts.push(errors_of(errors));
        }
    }
    drafts.push(other(payload, stamp));
    drafts
}

fn tool<'a>(payload: &Payload<'_>, stamp: Stamp<'_>, kind: &str, success: Option<bool>) -> Draft<'a> {
    stamp.record(
        Call::Action,
        json!({
            "type": kind, "event": payload.hook_event_name, "tool": payload.tool_name,
            "toolUseId": payload.tool_use_id, "agentId": payload.agent(), "agentType": payload.agent_type,
            "summary": payload.summary(), "success": success, "status": status_of(payload, success),
            "durationMs": payload.duration_ms,
            "error": payload.error.as_deref().map(|error| shortened(error.to_owned(), MAX_ERROR)),
            "interrupted": payload.is_interrupt, "startedAgentId": payload.started_agent(),
        }),
    )
}

/// Returns the status of a call, as its own hook reports it.
fn status_of(payload: &Payload<'_>, success: Option<bool>) -> Option<&'static str> {
    match success? {
        true => Some("ok"),
        false if payload.is_interrupt == Some(true) => Some("interrupted"),
        false => Some("error"),
    }
}

/// Handles a tool result. In every CLI version, the result of an `Agent` call identifies for
/// certain the agent that it started and the agent that called it.
fn tool_result<'a>(payload: &Payload<'_>, stamp: Stamp<'_>, run: &mut Run) -> Vec<Draft<'a>> {
    if let Some(id) = &payload.tool_use_id {
        run.closed(id);
    }
    let mut drafts = vec![tool(payload, stamp, "tool_result", Some(true))];
    if let Some(agent) = payload.started_agent() {
        let place = json!({"toolUseId": payload.tool_use_id, "parentAgentId": payload.agent()});
        let nested = json!({"claudeCode": {"agents": {agent: place}}});
        drafts.push(Draft::of(Call::StateUpdate { if_version: None }, nested));
    }
    drafts
}

fn tool_error<'a>(payload: &Payload<'_>, stamp: Stamp<'_>, run: &mut Run) -> Vec<Draft<'a>> {
    if let Some(id) = &payload.tool_use_id {
        run.closed(id);
    }
    let error = payload.error.as_deref().unwrap_or("unknown");
    let errors = run.add_error(json!({
        "timestamp": stamp.at, "tool": payload.tool_name, "toolUseId": payload.tool_use_id,
        "agentId": payload.agent(), "error": shortened(error.to_owned(), MAX_ERROR),
    }));
    let errors = errors_of(errors);
    vec![tool(payload, stamp, "tool_error", Some(false)), errors]
}

fn errors_of<'a>(errors: &[serde_json::Value]) -> Draft<'a> {
    Draft::of(Call::StateUpdate { if_version: None }, json!({"errors": errors}))
}

/// Handles an agent's start. The hook does not say which call started the agent, and guessing fails
/// when several start in parallel. An agent known to be running is not started again.
fn agent_start<'a>(payload: &'a Payload<'_>, stamp: Stamp<'_>, run: &mut Run) -> Vec<Draft<'a>> {
    let action = agent_action(payload, stamp, "subagent_start");
    let Some(agent) = payload.agent() else { return vec![action] };
    if run.agent_runs(agent, true) == Some(true) {
        return vec![action];
    }
    vec![spawned(payload, agent), action]
}

fn spawned<'a>(payload: &'a Payload<'_>, agent: &str) -> Draft<'a> {
    let spawned = json!({"agentId": agent, "type": payload.agent_type, "task": ""});
    Draft::of(Call::AgentSpawn, spawned)
}

/// Handles an agent's stop. By now the note with the call and the task exists. Claude Code's
/// internal agents (compaction, titles) stop without a start; they have no type. An agent whose
/// start was not seen is started here.
fn agent_stop<'a>(payload: &'a Payload<'_>, scene: &Scene<'a>, run: &mut Run) -> Vec<Draft<'a>> {
    let action = agent_action(payload, scene.stamp, "subagent_stop");
    let typed = payload.agent_type.as_deref().is_some_and(|kind| !kind.is_empty());
    let Some(agent) = payload.agent().filter(|_| typed) else { return vec![action] };
    let AgentNote { description, tool_use_id, spawn_depth } = &scene.note;
    let result = json!({
        "result": content(payload.last_assistant_message.as_deref()), "task": description,
        "toolUseId": tool_use_id, "depth": spawn_depth,
    });
    let is_new = run.agent_runs(agent, false).is_none() && run.follows;
    let start = is_new.then(|| spawned(payload, agent));
    let end = Draft::of(Call::AgentComplete { agent_id: agent }, result);
    start.into_iter().chain([end, action]).collect()
}

fn agent_action<'a>(payload: &Payload<'_>, stamp: Stamp<'_>, kind: &str) -> Draft<'a> {
    stamp.record(
        Call::Action,
        json!({
            "type": kind, "event": payload.hook_event_name, "agentId": payload.agent(),
            "agentType": payload.agent_type, "result": content(payload.last_assistant_message.as_deref()),
        }),
    )
}

fn other<'a>(payload: &Payload<'_>, stamp: Stamp<'_>) -> Draft<'a> {
    stamp.record(
        Call::Action,
        json!({
            "type": snake_case(&payload.hook_event_name), "event": payload.hook_event_name,
            "tool": payload.tool_name, "toolUseId": payload.tool_use_id, "agentId": payload.agent(),
            "source": payload.source, "reason": payload.reason, "summary": payload.summary(),
            "message": content(payload.message.as_deref()),
        }),
    )
}

fn content(text: Option<&str>) -> Option<String> {
    text.map(|text| shortened(text.to_owned(), MAX_CONTENT))
}

#[cfg(test)]
#[path = "map_tests.rs"]
mod tests;
