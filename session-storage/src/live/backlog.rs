//! The backlog: the stored events that a subscriber has not received yet.
//!
//! [`start`] resolves a position to a cursor, and [`read`] reads page after page from there. The
//! same code serves `since=`, `Last-Event-ID`, the JSON pages and subscribers that fell out of the
//! ring. All of it blocks on the disk and is called from a blocking thread.
//!
//! The subscribers of a topic share the pages read recently ([`PageCache`]): those that fall behind
//! together read each page once. The cache is bounded by count; an evicted page is read again when
//! needed.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use parking_lot::Mutex;
use session_model::{Code, Refusal, SessionId};

use super::event_batch::{EventBatch, EventBatchBuilder};
use super::filter::Filter;
use super::position::Position;

/// Maximum number of pages cached per topic.
const PAGES: usize = 8;

/// A page of stored events.
#[derive(Debug, Default)]
pub struct StoredEvents {
    /// Events (their wire JSON) with their offsets, ascending.
    pub events: Vec<(u64, Bytes)>,
    /// Every matching event up to and including this offset has been returned.
    pub next: u64,
}

/// Number of an event of one session, with the cursor before it, counted in events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventNumber {
    /// Cursor of a subscriber that has received all earlier events of the session.
    pub after: u64,
    /// The event's number, counted from 0.
    pub at: u64,
    /// Total number of events in the session.
    pub total: u64,
}

/// Source of stored events. All calls may block on the disk.
pub trait Backlog: Send + Sync + 'static {
    /// Epoch of the storage directory, e.g. `7f3a9c…`; constant while the service runs.
    fn epoch(&self) -> &str;
    /// Offset of the newest durable event. Every event up to it can be read through
    /// [`Backlog::page`].
    fn durable(&self) -> u64;
    /// Lowest `after` for which no matching event is missing.
    fn oldest(&self, filter: &Filter) -> Result<u64, Refusal>;
    /// Returns events with `offset > after`, at most `limit` of them and about `max_bytes`. When
    /// none is left, `next` is at least the value of [`Backlog::durable`] at the start of the call.
    fn page(
        &self,
        filter: &Filter,
        after: u64,
        limit: usize,
        max_bytes: usize,
    ) -> Result<StoredEvents, Refusal>;

    /// Resolves the number `at` of an event of the session, counted from 0. A negative number
    /// counts from the end. A number beyond either end gives that end.
    fn place(&self, session: &SessionId, at: i64) -> Result<EventNumber, Refusal>;
}

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

/// Events read from the backlog, with the gap before them, if any.
#[derive(Debug)]
pub struct BacklogRead {
    /// Events that are no longer retained. The gap precedes `events`.
    pub gap: Option<Gap>,
    /// Events with their offsets, ascending.
    pub events: Vec<(u64, Bytes)>,
    /// Cursor of a reader that has received all of it.
    pub next: u64,
}

impl BacklogRead {
    /// Encodes the events as frames and returns the gap and the page.
    pub fn into_page(self, after: u64) -> (Option<Gap>, BacklogPage) {
        let mut batch = EventBatchBuilder::default();
        for (offset, json) in &self.events {
            batch.push(*offset, json);
        }
        (
            self.gap,
            BacklogPage {
                after,
                next: self.next,
                batch: batch.finish(),
            },
        )
    }
}

/// Returns the cursor for a requested position. A position of another epoch, or beyond the end,
/// resolves to the oldest retained event, with a gap.
pub fn start(
    backlog: &dyn Backlog,
    filter: &Filter,
    asked: &Position,
) -> Result<(u64, Option<Gap>), Refusal> {
    let known = asked.is_of(backlog.epoch()) && asked.offset <= backlog.durable();
    let oldest = oldest(backlog, filter)?;
    if known && asked.offset >= oldest {
        return Ok((asked.offset, None));
    }
    Ok((
        oldest,
        Some(Gap {
            from: asked.offset,
            to: oldest,
        }),
    ))
}

/// Returns the oldest available cursor of a filter; if nothing is retained, the end of the backlog.
pub fn oldest(backlog: &dyn Backlog, filter: &Filter) -> Result<u64, Refusal> {
    let durable = backlog.durable();
    backlog
        .oldest(filter)
        .or_else(|refusal| nothing_kept(refusal, durable))
}

/// Maps "session not found" (deleted, or not yet created) to an empty backlog.
fn nothing_kept<T>(refusal: Refusal, nothing: T) -> Result<T, Refusal> {
    if refusal.code == Code::SessionNotFound {
        Ok(nothing)
    } else {
        Err(refusal)
    }
}

/// Reads the events after a cursor.
///
/// The oldest retained offset is read *after* the page. If it passed the cursor in the meantime,
/// the page may lack some of the removed events; they are then reported as a gap and not skipped
/// silently.
pub fn read(
    backlog: &dyn Backlog,
    filter: &Filter,
    after: u64,
    limit: usize,
    max_bytes: usize,
) -> Result<BacklogRead, Refusal> {
    let durable = backlog.durable();
    let page = match backlog.page(filter, after, limit, max_bytes) {
        Ok(page) => page,
        Err(refusal) => {
            nothing_kept(refusal, ())?;
            let gap = (durable > after).then_some(Gap {
                from: after,
                to: durable,
            });
            return Ok(BacklogRead {
                gap,
                events: Vec::new(),
                next: durable.max(after),
            });
        }
    };
    let oldest = oldest(backlog, filter)?;
    if oldest <= after {
        return Ok(BacklogRead {
            gap: None,
            events: page.events,
            next: page.next,
        });
    }
    let events = page
        .events
        .into_iter()
        .filter(|(offset, _)| *offset > oldest)
        .collect();
    Ok(BacklogRead {
        gap: Some(Gap {
            from: after,
            to: oldest,
        }),
        events,
        next: page.next.max(oldest),
    })
}

/// All matching events between two offsets.
#[derive(Clone, Debug)]
pub struct BacklogPage {
    /// Cursor for which the page was read.
    pub after: u64,
    /// Cursor of a reader that has received the whole page.
    pub next: u64,
    /// Events of the page.
    pub batch: EventBatch,
}

/// Recently read pages, newest last.
#[derive(Debug, Default)]
pub struct PageCache(Mutex<VecDeque<(Instant, BacklogPage)>>);

impl PageCache {
    /// Returns a page that advances this cursor.
    pub fn find(&self, cursor: u64) -> Option<BacklogPage> {
        let pages = self.0.lock();
        pages
            .iter()
            .rev()
            .find(|(_, page)| page.after <= cursor && cursor < page.next)
            .map(|(_, p)| p.clone())
    }

    /// Caches a page for other subscribers. Evicts the oldest page if the cache is full.
    pub fn keep(&self, page: BacklogPage) {
        let mut pages = self.0.lock();
        if pages.len() == PAGES {
            pages.pop_front();
        }
        pages.push_back((Instant::now(), page));
    }

    /// Drops pages that are too old.
    pub fn trim(&self, old: impl Fn(Instant) -> bool) {
        let mut pages = self.0.lock();
        while pages.front().is_some_and(|(at, _)| old(*at)) {
            pages.pop_front();
        }
        if pages.is_empty() {
            *pages = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::event_batch::EventBatchBuilder;

    fn page(after: u64, next: u64) -> BacklogPage {
        BacklogPage {
            after,
            next,
            batch: EventBatchBuilder::default().finish(),
        }
    }

    #[test]
    fn a_cursor_within_a_page_finds_it_and_one_at_its_end_does_not() {
        let cache = PageCache::default();
        cache.keep(page(10, 20));
        assert_eq!(
            [9, 10, 19, 20].map(|c| cache.find(c).is_some()),
            [false, true, true, false]
        );
    }

    #[test]
    fn old_pages_are_evicted() {
        let cache = PageCache::default();
        for n in 0..=PAGES as u64 {
            cache.keep(page(n * 10, n * 10 + 10));
        }
        assert!(cache.find(0).is_none());
        assert!(cache.find(10).is_some());
        cache.trim(|_| true);
        assert!(cache.find(10).is_none());
    }
}
