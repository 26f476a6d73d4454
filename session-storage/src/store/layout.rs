//! Paths in the storage directory: the only place where file names are built.

use std::path::{Path, PathBuf};

use session_model::{LogKind, SessionId};

/// The snapshot of the metadata: user, times, status.
pub const METADATA: &str = "metadata.json";
/// The snapshot of the state: phase, goals, agents.
pub const STATE: &str = "state.json";
/// The document that the session was created from.
pub const INITIAL: &str = "initial.json";
/// The final document: how the session ended.
pub const FINAL: &str = "final.json";
/// The idempotent producers' positions, as of the last checkpoint.
pub const PRODUCERS: &str = "producers.json";

/// The lines that the journal held of a quarantined session.
pub const QUARANTINED_LINES: &str = "journal.jsonl";

/// The paths of a storage directory.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Creates the layout of this directory.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of all sessions.
    pub fn sessions(&self) -> PathBuf {
        self.root.join("sessions")
    }

    /// The folder of one session.
    pub fn session(&self, id: &SessionId) -> PathBuf {
        self.root.join("sessions").join(id.as_str())
    }

    /// A file of a session.
    pub fn file(&self, id: &SessionId, name: &str) -> PathBuf {
        self.session(id).join(name)
    }

    /// A log of a session.
    pub fn log(&self, id: &SessionId, log: LogKind) -> PathBuf {
        self.file(id, log_name(log))
    }

    /// The folder of links to the newest sessions.
    pub fn recent(&self) -> PathBuf {
        self.root.join("recent")
    }

    /// The derived index.
    pub fn index(&self) -> PathBuf {
        self.root.join("index.json")
    }

    /// The folder of the journal.
    pub fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    /// A segment of the journal, named by the offset of its first event.
    pub fn segment(&self, first_offset: u64) -> PathBuf {
        self.journal().join(format!("{first_offset:020}.seg"))
    }

    /// The checkpoint: the offset up to which the session files are complete.
    pub fn checkpoint(&self) -> PathBuf {
        self.journal().join("checkpoint.json")
    }

    /// The folder of sessions quarantined because their files are damaged.
    pub fn quarantine(&self) -> PathBuf {
        self.root.join("quarantine")
    }

    /// The folder of deleted sessions that are yet to be removed.
    pub fn trash(&self) -> PathBuf {
        self.root.join(".trash")
    }

    /// The path that a session's folder is moved to when the event of this offset deletes it.
    pub fn discarded(&self, id: &SessionId, offset: u64) -> PathBuf {
        self.trash().join(format!("{offset}-{id}"))
    }

    /// The access keys; the store only checks whether this file exists.
    pub fn access_keys(&self) -> PathBuf {
        self.root.join("access").join("keys.json")
    }

    /// The key used to make redaction placeholders.
    pub fn redaction_key(&self) -> PathBuf {
        self.root.join(".redaction-key")
    }

    /// A file that is created and removed to check whether the disk can be written.
    pub fn probe(&self) -> PathBuf {
        self.root.join(".probe")
    }

    /// The folder of incoming data that is not verified yet.
    pub fn incoming(&self) -> PathBuf {
        self.root.join(".incoming")
    }

    /// The folder of sessions that are being packed for the archive.
    pub fn outgoing_folder(&self) -> PathBuf {
        self.root.join(".outgoing")
    }

    /// A session that is being packed for the archive.
    pub fn outgoing(&self, id: &SessionId) -> PathBuf {
        self.outgoing_folder().join(format!("{id}.tar.zst"))
    }

    /// The marker of an unfinished restore.
    pub fn restoring(&self) -> PathBuf {
        self.root.join(".restoring")
    }

    /// The lock that keeps a second process out.
    pub fn lock(&self) -> PathBuf {
        self.root.join(".lock")
    }
}

/// Returns the file name of a log.
pub const fn log_name(log: LogKind) -> &'static str {
    match log {
        LogKind::Actions => "actions.jsonl",
        LogKind::Responses => "responses.jsonl",
        LogKind::Changes => "changes.jsonl",
    }
}

/// Returns the file name of an earlier final document.
pub fn final_archive(n: u32) -> String {
    format!("final-{n}.json")
}

/// Returns whether a file of this name belongs to a session: a document, a log, or a kept damaged
/// copy of one of them.
pub fn is_session_file(name: &str) -> bool {
    let name = match name.split_once(".damaged") {
        Some((name, rest)) if is_number_suffix(rest) => name,
        Some(_) => return false,
        None => name,
    };
    let is_archive = || {
        let n = name.strip_prefix("final-").and_then(|rest| rest.strip_suffix(".json"));
        n.and_then(|n| n.parse().ok()).is_some_and(|n| final_archive(n) == name)
    };
    let of_log = name.strip_suffix(".torn").unwrap_or(name);
    [METADATA, STATE, INITIAL, FINAL, PRODUCERS, QUARANTINED_LINES].contains(&name)
        || LogKind::ALL.iter().any(|log| log_name(*log) == of_log)
        || is_archive()
}

/// Returns whether the text is empty, `.<number>` or `-<number>`.
fn is_number_suffix(text: &str) -> bool {
    let digits = text.strip_prefix(['.', '-']);
    text.is_empty() || digits.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// Parses the offset in the name of a discarded folder.
pub fn parse_discarded_name(name: &str) -> Option<u64> {
    name.split_once('-')?.0.parse().ok()
}

/// Parses the offset in a segment's file name.
pub fn parse_segment_name(name: &str) -> Option<u64> {
    name.strip_suffix(".seg").filter(|digits| digits.len() == 20)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_has_the_files_that_the_service_writes_and_no_other() {
        for name in [
            "metadata.json",
            "state.json",
            "initial.json",
            "final.json",
            "final-1.json",
            "final-12.json",
            "producers.json",
            "actions.jsonl",
            "responses.jsonl",
            "changes.jsonl",
            "actions.jsonl.damaged",
            "state.json.damaged",
            "final-2.json.damaged.3",
        ] {
            assert!(is_session_file(name), "{name}");
        }
        for name in [
            "",
            "notes.txt",
            "actions.json",
            "Metadata.json",
            "metadata.json~",
            "metadata.json.sh",
            "final-.json",
            "final-01.json",
            "final--1.json",
            "final-99999999999.json",
            ".damaged",
            "x.damaged",
            "state.json.damaged.sh",
            "state.json.damaged.",
            "run.sh",
        ] {
            assert!(!is_session_file(name), "{name}");
        }
    }
}
