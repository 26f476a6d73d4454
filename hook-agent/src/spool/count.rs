//! Reads the pending records of a folder without opening it.

use std::io;
use std::path::Path;

use super::loss::lost_by_gaps;
use super::progress::StateFile;
use super::record::{MAX_HEAD_BYTES, count_records, frame_length, session};
use super::slots;
use super::storage::{SpoolStorage, if_there};

/// The pending records of a folder.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// How many records, damaged ones included.
    pub records: u64,
    /// How many lost records the pending `gap` records report.
    pub lost: u64,
}

/// Counts the pending records of a folder and changes nothing.
pub(super) fn count_waiting(folder: &Path) -> io::Result<Waiting> {
    let storage = SpoolStorage::Disk(folder.to_owned());
    let cursor = StateFile::look(&storage)?.cursor;
    let mut waiting = Waiting::default();
    for first in storage
        .list()?
        .into_iter()
        .filter(|first| *first >= cursor.segment)
    {
        let offset = if first == cursor.segment {
            cursor.offset
        } else {
            0
        };
        let Some(segment) = if_there(storage.open(first))? else {
            continue;
        };
        let length = segment.length()?;
        let bytes = segment.read(offset, length.saturating_sub(offset) as usize)?;
        waiting.records += count_records(&bytes).0;
        waiting.lost += lost_by_gaps(&bytes);
    }
    for held in slots::paths(folder) {
        let held = count_waiting(&held)?;
        waiting.records += held.records;
        waiting.lost += held.lost;
    }
    Ok(waiting)
}

/// Returns the session of the first pending record of a folder, or `None` if there is no record.
/// For a folder that no process has open; reads only record heads. The session of a damaged record
/// may be any bytes.
pub(super) fn waiting(folder: &Path) -> io::Result<Option<Vec<u8>>> {
    let storage = SpoolStorage::Disk(folder.to_owned());
    let cursor = StateFile::look(&storage)?.cursor;
    for first in storage.list()? {
        let offset = if first == cursor.segment {
            cursor.offset
        } else {
            0
        };
        let Some(segment) = if_there(storage.open(first))? else {
            continue;
        };
        let head = segment.read(offset, MAX_HEAD_BYTES)?;
        if first >= cursor.segment && frame_length(&head, 0).is_some() {
            return Ok(Some(session(&head).to_vec()));
        }
    }
    held_session(folder)
}

/// Returns the session of the first held record of a folder.
fn held_session(folder: &Path) -> io::Result<Option<Vec<u8>>> {
    for path in slots::paths(folder) {
        if let Some(session) = waiting(&path)? {
            return Ok(Some(session));
        }
    }
    Ok(None)
}
