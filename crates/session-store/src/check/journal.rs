//! Checks the journal: every commit group of every segment must be valid, and its records must be
//! in the sessions' logs.

use std::collections::BTreeMap;

use bytes::Bytes;
use session_model::event::LifecycleStep;
use session_model::{LogKind, SessionId, line};

use super::fault::{CheckError, Fault};
use crate::checkpoint::Checkpoint;
use crate::files;
use crate::journaled::is_creation;
use crate::layout::Layout;
use crate::recovery::segment_firsts;
use crate::segment::{self, Entry, Found};

/// A record in the journal.
#[derive(Clone, Copy)]
pub(super) struct JournaledRecord {
    pub(super) offset: u64,
    /// The checksum of the record's line.
    pub(super) sum: u32,
}

/// The records of one session in the journal since the session was last created.
#[derive(Default)]
pub(super) struct JournaledRecords {
    pub(super) records: BTreeMap<(LogKind, u64), JournaledRecord>,
    /// The next start completes missing records from this offset on.
    pub(super) recovered_from: u64,
}

/// The records in the journal, by session.
#[derive(Default)]
pub(super) struct Journal {
    pub(super) sessions: BTreeMap<SessionId, JournaledRecords>,
}

impl Journal {
    fn take(&mut self, entry: &Entry) {
        if entry
            .events
            .iter()
            .any(|event| event.kind.step() == LifecycleStep::Deletes)
        {
            self.sessions.remove(&entry.session);
            return;
        }
        let session = self.sessions.entry(entry.session.clone()).or_default();
        if is_creation(entry) {
            session.records.clear();
        }
        for event in &entry.events {
            let Some(head) = line::head(&event.line) else {
                continue;
            };
            let record = JournaledRecord {
                offset: event.offset,
                sum: crc32c::crc32c(event.line.trim_ascii_end()),
            };
            session.records.insert((event.kind.log(), head.seq), record);
        }
    }
}

/// Reads all segments. A torn tail is no fault: a crash leaves one, and the next start truncates
/// it.
pub(super) fn check(layout: &Layout) -> Result<(Vec<Fault>, Journal), CheckError> {
    let mut faults = Vec::new();
    let mut journal = Journal::default();
    if !layout.journal().is_dir() {
        return Ok((faults, journal));
    }
    let checkpoint =
        Checkpoint::read(layout).map_err(CheckError::io("read", "journal/checkpoint.json"))?;
    if layout.checkpoint().exists() && checkpoint.is_none() {
        faults.push(Fault::new(
            "journal/checkpoint.json",
            "file",
            "cannot be read; the whole journal is replayed",
        ));
    }
    let firsts = segment_firsts(layout).map_err(CheckError::io("read", "journal"))?;
    for (n, first) in firsts.iter().enumerate() {
        let name = format!("journal/{first:020}.seg");
        let bytes = Bytes::from(
            files::read(&layout.segment(*first)).map_err(CheckError::io("read", &name))?,
        );
        segment::walk(
            &bytes,
            *first,
            0,
            n + 1 == firsts.len(),
            |_, found| match found {
                Found::Entry(entry) => journal.take(&entry),
                Found::Damaged { at, session } => {
                    let whose =
                        session.map_or_else(String::new, |id| format!(" of session `{id}`"));
                    faults.push(Fault::new(
                        name.as_str(),
                        format!("byte {at}"),
                        format!("an entry{whose} is damaged"),
                    ));
                }
            },
        );
    }
    let from = checkpoint
        .as_ref()
        .map_or(1, |checkpoint| checkpoint.next_offset);
    let behind = checkpoint
        .as_ref()
        .map(Checkpoint::sessions_behind)
        .unwrap_or_default();
    for (id, session) in &mut journal.sessions {
        session.recovered_from = behind.get(id).copied().unwrap_or(from);
    }
    Ok((faults, journal))
}
