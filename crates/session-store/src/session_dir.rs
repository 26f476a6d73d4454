//! One session's folder: reads its view and completes its files after a crash.
//!
//! A view is built from a base and the lines that are newer than the base. The base is the first of
//! these that applies:
//! 1. Nothing, if the journal holds the session from its creation on: every line is there.
//! 2. The earliest image in the journal. Later images are not used: the lines that they count may
//!    have been written since the last checkpoint, so the logs may lack those lines after a power
//!    cut. Everything before the earliest image was synced by that checkpoint or is in the journal.
//! 3. The snapshots.
//! 4. Nothing, if the snapshots are damaged or missing: the view is then built from the logs alone.
//!
//! Each line has two sources, the journal and the log. For each `seq` the journal's line is used,
//! otherwise a whole line of the log. Journal lines that the base already counts repair the log
//! before the base's end. If both sources lack a line and a later line exists, the session is
//! damaged, unless none of the later lines was ever durable. The parts of the log that differ from
//! the chosen lines are rewritten, which also cuts off a torn tail.
//!
//! A file that cannot be read now (no file descriptor, no permission, an I/O error) is not damage:
//! see [`Damage::is_passing`]. A snapshot that was read but is not JSON is left as it is until the
//! session's next event; its bytes are then kept beside it as `<name>.damaged`.

use std::fs;
use std::io;
use std::path::Path;

use session_model::change_line::ChangeLine;
use session_model::event::Creation;
use session_model::line;
use session_model::metadata::Metadata;
use session_model::producer::Producers;
use session_model::state::State;
use session_model::view::OutFile;
use session_model::{
    EventKind, LogHead, LogKind, RecordBody, SessionId, Stamp, Timestamp, UserId, View, documents,
    json,
};

use super::disk::Disk;
use super::error::Damage;
use super::files;
use super::journaled::{Journaled, is_creation};
use super::layout::{
    FINAL, INITIAL, Layout, METADATA, PRODUCERS, STATE, is_session_file, log_name,
};
use super::legacy::{self, IndexedFields};
use super::log_file::LogFile;
use super::log_lines::{LogLines, NewLine};
use super::segment::Entry;
use super::stored_document::{Document, read_document};

/// A session as read from its files and the journal.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The session's view.
    pub view: View,
    /// Whether the view is newer than its snapshots.
    pub is_ahead: bool,
    /// The snapshots that were read but are not valid documents.
    pub damaged: Vec<&'static str>,
    /// Why the logs cannot be completed now, if so; the journal holds the missing lines.
    pub short: Option<Damage>,
}

impl Opened {
    /// Returns the session if its logs are complete, otherwise the reason why they are not.
    pub(crate) fn whole(mut self) -> Result<Self, Damage> {
        self.short.take().map_or(Ok(self), Err)
    }
}

/// The base of a view.
#[derive(Default)]
struct Base {
    view: Option<View>,
    /// Whether the view is an image from the journal.
    is_image: bool,
    /// The contents of the idempotent producers' file, where the view does not include them.
    producers: Producers,
    damaged: Vec<&'static str>,
}

/// Reads a session and completes its logs from its journal entries; `None` if there is no such
/// session.
pub(crate) fn open(
    layout: &Layout,
    disk: &dyn Disk,
    id: &SessionId,
    journaled: Journaled<'_>,
    hint: &IndexedFields,
) -> Result<Option<Opened>, Damage> {
    let entries = journaled.entries;
    let folder = layout.session(id);
    let is_there = holds_session(&folder).map_err(|source| Damage::Io {
        file: "folder",
        source,
    })?;
    if !is_there && entries.iter().all(|e| e.events.is_empty()) {
        return Ok(None);
    }
    let base = base(layout, id, entries)?;
    let mut logs = Vec::new();
    for log in LogKind::ALL {
        logs.push(LogLines::read(
            layout,
            id,
            log,
            base.view.as_ref(),
            journaled,
        )?);
    }
    let mut damaged = base.damaged;
    let is_from_journal = base.is_image;
    let mut is_ahead = base.is_image || !entries.is_empty() || base.view.is_none();
    let view = if let Some(view) = base.view {
        view
    } else {
        let mut view = found_view(layout, id, &logs, hint, &mut damaged)?;
        view.producers = base.producers;
        view
    };
    for lines in &mut logs {
        lines.settle(view.logs[lines.log.index()], journaled)?;
    }
    is_ahead |= logs.iter().any(|lines| !lines.newer.is_empty());
    let starts_at = view.logs;
    let view = replay(view, &logs, entries)?;
    let mut short = None;
    for lines in &logs {
        let head = starts_at[lines.log.index()];
        if let Err(source) = lines.complete(layout, disk, id, head, !entries.is_empty()) {
            short = Some(Damage::Io {
                file: log_name(lines.log),
                source,
            });
        }
    }
    // Files written since the creation or image in the journal may not have been synced.
    let may_be_torn = is_from_journal || entries.first().is_some_and(is_creation);
    let view = restore_initial(layout, id, view, may_be_torn, &mut damaged)?;
    is_ahead |= !view.outbox.is_empty();
    Ok(Some(Opened {
        view,
        is_ahead,
        damaged,
        short,
    }))
}

/// Returns whether the folder exists and holds a file of a session.
///
/// An empty folder is not a session, and the next session of that name uses it. If the folder
/// cannot be examined, the result is an error, not `false`.
pub(crate) fn holds_session(folder: &Path) -> io::Result<bool> {
    if !files::is_folder(folder)? {
        return Ok(false);
    }
    for entry in fs::read_dir(folder)? {
        if entry?.file_name().to_str().is_some_and(is_session_file) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Completes the logs of a session from the journal; its view is known and durable.
pub(crate) fn complete_logs(
    layout: &Layout,
    disk: &dyn Disk,
    view: &View,
    journaled: Journaled<'_>,
) -> Result<(), Damage> {
    for log in LogKind::ALL {
        let mut lines = LogLines::read(layout, &view.id, log, Some(view), journaled)?;
        let head = view.logs[log.index()];
        lines.settle(head, journaled)?;
        lines
            .complete(layout, disk, &view.id, head, true)
            .map_err(|source| Damage::Io {
                file: log_name(log),
                source,
            })?;
    }
    Ok(())
}

/// Opens a log that lacks lines as if the journal's lines were already in it; writes nothing.
pub(crate) fn completed_log(
    layout: &Layout,
    view: &View,
    log: LogKind,
    journaled: Journaled<'_>,
) -> Result<LogFile, Damage> {
    let head = view.logs[log.index()];
    let mut lines = LogLines::read(layout, &view.id, log, Some(view), journaled)?;
    lines.settle(head, journaled)?;
    let file =
        LogFile::open(&layout.log(&view.id, log), head.legacy).map_err(|source| Damage::Io {
            file: log_name(log),
            source,
        })?;
    Ok(file.completed_with(lines.start, lines.wanted()))
}

/// Chooses the base of the view.
fn base(layout: &Layout, id: &SessionId, entries: &[Entry]) -> Result<Base, Damage> {
    if entries.first().is_some_and(is_creation) {
        return Ok(Base::default());
    }
    let mut images = entries.iter().filter_map(|entry| entry.base.as_ref());
    match images.find_map(|image| json::stored::<View>(image).ok()) {
        Some(image) => Ok(Base {
            view: Some(image),
            is_image: true,
            ..Base::default()
        }),
        None => read_snapshots(layout, id),
    }
}

/// Reads the view from the snapshot files, if metadata and state can be read.
fn read_snapshots(layout: &Layout, id: &SessionId) -> Result<Base, Damage> {
    let mut base = Base::default();
    let damaged = &mut base.damaged;
    let metadata = read_document(layout, id, METADATA)?
        .value(METADATA, damaged)
        .and_then(Metadata::from_value);
    let state = read_document(layout, id, STATE)?
        .value(STATE, damaged)
        .and_then(State::from_value);
    let final_doc = read_document(layout, id, FINAL)?.value(FINAL, damaged);
    if let Some(stored) = read_document(layout, id, PRODUCERS)?.value(PRODUCERS, damaged) {
        match serde_json::from_value::<Producers>(stored) {
            Ok(producers) => base.producers = producers,
            Err(_) => damaged.push(PRODUCERS),
        }
    }
    let Some((metadata, state)) = metadata.zip(state) else {
        return Ok(base);
    };
    let ours = documents::is_ours(metadata.doc());
    // A final document that is newer than the metadata, or that the metadata no longer mentions,
    // belongs to another point in time.
    let final_doc = if ours && !documents::has_final(metadata.doc()) {
        None
    } else {
        final_doc
    };
    if documents::has_final(metadata.doc())
        && !final_doc
            .as_ref()
            .is_some_and(|doc| documents::is_final_of(metadata.doc(), doc))
    {
        return Ok(base);
    }
    let Some(mut view) = documents::read(id.clone(), metadata, state) else {
        return Ok(base);
    };
    view.metadata.adopt_outcome(final_doc.as_ref());
    if ours {
        view.final_doc = final_doc;
        view.producers = std::mem::take(&mut base.producers);
    } else {
        view = legacy::adopt(layout, view)?;
        view.final_doc = final_doc;
    }
    base.view = Some(view);
    Ok(base)
}

/// Builds a view for a session without readable snapshots: from its creation, or from what the
/// legacy service wrote.
fn found_view(
    layout: &Layout,
    id: &SessionId,
    logs: &[LogLines],
    hint: &IndexedFields,
    damaged: &mut Vec<&'static str>,
) -> Result<View, Damage> {
    let first = |log: LogKind| logs[log.index()].known.values().next();
    let change = first(LogKind::Changes).filter(|stored| stored.seq == 1);
    if let Some((stored, change_line)) = change.and_then(|stored| {
        ChangeLine::parse(stored.bytes.trim_ascii_end()).map(|line| (stored, line))
    }) {
        let change = change_line
            .change()
            .ok_or_else(|| unreadable(stored, "an unknown change"))?;
        if change.kind == EventKind::SessionCreated && change_line.metadata.is_none() {
            let stamp = stamp(stored, change_line.at(), false);
            let mut view = View::at_creation(id, &change, stamp);
            // The line itself is replayed with the others; only its effects are applied here.
            view.logs[LogKind::Changes.index()] = LogHead::default();
            return Ok(view);
        }
        if let (Some(metadata), Some(state)) = (change_line.metadata, change_line.state) {
            let mut view = legacy::adopt(layout, View::adopt(id.clone(), metadata, state))?;
            view.final_doc = read_document(layout, id, FINAL)?.value(FINAL, damaged);
            return Ok(view);
        }
    }
    let view = legacy::view(layout, id, hint, damaged)?;
    // Records written by this service, with no legacy records before them and no creation: the
    // history is lost.
    let is_ours = |log: LogKind| {
        view.logs[log.index()].legacy == 0 && first(log).is_some_and(|line| line.seq == 1)
    };
    if is_ours(LogKind::Actions) || is_ours(LogKind::Responses) {
        return Err(Damage::Gap {
            file: log_name(LogKind::Changes),
            seq: 1,
        });
    }
    tracing::warn!(session = %id, "snapshots are missing or damaged and there is no history: rebuilt from what is there");
    Ok(view)
}

fn unreadable(line: &NewLine, what: &str) -> Damage {
    Damage::Record {
        file: log_name(line.log),
        at: line.seq,
        what: what.to_owned(),
    }
}

fn stamp(line: &NewLine, at: Timestamp, keyframe: bool) -> Stamp {
    Stamp {
        seq: line.seq,
        offset: line.offset,
        at: line.at.unwrap_or(at),
        bytes: line.bytes.len() as u64,
        keyframe,
    }
}

fn replay(mut view: View, logs: &[LogLines], entries: &[Entry]) -> Result<View, Damage> {
    let mut lines: Vec<&NewLine> = logs.iter().flat_map(|lines| &lines.newer).collect();
    lines.sort_by_key(|line| line.offset);
    for new in lines {
        let expected = view.next_seq(new.log);
        if new.seq != expected {
            return Err(Damage::Gap {
                file: log_name(new.log),
                seq: expected,
            });
        }
        let text = new.bytes.trim_ascii_end();
        match new.log {
            LogKind::Actions | LogKind::Responses => {
                let body = RecordBody::parse(text).map_err(|e| unreadable(new, &e.message))?;
                let claimed = line::head(text)
                    .and_then(|head| line::time(&head))
                    .unwrap_or_default();
                let tags = session_model::placeholder::count(text);
                view.apply_record(
                    new.log,
                    body.tally(),
                    body.indexed(),
                    tags,
                    stamp(new, claimed, false),
                );
                view.apply_usage(new.log, &body, new.seq);
            }
            LogKind::Changes => apply_change(&mut view, new, text)?,
        }
    }
    view.settle();
    for entry in entries {
        if let Some(producer) = entry.producer.clone() {
            view.producers
                .accept(producer.numbers, producer.answer, entry.first_offset);
        }
    }
    Ok(view)
}

/// Rebuilds a view from all entries since the session's creation, without any file. Returns `None`
/// if the first of them is no creation.
pub(super) fn rebuild(id: &SessionId, entries: &[Entry]) -> Result<Option<View>, Damage> {
    if !entries.first().is_some_and(is_creation) {
        return Ok(None);
    }
    // The creation is the first line that is replayed; it replaces this view.
    let before = View::adopt(
        id.clone(),
        Metadata::at_creation(
            id,
            &UserId::unknown(),
            &Creation::default(),
            Timestamp::default(),
        ),
        State::at_creation(Timestamp::default()),
    );
    let logs = LogKind::ALL.map(|log| LogLines::in_memory(log, entries));
    replay(before, &logs, entries).map(Some)
}

fn apply_change(view: &mut View, new: &NewLine, text: &[u8]) -> Result<(), Damage> {
    let stored = ChangeLine::parse(text).ok_or_else(|| unreadable(new, "no change"))?;
    let change = stored
        .change()
        .ok_or_else(|| unreadable(new, "an unknown change"))?;
    let stamp = stamp(new, stored.at(), stored.state.is_some());
    if new.seq == 1 && change.kind == EventKind::SessionCreated && stored.metadata.is_none() {
        let producers = std::mem::take(&mut view.producers);
        *view = View::at_creation(&view.id, &change, stamp);
        view.producers = producers;
        return Ok(());
    }
    view.replay_one(&change, stamp, stored.version)
        .map_err(|refusal| unreadable(new, &refusal.message))
}

/// Schedules `initial.json` to be written with the next snapshot if it is missing or not a
/// document; it is otherwise written only once.
fn restore_initial(
    layout: &Layout,
    id: &SessionId,
    mut view: View,
    may_be_torn: bool,
    damaged: &mut Vec<&'static str>,
) -> Result<View, Damage> {
    let known = view.outbox.iter().any(|f| matches!(f, OutFile::Initial(_)));
    match read_document(layout, id, INITIAL)? {
        Document::Whole(_) => return Ok(view),
        Document::Torn if may_be_torn => {}
        Document::Damaged(_) | Document::Torn => damaged.push(INITIAL),
        Document::Missing => {}
    }
    if known {
        return Ok(view);
    }
    let read = |source| Damage::Io {
        file: INITIAL,
        source,
    };
    let changes = LogFile::open(&layout.log(id, LogKind::Changes), 0).map_err(read)?;
    let document = |text: &[u8]| {
        let stored = ChangeLine::parse(text)?;
        Some(session_model::initial::document(
            &stored.change()?.creation?,
            stored.at(),
        ))
    };
    let mut initial = None;
    let visit = |_, text: &[u8]| {
        initial = document(text).or(initial.take());
        // The creation is the first line; a claim, if there is one, follows soon after it.
        line::head(text).is_none_or(|head| head.seq < 64)
    };
    changes.walk(0, changes.len(), visit).map_err(read)?;
    view.outbox.extend(initial.map(OutFile::Initial));
    Ok(view)
}
