//! Paths in the storage directory: the only place where file names are built.
//!
//! Directories on disk contain these names: only add names, never change or reuse them.

use std::path::{Path, PathBuf};

use session_model::{BlobName, LogKind, SessionId};

/// The snapshot of the metadata: user, times, status.
pub(crate) const METADATA: &str = "metadata.json";
/// The snapshot of the state: phase, goals, agents.
pub(crate) const STATE: &str = "state.json";
/// The document that the session was created from.
pub(crate) const INITIAL: &str = "initial.json";
/// The final document: how the session ended.
pub(crate) const FINAL: &str = "final.json";
/// The idempotent producers' positions, as of the last checkpoint.
pub(crate) const PRODUCERS: &str = "producers.json";

/// The lines that the journal held of a quarantined session.
pub(crate) const QUARANTINED_LINES: &str = "journal.jsonl";

/// The folder of a session's blobs.
pub(crate) const BLOBS: &str = "blobs";

/// The paths of a storage directory.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Creates the layout of this directory.
    pub(crate) fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The directory itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of all sessions.
    pub(crate) fn sessions(&self) -> PathBuf {
        self.root.join("sessions")
    }

    /// The folder of one session.
    pub(crate) fn session(&self, id: &SessionId) -> PathBuf {
        self.root.join("sessions").join(id.as_str())
    }

    /// A file of a session.
    pub(crate) fn file(&self, id: &SessionId, name: &str) -> PathBuf {
        self.session(id).join(name)
    }

    /// A log of a session.
    pub(crate) fn log(&self, id: &SessionId, log: LogKind) -> PathBuf {
        self.file(id, log_name(log))
    }

    /// The folder of links to the newest sessions.
    pub(crate) fn recent(&self) -> PathBuf {
        self.root.join("recent")
    }

    /// The derived index.
    pub(crate) fn index(&self) -> PathBuf {
        self.root.join("index.json")
    }

    /// The folder of the journal.
    pub(crate) fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    /// A segment of the journal, named by the offset of its first event.
    pub(crate) fn segment(&self, first_offset: u64) -> PathBuf {
        self.journal().join(format!("{first_offset:020}.seg"))
    }

    /// The checkpoint: the offset up to which the session files are complete.
    pub(crate) fn checkpoint(&self) -> PathBuf {
        self.journal().join("checkpoint.json")
    }

    /// The folder of sessions quarantined because their files are damaged.
    pub(crate) fn quarantine(&self) -> PathBuf {
        self.root.join("quarantine")
    }

    /// The folder of deleted sessions that are yet to be removed.
    pub(crate) fn trash(&self) -> PathBuf {
        self.root.join(".trash")
    }

    /// The path that a session's folder is moved to when the event of this offset deletes it.
    pub(crate) fn discarded(&self, id: &SessionId, offset: u64) -> PathBuf {
        self.trash().join(format!("{offset}-{id}"))
    }

    /// The access keys; the store only checks whether this file exists.
    pub(crate) fn access_keys(&self) -> PathBuf {
        self.root.join("access").join("keys.json")
    }

    /// The key used to make redaction placeholders.
    pub(crate) fn redaction_key(&self) -> PathBuf {
        self.root.join(".redaction-key")
    }

    /// A file that is created and removed to check whether the disk can be written.
    pub(crate) fn probe(&self) -> PathBuf {
        self.root.join(".probe")
    }

    /// The folder of incoming data that is not verified yet.
    pub(crate) fn incoming(&self) -> PathBuf {
        self.root.join(".incoming")
    }

    /// The folder of uploads that are not complete. It is emptied when the directory is opened.
    pub(crate) fn uploads(&self) -> PathBuf {
        self.root.join(".uploads")
    }

    /// The n-th upload since the directory was opened.
    pub(crate) fn upload(&self, n: u64) -> PathBuf {
        self.uploads().join(format!("{n}.part"))
    }

    /// The folder of sessions that are being packed for the archive.
    pub(crate) fn outgoing_folder(&self) -> PathBuf {
        self.root.join(".outgoing")
    }

    /// A session that is being packed for the archive.
    pub(crate) fn outgoing(&self, id: &SessionId) -> PathBuf {
        self.outgoing_folder().join(format!("{id}.tar.zst"))
    }

    /// The marker of an unfinished restore.
    pub(crate) fn restoring(&self) -> PathBuf {
        self.root.join(".restoring")
    }

    /// The lock that keeps a second process out.
    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join(".lock")
    }
}

/// Returns the file name of a log.
pub(crate) const fn log_name(log: LogKind) -> &'static str {
    match log {
        LogKind::Actions => "actions.jsonl",
        LogKind::Responses => "responses.jsonl",
        LogKind::Changes => "changes.jsonl",
    }
}

/// The number of levels of the index of record keys.
pub(crate) const KEY_LEVELS: u32 = 6;

/// Returns the file name of a run of the index of record keys.
pub(crate) fn key_run(log: LogKind, level: u32) -> String {
    format!("keys-{}-{level}.idx", log.as_str())
}

/// Returns the name of a run while it is being written.
pub(crate) fn key_run_draft(log: LogKind, level: u32) -> String {
    format!(".{}.tmp", key_run(log, level))
}

/// Returns whether a file of this name is derived from a session's other files. It is left out of
/// copies, and rebuilt.
pub(crate) fn is_derived_file(name: &str) -> bool {
    let of_log = |log| (1..=KEY_LEVELS).any(|level| key_run(log, level) == name);
    LogKind::ALL.into_iter().any(of_log)
}

/// Returns the file name of an earlier final document.
pub(crate) fn final_archive(n: u32) -> String {
    format!("final-{n}.json")
}

/// Returns whether a file of this name belongs to a session: a document, a log, or a kept damaged
/// copy of one of them.
pub(crate) fn is_session_file(name: &str) -> bool {
    let name = match name.split_once(".damaged") {
        Some((name, rest)) if is_number_suffix(rest) => name,
        Some(_) => return false,
        None => name,
    };
    let is_archive = || {
        let n = name
            .strip_prefix("final-")
            .and_then(|rest| rest.strip_suffix(".json"));
        n.and_then(|n| n.parse().ok())
            .is_some_and(|n| final_archive(n) == name)
    };
    let of_log = name.strip_suffix(".torn").unwrap_or(name);
    [
        METADATA,
        STATE,
        INITIAL,
        FINAL,
        PRODUCERS,
        QUARANTINED_LINES,
    ]
    .contains(&name)
        || LogKind::ALL.iter().any(|log| log_name(*log) == of_log)
        || is_archive()
}

/// A file in a session's folder of blobs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BlobFile {
    /// The bytes of a blob.
    Bytes(BlobName),
    /// What is known about a blob.
    Sidecar(BlobName),
    /// Bytes that did not match their name and were moved aside.
    Damaged(BlobName),
}

/// The name of the folder, in the folder of blobs, in which a blob is.
pub(crate) fn blob_folder(name: &BlobName) -> String {
    name.to_string()[..2].to_owned()
}

/// The file name of what is known about a blob.
pub(crate) fn blob_sidecar(name: &BlobName) -> String {
    format!("{name}.json")
}

/// The file name of the damaged bytes of a blob.
pub(crate) fn blob_damaged(name: &BlobName) -> String {
    format!("{name}.damaged")
}

/// Parses the name of a file in a folder of the folder of blobs.
pub(crate) fn parse_blob_file(folder: &str, name: &str) -> Option<BlobFile> {
    let digits = name.get(..BlobName::DIGITS)?;
    let blob = BlobName::of_hex(digits.as_bytes())?;
    if folder != blob_folder(&blob) {
        return None;
    }
    match &name[BlobName::DIGITS..] {
        "" => Some(BlobFile::Bytes(blob)),
        ".json" => Some(BlobFile::Sidecar(blob)),
        ".damaged" => Some(BlobFile::Damaged(blob)),
        _ => None,
    }
}

/// Returns whether the text is empty, `.<number>` or `-<number>`.
fn is_number_suffix(text: &str) -> bool {
    let digits = text.strip_prefix(['.', '-']);
    text.is_empty()
        || digits.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// Parses the offset in the name of a discarded folder.
pub(crate) fn parse_discarded_name(name: &str) -> Option<u64> {
    name.split_once('-')?.0.parse().ok()
}

/// Parses the offset in a segment's file name.
pub(crate) fn parse_segment_name(name: &str) -> Option<u64> {
    name.strip_suffix(".seg")
        .filter(|digits| digits.len() == 20)?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Directories on disk have these names: only add names, never change them.
    #[test]
    fn the_names_in_a_storage_directory_never_change() {
        let layout = Layout::new("d");
        let id = SessionId::parse("s").unwrap();
        for (path, name) in [
            (layout.root().to_owned(), "d"),
            (layout.sessions(), "d/sessions"),
            (layout.session(&id), "d/sessions/s"),
            (layout.file(&id, METADATA), "d/sessions/s/metadata.json"),
            (layout.file(&id, STATE), "d/sessions/s/state.json"),
            (layout.file(&id, INITIAL), "d/sessions/s/initial.json"),
            (layout.file(&id, FINAL), "d/sessions/s/final.json"),
            (
                layout.file(&id, &final_archive(2)),
                "d/sessions/s/final-2.json",
            ),
            (layout.file(&id, PRODUCERS), "d/sessions/s/producers.json"),
            (
                layout.file(&id, QUARANTINED_LINES),
                "d/sessions/s/journal.jsonl",
            ),
            (
                layout.log(&id, LogKind::Actions),
                "d/sessions/s/actions.jsonl",
            ),
            (
                layout.log(&id, LogKind::Responses),
                "d/sessions/s/responses.jsonl",
            ),
            (
                layout.log(&id, LogKind::Changes),
                "d/sessions/s/changes.jsonl",
            ),
            (layout.recent(), "d/recent"),
            (layout.index(), "d/index.json"),
            (layout.journal(), "d/journal"),
            (layout.segment(67), "d/journal/00000000000000000067.seg"),
            (layout.checkpoint(), "d/journal/checkpoint.json"),
            (layout.quarantine(), "d/quarantine"),
            (layout.trash(), "d/.trash"),
            (layout.discarded(&id, 9), "d/.trash/9-s"),
            (layout.access_keys(), "d/access/keys.json"),
            (layout.redaction_key(), "d/.redaction-key"),
            (layout.probe(), "d/.probe"),
            (layout.incoming(), "d/.incoming"),
            (layout.outgoing_folder(), "d/.outgoing"),
            (layout.outgoing(&id), "d/.outgoing/s.tar.zst"),
            (layout.restoring(), "d/.restoring"),
            (layout.lock(), "d/.lock"),
        ] {
            assert_eq!(path.to_str(), Some(name));
        }
        assert_eq!(parse_segment_name("00000000000000000067.seg"), Some(67));
        assert_eq!(parse_discarded_name("9-s"), Some(9));
    }

    #[test]
    fn runs_of_the_index_are_derived_files() {
        for log in LogKind::ALL {
            assert!(is_derived_file(&key_run(log, 1)));
            assert!(!is_derived_file(log_name(log)));
        }
        assert_eq!(key_run(LogKind::Responses, 6), "keys-responses-6.idx");
        for name in [
            "keys-actions-0.idx",
            "keys-actions-7.idx",
            "keys-actions-01.idx",
            "keys.idx",
        ] {
            assert!(!is_derived_file(name), "{name}");
        }
    }

    #[test]
    fn the_names_of_blob_files_say_what_they_are() {
        let blob = BlobName::of_digest([0xab; 32]);
        let folder = blob_folder(&blob);
        assert_eq!(
            parse_blob_file(&folder, &blob.to_string()),
            Some(BlobFile::Bytes(blob))
        );
        assert_eq!(
            parse_blob_file(&folder, &blob_sidecar(&blob)),
            Some(BlobFile::Sidecar(blob))
        );
        assert_eq!(
            parse_blob_file(&folder, &blob_damaged(&blob)),
            Some(BlobFile::Damaged(blob))
        );
        for (folder, name) in [
            ("cd", blob.to_string()),
            ("ab", format!("{blob}.exe")),
            ("ab", blob.to_string().to_uppercase()),
            ("", blob.to_string()),
            ("aba", blob.to_string()),
            ("ab", "x".to_owned()),
        ] {
            assert_eq!(parse_blob_file(folder, &name), None, "{folder:?} {name}");
        }
    }

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
            "keys-actions-1.idx",
            "run.sh",
        ] {
            assert!(!is_session_file(name), "{name}");
        }
    }
}
