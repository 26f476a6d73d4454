//! The little that is remembered from one hook of a session to the next: how its last turn ended, its errors, and which
//! calls have no result yet.
//!
//! A file a session, `runs/<session>.json` in the shared folder, read and replaced under the folder's append lock. It
//! outlives the run, as a resume goes on with it. Without it `finalize` knows no last message and nothing of an
//! interruption, calls that were denied or cut off have no result, and the state's `errors` begin anew (each is an
//! action as well).

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::spool::private;

/// The state keeps so many; all are in the actions.
const MAX_ERRORS: usize = 100;
/// So many calls without a result are remembered, and so many that have theirs.
const MAX_OPEN: usize = 256;
const MAX_CLOSED: usize = 256;
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
    pub errors: Vec<Value>,
    /// It was there when the session's calls began: what it has nothing of was not called.
    pub follows: bool,
    /// A prompt has come, and no end of its turn.
    pub prompted: bool,
    /// The calls without a result, oldest first.
    pub open: Vec<OpenCall>,
    /// The calls that have theirs, the latest.
    pub results: VecDeque<String>,
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
        if self.open.len() >= MAX_OPEN {
            self.open.remove(0);
        }
        let (tool, agent) = (tool.map(str::to_owned), agent.map(str::to_owned));
        self.open.push(OpenCall { id: id.to_owned(), tool, agent });
    }

    /// Notes a call's result; answers the call, if it is remembered.
    pub(super) fn closed(&mut self, id: &str) -> Option<OpenCall> {
        if self.results.len() >= MAX_CLOSED {
            self.results.pop_front();
        }
        self.results.push_back(id.to_owned());
        let at = self.open.iter().position(|call| call.id == id)?;
        Some(self.open.remove(at))
    }

    /// Whether the result of a call is known.
    pub(super) fn is_closed(&self, id: &str) -> bool {
        self.results.iter().any(|known| known == id)
    }

    /// What was kept; nothing if there is no file, or half a one.
    pub(super) fn load(folder: &Path, session: &str) -> Self {
        let read = std::fs::read(path(folder, session)).unwrap_or_default();
        serde_json::from_slice(&read).unwrap_or_default()
    }

    /// Replaces the file.
    pub(super) fn save(&self, folder: &Path, session: &str) -> io::Result<()> {
        let path = path(folder, session);
        private::make_folder(&folder.join("runs"))?;
        let spare = path.with_extension("new");
        private::write(&spare, serde_json::to_vec(self)?)?;
        std::fs::rename(spare, path)
    }
}

fn path(folder: &Path, session: &str) -> PathBuf {
    folder.join("runs").join(format!("{session}.json"))
}

/// Removes what nobody has needed for long.
pub(super) fn forget_silent(folder: &Path) -> io::Result<()> {
    let Some(oldest) = SystemTime::now().checked_sub(MAX_SILENCE) else { return Ok(()) };
    for entry in folder.join("runs").read_dir()? {
        let entry = entry?;
        if entry.metadata()?.modified()? < oldest {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
