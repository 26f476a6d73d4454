//! Maps each hook to records. Pure: takes the payload, the saved state, the agent's note and the
//! new lines of the transcript, returns records.
//!
//! [`lifecycle`](super::lifecycle), [`messages`](super::messages), [`calls`](super::calls) and
//! [`agents`](super::agents) each know some of the hooks.

use serde_json::json;
use session_model::records::body;

use super::draft::Draft;
use super::lifecycle::{begin, forks, session_end, session_start};
use super::map_inputs::MapInputs;
use super::meaning::Meaning;
use super::new_lines::NewLines;
use super::payload::Payload;
use super::run::Run;
use super::shown::Shown;
use super::{agents, calls, messages};
use crate::Call;

/// Returns the records of one hook, in order.
pub(super) fn map<'a>(
    payload: &'a Payload<'_>,
    inputs: &MapInputs<'a>,
    news: &NewLines,
    run: &mut Run,
) -> Vec<Draft<'a>> {
    let meaning = Meaning::of(&payload.hook_event_name);
    // A fork starts with the id of the session that it continues. That session must not change.
    if meaning == Meaning::SessionStart && forks(payload, inputs) && !inputs.named {
        return vec![inputs.other(payload, &mut run.clone())];
    }
    // `flush` reads it if the run is killed before a hook has.
    if payload.transcript_path.is_some() {
        run.transcript.clone_from(&payload.transcript_path);
    }
    let has_begun = run.begun || payload.session_id.is_empty();
    let mut drafts = if !has_begun && meaning.begins() {
        begin(payload, inputs, run)
    } else {
        Vec::new()
    };
    if let Some(span) = payload.span() {
        run.passed(span);
    }
    drafts.append(&mut messages::heard(news, run));
    drafts.append(&mut records(payload, inputs, run));
    let read = news.model.as_ref().or(inputs.model.as_ref());
    let model = payload.model.as_ref().or(read);
    if let Some(model) = model.filter(|model| run.model.as_ref() != Some(model)) {
        run.model = Some(model.clone());
        // Before the end of the session, if this hook is the end.
        let at = drafts
            .iter()
            .position(|draft| draft.call == Call::Finalize)
            .unwrap_or(drafts.len());
        drafts.insert(at, Draft::of(Call::MetadataUpdate, json!({"model": model})));
    }
    drafts
}

fn records<'a>(payload: &'a Payload<'_>, inputs: &MapInputs<'a>, run: &mut Run) -> Vec<Draft<'a>> {
    match Meaning::of(&payload.hook_event_name) {
        Meaning::SessionStart => session_start(payload, inputs, run),
        Meaning::Prompt => prompt(payload, inputs, run),
        Meaning::Message => messages::displayed(payload, inputs, run),
        Meaning::Stop => messages::stop(payload, inputs, run),
        Meaning::StopFailure => messages::stop_failure(payload, inputs, run),
        Meaning::ToolCall => calls::called(payload, inputs, run),
        Meaning::ToolResult => calls::succeeded(payload, inputs, run),
        Meaning::ToolError => calls::failed(payload, inputs, run),
        Meaning::ToolBatch => calls::batch(payload, inputs, run),
        Meaning::PermissionRequest => calls::asked(payload, inputs, run),
        Meaning::PermissionDenied => calls::refused(payload, inputs, run),
        Meaning::Notification => vec![notification(payload, inputs, run)],
        Meaning::Compacted => vec![compacted(payload, inputs, run)],
        Meaning::AgentStart => agents::started(payload, inputs, run),
        Meaning::AgentStop => agents::stopped(payload, inputs, run),
        Meaning::SessionEnd => session_end(payload, inputs, run),
        Meaning::Other => vec![inputs.other(payload, run)],
    }
}

/// Handles a prompt. Claude Code has no hook for a turn that the user interrupted: the calls still
/// open at the next prompt show it. Calls of background agents may go on.
fn prompt<'a>(payload: &'a Payload<'_>, inputs: &MapInputs<'a>, run: &mut Run) -> Vec<Draft<'a>> {
    let mut drafts = calls::interrupted(payload, inputs, run, |call| call.agent.is_none());
    let is_earlier = |shown: &Shown| shown.turn != payload.prompt_id;
    drafts.extend(messages::unconfirmed(inputs.stamp, run, is_earlier));
    run.prompted = true;
    for stated in &mut run.stated {
        stated.is_past = true;
    }
    drafts.push(messages::prompt(payload, inputs, run));
    drafts
}

fn notification<'a>(payload: &'a Payload<'_>, inputs: &MapInputs<'a>, run: &mut Run) -> Draft<'a> {
    let body = body::Notification {
        message: payload.message.as_deref().map(Into::into),
        kind: payload.notification_type.clone(),
    };
    let key = inputs.key_of(payload, run);
    let rest = inputs.rest(payload, run, &["message", "notification_type"]);
    inputs.stamp.entry(payload, body).key(key).raw(rest).draft()
}

fn compacted<'a>(payload: &'a Payload<'_>, inputs: &MapInputs<'a>, run: &mut Run) -> Draft<'a> {
    let body = body::Compaction {
        trigger: payload.trigger.clone(),
        summary: payload.compact_summary.as_deref().map(Into::into),
        ..body::Compaction::default()
    };
    let key = inputs.key_of(payload, run);
    run.compaction = Some(key.as_str().to_owned());
    let rest = inputs.rest(payload, run, &["trigger", "compact_summary"]);
    inputs.stamp.entry(payload, body).key(key).raw(rest).draft()
}

#[cfg(test)]
#[path = "map_tests.rs"]
mod tests;
