//! The little that is remembered from one hook of a session to the next: how its last turn ended, and its errors.
//!
//! A file a session, `runs/<session>.json` in the shared folder, read and replaced under the folder's append lock. It
//! outlives the run, as a resume goes on with it. Without it records are the same; only `finalize` knows no last
//! message, and the state's `errors` begin anew (each is an action as well).

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::spool::private;

/// The state keeps so many; all are in the actions.
const MAX_ERRORS: usize = 100;
/// Files of sessions that have been silent for so long go when another one ends.
const MAX_SILENCE: Duration = Duration::from_hours(30 * 24);

/// One session's memory.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Run {
    pub failed: bool,
    pub message: Option<String>,
    pub errors: Vec<Value>,
}

impl Run {
    /// Notes an error and returns all of them.
    pub(super) fn add_error(&mut self, error: Value) -> &[Value] {
        self.errors.push(error);
        let surplus = self.errors.len().saturating_sub(MAX_ERRORS);
        self.errors.drain(..surplus);
        &self.errors
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
