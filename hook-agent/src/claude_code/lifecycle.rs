//! The start and end of a session.

use serde_json::json;
use session_model::records::body;

use super::calls::interrupted;
use super::draft::Draft;
use super::map_inputs::MapInputs;
use super::meaning::Meaning;
use super::messages::unconfirmed;
use super::payload::Payload;
use super::process::Caller;
use super::run::Run;
use crate::Call;

/// Handles the start of a session. Compaction starts nothing: the session goes on. Any other source
/// (startup, `/clear`, resume) creates the session if it does not exist, and reopens it if it had
/// ended; neither call changes anything else.
pub(super) fn session_start<'a>(
    payload: &'a Payload<'_>,
    inputs: &MapInputs<'a>,
    run: &mut Run,
) -> Vec<Draft<'a>> {
    if payload.source.as_deref() == Some("compact") {
        return vec![inputs.other(payload, run)];
    }
    let cut_off = if inputs.is_left {
        let mut drafts = interrupted(payload, inputs, run, |_| true);
        drafts.extend(unconfirmed(inputs.stamp, run, |_| true));
        drafts
    } else {
        Vec::new()
    };
    run.failed = false;
    run.prompted = false;
    run.message = None;
    run.forked = (payload.source.as_deref() == Some("fork")).then(|| inputs.stamp.at.to_owned());
    run.follows = true;
    let begun = begun(payload, inputs, run);
    let mut drafts = begin(payload, inputs, run);
    drafts.insert(1, Draft::of(Call::Reopen, json!({})));
    drafts.extend(cut_off);
    drafts.push(begun);
    // A fork's own id comes with its next hook.
    run.begun = !forks(payload, inputs);
    drafts
}

/// Returns whether the session is resumed only to be continued under another id.
pub(super) fn forks(payload: &Payload<'_>, inputs: &MapInputs<'_>) -> bool {
    let is_resumed = payload.source.as_deref() == Some("resume");
    is_resumed
        && inputs
            .caller
            .as_ref()
            .is_some_and(|caller| caller.forks(&payload.session_id))
}

/// Creates the session if it does not exist, and stores Claude Code's session and process in its
/// state. Called at the session's start, or at the first hook of a session without a start hook: a
/// fork, or a run whose hooks were installed later.
pub(super) fn begin<'a>(
    payload: &'a Payload<'_>,
    inputs: &MapInputs<'a>,
    run: &mut Run,
) -> Vec<Draft<'a>> {
    let process = inputs.caller.as_ref().map(|caller| caller.process.clone());
    run.begun = true;
    run.process.clone_from(&process);
    // Nothing of a fork comes before its prompt.
    let is_fork = inputs.caller.as_ref().is_some_and(Caller::is_fork);
    run.follows |= is_fork && Meaning::of(&payload.hook_event_name) == Meaning::Prompt;
    let skips = payload.permission_mode.as_deref() == Some("bypassPermissions");
    let mut config =
        json!({"permissionMode": payload.permission_mode, "dangerouslySkipPermissions": skips});
    if let Some(model) = &payload.model {
        config["model"] = model.as_str().into();
    }
    let initial = json!({
        "source": "claude-code", "input": {"cwd": payload.cwd, "source": payload.source}, "config": config,
        "claudeSessionId": payload.session_id,
    });
    let origin = inputs
        .caller
        .as_ref()
        .and_then(Caller::origin)
        .filter(|origin| *origin != payload.session_id);
    let mut names = json!({
        "sessionId": payload.session_id, "transcriptPath": payload.transcript_path, "process": process,
    });
    if is_fork {
        run.forked = Some(inputs.stamp.at.to_owned());
    }
    if let Some(origin) = origin {
        names["forkedFrom"] = origin.into();
    }
    let forked = origin.map(|origin| forked(payload, inputs, run, origin));
    let state = json!({"workspace": {"cwd": payload.cwd}, "claudeCode": names});
    let mut drafts = vec![
        Draft::of(
            Call::CreateSession {
                user_id: inputs.user,
                parent: None,
            },
            initial,
        ),
        Draft::of(Call::StateUpdate { if_version: None }, state),
    ];
    drafts.extend(forked);
    drafts
}

/// The first record of a session that continues another one.
fn forked<'a>(
    payload: &Payload<'_>,
    inputs: &MapInputs<'_>,
    run: &mut Run,
    from: &str,
) -> Draft<'a> {
    let body = body::SessionForked {
        cwd: payload.cwd.clone(),
        model: payload.model.clone(),
        from: Some(from.to_owned()),
        ..body::SessionForked::default()
    };
    let key = inputs.key_of(payload, run);
    inputs.stamp.entry(payload, body).key(key).draft()
}

/// The record of a session's start, or of the start of a process that continues it.
fn begun<'a>(payload: &'a Payload<'_>, inputs: &MapInputs<'a>, run: &mut Run) -> Draft<'a> {
    let cwd = payload.cwd.clone();
    let model = payload.model.clone();
    let entry = match payload.source.as_deref() {
        Some("resume") => inputs.stamp.entry(
            payload,
            body::SessionResumed {
                cwd,
                model,
                ..body::SessionResumed::default()
            },
        ),
        _ => inputs.stamp.entry(
            payload,
            body::SessionStarted {
                cwd,
                model,
                ..body::SessionStarted::default()
            },
        ),
    };
    let key = inputs.key_of(payload, run);
    let rest = inputs.rest(payload, run, &["model", "source"]);
    let entry = entry.extra("source", payload.source.clone());
    entry.key(key).raw(rest).draft()
}

/// Handles the end of a session. A session named by `SESSION_ID` may span several of Claude Code's
/// sessions; it does not end when one of them is replaced by the next.
pub(super) fn session_end<'a>(
    payload: &'a Payload<'_>,
    inputs: &MapInputs<'a>,
    run: &mut Run,
) -> Vec<Draft<'a>> {
    let is_interrupted = run.prompted || !run.open.is_empty();
    let mut drafts = interrupted(payload, inputs, run, |_| true);
    drafts.extend(unconfirmed(inputs.stamp, run, |_| true));
    run.prompted = false;
    drafts.push(inputs.other(payload, run));
    let reason = payload.reason.as_deref().unwrap_or("other");
    if inputs.named && matches!(reason, "clear" | "resume") {
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
