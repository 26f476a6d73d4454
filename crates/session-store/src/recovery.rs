//! Recovery at start: reads the journal, completes the sessions named in it, and indexes all the
//! others.
//!
//! Crash cases and their outcomes:
//! - Crash before a group's sync ended: the torn tail is cut off. Nothing in it was acknowledged.
//! - Crash after the sync, before the logs were written: the lines are now written from the
//!   journal.
//! - Crash while a snapshot was being replaced, or a power cut that lost unsynced snapshots and
//!   logs: the view is taken from the journal's earliest image, or built from the session's
//!   creation, and the later lines are replayed on it. The snapshots are written again.
//! - A crash, a start and then a power cut between two checkpoints: same outcome as above. Recovery
//!   ends without a checkpoint, so nothing that it wrote is relied on.
//! - A session was deleted and created again between two checkpoints: journal entries from before
//!   the creation do not belong to it, and a folder newer than the deletion stays where it is.
//! - Damage in the middle of the journal: the entries around it are used. A session that lacks a
//!   line in both journal and log is quarantined.
//! - A lost or damaged checkpoint: the whole journal is replayed. Replaying does not change what is
//!   already stored.
//! - A session's files cannot be read or completed now (no space, no permission, an I/O error, no
//!   file descriptor): the session is left as it is and noted in the checkpoint as behind, with the
//!   offset from which the journal holds it. The journal is kept from that offset on, and the
//!   session is recovered when it is next requested.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;

use bytes::Bytes;
use session_model::event::LifecycleStep;
use session_model::{LogKind, SessionId};

use super::checkpoint::{Checkpoint, boot_id, new_epoch};
use super::disk::{Disk, is_full};
use super::error::{Damage, OpenError};
use super::files;
use super::index::{self, FoundIndex, Index, Row};
use super::journaled::{Journaled, is_creation};
use super::layout::{FINAL, Layout, METADATA, PRODUCERS, parse_discarded_name, parse_segment_name};
use super::legacy::IndexedFields;
use super::log_file::{LogFile, by_offset};
use super::log_writer::discard;
use super::quarantine_folder::quarantine;
use super::segment::{self, Entry, Found};
use super::session_dir::{self, Opened};

/// Result of recovery at start.
pub(crate) struct Recovered {
    /// The epoch of the directory.
    pub epoch: String,
    /// The offset from which the journal is replayed.
    pub checkpoint: u64,
    /// The offset that the next event gets.
    pub next_offset: u64,
    /// The first offset of each existing segment.
    pub segments: Vec<u64>,
    /// The sessions named in the journal, completed; their snapshots must still be written.
    pub opened: Vec<Opened>,
    /// Quarantined sessions and the reasons.
    pub quarantined: BTreeMap<SessionId, String>,
    /// Sessions that could not be recovered now, with the offset from which the journal holds what
    /// their files may lack.
    pub behind: BTreeMap<SessionId, u64>,
}

/// One session's journal entries since it was last created, and its last deletion.
#[derive(Default, Debug)]
struct SessionEntries {
    entries: Vec<Entry>,
    deleted: Option<u64>,
}

impl SessionEntries {
    fn take(&mut self, entry: Entry) {
        if let Some(deletion) = entry
            .events
            .iter()
            .find(|e| e.kind.step() == LifecycleStep::Deletes)
        {
            self.deleted = Some(deletion.offset);
            self.entries.clear();
            return;
        }
        if is_creation(&entry) {
            self.entries.clear();
        }
        self.entries.push(entry);
    }
}

/// The offset from which the journal must be read for each session.
struct Starts<'c> {
    checkpoint: u64,
    behind: &'c BTreeMap<SessionId, u64>,
}

impl Starts<'_> {
    fn of(&self, id: &SessionId) -> u64 {
        self.behind.get(id).copied().unwrap_or(self.checkpoint)
    }

    fn earliest(&self) -> u64 {
        self.behind
            .values()
            .copied()
            .chain([self.checkpoint])
            .min()
            .unwrap_or(self.checkpoint)
    }
}

/// What a walk over the journal collects.
#[derive(Default)]
struct Walked {
    entries_of_sessions: BTreeMap<SessionId, SessionEntries>,
    next_offset: u64,
    torn: bool,
    damages: usize,
}

impl Walked {
    fn take(&mut self, starts: &Starts<'_>, found: Found) {
        match found {
            Found::Entry(entry) => {
                let end = entry.first_offset + entry.events.len() as u64;
                self.next_offset = self.next_offset.max(end);
                let from = starts.of(&entry.session);
                if entry.first_offset >= from || end > from {
                    self.entries_of_sessions
                        .entry(entry.session.clone())
                        .or_default()
                        .take(*entry);
                }
            }
            Found::Damaged { at, session } => {
                tracing::error!(at, session = ?session, "the journal is damaged here; what follows is used");
                self.damages += 1;
            }
        }
    }
}

/// Returns the first offsets of the existing segments, ascending.
pub(crate) fn segment_firsts(layout: &Layout) -> io::Result<Vec<u64>> {
    let mut firsts = Vec::new();
    for entry in fs::read_dir(layout.journal())? {
        firsts.extend(parse_segment_name(&entry?.file_name().to_string_lossy()));
    }
    firsts.sort_unstable();
    Ok(firsts)
}

/// Walks over the segments that may hold entries that are still needed.
fn walk_journal(layout: &Layout, firsts: &[u64], starts: &Starts<'_>) -> io::Result<Walked> {
    let mut walked = Walked {
        next_offset: 1,
        ..Walked::default()
    };
    // An entry without events consumes no offset, so an entry with this offset may be at the end of
    // the previous segment.
    let begin = firsts
        .partition_point(|first| *first < starts.earliest())
        .saturating_sub(1);
    for (n, first) in firsts.iter().enumerate().skip(begin) {
        walked.next_offset = walked.next_offset.max(*first);
        let bytes = Bytes::from(files::read(&layout.segment(*first))?);
        let is_last = n + 1 == firsts.len() || walked_is_empty(layout, &firsts[n + 1..])?;
        let end = segment::walk(&bytes, *first, 0, is_last, |_, found| {
            walked.take(starts, found);
        });
        if end.torn {
            tracing::warn!(
                segment = first,
                at = end.at,
                "a torn tail was cut off the journal"
            );
            walked.torn = true;
        }
        truncate(layout, *first, end.at, bytes.len())?;
    }
    Ok(walked)
}

/// Returns whether none of these segments begins with a group.
fn walked_is_empty(layout: &Layout, firsts: &[u64]) -> io::Result<bool> {
    for first in firsts {
        let bytes = Bytes::from(files::read(&layout.segment(*first))?);
        let mut any = false;
        segment::walk(&bytes, *first, 0, true, |_, _| any = true);
        if any {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Removes the bytes after a segment's end; the segment is never written to again.
fn truncate(layout: &Layout, first: u64, end: usize, len: usize) -> io::Result<()> {
    if end == len {
        return Ok(());
    }
    let path = layout.segment(first);
    if end == 0 {
        return fs::remove_file(path);
    }
    fs::OpenOptions::new()
        .write(true)
        .open(path)?
        .set_len(end as u64)
}

/// Returns all entries of one session that the journal still holds, for repairing the session.
pub(crate) fn entries_of(layout: &Layout, id: &SessionId) -> io::Result<Vec<Entry>> {
    Ok(trail_of(layout, id, 0)?.entries)
}

/// Returns what the journal holds of one session from an offset on.
fn trail_of(layout: &Layout, id: &SessionId, from: u64) -> io::Result<SessionEntries> {
    let mut trail = SessionEntries::default();
    let firsts = segment_firsts(layout)?;
    let begin = firsts
        .partition_point(|first| *first < from)
        .saturating_sub(1);
    for first in firsts.into_iter().skip(begin) {
        let bytes = Bytes::from(files::read(&layout.segment(first))?);
        segment::walk(&bytes, first, 0, true, |_, found| match found {
            Found::Entry(entry) if entry.session == *id => {
                if entry.first_offset >= from
                    || entry.first_offset + entry.events.len() as u64 > from
                {
                    trail.take(*entry);
                }
            }
            Found::Entry(_) | Found::Damaged { .. } => {}
        });
    }
    Ok(trail)
}

/// Reads one session. If its files are damaged, tries once more with everything that the journal
/// holds of it.
pub(crate) fn open_session(
    layout: &Layout,
    disk: &dyn Disk,
    id: &SessionId,
    journaled: Journaled<'_>,
    hint: &IndexedFields,
) -> Result<Option<Opened>, Damage> {
    let unreadable = |source| Damage::Io {
        file: "journal",
        source,
    };
    let opened = match session_dir::open(layout, disk, id, journaled, hint) {
        Err(damage) if !damage.is_passing() => {
            let all = entries_of(layout, id).map_err(unreadable)?;
            if all.len() <= journaled.entries.len() {
                return Err(damage);
            }
            tracing::warn!(session = %id, %damage, "a session is damaged and is healed from the journal");
            session_dir::open(
                layout,
                disk,
                id,
                Journaled {
                    entries: &all,
                    ..journaled
                },
                hint,
            )?
        }
        opened => opened?,
    };
    let Some(mut opened) = opened else {
        return Ok(None);
    };
    if opened.damaged.contains(&PRODUCERS) {
        tracing::error!(session = %id, "`producers.json` is damaged: positions are taken from the journal, as far as it reaches");
        for entry in entries_of(layout, id).map_err(unreadable)? {
            if let Some(commit) = entry.producer {
                opened
                    .view
                    .producers
                    .accept(commit.numbers, commit.answer, entry.first_offset);
            }
        }
    }
    opened.damaged.sort_unstable();
    opened.damaged.dedup();
    if !opened.damaged.is_empty() {
        let files = opened.damaged.join(", ");
        tracing::error!(session = %id, files, "documents of a session are damaged: they are reconstructed, and kept as `<name>.damaged` when they are next written");
        let names = opened.damaged.iter().map(|name| (*name).into()).collect();
        opened
            .view
            .metadata
            .doc_mut()
            .insert(RECONSTRUCTED.to_owned(), serde_json::Value::Array(names));
    }
    Ok(Some(opened))
}

/// The metadata field that lists the documents that were damaged and had to be reconstructed.
pub(crate) const RECONSTRUCTED: &str = "reconstructed";

/// Recovers a session that could not be recovered at the start; its files may be readable now.
pub(crate) fn open_behind(
    layout: &Layout,
    disk: &dyn Disk,
    id: &SessionId,
    from: u64,
    hint: &IndexedFields,
) -> Result<Option<Opened>, Damage> {
    let trail = trail_of(layout, id, from).map_err(|source| Damage::Io {
        file: "journal",
        source,
    })?;
    open_trail(layout, disk, id, &trail, u64::MAX, hint)
}

/// Completes a session's deletion if the folder still belongs to the deleted session, then reads
/// the session that was created after it.
fn open_trail(
    layout: &Layout,
    disk: &dyn Disk,
    id: &SessionId,
    trail: &SessionEntries,
    end: u64,
    hint: &IndexedFields,
) -> Result<Option<Opened>, Damage> {
    if let Some(deletion) = trail.deleted {
        let io = |source| Damage::Io {
            file: "folder",
            source,
        };
        if !is_newer_than(layout, id, deletion).map_err(io)? {
            discard(layout, id, deletion).map_err(io)?;
        }
        if trail.entries.is_empty() && !files::is_folder(&layout.session(id)).map_err(io)? {
            return Ok(None);
        }
    }
    open_session(
        layout,
        disk,
        id,
        Journaled {
            entries: &trail.entries,
            end,
        },
        hint,
    )
}

/// Returns whether the folder holds a session that was created after `offset`, that is, one that
/// replaced a deleted session of the same name.
fn is_newer_than(layout: &Layout, id: &SessionId, offset: u64) -> io::Result<bool> {
    for log in [LogKind::Changes, LogKind::Actions, LogKind::Responses] {
        let file = LogFile::open(&layout.log(id, log), 0)?;
        if let Some(first) = by_offset(&file.bytes(0, 256)?) {
            return Ok(first > offset);
        }
    }
    Ok(false)
}

/// Recovers a storage directory and fills the index.
pub(crate) fn recover(
    layout: &Layout,
    disk: &dyn Disk,
    index: &Index,
) -> Result<Recovered, OpenError> {
    let journal = || OpenError::io("read", layout.journal());
    let checkpoint =
        Checkpoint::read(layout).map_err(OpenError::io("read", layout.checkpoint()))?;
    let from = checkpoint.as_ref().map_or(1, |c| c.next_offset);
    let known_behind = checkpoint
        .as_ref()
        .map(Checkpoint::sessions_behind)
        .unwrap_or_default();
    let starts = Starts {
        checkpoint: from,
        behind: &known_behind,
    };
    let firsts = segment_firsts(layout).map_err(journal())?;
    let mut walked = walk_journal(layout, &firsts, &starts).map_err(journal())?;
    walked.next_offset = walked.next_offset.max(from);
    let mut found = index::read(layout);
    let mut quarantined = BTreeMap::new();
    let mut behind = BTreeMap::new();
    let mut recovered = Vec::new();
    // A session noted as behind must be recovered even if the journal holds nothing newer of it.
    let mut entries_of_sessions = std::mem::take(&mut walked.entries_of_sessions);
    for id in known_behind.keys() {
        entries_of_sessions.entry(id.clone()).or_default();
    }
    for (id, trail) in entries_of_sessions {
        let hint = hint(&found, &id);
        if trail.deleted.is_some() {
            found.rows.remove(id.as_str());
        }
        let open = || {
            let opened = open_trail(layout, disk, &id, &trail, walked.next_offset, &hint)?;
            opened.map(Opened::whole).transpose()
        };
        let opened = open().or_else(|damage| match damage {
            // Completing a log needs little space, and removing the spare segments frees some.
            Damage::Io { ref source, .. } if is_full(source) => {
                if free_spares(layout) {
                    open()
                } else {
                    Err(damage)
                }
            }
            damage => Err(damage),
        });
        match opened {
            Ok(opened) => recovered.extend(opened),
            Err(damage) if damage.is_passing() => {
                tracing::error!(session = %id, %damage, "a session cannot be recovered now: it is left as it is, and the journal is kept for it");
                behind.insert(id.clone(), starts.of(&id));
            }
            Err(damage) => match quarantine(layout, &id, &damage, || entries_of(layout, &id)) {
                Ok(_) => drop(quarantined.insert(id, damage.to_string())),
                Err(error) => {
                    tracing::error!(session = %id, %damage, %error, "a damaged session cannot be quarantined now: it is left as it is");
                    behind.insert(id.clone(), starts.of(&id));
                }
            },
        }
    }
    let newest = recovered
        .iter()
        .map(|o: &Opened| o.view.offset)
        .max()
        .unwrap_or(0);
    let lost = newest >= walked.next_offset || walked.damages > 0;
    walked.next_offset = walked.next_offset.max(newest + 1);
    let epoch = epoch(checkpoint.as_ref(), lost);
    let seen = fill_index(layout, disk, index, &found, &epoch, from, &recovered)?;
    walked.next_offset = walked.next_offset.max(seen + 1);
    let segments = segment_firsts(layout).map_err(journal())?;
    let next_offset = walked.next_offset;
    Ok(Recovered {
        epoch,
        checkpoint: from,
        next_offset,
        segments,
        opened: recovered,
        quarantined,
        behind,
    })
}

/// Removes the spare segments when the disk is full; returns whether there were any.
fn free_spares(layout: &Layout) -> bool {
    let removed = super::segments::spares(layout)
        .filter(|spare| fs::remove_file(spare).is_ok())
        .count();
    if removed > 0 {
        tracing::warn!(
            removed,
            "the disk is full: spare segments were removed to complete the logs"
        );
    }
    removed > 0
}

/// Chooses the epoch: the old one is kept unless events that may have been shown to clients are
/// lost.
fn epoch(checkpoint: Option<&Checkpoint>, lost: bool) -> String {
    match checkpoint {
        Some(_) if lost => {
            tracing::warn!(
                "events of the journal were lost: positions of before are of another life"
            );
            new_epoch()
        }
        Some(c) if !c.clean && !c.synced && c.boot.is_some() && c.boot != boot_id() => {
            tracing::warn!(
                "the machine went down without syncing: positions of before are of another life"
            );
            new_epoch()
        }
        Some(c) => c.epoch.clone(),
        None => new_epoch(),
    }
}

fn hint(found: &FoundIndex, id: &SessionId) -> IndexedFields {
    let row = found.rows.get(id.as_str());
    IndexedFields {
        user: row.map(|r| r.user.as_str().to_owned()),
        created: row.map(|r| r.created),
    }
}

/// Completes the index and returns the newest offset seen while doing so.
///
/// A row from the file is used where it is valid; otherwise the session's metadata is read. A row
/// is valid if the journal does not mention its session between the file's offset and the
/// checkpoint, nor after the checkpoint (those sessions are in `recovered`).
fn fill_index(
    layout: &Layout,
    disk: &dyn Disk,
    index: &Index,
    found: &FoundIndex,
    epoch: &str,
    from: u64,
    recovered: &[Opened],
) -> Result<u64, OpenError> {
    let touched = match &found.position {
        Some((of, offset)) if of == epoch => segment_firsts(layout)
            .and_then(|segments| index::touched(layout, &segments, *offset, from))
            .map_err(OpenError::io("read", layout.journal()))?,
        Some(_) | None => None,
    };
    if touched.is_none() {
        tracing::debug!(
            "`index.json` is missing or too old: the metadata of every session is read"
        );
    }
    let mut newest = 0;
    // The snapshots of these sessions may be torn or older than their views.
    let recovered_ids: BTreeSet<&SessionId> =
        recovered.iter().map(|opened| &opened.view.id).collect();
    let read = OpenError::io("read", layout.sessions());
    let entries = fs::read_dir(layout.sessions())
        .and_then(Iterator::collect::<io::Result<Vec<_>>>)
        .map_err(read)?;
    for entry in entries {
        let name = entry.file_name();
        let Some(id) = name.to_str().and_then(|name| SessionId::parse(name).ok()) else {
            continue;
        };
        if recovered_ids.contains(&id) {
            continue;
        }
        let row = match found.rows.get(id.as_str()) {
            // An earlier version stored no outcome: such rows are read again, once.
            Some(row)
                if touched
                    .as_ref()
                    .is_some_and(|touched| !touched.contains(&id))
                    && !found.without_outcome.contains(id.as_str()) =>
            {
                Some((row.clone(), 0))
            }
            // A session that cannot be read now is listed with its old row.
            row => {
                read_row(layout, disk, &id, &hint(found, &id)).or_else(|| Some((row?.clone(), 0)))
            }
        };
        if let Some((row, offset)) = row {
            newest = newest.max(offset);
            index.upsert(&id, row);
        }
    }
    for Opened { view, .. } in recovered {
        index.upsert(&view.id, Row::of(view));
    }
    Ok(newest)
}

/// Returns a session's row and the newest offset in its files.
fn read_row(
    layout: &Layout,
    disk: &dyn Disk,
    id: &SessionId,
    hint: &IndexedFields,
) -> Option<(Row, u64)> {
    let bytes = files::read(&layout.file(id, METADATA)).ok();
    let metadata = bytes
        .and_then(|b| session_model::json::stored(&b).ok())
        .and_then(session_model::metadata::Metadata::from_value);
    if let Some(mut metadata) = metadata {
        if metadata.lacks_outcome() {
            let bytes = files::read(&layout.file(id, FINAL)).ok();
            metadata.adopt_outcome(
                bytes
                    .and_then(|bytes| session_model::json::stored(&bytes).ok())
                    .as_ref(),
            );
        }
        let number = |key: &str| {
            metadata
                .doc()
                .get(key)
                .and_then(serde_json::Value::as_u64)
                .unwrap_or(0)
        };
        return Some((
            Row::of_metadata(&metadata, number("$createdOffset")),
            number("$offset"),
        ));
    }
    match open_session(layout, disk, id, Journaled::NOTHING, hint) {
        Ok(opened) => opened.map(|o| (Row::of(&o.view), o.view.offset)),
        // The session is quarantined when it is next requested; until then it is listed with its
        // old row, if there is one.
        Err(damage) => {
            tracing::error!(session = %id, %damage, "session cannot be read");
            None
        }
    }
}

/// Removes files that were being packed for the archive when the previous run ended; they are
/// packed again.
pub(crate) fn empty_outgoing(layout: &Layout) -> io::Result<()> {
    match fs::remove_dir_all(layout.outgoing_folder()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Removes uploads that were not complete when the previous run ended.
pub(crate) fn empty_uploads(layout: &Layout) -> io::Result<()> {
    match fs::remove_dir_all(layout.uploads()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Removes the folders of sessions whose deletion is durable, that is, has an offset up to
/// `durable`.
///
/// The commit of a later deletion may still fail, and its folder is then moved back. `.trash`
/// itself stays, because a deletion may be about to move a folder into it.
pub(crate) fn empty_trash(layout: &Layout, durable: u64) -> io::Result<()> {
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
