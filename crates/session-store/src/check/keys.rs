//! Checks the index of record keys against the logs, and the logs for keys that are stored twice.
//!
//! The index is derived data, so a wrong index is repaired by removing it. A key that is stored
//! twice is only a fault in a session whose whole history was written with record keys: an older
//! version stored each repeat.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;
use session_model::metadata::Metadata;
use session_model::state::State;
use session_model::{LogKind, SessionId, Timestamp, View, documents, json};

use super::fault::{CheckError, Fault};
use crate::files;
use crate::keys::{
    Covered, Digest, Entry, KEYED_LOGS, Run, RunFault, Scanned, open_chain, run_path, scan,
};
use crate::layout::{KEY_LEVELS, Layout, METADATA, key_run, log_name};
use crate::log_file::LogFile;
use crate::reader_limit::ReaderLimit;

/// The entries of a log's records, with the position where each record ends.
type Entries = BTreeMap<Entry, u64>;

/// Checks the index of a session. With `repair`, a wrong one is removed.
pub(super) fn check(
    layout: &Layout,
    id: &SessionId,
    repair: bool,
) -> Result<Vec<Fault>, CheckError> {
    let view = view_of(layout, id);
    let is_counted = view.as_ref().is_some_and(|view| view.keyed.is_some());
    let mut faults = Vec::new();
    for log in KEYED_LOGS {
        let name = format!("sessions/{id}/{}", log_name(log));
        let legacy = view
            .as_ref()
            .map_or(0, |view| view.logs[log.index()].legacy);
        let read = |action| CheckError::io(action, name.clone());
        let file = LogFile::open(&layout.log(id, log), legacy).map_err(read("open"))?;
        let mut entries = Entries::new();
        let mut firsts = BTreeMap::new();
        let scanned = scan(&file, 0, file.len(), |record| {
            entries.extend(record.entries().map(|entry| (entry, record.end)));
            if is_counted && let Some(first) = repeated(&mut firsts, record) {
                let what = format!("has the key of the record with seq {first}");
                let place = format!("seq {}", record.seq);
                faults.push(Fault::new(name.as_str(), place, what));
            }
            Ok(())
        });
        scanned.map_err(read("read"))?;
        let created_offset = view.as_ref().map_or(0, |view| view.created_offset);
        let covered = Covered {
            log,
            created_offset,
            len: file.len(),
            file: &file,
        };
        let mut of_runs = runs(layout, id, &covered, &entries)?;
        if repair && !of_runs.is_empty() {
            remove(layout, id, log)?;
            of_runs.iter_mut().for_each(|fault| fault.repaired = true);
        }
        faults.append(&mut of_runs);
    }
    Ok(faults)
}

/// Removes the index of a log; it is rebuilt when it is needed.
pub(super) fn remove(layout: &Layout, id: &SessionId, log: LogKind) -> Result<(), CheckError> {
    for level in 1..=KEY_LEVELS {
        match fs::remove_file(run_path(layout, id, log, level)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let name = format!("sessions/{id}/{}", key_run(log, level));
                return Err(CheckError::io("remove", name)(error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// Returns what the metadata says of the session; `None` if it cannot be read.
fn view_of(layout: &Layout, id: &SessionId) -> Option<View> {
    let bytes = files::read(&layout.file(id, METADATA)).ok()?;
    let metadata = Metadata::from_value(json::stored::<Value>(&bytes).ok()?)?;
    documents::read(
        id.clone(),
        metadata,
        State::at_creation(Timestamp::default()),
    )
}

/// Returns the number of the record that was stored with the same key before.
fn repeated(firsts: &mut BTreeMap<Digest, u64>, record: &Scanned<'_>) -> Option<u64> {
    let digest = Digest::of_record(record.body.key()?);
    let first = *firsts.entry(digest).or_insert(record.seq);
    (first != record.seq).then_some(first)
}

/// Checks the runs of a log that are used, and finds files that are not runs.
fn runs(
    layout: &Layout,
    id: &SessionId,
    covered: &Covered<'_>,
    entries: &Entries,
) -> Result<Vec<Fault>, CheckError> {
    let log = covered.log;
    let file_of = |level| format!("sessions/{id}/{}", key_run(log, level));
    let mut faults = Vec::new();
    for level in 1..=KEY_LEVELS {
        let path = run_path(layout, id, log, level);
        let run = Run::open(&path, None).map_err(CheckError::io("read", file_of(level)))?;
        if run.is_none() && fs::symlink_metadata(&path).is_ok() {
            let what = "is no index of record keys; it is rebuilt from the log";
            faults.push(Fault::new(file_of(level), "header", what));
        }
    }
    // Kept open: a running service may replace them meanwhile.
    let kept = ReaderLimit::new(KEY_LEVELS as usize);
    let chain = open_chain(layout, id, covered, || kept.keep());
    let chain = chain.map_err(CheckError::io("read", format!("sessions/{id}")))?;
    let mut found = BTreeSet::new();
    for run in &chain {
        let level = run.header.level;
        match read(run) {
            Ok(of_run) => found.extend(of_run),
            Err(RunFault::Io(error)) => return Err(CheckError::io("read", file_of(level))(error)),
            Err(RunFault::Damaged | RunFault::NotCached) => {
                faults.push(Fault::new(file_of(level), "page", "is damaged"));
            }
        }
    }
    let is_whole = faults.is_empty();
    if let Some(last) = chain.last().filter(|_| is_whole) {
        let file = file_of(last.header.level);
        faults.extend(differences(&file, &found, entries, last.header.to));
    }
    Ok(faults)
}

/// Reads all entries of a run; entries that are not in order are damage.
fn read(run: &Run) -> Result<BTreeSet<Entry>, RunFault> {
    let mut found = BTreeSet::new();
    for entry in run.entries()? {
        let entry = entry?;
        if found.last().is_some_and(|last| *last >= entry) {
            return Err(RunFault::Damaged);
        }
        found.insert(entry);
    }
    Ok(found)
}

/// Compares the entries of the runs with those of the log's first `to` bytes.
fn differences(file: &str, found: &BTreeSet<Entry>, entries: &Entries, to: u64) -> Vec<Fault> {
    let mut faults = Vec::new();
    let expected = entries.iter().filter(|(_, end)| **end <= to);
    for (entry, _) in expected.filter(|(entry, _)| !found.contains(entry)) {
        let place = format!("seq {}", entry.seq());
        faults.push(Fault::new(file, place, "lacks the record"));
    }
    let is_there = |entry: &Entry| entries.get(entry).is_some_and(|end| *end <= to);
    for entry in found.iter().filter(|entry| !is_there(entry)) {
        let place = format!("seq {}", entry.seq());
        let what = "names a record that has another key or is not there";
        faults.push(Fault::new(file, place, what));
    }
    faults
}
