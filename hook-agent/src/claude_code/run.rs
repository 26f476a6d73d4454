//! The little that is remembered from one hook of a session to the next: how its last turn ended, its errors, and which
//! calls have no result yet.
//!
//! A file a session, `runs/<session>.json` in the shared folder, replaced under the folder's append lock; the errors,
//! which few hooks need and which may be long, in one of their own, `errors/<session>.json`. They outlive the run, as a
//! resume goes on with it. Without them `finalize` knows no last message and nothing of an
//! interruption, calls that were denied or cut off have no result, and the state's `errors` start again from none (each is an
//! action as well).

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::spool::private;

/// The state keeps so many; all are in the actions.
const MAX_ERRORS: usize = 100;
/// So many calls without a result are remembered, and so many that have theirs.
const MAX_OPEN: usize = 256;
const MAX_CLOSED: usize = 256;
/// So many agents are remembered; those that run longest.
const MAX_AGENTS: usize = 1024;
/// A name of a call, tool or agent that is longer is not remembered.
const MAX_NAME: usize = 256;
/// Files of sessions that have been silent for so long go when another one ends.
const MAX_SILENCE: Duration = Duration::from_hours(30 * 24);

/// One session's memory.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Run {
    pub failed: bool,
    pub message: Option<String>,
    /// The model that was told last.
    pub model: Option<String>,
    #[serde(skip)]
    pub errors: Vec<Value>,
    /// The session has been made, and its state names Claude Code's session.
    pub begun: bool,
    /// The process that runs the session, as far as it is known.
    pub process: Option<Value>,
    /// It was there when the session's calls began: what it has nothing of was not called.
    pub follows: bool,
    /// A prompt has come, and no end of its turn.
    pub prompted: bool,
    /// The calls without a result, oldest first.
    pub open: Vec<OpenCall>,
    /// The calls that have theirs, the latest.
    pub results: VecDeque<String>,
    /// The agents that were started, the latest, and whether they run.
    pub agents: Vec<(String, bool)>,
}

/// A call that has no result yet.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct OpenCall {
    pub id: String,
    pub tool: Option<String>,
    pub agent: Option<String>,
}

impl Run {
    /// Notes an error and returns all of them.
    pub(super) fn add_error(&mut self, error: Value) -> &[Value] {
        self.errors.push(error);
        let surplus = self.errors.len().saturating_sub(MAX_ERRORS);
        self.errors.drain(..surplus);
        &self.errors
    }

    /// Notes a call.
    pub(super) fn opened(&mut self, id: &str, tool: Option<&str>, agent: Option<&str>) {
        self.follows = true;
        if id.len() > MAX_NAME {
            return;
        }
        if self.open.len() >= MAX_OPEN {
            self.open.remove(0);
        }
        let short = |name: Option<&str>| name.filter(|name| name.len() <= MAX_NAME).map(str::to_owned);
        let (tool, agent) = (short(tool), short(agent));
        self.open.push(OpenCall { id: id.to_owned(), tool, agent });
    }

    /// Notes a call's result; answers the call, if it is remembered.
    pub(super) fn closed(&mut self, id: &str) -> Option<OpenCall> {
        if self.results.len() >= MAX_CLOSED {
            self.results.pop_front();
        }
        if id.len() <= MAX_NAME {
            self.results.push_back(id.to_owned());
        }
        let at = self.open.iter().position(|call| call.id == id)?;
        Some(self.open.remove(at))
    }

    /// Notes that an agent runs, or that it does no more; answers whether it ran before, if it is known.
    pub(super) fn agent_runs(&mut self, id: &str, runs: bool) -> Option<bool> {
        if let Some((_, known)) = self.agents.iter_mut().find(|(known, _)| known == id) {
            return Some(std::mem::replace(known, runs));
        }
        if id.len() > MAX_NAME {
            return None;
        }
        if self.agents.len() >= MAX_AGENTS {
            let ended = self.agents.iter().position(|(_, runs)| !runs);
            self.agents.remove(ended.unwrap_or_default());
        }
        self.agents.push((id.to_owned(), runs));
        None
    }

    /// Whether the result of a call is known.
    pub(super) fn is_closed(&self, id: &str) -> bool {
        self.results.iter().any(|known| known == id)
    }

    /// What was kept, with the errors if they are wanted; nothing of what is in no file, or in half a one.
    pub(super) fn load(folder: &Path, session: &str, with_errors: bool) -> Self {
        let run: Self = read(folder, RUNS, session);
        if with_errors { Self { errors: read(folder, ERRORS, session), ..run } } else { run }
    }

    /// Replaces the files whose content is another than before.
    pub(super) fn save(&self, before: &Self, folder: &Path, session: &str) -> io::Result<()> {
        if self.errors != before.errors {
            replace(folder, ERRORS, session, &self.errors)?;
        }
        let run = serde_json::to_vec(self)?;
        if run == serde_json::to_vec(before)? { Ok(()) } else { replace(folder, RUNS, session, self) }
    }
}

const RUNS: &str = "runs";
const ERRORS: &str = "errors";

fn path(folder: &Path, kind: &str, session: &str) -> PathBuf {
    folder.join(kind).join(format!("{session}.json"))
}

fn read<T: DeserializeOwned + Default>(folder: &Path, kind: &str, session: &str) -> T {
    let read = std::fs::read(path(folder, kind, session)).unwrap_or_default();
    serde_json::from_slice(&read).unwrap_or_default()
}

fn replace(folder: &Path, kind: &str, session: &str, content: &impl Serialize) -> io::Result<()> {
    let path = path(folder, kind, session);
    private::make_folder(&folder.join(kind))?;
    let spare = path.with_extension("new");
    private::write(&spare, serde_json::to_vec(content)?)?;
    std::fs::rename(spare, path)
}

/// Removes what nobody has needed for long.
pub(super) fn forget_silent(folder: &Path) -> io::Result<()> {
    let Some(oldest) = SystemTime::now().checked_sub(MAX_SILENCE) else { return Ok(()) };
    for kind in [RUNS, ERRORS] {
        forget_older(&folder.join(kind), oldest)?;
    }
    Ok(())
}

fn forget_older(folder: &Path, oldest: SystemTime) -> io::Result<()> {
    let entries = match folder.read_dir() {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        if entry.metadata()?.modified()? < oldest {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
