//! Reads the pending records of a folder without opening it.

use std::io;
use std::path::Path;

use super::held::{held_session, paths as held_in};
use super::loss::lost_by_gaps;
use super::place::Place;
use super::progress::Ledger;
use super::record::{MAX_HEAD_BYTES, behind_damage, decode, frame_length, session};

/// Maps "not found" to `None`: in a shared folder, another process may have delivered and removed
/// the segment.
pub(super) fn if_there<T>(done: io::Result<T>) -> io::Result<Option<T>> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Counts the leading records, damaged ones included, and returns the count and where they end.
pub(super) fn count_records(bytes: &[u8]) -> (u64, usize) {
    let (mut count, mut at) = (0, 0);
    while let Some(next) = decode(bytes, at, 0).map(|(_, next)| next).or_else(|| behind_damage(bytes, at)) {
        count += 1;
        at = next;
    }
    (count, at)
}

/// Returns the session of the last readable record before `end`.
pub(super) fn nearest_session(bytes: &[u8], end: usize) -> &[u8] {
    let (mut session, mut at): (&[u8], _) = (b"", 0);
    while at < end {
        let record = decode(bytes, at, 0);
        session = record.as_ref().map_or(session, |(record, _)| &bytes[record.session.clone()]);
        let Some(next) = record.map(|(_, next)| next).or_else(|| behind_damage(bytes, at)) else { break };
        at = next;
    }
    session
}

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
    let place = Place::Disk(folder.to_owned());
    let cursor = Ledger::look(&place)?.cursor;
    let mut waiting = Waiting::default();
    for first in place.list()?.into_iter().filter(|first| *first >= cursor.segment) {
        let offset = if first == cursor.segment { cursor.offset } else { 0 };
        let Some(segment) = if_there(place.open(first))? else { continue };
        let length = segment.length()?;
        let bytes = segment.read(offset, length.saturating_sub(offset) as usize)?;
        waiting.records += count_records(&bytes).0;
        waiting.lost += lost_by_gaps(&bytes);
    }
    for held in held_in(folder) {
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
    let place = Place::Disk(folder.to_owned());
    let cursor = Ledger::look(&place)?.cursor;
    for first in place.list()? {
        let offset = if first == cursor.segment { cursor.offset } else { 0 };
        let Some(segment) = if_there(place.open(first))? else { continue };
        let head = segment.read(offset, MAX_HEAD_BYTES)?;
        if first >= cursor.segment && frame_length(&head, 0).is_some() {
            return Ok(Some(session(&head).to_vec()));
        }
    }
    held_session(folder)
}

/// Returns where the record after the first `records` records starts, or the end if there are not
/// so many.
pub(super) fn record_start(bytes: &[u8], records: u64) -> usize {
    let mut at = 0;
    for _ in 0..records {
        let Some((_, next)) = decode(bytes, at, 0) else { break };
        at = next;
    }
    at
}
