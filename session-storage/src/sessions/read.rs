//! Reads one session: returns what its view contains, once that is durable.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::Value;
use session_model::change_line::{self, ChangeLine};
use session_model::state::State;
use session_model::view::OutFile;
use session_model::{Code, EventKind, LogKind, Refusal, SessionId, Stamp, View, documents, json};

use super::logs::{self, JsonStream, LogQuery, Scan, Source, damaged};
use super::{Refused, Sessions, not_found, open_log};
use crate::store::Store;
use crate::store::files;
use crate::store::layout::INITIAL;
use crate::store::log_file::{LogFile, by_seq};

impl Sessions {
    /// Reads a session's view, and waits until what was read is durable.
    pub(super) async fn read<R>(&self, id: &SessionId, look: impl Fn(&View) -> R) -> Result<R, Refusal> {
        let cell = self.store.cells.get(id);
        loop {
            let seen = match self.ready(&mut *cell.short().await) {
                None => None,
                Some(None) => Some(None),
                Some(Some(loaded)) => Some(Some((loaded.view.offset, loaded.generation, look(&loaded.view)))),
            };
            match seen {
                None => self.load(&cell).await?,
                // Its deletion may not be durable yet; if that commit fails, the session still
                // exists.
                Some(None) if !self.settled(self.store.journal.newest()).await => {}
                Some(None) => {
                    drop(cell);
                    self.store.cells.forget_absent(id);
                    return Err(self.absent(id));
                }
                Some(Some((offset, generation, result))) => {
                    // If a commit failed in the meantime, read again what is durable.
                    if self.settled(offset).await && self.store.journal.generation() == generation {
                        return Ok(result);
                    }
                }
            }
        }
    }

    /// Rejects a session that does not exist, with the reason. Loads nothing.
    pub fn known(&self, id: &SessionId) -> Result<(), Refusal> {
        if self.exists(id) { Ok(()) } else { Err(self.absent(id)) }
    }

    fn absent(&self, id: &SessionId) -> Refusal {
        if self.store.quarantined().contains_key(id) {
            let message = format!("session `{id}` was set aside because its files are damaged");
            return Refusal::new(Code::SessionQuarantined, message);
        }
        not_found(id)
    }

    pub(super) async fn parent_of(&self, id: &SessionId) -> Result<Option<SessionId>, Refused> {
        let parent = self.read(id, |view| view.metadata.parent().map(str::to_owned)).await?;
        Ok(parent.filter(|parent| !parent.is_empty()).map(|parent| SessionId::adopt(&parent)))
    }

    /// Returns the state and its version.
    pub async fn state(&self, id: &SessionId) -> Result<(u64, Bytes), Refused> {
        Ok(self.read(id, |view| (view.state.version(), to_json(&view.state))).await?)
    }

    /// Returns the state at an earlier version.
    pub async fn state_at(&self, id: &SessionId, version: u64) -> Result<Bytes, Refused> {
        let (current, state) = self.state(id).await?;
        if version == current {
            return Ok(state);
        }
        let unknown = || {
            let message = format!("the state of session `{id}` has no version {version}");
            Refusal::new(Code::VersionNotFound, message)
        };
        if version > current {
            return Err(unknown().into());
        }
        let store = Arc::clone(&self.store);
        let name = id.clone();
        let found = actix_web::web::block(move || state_at(&store, &name, version)).await;
        let found = found.map_err(|_| Refusal::new(Code::Internal, "the history could not be read"))??;
        Ok(to_json(&found.ok_or_else(unknown)?))
    }

    /// Returns the whole session as one JSON object. The logs, if requested, are streamed.
    pub async fn whole(&self, id: &SessionId, with_logs: bool) -> Result<JsonStream, Refused> {
        let look = |view: &View| {
            let initial = view.outbox.iter().rev().find_map(|file| match file {
                OutFile::Initial(doc) => Some(to_json(doc)),
                OutFile::FinalArchive(..) => None,
            });
            let metadata = metadata_json(view);
            let lengths = view.logs.map(|head| head.bytes);
            (metadata, initial, to_json(&view.state), to_json(&view.final_doc), lengths)
        };
        let (metadata, initial, state, final_doc, lengths) = self.read(id, look).await?;
        let store = Arc::clone(&self.store);
        let name = id.clone();
        let opened = actix_web::web::block(move || {
            let initial = initial.unwrap_or_else(|| initial_document(&store, &name));
            let mut scans = Vec::new();
            for log in [LogKind::Actions, LogKind::Responses].into_iter().filter(|_| with_logs) {
                // Limit the logs to their length at the moment when the documents were read.
                let source = Source::open(&store, &name, log)?.up_to(lengths[log.index()]);
                let scan = Scan::open(source, LogQuery::default());
                let mut scan = scan.map_err(|_| Refusal::new(Code::Internal, "a log could not be read"))?;
                let first = scan.piece()?;
                scans.push((log, scan, first));
            }
            Ok::<_, Refusal>((initial, scans))
        });
        let (initial, scans) =
            opened.await.map_err(|_| Refusal::new(Code::Internal, "the session could not be read"))??;
        let head =
            [b"{\"metadata\":", &metadata[..], b",\"initial\":", &initial, b",\"state\":", &state].concat();
        let mut stream: JsonStream = Box::pin(once(head));
        for (log, scan, first) in scans {
            let name = format!(",\"{}\":", log.as_str());
            stream = Box::pin(stream.chain(once(name.into_bytes())).chain(logs::stream(scan, first)));
        }
        let tail = [b",\"final\":", &final_doc[..], b"}"].concat();
        Ok(Box::pin(stream.chain(once(tail))))
    }
}

fn once(bytes: Vec<u8>) -> impl futures_core::Stream<Item = Result<Bytes, Refusal>> {
    futures_util::stream::once(async move { Ok(Bytes::from(bytes)) })
}

/// Returns the metadata as sent to clients.
pub(super) fn metadata_json(view: &View) -> Bytes {
    to_json(&documents::metadata_answer(documents::metadata_document(view)))
}

/// Serializes a document as JSON.
pub(super) fn to_json(value: &impl serde::Serialize) -> Bytes {
    serde_json::to_vec(value).expect("JSON values always serialize").into()
}

/// Returns `initial.json`, or its future content if it has not been written yet.
fn initial_document(store: &Store, id: &SessionId) -> Bytes {
    let file = files::read(&store.layout().file(id, INITIAL)).ok();
    let stored = file.and_then(|bytes| json::stored::<Value>(&bytes).ok());
    let born = || {
        let log = open_log(store, id, LogKind::Changes).ok()?;
        let (_, line) = log.line(1, by_seq).ok()??;
        let line = ChangeLine::parse(&line)?;
        Some(session_model::initial::document(&line.change()?.birth?, line.at()))
    };
    to_json(&stored.or_else(born))
}

/// Computes an old state from the nearest key frame. Blocks on the disk.
fn state_at(store: &Store, id: &SessionId, version: u64) -> Result<Option<State>, Refusal> {
    let failed = |_| Refusal::new(Code::Internal, "the history could not be read");
    let log = open_log(store, id, LogKind::Changes)?;
    // The last line whose state has this version or a lower one; the next line is the first above
    // it.
    let end = log.find(version + 1, change_line::version_of).map_err(failed)?;
    let mut last = None;
    if end > 0 {
        let (start, lines) = log.lines_before(0, end, 4096).map_err(failed)?;
        let text = lines.trim_ascii_end();
        let begin = memchr::memrchr(b'\n', text).map_or(0, |n| n + 1);
        last = Some(parse(&text[begin..], start + begin as u64)?);
    }
    let key = match &last {
        Some(line) => line.key,
        // Older than the first change written by this service: the version can only be the state
        // that the session was created with.
        None => 1,
    };
    let Some((at, _)) = log.line(key, by_seq).map_err(failed)? else { return Ok(None) };
    replay(&log, at, version, id)
}

fn parse(line: &[u8], at: u64) -> Result<ChangeLine, Refusal> {
    let whole = session_model::line::check(line) == session_model::line::Seal::Whole;
    ChangeLine::parse(line).filter(|_| whole).ok_or_else(|| damaged(LogKind::Changes, at))
}

/// Replays changes from the key frame at a file position up to a version.
fn replay(log: &LogFile, from: u64, version: u64, id: &SessionId) -> Result<Option<State>, Refusal> {
    let mut view: Option<View> = None;
    let mut refused = None;
    let walked = log.walk(from, log.len(), |at, text| match step(&mut view, text, at, version, id) {
        Ok(more) => more,
        Err(refusal) => {
            refused = Some(refusal);
            false
        }
    });
    walked.map_err(|_| Refusal::new(Code::Internal, "the history could not be read"))?;
    if let Some(refusal) = refused {
        return Err(refusal);
    }
    view.iter_mut().for_each(View::settle);
    Ok(view.map(|v| v.state).filter(|state| state.version() == version))
}

fn step(
    view: &mut Option<View>,
    text: &[u8],
    at: u64,
    version: u64,
    id: &SessionId,
) -> Result<bool, Refusal> {
    let line = parse(text, at)?;
    let change = line.change().ok_or_else(|| damaged(LogKind::Changes, at))?;
    let stamp = Stamp { seq: line.seq, offset: line.offset, at: line.at(), bytes: 0, keyframe: false };
    if view.is_none() {
        let newborn = View::at_birth(id, &change, stamp);
        match line.state.clone() {
            Some(state) => *view = Some(View::adopt(id.clone(), newborn.metadata, state)),
            None if change.kind == EventKind::SessionCreated => {
                *view = Some(newborn);
                return Ok(version > 1);
            }
            None => return Ok(false),
        }
    }
    let Some(view) = view.as_mut() else { return Ok(false) };
    if view.state.version() >= version || line.version > version {
        return Ok(false);
    }
    if change.kind.changes_state() {
        view.apply_one(&change, stamp)?;
    }
    Ok(view.state.version() < version)
}
