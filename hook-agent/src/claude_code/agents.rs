//! Subagents that start and stop.

use serde_json::json;
use session_model::records::{RecordKey, body};

use super::agent_run::AgentRun;
use super::digest::digest;
use super::draft::Draft;
use super::map_inputs::MapInputs;
use super::messages::final_text;
use super::payload::{AgentNote, Payload};
use super::run::{MAX_NAME, Run};
use crate::Call;

/// An agent's start. The hook does not say which call started the agent, and guessing fails when
/// several start in parallel. An agent known to be running is not started again.
pub(super) fn started<'a>(
    payload: &'a Payload<'_>,
    inputs: &MapInputs<'a>,
    run: &mut Run,
) -> Vec<Draft<'a>> {
    let Some(agent) = payload.agent() else {
        return vec![inputs.other(payload, run)];
    };
    let turn = with(run, agent, |known| known.start(inputs.now));
    let start = turn.is_new.then(|| spawned(payload, agent));
    let body = body::AgentStarted {
        agent_type: payload.agent_type.clone(),
        ..body::AgentStarted::default()
    };
    let rest = inputs.rest(payload, run, &["agent_type"]);
    let entry = inputs
        .stamp
        .entry(payload, body)
        .key(RecordKey::agent_start(agent, turn.n));
    start.into_iter().chain([entry.raw(rest).draft()]).collect()
}

/// Changes what is known of an agent. One with too long a name is not remembered.
fn with<T>(run: &mut Run, agent: &str, change: impl FnOnce(&mut AgentRun) -> T) -> T {
    if agent.len() > MAX_NAME {
        return change(&mut AgentRun::default());
    }
    change(run.subagent_mut(agent))
}

fn spawned<'a>(payload: &'a Payload<'_>, agent: &str) -> Draft<'a> {
    let spawned = json!({"agentId": agent, "type": payload.agent_type, "task": ""});
    Draft::of(Call::AgentSpawn, spawned)
}

/// An agent's stop. By now the note with the call and the task exists. Claude Code's internal agents
/// (compaction, titles) stop without a start; they have no type, and are no agents of the session.
/// An agent whose start was not seen is started here.
pub(super) fn stopped<'a>(
    payload: &'a Payload<'_>,
    inputs: &MapInputs<'a>,
    run: &mut Run,
) -> Vec<Draft<'a>> {
    let is_typed = payload
        .agent_type
        .as_deref()
        .is_some_and(|kind| !kind.is_empty());
    let agent = match payload.agent() {
        Some(agent) if is_typed => agent,
        _ => return vec![inputs.other(payload, run)],
    };
    let is_new = run
        .subagent(agent)
        .is_none_or(|known| known.starts + known.stops == 0);
    let turn = with(run, agent, |known| {
        known.stop(inputs.now, digest(inputs.raw.bytes()))
    });
    let mut drafts = Vec::new();
    if is_new && run.follows {
        drafts.push(spawned(payload, agent));
    }
    if turn.is_new {
        drafts.push(completed(payload, inputs, agent));
    }
    let body = body::AgentStopped {
        agent_type: payload.agent_type.clone(),
        result: payload.last_assistant_message.as_deref().map(Into::into),
    };
    let placed = [
        "agent_type",
        "agent_transcript_path",
        "last_assistant_message",
    ];
    let rest = inputs.rest(payload, run, &placed);
    let says = rest
        .into_iter()
        .filter(|(_, value)| !matches!(value.get(), "[]" | "false"));
    let entry = inputs
        .stamp
        .entry(payload, body)
        .key(RecordKey::agent_stop(agent, turn.n));
    drafts.push(entry.raw(says).draft());
    drafts
}

fn completed<'a>(payload: &Payload<'_>, inputs: &MapInputs<'_>, agent: &'a str) -> Draft<'a> {
    let AgentNote {
        description,
        tool_use_id,
        spawn_depth,
    } = &inputs.note;
    let result = json!({
        "result": final_text(payload.last_assistant_message.as_deref()), "task": description,
        "toolUseId": tool_use_id, "depth": spawn_depth,
    });
    Draft::of(Call::AgentComplete { agent_id: agent }, result)
}
