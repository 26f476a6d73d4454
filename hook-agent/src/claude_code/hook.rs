//! Runs one hook: read, stamp, map, append, deliver for a limited time. The only module with side
//! effects.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::draft::{Draft, Stamp};
use super::error_log::{log_error, log_once};
use super::input::{read_object, text_and_replaced};
use super::map::map;
use super::map_inputs::MapInputs;
use super::meaning::Meaning;
use super::new_lines::{self, NewLines, is_plain, is_same_place, of_agent};
use super::payload::{AgentNote, Payload};
use super::process::{self, system_user};
use super::run::{Run, forget_silent};
use super::transcript::{Refusal, last_model, read_note};
use crate::client::check_session;
use crate::delivery::{Delivered, Once, Report, SpoolDrain};
use crate::offload::Offload;
use crate::redaction::Redaction;
use crate::spool::{AppendLock, Limits, SharedFolder, Spool, check_trust};
use crate::{Call, Config, Error, transport};

/// The delivery time of the last hook. `SessionEnd` has 1.5 seconds, after which Claude Code kills
/// the hook.
const LAST_WAIT: Duration = Duration::from_secs(1);
/// Pause between two attempts to send records directly.
const AGAIN: Duration = Duration::from_millis(20);
/// How many times records are made without holding the folder, if other hooks interfere.
const ATTEMPTS: usize = 4;
/// A large payload gets one more millisecond of delivery time per this many bytes.
const BYTES_A_MILLISECOND: usize = 64 * 1024;
/// How many bytes are kept of a payload that is larger than the service accepts.
const KEPT_OF_TOO_LARGE: usize = 64 * 1024;
/// Room for the fields around a payload.
const FIELDS: usize = 192 * 1024;
/// The most bytes that are read; far more than the limit of an event.
const MAX_INPUT: usize = 64 * 1024 * 1024;

/// The inputs of one hook.
pub(crate) struct Hook {
    pub config: Config,
    /// Also applied to the state that is kept between hooks.
    pub redaction: Redaction,
    /// How long delivery may take if the payload is small and the run goes on.
    pub wait: Duration,
    pub started: Instant,
}

/// Why a hook's records are not in the spool, or not all of them.
struct NotSpooled {
    reason: String,
    /// The records that are not in the spool, if only some are missing. The others are delivered
    /// from there and must not be sent another way too.
    left: Option<Vec<Vec<u8>>>,
    /// Some of the records are in the spool.
    begun: bool,
}

/// The records of a hook, and the state before and after it.
struct Made {
    before: Run,
    run: Run,
    frames: Vec<Vec<u8>>,
}

/// What the records of a hook are made from.
struct Input<'a> {
    payload: &'a Payload<'a>,
    inputs: &'a MapInputs<'a>,
    /// The state from which the transcripts were read on, and what is new in them.
    known: &'a Run,
    news: &'a NewLines,
}

impl Input<'_> {
    fn map(&self, run: &mut Run, news: &NewLines) -> Vec<Draft<'_>> {
        map(self.payload, self.inputs, news, run)
    }
}

impl From<io::Error> for NotSpooled {
    /// An I/O error before anything was written.
    fn from(error: io::Error) -> Self {
        Self {
            reason: error.to_string(),
            left: None,
            begun: false,
        }
    }
}

/// Notes in the folder's log that a hook was called with unknown arguments, or with settings that
/// can't be read.
pub(crate) fn log_unreadable_call(config: &Config, what: &str) {
    if let Some(folder) = open_folder(config) {
        log_error(&folder.path, what);
    }
}

impl Hook {
    /// Records the hook on standard input. Errors are noted, never raised.
    pub(crate) fn run(&self) {
        let now = jiff::Timestamp::now();
        let at = format!("{now:.3}");
        let (input, read) = read_object(&mut io::stdin().lock(), MAX_INPUT);
        let folder = open_folder(&self.config);
        if let Err(error) = read {
            self.log_error(
                folder.as_ref(),
                &format!("failed to read standard input: {error}"),
            );
        }
        let (text, replaced) = text_and_replaced(&input);
        let text = self.redaction.text(&text);
        let raw = bounded(&text, self.largest_payload());
        let mut is_readable = true;
        let (raw, payload) = match Payload::parse(&raw) {
            Ok(payload) => (Cow::Borrowed(&*raw), payload),
            Err(error) => {
                self.log_error(
                    folder.as_ref(),
                    &format!(
                        "failed to parse the payload of {} bytes: {error}",
                        raw.len()
                    ),
                );
                is_readable = false;
                (unreadable(&raw), Payload::default())
            }
        };
        let payload = if is_readable {
            payload
        } else {
            Payload::unreadable(&raw)
        };
        let Some(session) = self.session(&payload, folder.as_ref()) else {
            return;
        };
        let note = agent_note(&payload);
        let user = self
            .config
            .user_id
            .clone()
            .or_else(system_user)
            .unwrap_or_else(|| "unknown".to_owned());
        let named = self.config.session_id.as_deref() == Some(&session);
        let known = folder
            .as_ref()
            .map(|folder| Run::load(&folder.path, &session, false))
            .unwrap_or_default();
        let is_start = Meaning::of(&payload.hook_event_name) == Meaning::SessionStart;
        let process = process::caller();
        let process_id = process.as_ref().map(|found| found.process.to_string());
        let caller = process.filter(|_| is_start || !known.begun);
        let is_left = is_start && known.process.as_ref().is_some_and(process::has_ended);
        let news = new_lines::read(&payload, &raw, &known, self.started);
        for trouble in &news.troubles {
            self.log_once(folder.as_ref(), trouble);
        }
        let model = self.model(folder.as_ref(), &payload, &known);
        let version = version();
        let inputs = MapInputs {
            stamp: Stamp {
                at: &at,
                version: version.as_deref(),
            },
            raw: &raw,
            replaced: &replaced,
            now: now.as_millisecond(),
            user: &user,
            named,
            process_id,
            note,
            caller,
            is_left,
            model,
        };
        let input = Input {
            payload: &payload,
            inputs: &inputs,
            known: &known,
            news: &news,
        };
        self.record(folder.as_ref(), &session, &input);
    }

    /// Returns the model that answered, while none is known. The end of a turn tells it too, but a
    /// run that is killed has no such end. Claude Code writes an answer to the transcript up to a
    /// tenth of a second after it acts on it.
    fn model(
        &self,
        folder: Option<&SharedFolder>,
        payload: &Payload<'_>,
        known: &Run,
    ) -> Option<String> {
        let is_call = matches!(
            Meaning::of(&payload.hook_event_name),
            Meaning::ToolCall | Meaning::ToolResult | Meaning::ToolError | Meaning::ToolBatch
        );
        if !is_call || known.model.is_some() {
            return None;
        }
        let path = payload.transcript_path.as_deref()?;
        match last_model(Path::new(path)) {
            Ok(model) => model,
            Err(Refusal::Missing(_)) => None,
            Err(refusal) => {
                self.log_once(folder, &refusal.to_string());
                None
            }
        }
    }

    /// Returns `SESSION_ID`, or else Claude Code's own session id.
    fn session(&self, payload: &Payload<'_>, folder: Option<&SharedFolder>) -> Option<String> {
        let named = self.config.session_id.as_deref();
        if let Some(Err(error)) = named.map(check_session) {
            self.log_error(folder, &error.to_string());
        }
        let usable = |id: &&str| check_session(id).is_ok();
        let found = named
            .filter(usable)
            .or_else(|| Some(&*payload.session_id).filter(usable));
        if found.is_none() {
            self.log_error(
                folder,
                "no session: set `SESSION_ID`, because the payload has no usable id",
            );
        }
        found.map(str::to_owned)
    }

    fn record(&self, folder: Option<&SharedFolder>, session: &str, input: &Input<'_>) {
        let last = Meaning::of(&input.payload.hook_event_name) == Meaning::SessionEnd;
        let bytes = input.inputs.raw.len();
        let keep = || {
            folder.map_or(
                Err(
                    io::Error::other("no spool directory is writable: set `HOOK_AGENT_SPOOL_DIR`")
                        .into(),
                ),
                |folder| self.keep(folder, session, input).map(|()| folder),
            )
        };
        let mut kept = keep();
        if let Some(folder) = folder
            && let Err(NotSpooled {
                reason,
                begun: false,
                ..
            }) = &kept
        {
            self.log_error(Some(folder), &format!("failed to spool: {reason}"));
            // Delivery makes room in a full spool, and records keep their order.
            self.deliver(folder, last, bytes);
            kept = keep();
        }
        match kept {
            Ok(folder) => self.deliver(folder, last, bytes),
            Err(NotSpooled { reason, left, .. }) => {
                self.log_error(folder, &format!("failed to spool: {reason}"));
                let reframed =
                    || self.frames(folder, session, &input.map(&mut Run::default(), input.news));
                let frames = left.unwrap_or_else(reframed);
                if let Err((error, lost)) = self.pass_by(&frames) {
                    self.log_error(folder, &format!("records lost: {error}"));
                    self.lose(folder, &frames[frames.len() - lost..]);
                }
            }
        }
    }

    /// Appends the records, and saves the state.
    fn keep(
        &self,
        folder: &SharedFolder,
        session: &str,
        input: &Input<'_>,
    ) -> Result<(), NotSpooled> {
        let (held, made) = self.remembering(folder, session, input)?;
        self.append(&held, made.frames)?;
        let saved = made.run.save(&made.before, &folder.path, session);
        let meaning = Meaning::of(&input.payload.hook_event_name);
        let forgot = if meaning == Meaning::SessionEnd {
            forget_silent(&folder.path)
        } else {
            Ok(())
        };
        for error in saved.err().into_iter().chain(forgot.err()) {
            log_error(&folder.path, &format!("failed to save the run: {error}"));
        }
        Ok(())
    }

    /// Makes the records from the saved state, and holds the folder. Making records of a large
    /// payload takes milliseconds, and no other process should wait for that. So the state is read
    /// before, and again once the folder is held. Only if other hooks of the session changed it
    /// each time are the records made while the others wait.
    fn remembering<'f>(
        &self,
        folder: &'f SharedFolder,
        session: &str,
        input: &Input<'_>,
    ) -> io::Result<(AppendLock<'f>, Made)> {
        let with_errors = Meaning::of(&input.payload.hook_event_name).may_be_error();
        let load = || Run::load(&folder.path, session, with_errors);
        let make = || {
            let before = load();
            let mut run = before.clone();
            let again;
            let news = if is_same_place(&before, input.known) {
                input.news
            } else {
                // Another hook has read the transcript meanwhile.
                again = new_lines::read(input.payload, input.inputs.raw, &before, self.started);
                for trouble in &again.troubles {
                    log_once(&folder.path, trouble);
                }
                &again
            };
            let frames = self.frames(Some(folder), session, &input.map(&mut run, news));
            Made {
                before,
                run,
                frames,
            }
        };
        for _ in 0..ATTEMPTS {
            let made = make();
            let held = folder.hold()?;
            if load() == made.before {
                return Ok((held, made));
            }
        }
        let held = folder.hold()?;
        Ok((held, make()))
    }

    fn frames(
        &self,
        folder: Option<&SharedFolder>,
        session: &str,
        drafts: &[Draft<'_>],
    ) -> Vec<Vec<u8>> {
        let offload = Offload::of(&self.config);
        let framed = drafts.iter().map(|draft| {
            draft
                .call
                .frame(session, &draft.json, &self.redaction, offload)
        });
        framed
            .filter_map(|frame| {
                frame
                    .map_err(|error| self.log_error(folder, &error.to_string()))
                    .ok()
            })
            .collect()
    }

    fn append(&self, held: &AppendLock<'_>, mut frames: Vec<Vec<u8>>) -> Result<(), NotSpooled> {
        let (spool, _) = held.open(self.limits(false))?;
        for written in 0..frames.len() {
            if let Err(error) = spool.try_append(&frames[written]) {
                let reason = error.to_string();
                let left = Some(frames.split_off(written));
                return Err(NotSpooled {
                    reason,
                    left,
                    begun: written > 0,
                });
            }
        }
        Ok(())
    }

    fn deliver(&self, folder: &SharedFolder, last: bool, bytes: usize) {
        let more = Duration::from_millis((bytes / BYTES_A_MILLISECOND) as u64);
        let wait = if last {
            LAST_WAIT
        } else {
            (self.wait + more).min(LAST_WAIT)
        };
        let deadline = self.started + wait;
        let delivered = Once {
            config: &self.config,
            folder,
            deadline,
            last,
        }
        .deliver();
        match delivered {
            Ok(Delivered::All | Delivered::LeftToOthers) => {}
            Ok(Delivered::Failed(reason)) => {
                log_once(&folder.path, &format!("not delivered yet: {reason}"));
            }
            Err(error) => log_once(&folder.path, &format!("not delivered yet: {error}")),
        }
    }

    /// Sends the records directly to the service when the spool has no room. On failure returns the
    /// error, and how many of the last records are lost.
    fn pass_by(&self, frames: &[Vec<u8>]) -> Result<(), (Error, usize)> {
        let mut left = frames.len();
        self.send_straight(frames, &mut left)
            .map_err(|error| (error, left))
    }

    fn send_straight(&self, frames: &[Vec<u8>], left: &mut usize) -> Result<(), Error> {
        let producer = uuid::Uuid::new_v4().simple().to_string();
        let in_memory = |source| Error::SpoolWrite {
            path: PathBuf::from("(memory)"),
            source,
        };
        // The records are in memory already.
        let limits = Limits {
            max_bytes: u64::MAX,
            ..self.limits(true)
        };
        let (spool, head) = Spool::in_memory(producer, limits).map_err(in_memory)?;
        for frame in frames {
            spool.append(frame)?;
        }
        let config = Config {
            connect_timeout: LAST_WAIT / 2,
            answer_timeout: LAST_WAIT,
            ..self.config.clone()
        };
        let mut transport = transport::open(&config)?;
        let report = Report::default();
        let mut drain = SpoolDrain::new(Arc::new(spool), head);
        while drain.spool.pending() > 0 {
            let turn = drain.turn(&mut *transport, None, &report);
            *left = drain.spool.pending() as usize;
            if turn != crate::delivery::Turn::Progress {
                // A request without a response may be stored; its repeat tells. No longer than any
                // hook waits: with the service away, each would cost the agent that time.
                if Instant::now() < self.started + self.wait.min(LAST_WAIT) {
                    std::thread::sleep(AGAIN);
                    transport = transport::open(&config)?;
                    continue;
                }
                let reason = report.last_error().unwrap_or_default();
                return Err(Error::Unreachable {
                    url: self.config.service.as_str().to_owned(),
                    reason,
                });
            }
        }
        Ok(())
    }

    /// Reports the lost records in the session's log.
    fn lose(&self, folder: Option<&SharedFolder>, frames: &[Vec<u8>]) {
        let Some(folder) = folder else { return };
        match folder.hold().and_then(|held| held.open(self.limits(false))) {
            Ok((spool, _)) => spool.lose_all(frames),
            Err(error) => {
                self.log_error(Some(folder), &format!("failed to report the loss: {error}"));
            }
        }
    }

    /// Returns how large a payload may be to be recorded whole: all of it may be in one record.
    fn largest_payload(&self) -> usize {
        let of_record = Offload::of(&self.config).largest(Call::Action.kind());
        of_record - FIELDS
    }

    fn limits(&self, in_memory: bool) -> Limits {
        Limits::of(&self.config, in_memory)
    }

    fn log_once(&self, folder: Option<&SharedFolder>, what: &str) {
        match folder {
            Some(folder) => log_once(&folder.path, what),
            None => self.log_error(None, what),
        }
    }

    fn log_error(&self, folder: Option<&SharedFolder>, what: &str) {
        if let Some(folder) = folder {
            return log_error(&folder.path, what);
        }
        let trusted = self
            .config
            .spool_dirs
            .iter()
            .filter(|dir| check_trust(dir).is_ok());
        trusted.for_each(|dir| log_error(dir, what));
    }
}

/// Returns the version of Claude Code, which it tells its hooks as `claude-code_2-1-197_harness`.
fn version() -> Option<String> {
    let agent = std::env::var("AI_AGENT").ok()?;
    let version = agent.strip_prefix("claude-code_")?.split('_').next()?;
    Some(version.replace('-', "."))
}

fn open_folder(config: &Config) -> Option<SharedFolder> {
    config
        .spool_dirs
        .iter()
        .find_map(|dir| SharedFolder::open(dir, config.service.as_str()).ok())
}

/// Returns the payload, or the parts that are kept if it is too large for a record.
fn bounded(raw: &str, largest: usize) -> Cow<'_, str> {
    if raw.len() <= largest {
        return Cow::Borrowed(raw);
    }
    let Ok(Payload {
        hook_event_name,
        session_id,
        cwd,
        agent_id,
        tool_name,
        tool_use_id,
        ..
    }) = Payload::parse(raw)
    else {
        return Cow::Borrowed(start(raw));
    };
    let kept = serde_json::json!({
        "session_id": session_id, "hook_event_name": hook_event_name, "cwd": cwd, "agent_id": agent_id,
        "tool_name": tool_name, "tool_use_id": tool_use_id,
        "too_large": {"bytes": raw.len(), "start": start(raw)},
    });
    Cow::Owned(kept.to_string())
}

/// Wraps a payload that is not JSON as text.
fn unreadable(raw: &str) -> Cow<'static, str> {
    Cow::Owned(serde_json::json!({"unreadable": start(raw), "bytes": raw.len()}).to_string())
}

fn start(raw: &str) -> &str {
    let mut end = raw.len().min(KEPT_OF_TOO_LARGE);
    while !raw.is_char_boundary(end) {
        end -= 1;
    }
    &raw[..end]
}

/// Reads the note beside the agent's transcript. Claude Code writes it after `SubagentStart`; older
/// versions do not write it.
fn agent_note(payload: &Payload<'_>) -> AgentNote {
    if Meaning::of(&payload.hook_event_name) != Meaning::AgentStop {
        return AgentNote::default();
    }
    let Some(agent) = payload.agent() else {
        return AgentNote::default();
    };
    let Some(transcript) = payload.transcript_path.as_deref() else {
        return AgentNote::default();
    };
    let path = of_agent(Path::new(transcript), agent).with_extension("meta.json");
    let read = if is_plain(agent) {
        read_note(&path).unwrap_or_default()
    } else {
        Vec::new()
    };
    AgentNote::read(&read)
}
