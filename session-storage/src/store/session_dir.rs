//! One session's folder: reading its view, and completing it after a crash.
//!
//! A view is built from a base and the lines that are newer than it. The base is the image that the journal
//! holds, or the snapshots, or, where these are damaged or missing, nothing: then it is built from the logs
//! alone. The lines have two witnesses, the journal and the logs; for each `seq` the journal's line is taken, or
//! else a whole line of the log. If both lack a line that a later one follows, the session is damaged. What of
//! the log differs from the lines chosen is written anew, which also cuts off a torn tail.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io;

use serde_json::Value;
use session_model::change_line::ChangeLine;
use session_model::line::{self, Seal};
use session_model::metadata::Metadata;
use session_model::producer::Producers;
use session_model::redact;
use session_model::state::State;
use session_model::view::OutFile;
use session_model::{
    EventKind, LogHead, LogKind, RecordBody, SessionId, Stamp, Timestamp, View, documents, json,
};

use super::disk::Disk;
use super::error::Damage;
use super::layout::{FINAL, INITIAL, Layout, METADATA, PRODUCERS, STATE, log_name};
use super::legacy::{self, Hint};
use super::log_file::LogFile;
use super::segment::Entry;

/// A line that is newer than the base.
struct NewLine {
    seq: u64,
    offset: u64,
    log: LogKind,
    at: Option<Timestamp>,
    bytes: Vec<u8>,
}

/// A session as it was read.
#[derive(Debug)]
pub struct Opened {
    /// The session.
    pub view: View,
    /// Whether it says more than its snapshots do.
    pub is_ahead: bool,
}

/// Reads a session, completing its logs from the entries that the journal holds of it; `None` if there is no
/// such session.
pub fn open(
    layout: &Layout,
    disk: &dyn Disk,
    id: &SessionId,
    journaled: &[Entry],
    hint: &Hint,
) -> Result<Option<Opened>, Damage> {
    let image = journaled.iter().find_map(|e| e.base.as_ref()).and_then(|b| json::stored::<View>(b).ok());
    let exists = layout.session(id).is_dir();
    if !exists && journaled.iter().all(|e| e.events.is_empty()) {
        return Ok(None);
    }
    let from_image = image.is_some();
    // If the journal holds the session from its birth on, nothing else is needed.
    let base = image.or_else(|| if is_born_in(journaled) { None } else { read_snapshots(layout, id) });
    if let Some(base) = &base {
        check_lengths(layout, base)?;
        if from_image {
            check_ends(layout, base)?;
        }
    }
    let lines = gather(layout, id, base.as_ref(), journaled)?;
    let mut is_ahead = from_image || !lines.is_empty() || !journaled.is_empty();
    let base = if let Some(view) = base {
        view
    } else {
        is_ahead = true;
        found_view(layout, id, &lines, hint)?
    };
    let starts = base.logs.map(|head| (head.bytes, head.bytes > 0 && head.bytes == head.legacy));
    let view = replay(base, &lines, journaled)?;
    for log in LogKind::ALL {
        let lines = lines.iter().filter(|l| l.log == log);
        complete_log(layout, disk, id, log, starts[log.index()], lines)
            .map_err(|source| Damage::Io { file: log_name(log), source })?;
    }
    let view = restore_initial(layout, id, view)?;
    is_ahead |= !view.outbox.is_empty();
    Ok(Some(Opened { view, is_ahead }))
}

/// Whether the entries begin with the session's creation.
fn is_born_in(journaled: &[Entry]) -> bool {
    journaled.first().is_some_and(is_birth)
}

/// Whether an entry begins with the creation of a session where there was none. What the journal holds under the name
/// before it is of another life: one that was deleted, or set aside.
pub fn is_birth(entry: &Entry) -> bool {
    entry.events.first().is_some_and(|event| {
        event.kind == EventKind::SessionCreated
            && line::head(&event.line).is_some_and(|head| head.seq == 1)
            && ChangeLine::parse(event.line.trim_ascii_end()).is_some_and(|line| line.metadata.is_none())
    })
}

pub(super) fn read_json(layout: &Layout, id: &SessionId, name: &str) -> Option<Value> {
    json::stored(&fs::read(layout.file(id, name)).ok()?).ok()
}

/// The view of the snapshot files, if both can be read.
fn read_snapshots(layout: &Layout, id: &SessionId) -> Option<View> {
    let metadata = Metadata::from_value(read_json(layout, id, METADATA)?)?;
    let state = State::from_value(read_json(layout, id, STATE)?)?;
    let ours = documents::is_ours(metadata.doc());
    // A file that is newer than the metadata, or left behind by them, is that of another moment.
    let final_doc = read_json(layout, id, FINAL).filter(|_| !ours || documents::has_final(metadata.doc()));
    if documents::has_final(metadata.doc())
        && !final_doc.as_ref().is_some_and(|doc| documents::is_final_of(metadata.doc(), doc))
    {
        return None;
    }
    let mut view = documents::read(id.clone(), metadata, state)?;
    if !ours {
        return legacy::adopt(layout, view).ok();
    }
    view.final_doc = final_doc;
    if let Some(producers) = read_json(layout, id, PRODUCERS) {
        view.producers = serde_json::from_value::<Producers>(producers).ok()?;
    }
    Some(view)
}

/// What the base has counted must be there.
fn check_lengths(layout: &Layout, base: &View) -> Result<(), Damage> {
    for log in LogKind::ALL {
        let found = fs::metadata(layout.log(&base.id, log)).map_or(0, |m| m.len());
        let head = base.logs[log.index()];
        let expected = head.bytes - u64::from(head.bytes == head.legacy && head.bytes == found + 1);
        if found < expected {
            return Err(Damage::Short { file: log_name(log), found, expected });
        }
    }
    Ok(())
}

/// What the journal's image counted must end with the line that it ended with: a log that was changed by hand
/// since is not continued in the middle of a line.
fn check_ends(layout: &Layout, base: &View) -> Result<(), Damage> {
    for log in LogKind::ALL {
        let head = base.logs[log.index()];
        if head.bytes == head.legacy {
            continue;
        }
        let read = |source| Damage::Io { file: log_name(log), source };
        let file = LogFile::open(&layout.log(&base.id, log), head.legacy).map_err(read)?;
        let (_, lines) = file.lines_before(head.legacy, head.bytes, 1024).map_err(read)?;
        let text = lines.trim_ascii_end();
        let last = &text[memchr::memrchr(b'\n', text).map_or(0, |n| n + 1)..];
        let fits = lines.ends_with(b"\n") && line::head(last).is_some_and(|line| line.seq == head.seq);
        if !fits {
            let what = format!("the record with seq {} should end here", head.seq);
            return Err(Damage::Record { file: log_name(log), at: head.bytes, what });
        }
    }
    Ok(())
}

/// The lines of all three logs that are newer than the base, in the order of their offsets.
fn gather(
    layout: &Layout,
    id: &SessionId,
    base: Option<&View>,
    journaled: &[Entry],
) -> Result<Vec<NewLine>, Damage> {
    let mut all = Vec::new();
    for log in LogKind::ALL {
        let head = base.map(|b| b.logs[log.index()]).unwrap_or_default();
        let mut known = journal_lines(journaled, log, head.seq);
        for line in read_tail(layout, id, log, head.bytes)? {
            known.entry(line.seq).or_insert(line);
        }
        all.extend(known.into_values());
    }
    all.sort_by_key(|line| line.offset);
    Ok(all)
}

fn journal_lines(journaled: &[Entry], log: LogKind, after: u64) -> BTreeMap<u64, NewLine> {
    let events = journaled.iter().flat_map(|e| e.events.iter().map(move |event| (e.at, event)));
    events
        .filter(|(_, event)| event.kind.log() == log)
        .filter_map(|(at, event)| {
            let seq = line::head(&event.line)?.seq;
            let bytes = event.line.to_vec();
            (seq > after).then_some((seq, NewLine { seq, offset: event.offset, log, at: Some(at), bytes }))
        })
        .collect()
}

/// The whole lines of ours that stand in a log after `from`, up to the first that is not whole. From the start
/// of a log, what the older service wrote is passed over.
fn read_tail(layout: &Layout, id: &SessionId, log: LogKind, from: u64) -> Result<Vec<NewLine>, Damage> {
    let read = |source| Damage::Io { file: log_name(log), source };
    let file = LogFile::open(&layout.log(id, log), 0).map_err(read)?;
    let mut lines = Vec::new();
    let walked = file.walk(from, file.len(), |_, text| match (line::head(text), line::check(text)) {
        (Some(head), Seal::Whole) => {
            let bytes = [text, b"\n"].concat();
            lines.push(NewLine { seq: head.seq, offset: head.offset, log, at: None, bytes });
            true
        }
        (_, seal) => from == 0 && seal == Seal::Legacy && lines.is_empty(),
    });
    walked.map_err(read)?;
    Ok(lines)
}

/// A view for a session without readable snapshots: its birth, or what the older service left.
fn found_view(layout: &Layout, id: &SessionId, lines: &[NewLine], hint: &Hint) -> Result<View, Damage> {
    let first = lines
        .iter()
        .find(|l| l.log == LogKind::Changes)
        .and_then(|l| ChangeLine::parse(l.bytes.trim_ascii_end()).map(|c| (l, c)));
    if let Some((stored, change_line)) = first.filter(|(stored, _)| stored.seq == 1) {
        let change = change_line.change().ok_or_else(|| unreadable(stored, "an unknown change"))?;
        if change.kind == EventKind::SessionCreated && change_line.metadata.is_none() {
            let stamp = stamp(stored, change_line.at(), false);
            let mut view = View::at_birth(id, &change, stamp);
            // The line itself is replayed with the rest; only its consequences are taken here.
            view.logs[LogKind::Changes.index()] = LogHead::default();
            return Ok(view);
        }
        if let (Some(metadata), Some(state)) = (change_line.metadata, change_line.state) {
            let view = View::adopt(id.clone(), metadata, state);
            return legacy::adopt(layout, view).map_err(|source| Damage::Io { file: METADATA, source });
        }
    }
    tracing::warn!(session = %id, "snapshots are missing or damaged and there is no history: rebuilt from what is there");
    legacy::view(layout, id, hint).map_err(|source| Damage::Io { file: METADATA, source })
}

fn unreadable(line: &NewLine, what: &str) -> Damage {
    Damage::Record { file: log_name(line.log), at: line.seq, what: what.to_owned() }
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

fn replay(mut view: View, lines: &[NewLine], journaled: &[Entry]) -> Result<View, Damage> {
    for new in lines {
        let expected = view.next_seq(new.log);
        if new.seq != expected {
            return Err(Damage::Gap { file: log_name(new.log), seq: expected });
        }
        let text = new.bytes.trim_ascii_end();
        match new.log {
            LogKind::Actions | LogKind::Responses => {
                let body = RecordBody::parse(text).map_err(|e| unreadable(new, &e.message))?;
                let claimed = line::head(text).and_then(|head| line::time(&head)).unwrap_or_default();
                let tags = redact::count(text);
                view.apply_record(new.log, body.metric(), tags, stamp(new, claimed, false));
            }
            LogKind::Changes => apply_change(&mut view, new, text)?,
        }
    }
    view.settle();
    for entry in journaled {
        if let Some(producer) = entry.producer.clone() {
            view.producers.accept(producer.numbers, producer.answer, entry.first_offset);
        }
    }
    Ok(view)
}

fn apply_change(view: &mut View, new: &NewLine, text: &[u8]) -> Result<(), Damage> {
    let stored = ChangeLine::parse(text).ok_or_else(|| unreadable(new, "no change"))?;
    let change = stored.change().ok_or_else(|| unreadable(new, "an unknown change"))?;
    let stamp = stamp(new, stored.at(), stored.state.is_some());
    if new.seq == 1 && change.kind == EventKind::SessionCreated && stored.metadata.is_none() {
        *view = View::at_birth(&view.id, &change, stamp);
        return Ok(());
    }
    view.replay_one(&change, stamp, stored.version).map_err(|refusal| unreadable(new, &refusal.message))
}

/// Makes a log hold just the lines chosen after `start`.
fn complete_log<'l>(
    layout: &Layout,
    disk: &dyn Disk,
    id: &SessionId,
    log: LogKind,
    (start, legacy): (u64, bool),
    lines: impl Iterator<Item = &'l NewLine>,
) -> io::Result<()> {
    let wanted: Vec<u8> = lines.flat_map(|l| l.bytes.iter().copied()).collect();
    if wanted.is_empty() && legacy {
        // Nothing of ours follows: what the older service wrote is left as it is.
        return Ok(());
    }
    let path = layout.log(id, log);
    let file = LogFile::open(&path, 0)?;
    let end = start + wanted.len() as u64;
    if file.len() == end && file.bytes(start, wanted.len())? == wanted {
        return Ok(());
    }
    tracing::info!(session = %id, log = log.as_str(), at = start, found = file.len(), made = end, "a log is completed");
    fs::create_dir_all(layout.session(id))?;
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path)?;
    if file.metadata()?.len() > end {
        file.set_len(end)?;
    }
    if file.metadata()?.len() + 1 == start {
        disk.write_at(&file, b"\n", start - 1)?;
    }
    disk.write_at(&file, &wanted, start)
}

/// `initial.json` is written once; if it has gone it is written again with the next snapshot.
fn restore_initial(layout: &Layout, id: &SessionId, mut view: View) -> Result<View, Damage> {
    let known = view.outbox.iter().any(|f| matches!(f, OutFile::Initial(_)));
    if known || layout.file(id, INITIAL).exists() {
        return Ok(view);
    }
    let read = |source| Damage::Io { file: INITIAL, source };
    let changes = LogFile::open(&layout.log(id, LogKind::Changes), 0).map_err(read)?;
    let document = |text: &[u8]| {
        let stored = ChangeLine::parse(text)?;
        let birth = stored.change()?.birth?;
        Some(session_model::initial::document(&birth.initial, stored.at()))
    };
    let mut initial = None;
    let visit = |_, text: &[u8]| {
        initial = document(text).or(initial.take());
        // Creation is the first line; a claim follows soon if it ever does.
        line::head(text).is_none_or(|head| head.seq < 64)
    };
    changes.walk(0, changes.len(), visit).map_err(read)?;
    view.outbox.extend(initial.map(OutFile::Initial));
    Ok(view)
}
