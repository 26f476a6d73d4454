//! The state kept from one hook of a session to the next: how its last turn ended, its errors, and
//! which calls have no result yet.
//!
//! One file per session, `runs/<session>.json` in the shared folder, replaced under the folder's
//! append lock. The errors, which few hooks need and which may be long, are in a separate file,
//! `errors/<session>.json`. The files outlive the run, because a resumed session continues with
//! them. Without them, `finalize` has no last message and does not report an interruption, calls
//! that were denied or cut off have no result, and the state's `errors` start from none again (each
//! error is also an action).

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::spool::private;

/// The most errors kept in the state; all errors are in the actions.
const MAX_ERRORS: usize = 100;
/// The most calls that are remembered without a result, and with one.
const MAX_OPEN: usize = 256;
const MAX_CLOSED: usize = 256;
/// The most agents that are remembered; ended ones are removed first.
const MAX_AGENTS: usize = 1024;
/// A longer name of a call, tool or agent is not remembered.
const MAX_NAME: usize = 256;
/// When a session ends, files of sessions that were silent for this long are removed.
const MAX_SILENCE: Duration = Duration::from_hours(30 * 24);

/// The state of one session.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Run {
    pub failed: bool,
    pub message: Option<String>,
    /// The last model that was recorded.
    pub model: Option<String>,
    #[serde(skip)]
    pub errors: Vec<Value>,
    /// Whether the session was created, and its state names Claude Code's session.
    pub begun: bool,
    /// The process that runs the session, if known.
    pub process: Option<Value>,
    /// Whether recording began before the session's calls did: then a call that is not known here
    /// did not happen.
    pub follows: bool,
    /// Whether a prompt has come whose turn has not ended.
    pub prompted: bool,
    /// The calls without a result, oldest first.
    pub open: Vec<OpenCall>,
    /// The latest calls that have a result.
    pub results: VecDeque<String>,
    /// The latest agents that were started, and whether they are running.
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
    /// Adds an error and returns all of them.
    pub(super) fn add_error(&mut self, error: Value) -> &[Value] {
        self.errors.push(error);
        let surplus = self.errors.len().saturating_sub(MAX_ERRORS);
        self.errors.drain(..surplus);
        &self.errors
    }

    /// Adds a call.
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

    /// Records a call's result. Returns the call if it was open.
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

    /// Records whether an agent is running. Returns whether it was running before, if known.
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

    /// Returns whether the result of a call is known.
    pub(super) fn is_closed(&self, id: &str) -> bool {
        self.results.iter().any(|known| known == id)
    }

    /// Loads the state, with the errors if requested. A missing or torn file yields the default.
    pub(super) fn load(folder: &Path, session: &str, with_errors: bool) -> Self {
        let run: Self = read(folder, RUNS, session);
        if with_errors { Self { errors: read(folder, ERRORS, session), ..run } } else { run }
    }

    /// Replaces the files whose content has changed.
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

/// Removes files that have not been used for `MAX_SILENCE`.
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
