//! What happens at the start: read the journal, complete the sessions it names, know all the others.
//!
//! Crash cases, each with its outcome:
//! - before a group's sync ended: a torn tail, cut off; nobody was answered;
//! - after the sync, before the logs were written: the lines are written now, from the journal;
//! - while a snapshot was being replaced, or after a power cut that lost unsynced snapshots: the view is taken
//!   from the journal's image and replayed; the snapshots are written anew;
//! - damage in the middle of the journal: the entries around it are used; a session that lacks a line in both
//!   journal and log is set aside in `quarantine/`;
//! - a lost or damaged checkpoint: the whole journal is replayed, which changes nothing that is there already.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;

use bytes::Bytes;
use session_model::{EventKind, SessionId, View};

use super::checkpoint::{Checkpoint, boot_id, new_epoch};
use super::disk::Disk;
use super::error::{Damage, OpenError};
use super::index::{self, FoundIndex, Index, Row};
use super::layout::{Layout, METADATA, parse_discarded_name, parse_segment_name};
use super::legacy::Hint;
use super::log_writer::discard;
use super::segment::{self, Entry, Found};
use super::session_dir::{self, Opened};

/// What the start found.
pub struct Recovered {
    /// The life of the directory.
    pub epoch: String,
    /// From which offset on the journal is replayed.
    pub checkpoint: u64,
    /// The offset that the next event gets.
    pub next_offset: u64,
    /// The first offset of each segment that is there.
    pub segments: Vec<u64>,
    /// The sessions that the journal named, completed; their snapshots are to be written.
    pub views: Vec<View>,
    /// Sessions set aside, and why.
    pub quarantined: BTreeMap<SessionId, String>,
}

/// What a walk over the journal gathers.
#[derive(Default)]
struct Walked {
    entries: BTreeMap<SessionId, Vec<Entry>>,
    deleted: BTreeMap<SessionId, u64>,
    next_offset: u64,
    torn: bool,
    damaged: BTreeSet<SessionId>,
    damages: usize,
}

impl Walked {
    fn take(&mut self, from: u64, found: Found) {
        match found {
            Found::Entry(entry) => {
                self.next_offset = self.next_offset.max(entry.first_offset + entry.events.len() as u64);
                if entry.first_offset < from && entry.first_offset + (entry.events.len() as u64) <= from {
                    return;
                }
                if let Some(deletion) = entry.events.iter().find(|e| e.kind == EventKind::SessionDeleted) {
                    self.deleted.insert(entry.session.clone(), deletion.offset);
                    self.entries.remove(&entry.session);
                } else {
                    let entries = self.entries.entry(entry.session.clone()).or_default();
                    if session_dir::is_birth(&entry) {
                        entries.clear();
                    }
                    entries.push(*entry);
                }
            }
            Found::Damaged { at, session } => {
                tracing::error!(at, session = ?session, "the journal is damaged here; what follows is used");
                self.damages += 1;
                self.damaged.extend(session);
            }
        }
    }
}

/// The first offsets of the segments that are there, ascending.
pub fn segment_firsts(layout: &Layout) -> io::Result<Vec<u64>> {
    let mut firsts = Vec::new();
    for entry in fs::read_dir(layout.journal())? {
        firsts.extend(parse_segment_name(&entry?.file_name().to_string_lossy()));
    }
    firsts.sort_unstable();
    Ok(firsts)
}

/// Walks over the segments that may hold entries from `from` on.
fn walk_journal(layout: &Layout, firsts: &[u64], from: u64) -> io::Result<Walked> {
    let mut walked = Walked { next_offset: 1, ..Walked::default() };
    // An entry without events uses no offset up: one of this offset may stand at the end of the segment before.
    let begin = firsts.partition_point(|first| *first < from).saturating_sub(1);
    for (n, first) in firsts.iter().enumerate().skip(begin) {
        walked.next_offset = walked.next_offset.max(*first);
        let bytes = Bytes::from(fs::read(layout.segment(*first))?);
        let is_last = n + 1 == firsts.len() || walked_is_empty(layout, &firsts[n + 1..])?;
        let end = segment::walk(&bytes, *first, 0, is_last, |_, found| walked.take(from, found));
        if end.torn {
            tracing::warn!(segment = first, at = end.at, "a torn tail was cut off the journal");
            walked.torn = true;
        }
        truncate(layout, *first, end.at, bytes.len())?;
    }
    Ok(walked)
}

/// Whether none of these segments begins with a group.
fn walked_is_empty(layout: &Layout, firsts: &[u64]) -> io::Result<bool> {
    for first in firsts {
        let bytes = Bytes::from(fs::read(layout.segment(*first))?);
        let mut any = false;
        segment::walk(&bytes, *first, 0, true, |_, _| any = true);
        if any {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A segment is not written to again: what stands behind its end is removed.
fn truncate(layout: &Layout, first: u64, end: usize, len: usize) -> io::Result<()> {
    if end == len {
        return Ok(());
    }
    let path = layout.segment(first);
    if end == 0 {
        return fs::remove_file(path);
    }
    fs::OpenOptions::new().write(true).open(path)?.set_len(end as u64)
}

/// All that the journal still holds of one session, for healing it.
pub fn entries_of(layout: &Layout, id: &SessionId) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for first in segment_firsts(layout)? {
        let bytes = Bytes::from(fs::read(layout.segment(first))?);
        segment::walk(&bytes, first, 0, true, |_, found| match found {
            Found::Entry(entry) if entry.session == *id => {
                let is_deletion = entry.events.iter().any(|e| e.kind == EventKind::SessionDeleted);
                if is_deletion || session_dir::is_birth(&entry) {
                    entries.clear();
                }
                if !is_deletion {
                    entries.push(*entry);
                }
            }
            Found::Entry(_) | Found::Damaged { .. } => {}
        });
    }
    Ok(entries)
}

/// Reads one session; if its files are damaged, tries once more with all that the journal holds of it.
pub fn open_session(
    layout: &Layout,
    disk: &dyn Disk,
    id: &SessionId,
    journaled: &[Entry],
    hint: &Hint,
) -> Result<Option<Opened>, Damage> {
    match session_dir::open(layout, disk, id, journaled, hint) {
        Err(damage) => {
            let all = entries_of(layout, id).unwrap_or_else(|error| {
                tracing::error!(session = %id, %error, "the journal could not be read to heal a session");
                Vec::new()
            });
            if all.len() <= journaled.len() {
                return Err(damage);
            }
            tracing::warn!(session = %id, %damage, "a session is damaged and is healed from the journal");
            session_dir::open(layout, disk, id, &all, hint)
        }
        opened => opened,
    }
}

/// Moves a damaged session's folder aside, whole.
pub fn quarantine(layout: &Layout, id: &SessionId, damage: &Damage) -> io::Result<()> {
    tracing::error!(session = %id, %damage, "session is damaged and is set aside in `quarantine/`");
    let folder = layout.quarantine();
    fs::create_dir_all(&folder)?;
    let mut name = id.to_string();
    if !layout.session(id).exists() && folder.join(&name).exists() {
        // It was moved before, and only the journal still speaks of it.
        return Ok(());
    }
    let mut n = 1;
    while folder.join(&name).exists() {
        n += 1;
        name = format!("{id}.{n}");
    }
    match fs::rename(layout.session(id), folder.join(&name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        result => result?,
    }
    fs::write(folder.join(format!("{name}.reason.txt")), format!("{damage}\n"))
}

/// Recovers a storage directory and fills the index.
pub fn recover(layout: &Layout, disk: &dyn Disk, index: &Index) -> Result<Recovered, OpenError> {
    let journal = || OpenError::io("read", layout.journal());
    let checkpoint = Checkpoint::read(layout);
    let from = checkpoint.as_ref().map_or(1, |c| c.next_offset);
    let firsts = segment_firsts(layout).map_err(journal())?;
    let mut walked = walk_journal(layout, &firsts, from).map_err(journal())?;
    walked.next_offset = walked.next_offset.max(from);
    let mut found = index::read(layout);
    let mut quarantined = BTreeMap::new();
    for (id, offset) in &walked.deleted {
        discard(layout, id, *offset).map_err(OpenError::io("remove", layout.session(id)))?;
        found.rows.remove(id.as_str());
    }
    let mut views = Vec::new();
    for (id, entries) in std::mem::take(&mut walked.entries) {
        let hint = hint(&found, &id);
        match open_session(layout, disk, &id, &entries, &hint) {
            Ok(opened) => views.extend(opened.map(|o| o.view)),
            Err(damage) => {
                quarantine(layout, &id, &damage).map_err(OpenError::io("set aside", layout.session(&id)))?;
                quarantined.insert(id, damage.to_string());
            }
        }
    }
    let newest = views.iter().map(|v: &View| v.offset).max().unwrap_or(0);
    let lost = newest >= walked.next_offset || walked.damages > 0;
    walked.next_offset = walked.next_offset.max(newest + 1);
    let epoch = epoch(checkpoint.as_ref(), lost);
    let seen = fill_index(layout, disk, index, &found, &epoch, from, &views)?;
    walked.next_offset = walked.next_offset.max(seen + 1);
    let segments = segment_firsts(layout).map_err(journal())?;
    Ok(Recovered { epoch, checkpoint: from, next_offset: walked.next_offset, segments, views, quarantined })
}

/// The same life goes on unless something that may have been shown is lost.
fn epoch(checkpoint: Option<&Checkpoint>, lost: bool) -> String {
    match checkpoint {
        Some(_) if lost => {
            tracing::warn!("events of the journal were lost: positions of before are of another life");
            new_epoch()
        }
        Some(c) if !c.clean && !c.synced && c.boot.is_some() && c.boot != boot_id() => {
            tracing::warn!("the machine went down without syncing: positions of before are of another life");
            new_epoch()
        }
        Some(c) => c.epoch.clone(),
        None => new_epoch(),
    }
}

fn hint(found: &FoundIndex, id: &SessionId) -> Hint {
    let row = found.rows.get(id.as_str());
    Hint { user: row.map(|r| r.user.as_str().to_owned()), created: row.map(|r| r.created) }
}

/// Completes the index: rows as found, where they are good; else the session's metadata is read. A row is good if the
/// journal is about its session neither between the file and the checkpoint nor, as the views show, behind it. Answers
/// the newest offset that was met in doing so.
fn fill_index(
    layout: &Layout,
    disk: &dyn Disk,
    index: &Index,
    found: &FoundIndex,
    epoch: &str,
    from: u64,
    views: &[View],
) -> Result<u64, OpenError> {
    let touched = match &found.position {
        Some((of, offset)) if of == epoch => segment_firsts(layout)
            .and_then(|segments| index::touched(layout, &segments, *offset, from))
            .map_err(OpenError::io("read", layout.journal()))?,
        Some(_) | None => None,
    };
    if touched.is_none() {
        tracing::debug!("`index.json` is missing or too old: the metadata of every session is read");
    }
    let mut newest = 0;
    let read = OpenError::io("read", layout.sessions());
    let entries =
        fs::read_dir(layout.sessions()).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(read)?;
    for entry in entries {
        let name = entry.file_name();
        let Some(id) = name.to_str().and_then(|name| SessionId::parse(name).ok()) else { continue };
        let row = match found.rows.get(id.as_str()) {
            Some(row) if touched.as_ref().is_some_and(|touched| !touched.contains(&id)) => {
                Some((row.clone(), 0))
            }
            _ => read_row(layout, disk, &id, &hint(found, &id)),
        };
        if let Some((row, offset)) = row {
            newest = newest.max(offset);
            index.upsert(&id, row);
        }
    }
    for view in views {
        index.upsert(&view.id, Row::of(view));
    }
    Ok(newest)
}

/// A session's row, and the newest offset that it has seen.
fn read_row(layout: &Layout, disk: &dyn Disk, id: &SessionId, hint: &Hint) -> Option<(Row, u64)> {
    let bytes = fs::read(layout.file(id, METADATA)).ok();
    let metadata = bytes
        .and_then(|b| session_model::json::stored(&b).ok())
        .and_then(session_model::metadata::Metadata::from_value);
    if let Some(metadata) = metadata {
        let number = |key: &str| metadata.doc().get(key).and_then(serde_json::Value::as_u64).unwrap_or(0);
        return Some((Row::of_metadata(&metadata, number("$createdOffset")), number("$offset")));
    }
    match open_session(layout, disk, id, &[], hint) {
        Ok(opened) => opened.map(|o| (Row::of(&o.view), o.view.offset)),
        // It is set aside when somebody asks for it; until then it is at least listed as far as it is known.
        Err(damage) => {
            tracing::error!(session = %id, %damage, "session cannot be read");
            None
        }
    }
}

/// Removes what was on its way into the archive when the service before this one ended: it is packed anew.
pub fn empty_outgoing(layout: &Layout) -> io::Result<()> {
    match fs::remove_dir_all(layout.outgoing_folder()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Removes what deletions up to this offset have left behind: a later one may yet fail, and then its folder comes
/// back. `.trash` itself stays: a deletion may be about to move a folder into it.
pub fn empty_trash(layout: &Layout, durable: u64) -> io::Result<()> {
    let entries = match fs::read_dir(layout.trash()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let deleted = entry.file_name().to_str().and_then(parse_discarded_name);
        if deleted.is_none_or(|offset| offset <= durable) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}
