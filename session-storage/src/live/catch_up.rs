//! Reading the past: where a position leads, and page after page from there.
//!
//! The same code serves `since=`, `Last-Event-ID`, the JSON pages and whoever fell out of the ring. All of it
//! blocks on the disk and is called from a blocking thread.

use bytes::Bytes;
use session_model::{Code, Refusal};

use super::chunk::ChunkBuilder;
use super::history::{Filter, History};
use super::past::Page;
use super::position::Position;

/// Events that are no longer kept: everything after `from` up to and including `to`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gap {
    /// The offset that was asked for.
    pub from: u64,
    /// The offset from which it goes on.
    pub to: u64,
}

impl Gap {
    /// What a WebSocket is told.
    pub fn frame_json(&self) -> String {
        format!(r#"{{"type":"gap","from":{},"to":{}}}"#, self.from, self.to)
    }

    /// What everyone else is told.
    pub fn json(&self) -> String {
        format!(r#"{{"from":{},"to":{}}}"#, self.from, self.to)
    }
}

/// A piece of the past, with what is missing before it.
#[derive(Debug)]
pub struct Piece {
    /// What is no longer kept; the events come after it.
    pub gap: Option<Gap>,
    /// Events with their offsets, ascending.
    pub events: Vec<(u64, Bytes)>,
    /// The cursor of one who has all of it.
    pub next: u64,
}

impl Piece {
    /// As a page of encoded frames.
    pub fn into_page(self, after: u64) -> (Option<Gap>, Page) {
        let mut chunk = ChunkBuilder::default();
        for (offset, json) in &self.events {
            chunk.push(*offset, json);
        }
        (self.gap, Page { after, next: self.next, chunk: chunk.finish() })
    }
}

/// The cursor a position stands for. A position of another life, or beyond the end, leads to the oldest kept.
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

/// The oldest cursor of a filter; where nothing is kept, that is the end.
pub fn oldest(history: &dyn History, filter: &Filter) -> Result<u64, Refusal> {
    let durable = history.durable();
    history.oldest(filter).or_else(|refusal| nothing_kept(refusal, durable))
}

/// A session that is not there (deleted, or not yet created) has no past.
fn nothing_kept<T>(refusal: Refusal, nothing: T) -> Result<T, Refusal> {
    if refusal.code == Code::SessionNotFound { Ok(nothing) } else { Err(refusal) }
}

/// What comes after a cursor.
///
/// The oldest kept is asked for *after* the page was read: if it passed the cursor meanwhile, the page may lack
/// some of what it made way for, and that is told as a gap instead of being skipped.
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
