//! What was said: prompts, messages of the assistant, failures of the model's provider.
//!
//! The transcript has each message with its id, model and stop reason, so messages are recorded from
//! it. The hooks `MessageDisplay` and `Stop` have their text too. It is kept until the transcript
//! has confirmed it. If the agent stops before that, the text is recorded as the hooks reported it, and
//! the transcript's fields are added later.

use serde_json::json;
use session_model::records::{Lane, MessageSource, Reason, Record, RecordKey, body};

use super::digest::text_digest;
use super::draft::{Draft, Entry, Stamp};
use super::map_inputs::{MapInputs, add_error, short_error};
use super::new_lines::NewLines;
use super::payload::{Payload, shortened};
use super::run::Run;
use super::shown::{Shown, Stated};
use super::transcript_lines::Found;
use crate::Call;

/// The most displayed messages, and the most of their bytes, that are kept for the transcript.
const MAX_SHOWN: usize = 32;
const MAX_SHOWN_BYTES: usize = 64 * 1024;
/// The most messages that were recorded without the transcript and are remembered.
const MAX_STATED: usize = 16;
/// The length of the last message in the session's final document.
const MAX_FINAL: usize = 16 * 1024;

/// Returns the last message of the session, for its final document.
pub(super) fn final_text(text: Option<&str>) -> Option<String> {
    text.map(|text| shortened(text.to_owned(), MAX_FINAL))
}

/// A prompt of the user, or one that Claude Code wrote itself.
pub(super) fn prompt<'a>(
    payload: &'a Payload<'_>,
    inputs: &MapInputs<'a>,
    run: &mut Run,
) -> Draft<'a> {
    let text = payload.prompt.clone().unwrap_or_default();
    let source = match payload.source.as_deref() {
        Some("user") => Some(MessageSource::Typed),
        Some("sdk") => Some(MessageSource::Sdk),
        Some("queued") => Some(MessageSource::Queued),
        _ => None,
    };
    // `system`, `loop_wakeup`, `poll_event` and so on: nobody wrote it.
    let is_own = payload.source.is_some() && source.is_none();
    let reason = reason_of(&text).or(is_own.then_some(Reason::Injected));
    let text = Some(text.into());
    let entry = match reason {
        Some(reason) => inputs.stamp.entry(
            payload,
            body::SystemMessage {
                text,
                reason: Some(reason),
            },
        ),
        None => inputs.stamp.entry(
            payload,
            body::UserMessage {
                text,
                source,
                ..body::UserMessage::default()
            },
        ),
    };
    let key = match &payload.prompt_id {
        Some(turn) => RecordKey::prompt(turn),
        None => inputs.key_of(payload, run),
    };
    let mut placed = vec!["prompt"];
    placed.extend(source.map(|_| "source"));
    entry
        .key(key)
        .raw(inputs.rest(payload, run, &placed))
        .draft()
}

/// Returns why a prompt is not the user's: all of it is in one of Claude Code's envelopes. A user
/// may quote these within a prompt.
fn reason_of(prompt: &str) -> Option<Reason> {
    let text = prompt.trim();
    [
        ("task-notification", Reason::Injected),
        ("system-reminder", Reason::Injected),
        ("teammate-message", Reason::Injected),
        ("local-command-caveat", Reason::Injected),
        ("local-command-stdout", Reason::CommandOutput),
        ("local-command-stderr", Reason::CommandOutput),
    ]
    .into_iter()
    .find(|(name, _)| is_envelope(text, name))
    .map(|(_, reason)| reason)
}

/// Returns whether a text begins and ends with a tag, or was cut off within it.
fn is_envelope(text: &str, name: &str) -> bool {
    let Some(rest) = text
        .strip_prefix('<')
        .and_then(|text| text.strip_prefix(name))
        .filter(|rest| rest.starts_with(['>', ' ']))
    else {
        return false;
    };
    let close = format!("</{name}>");
    match rest.find(&close) {
        Some(_) => rest.ends_with(&close),
        // A notification is always Claude Code's; the others may be quoted by a user.
        None => name == "task-notification",
    }
}

/// A part of a message that is displayed: kept for the transcript.
pub(super) fn displayed<'a>(
    payload: &'a Payload<'_>,
    inputs: &MapInputs<'a>,
    run: &mut Run,
) -> Vec<Draft<'a>> {
    let Some(delta) = &payload.delta else {
        return vec![inputs.other(payload, run)];
    };
    let stamp = inputs.stamp;
    let at = match &payload.message_id {
        Some(id) => place_of(payload, id.clone(), false, stamp, run),
        None => place_of_nameless(payload, delta, inputs, run),
    };
    let message = &mut run.shown[at];
    let is_nameless = message.is_nameless;
    let parts = &mut message.parts;
    let next = if is_nameless { 0 } else { parts.len() as u64 };
    let index = payload.index.unwrap_or(next);
    match parts.binary_search_by_key(&index, |(index, _)| *index) {
        // A second copy of the hooks.
        Ok(_) => {}
        Err(place) => parts.insert(place, (index, delta.clone())),
    }
    let mut drafts = Vec::new();
    let is_full = |run: &Run| {
        run.shown.len() > MAX_SHOWN
            || run.shown.iter().map(Shown::bytes).sum::<usize>() > MAX_SHOWN_BYTES
    };
    while is_full(run) {
        let shown = run.shown.remove(0);
        drafts.push(shown_record(&shown, stamp, run));
    }
    drafts
}

/// Returns the place of a message among the displayed ones, where it is added if it is not known.
fn place_of(
    payload: &Payload<'_>,
    id: String,
    is_nameless: bool,
    stamp: Stamp<'_>,
    run: &mut Run,
) -> usize {
    let known = run.shown.iter().position(|shown| shown.id == id);
    known.unwrap_or_else(|| {
        run.shown.push(Shown {
            id,
            is_nameless,
            agent: payload.agent().map(str::to_owned),
            turn: payload.prompt_id.clone(),
            at: stamp.at.to_owned(),
            parts: Vec::new(),
        });
        run.shown.len() - 1
    })
}

/// Returns the place of a message that has no id: the part is a later one of the last such message
/// of its agent and turn, or begins one.
fn place_of_nameless(
    payload: &Payload<'_>,
    part: &str,
    inputs: &MapInputs<'_>,
    run: &mut Run,
) -> usize {
    let index = payload.index.unwrap_or_default();
    let last = run.shown.iter().rposition(|shown| {
        shown.agent.as_deref() == payload.agent()
            && shown.turn == payload.prompt_id
            && shown.goes_on_with(index, part)
    });
    if let Some(at) = last {
        return at;
    }
    let key = inputs.key_of(payload, run).as_str().to_owned();
    place_of(payload, key, true, inputs.stamp, run)
}

/// Records the messages that were displayed and that the transcript has not confirmed.
pub(super) fn unconfirmed<'a>(
    stamp: Stamp<'_>,
    run: &mut Run,
    which: impl Fn(&Shown) -> bool,
) -> Vec<Draft<'a>> {
    let (found, kept) = std::mem::take(&mut run.shown)
        .into_iter()
        .partition(|shown| which(shown));
    run.shown = kept;
    let found: Vec<Shown> = found;
    found
        .iter()
        .map(|shown| shown_record(shown, stamp, run))
        .collect()
}

fn shown_record<'a>(shown: &Shown, stamp: Stamp<'_>, run: &mut Run) -> Draft<'a> {
    let text = shown.text();
    let key = shown.key();
    state(run, &key, &text, shown.turn.as_ref());
    let mut record = Record::new(body::AssistantMessage {
        text: Some(text.into()),
        ..body::AssistantMessage::default()
    });
    record.common.timestamp = Some(shown.at.clone());
    record.common.turn_id.clone_from(&shown.turn);
    Entry::new(record, Lane::Hook, stamp.version)
        .agent(shown.agent.as_deref())
        .key(key)
        .extra("event", "MessageDisplay")
        .draft()
}

/// Remembers a message that was recorded without the transcript.
fn state(run: &mut Run, key: &RecordKey, text: &str, turn: Option<&String>) {
    if run.stated.len() >= MAX_STATED {
        run.stated.pop_front();
    }
    run.stated.push_back(Stated {
        key: key.as_str().to_owned(),
        text: text_digest(text),
        turn: turn.cloned(),
        is_past: false,
    });
}

/// Records the new lines of the transcripts.
pub(super) fn heard<'a>(news: &NewLines, run: &mut Run) -> Vec<Draft<'a>> {
    let mut drafts = Vec::new();
    for read in &news.transcripts {
        for found in &read.found {
            drafts.extend(heard_one(found, read.agent.is_none(), run));
        }
        match &read.agent {
            None => {
                run.transcript = Some(read.path.display().to_string());
                run.read = read.place.clone();
            }
            Some(agent) => run.subagent_mut(agent).read = read.place.clone(),
        }
    }
    drafts
}

fn heard_one<'a>(found: &Found, is_main: bool, run: &mut Run) -> Option<Draft<'a>> {
    match found {
        Found::Record(entry) => Some(entry.as_ref().clone().draft()),
        Found::Message {
            text,
            whole,
            key,
            entry,
            amendment,
        } => {
            let text = text_digest(text);
            run.shown.retain(|shown| {
                let shown = text_digest(&shown.text());
                shown != text && shown != *whole
            });
            if is_main {
                run.last_message = [text, *whole];
            }
            let stated = run.stated.iter().position(|stated| stated.text == text);
            let Some(stated) = stated.and_then(|at| run.stated.remove(at)) else {
                return Some(entry.as_ref().clone().draft());
            };
            let own = built(&format!("amend:{}:{key}", stated.key));
            let amend = amendment.as_ref().clone().extra("of", stated.key).key(own);
            Some(amend.draft_as(Call::Response))
        }
        Found::Compacted { before, after } => {
            let key = run.compaction.take()?;
            Some(compacted(key, *before, *after))
        }
    }
}

fn built(key: &str) -> RecordKey {
    RecordKey::own(key).expect("a key with a prefix is not empty")
}

fn compacted<'a>(key: String, before: Option<i64>, after: Option<i64>) -> Draft<'a> {
    let own = built(&format!("amend:{key}"));
    let mut record = Record::new(body::Amend { of: Some(key) });
    let sizes = body::Compaction {
        tokens_before: before,
        tokens_after: after,
        ..body::Compaction::default()
    };
    record.extra = Record::new(sizes).into_fields();
    record.extra.shift_remove("type");
    Entry::new(record, Lane::Transcript, None).key(own).draft()
}

/// The end of a turn, with its last message.
pub(super) fn stop<'a>(
    payload: &'a Payload<'_>,
    inputs: &MapInputs<'a>,
    run: &mut Run,
) -> Vec<Draft<'a>> {
    run.failed = false;
    run.prompted = false;
    let last = payload.last_assistant_message.as_deref();
    run.message = final_text(last);
    let is_recorded = last.is_none_or(|text| {
        let text = text_digest(text);
        let is_of_turn = |stated: &Stated| match &payload.prompt_id {
            Some(turn) => stated.turn.as_ref() == Some(turn),
            None => stated.turn.is_none() && !stated.is_past,
        };
        let is_stated = |stated: &Stated| stated.text == text && is_of_turn(stated);
        run.last_message.contains(&text)
            || run.shown.iter().any(|shown| text_digest(&shown.text()) == text)
            // By another copy of the hooks.
            || run.stated.iter().any(is_stated)
    });
    let mut drafts = unconfirmed(inputs.stamp, run, |shown| shown.agent.is_none());
    if let Some(text) = last.filter(|_| !is_recorded) {
        let key = inputs.key_of(payload, run);
        state(run, &key, text, payload.prompt_id.as_ref());
        let entry = inputs.stamp.entry(
            payload,
            body::AssistantMessage {
                text: Some(text.into()),
                ..body::AssistantMessage::default()
            },
        );
        drafts.push(entry.key(key).draft());
    }
    drafts.extend(stop_hook(payload, inputs, run));
    drafts
}

/// The fields of a stop that have no place in the message: background tasks, for example.
fn stop_hook<'a>(
    payload: &'a Payload<'_>,
    inputs: &MapInputs<'a>,
    run: &mut Run,
) -> Option<Draft<'a>> {
    let rest = inputs.rest(payload, run, &["last_assistant_message"]);
    let says: Vec<_> = rest
        .into_iter()
        .filter(|(_, value)| !matches!(value.get(), "[]" | "{}" | "false"))
        .collect();
    (!says.is_empty()).then(|| {
        let entry = inputs.stamp.named(payload, "stop");
        entry.key(inputs.key_of(payload, run)).raw(says).draft()
    })
}

/// A turn that ended with an error of the model's provider.
pub(super) fn stop_failure<'a>(
    payload: &'a Payload<'_>,
    inputs: &MapInputs<'a>,
    run: &mut Run,
) -> Vec<Draft<'a>> {
    let text = payload
        .last_assistant_message
        .as_deref()
        .or(payload.error.as_deref())
        .unwrap_or("unknown")
        .to_owned();
    run.failed = true;
    run.prompted = false;
    run.message = final_text(Some(&text));
    // The error is displayed like a message, but the model did not write it.
    let shown = text_digest(&text);
    run.shown
        .retain(|message| text_digest(&message.text()) != shown);
    let mut drafts = unconfirmed(inputs.stamp, run, |shown| shown.agent.is_none());
    let key = inputs.key_of(payload, run);
    let rest = inputs.rest(payload, run, &["last_assistant_message", "error"]);
    let entry = inputs.stamp.entry(
        payload,
        body::Error {
            message: Some(text.as_str().into()),
            kind: payload.error.clone(),
        },
    );
    drafts.push(entry.key(key).raw(rest).draft());
    drafts.push(add_error(
        run,
        json!({"timestamp": inputs.stamp.at, "error": short_error(&text)}),
    ));
    drafts
}
