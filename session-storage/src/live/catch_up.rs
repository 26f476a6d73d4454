//! Reads the backlog: resolves a position to a cursor, then reads page after page from there.
//!
//! The same code serves `since=`, `Last-Event-ID`, the JSON pages and subscribers that fell out of
//! the ring. All of it blocks on the disk and is called from a blocking thread.

use bytes::Bytes;
use session_model::{Code, Refusal};

use super::chunk::ChunkBuilder;
use super::history::{Filter, History};
use super::past::Page;
use super::position::Position;

/// Events that are no longer retained: everything after `from` up to and including `to`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gap {
    /// Offset that was requested.
    pub from: u64,
    /// Offset after which events are available.
    pub to: u64,
}

impl Gap {
    /// Returns the gap as a WebSocket message.
    pub fn frame_json(&self) -> String {
        format!(r#"{{"type":"gap","from":{},"to":{}}}"#, self.from, self.to)
    }

    /// Returns the gap as JSON for event streams and JSON pages.
    pub fn json(&self) -> String {
        format!(r#"{{"from":{},"to":{}}}"#, self.from, self.to)
    }
}

/// A part of the backlog, with the gap before it, if any.
#[derive(Debug)]
pub struct Piece {
    /// Events that are no longer retained. The gap precedes `events`.
    pub gap: Option<Gap>,
    /// Events with their offsets, ascending.
    pub events: Vec<(u64, Bytes)>,
    /// Cursor of a reader that has received the whole piece.
    pub next: u64,
}

impl Piece {
    /// Encodes the events as frames and returns the gap and the page.
    pub fn into_page(self, after: u64) -> (Option<Gap>, Page) {
        let mut chunk = ChunkBuilder::default();
        for (offset, json) in &self.events {
            chunk.push(*offset, json);
        }
        (self.gap, Page { after, next: self.next, chunk: chunk.finish() })
    }
}

/// Returns the cursor for a requested position. A position of another epoch, or beyond the end,
/// resolves to the oldest retained event, with a gap.
pub fn start(
    history: &dyn History,
    filter: &Filter,
    asked: &Position,
) -> Result<(u64, Option<Gap>), Refusal> {
    let known = asked.is_of(history.epoch()) && asked.offset <= history.durable();
    let oldest = oldest(history, filter)?;
    if known && asked.offset >= oldest {
        return Ok((asked.offset, None));
    }
    Ok((oldest, Some(Gap { from: asked.offset, to: oldest })))
}

/// Returns the oldest available cursor of a filter; if nothing is retained, the end of the history.
pub fn oldest(history: &dyn History, filter: &Filter) -> Result<u64, Refusal> {
    let durable = history.durable();
    history.oldest(filter).or_else(|refusal| nothing_kept(refusal, durable))
}

/// Maps "session not found" (deleted, or not yet created) to an empty history.
fn nothing_kept<T>(refusal: Refusal, nothing: T) -> Result<T, Refusal> {
    if refusal.code == Code::SessionNotFound { Ok(nothing) } else { Err(refusal) }
}

/// Reads the events after a cursor.
///
/// The oldest retained offset is read *after* the page. If it passed the cursor in the meantime,
/// the page may lack some of the removed events; they are then reported as a gap and not skipped
/// silently.
pub fn read(
    history: &dyn History,
    filter: &Filter,
    after: u64,
    limit: usize,
    max_bytes: usize,
) -> Result<Piece, Refusal> {
    let durable = history.durable();
    let page = match history.page(filter, after, limit, max_bytes) {
        Ok(page) => page,
        Err(refusal) => {
            nothing_kept(refusal, ())?;
            let gap = (durable > after).then_some(Gap { from: after, to: durable });
            return Ok(Piece { gap, events: Vec::new(), next: durable.max(after) });
        }
    };
    let oldest = oldest(history, filter)?;
    if oldest <= after {
        return Ok(Piece { gap: None, events: page.events, next: page.next });
    }
    let events = page.events.into_iter().filter(|(offset, _)| *offset > oldest).collect();
    Ok(Piece { gap: Some(Gap { from: after, to: oldest }), events, next: page.next.max(oldest) })
}
