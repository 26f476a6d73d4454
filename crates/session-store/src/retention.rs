//! Retention: selects the completed sessions to delete. The selection itself has no side effects.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use session_model::metadata::Metadata;
use session_model::{SessionId, Timestamp, json};

use super::blobs::BlobFolder;
use super::layout::{Layout, METADATA};

/// Retention limits; a limit that is not set deletes nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Policy {
    /// The most sessions.
    pub max_sessions: Option<u64>,
    /// The longest time since the service first received anything for a session.
    pub max_age: Option<Duration>,
    /// The most bytes of all sessions together.
    pub max_bytes: Option<u64>,
    /// Report what would be deleted, without deleting it.
    pub dry_run: bool,
}

impl Policy {
    /// Returns whether any limit is set.
    pub fn is_active(&self) -> bool {
        self.max_sessions.is_some() || self.max_age.is_some() || self.max_bytes.is_some()
    }
}

/// The limit that a session exceeds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bound {
    /// Too many sessions.
    Sessions,
    /// The session is too old.
    Age,
    /// The sessions together are too large.
    Bytes,
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sessions => "RETENTION_MAX_SESSIONS",
            Self::Age => "RETENTION_MAX_AGE",
            Self::Bytes => "RETENTION_MAX_BYTES",
        })
    }
}

/// A session that may be deleted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// The session's id.
    pub id: SessionId,
    /// When the service first received anything for the session. Its creation may be much earlier
    /// by the client's clock, and a session that was just delivered must not be deleted at once.
    pub received: Timestamp,
    /// Whether the session is completed; no other is ever deleted.
    pub completed: bool,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Returns the sessions that exceed the limits, oldest first, with their sizes; `sessions` are
/// given newest first.
///
/// The sizes of all sessions are read only if a limit needs them, since that costs some system
/// calls per session.
pub fn beyond(
    size_of: impl Fn(&SessionId) -> u64,
    sessions: impl Iterator<Item = (SessionId, Timestamp, bool)>,
    policy: Policy,
    now: Timestamp,
) -> Vec<(Candidate, Bound)> {
    let measured = |id: &SessionId| {
        if policy.max_bytes.is_some() {
            size_of(id)
        } else {
            0
        }
    };
    let candidate = |(id, received, completed)| Candidate {
        bytes: measured(&id),
        id,
        received,
        completed,
    };
    let candidates: Vec<Candidate> = sessions.map(candidate).collect();
    let mut picked = pick(&candidates, policy, now);
    picked
        .iter_mut()
        .for_each(|(session, _)| session.bytes = size_of(&session.id));
    picked
}

/// Finds the sessions beyond the limits from their files.
pub fn stored_beyond(
    directory: &Path,
    policy: Policy,
    now: Timestamp,
) -> io::Result<Vec<(Candidate, Bound)>> {
    let layout = &Layout::new(directory);
    let mut sessions: Vec<(Timestamp, u64, SessionId, bool)> = Vec::new();
    for entry in fs::read_dir(layout.sessions())? {
        let name = entry?.file_name();
        let Some(id) = name.to_str().and_then(|name| SessionId::parse(name).ok()) else {
            continue;
        };
        let stored = fs::read(layout.file(&id, METADATA)).ok();
        let Some(metadata) =
            stored.and_then(|bytes| Metadata::from_value(json::stored(&bytes).ok()?))
        else {
            tracing::warn!(session = %id, "retention skips a session whose metadata cannot be read");
            continue;
        };
        let offset = metadata
            .doc()
            .get("$createdOffset")
            .and_then(serde_json::Value::as_u64);
        sessions.push((
            metadata.received(),
            offset.unwrap_or(0),
            id,
            metadata.is_completed(),
        ));
    }
    sessions.sort_unstable_by(|a, b| b.cmp(a));
    let newest_first = sessions
        .into_iter()
        .map(|(received, _, id, completed)| (id, received, completed));
    let size = |id: &SessionId| size_of(layout, id);
    Ok(beyond(size, newest_first, policy, now))
}

/// Returns the size of a session's files in bytes; 0 if the session no longer exists.
pub(super) fn size_of(layout: &Layout, id: &SessionId) -> u64 {
    let Ok(entries) = std::fs::read_dir(layout.session(id)) else {
        return 0;
    };
    let files = entries.flatten().filter_map(|entry| entry.metadata().ok());
    let documents_and_logs: u64 = files
        .filter(std::fs::Metadata::is_file)
        .map(|file| file.len())
        .sum();
    let mut blobs = 0;
    let walked = BlobFolder::of(&layout.session(id)).walk(&mut |found| {
        blobs += found.bytes;
        Ok(())
    });
    if let Err(error) = walked {
        tracing::warn!(session = %id, %error, "the blobs of a session could not all be counted");
    }
    documents_and_logs + blobs
}

/// Returns the sessions to delete, oldest first, and the limits they exceed. `sessions` must be all
/// sessions, newest first.
pub fn pick(sessions: &[Candidate], policy: Policy, now: Timestamp) -> Vec<(Candidate, Bound)> {
    let mut count = sessions.len() as u64;
    let mut bytes: u64 = sessions.iter().map(|s| s.bytes).sum();
    let mut picked = Vec::new();
    for session in sessions.iter().rev().filter(|s| s.completed) {
        let age = Duration::from_millis(
            (now.as_millis() - session.received.as_millis())
                .max(0)
                .unsigned_abs(),
        );
        let beyond = [
            (
                policy.max_sessions.is_some_and(|max| count > max),
                Bound::Sessions,
            ),
            (policy.max_age.is_some_and(|max| age > max), Bound::Age),
            (
                policy.max_bytes.is_some_and(|max| bytes > max),
                Bound::Bytes,
            ),
        ];
        if let Some((_, bound)) = beyond.into_iter().find(|(is_beyond, _)| *is_beyond) {
            count -= 1;
            bytes -= session.bytes;
            picked.push((session.clone(), bound));
        }
    }
    picked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions() -> Vec<Candidate> {
        let one = |n: i64, completed| Candidate {
            id: SessionId::parse(&format!("s{n}")).unwrap(),
            received: Timestamp::from_millis(n * 1000),
            completed,
            bytes: 100,
        };
        vec![
            one(5, true),
            one(4, false),
            one(3, true),
            one(2, false),
            one(1, true),
        ]
    }

    #[test]
    fn only_completed_sessions_go_and_the_oldest_first() {
        let now = Timestamp::from_millis(6000);
        let picked = |policy| {
            let picked = pick(&sessions(), policy, now);
            picked
                .iter()
                .map(|(session, bound)| format!("{} {bound:?}", session.id))
                .collect::<Vec<_>>()
        };
        assert!(picked(Policy::default()).is_empty());
        assert_eq!(
            picked(Policy {
                max_sessions: Some(4),
                ..Policy::default()
            }),
            ["s1 Sessions"]
        );
        assert_eq!(
            picked(Policy {
                max_sessions: Some(0),
                ..Policy::default()
            }),
            ["s1 Sessions", "s3 Sessions", "s5 Sessions"]
        );
        assert_eq!(
            picked(Policy {
                max_bytes: Some(300),
                ..Policy::default()
            }),
            ["s1 Bytes", "s3 Bytes"]
        );
        let aged = Policy {
            max_age: Some(Duration::from_millis(2500)),
            ..Policy::default()
        };
        assert_eq!(picked(aged), ["s1 Age", "s3 Age"]);
    }
}
