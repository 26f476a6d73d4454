//! Event history by position: one session's from its three logs, all others from the journal.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use session_model::{Code, LogKind, Refusal, SessionId, line, wire};

use super::{open_log, place};
use crate::live::{Filter, History, HistoryPage, Place};
use crate::store::Store;
use crate::store::journal_reader::{self, PageLimit};
use crate::store::log_file::{CHUNK, LogFile, by_offset};
use crate::store::segment::Entry;

/// The store as an event history for the live feed.
pub(super) struct StoreHistory {
    store: Arc<Store>,
}

impl StoreHistory {
    pub(super) fn new(store: Arc<Store>) -> Self {
        Self { store }
    }

    /// Returns the session whose own logs contain everything the filter asks for, and the offset of
    /// its creation.
    fn whole_session<'f>(&self, filter: &'f Filter) -> Option<(&'f SessionId, u64)> {
        let id = filter.session.as_ref().filter(|_| filter.user.is_none())?;
        let row = self.store.index.get(id.as_str())?;
        filter.may_see(id, &row.user).then_some((id, row.created_offset))
    }

    /// Returns the journal's events for a filter, after a position.
    fn journaled(
        &self,
        filter: &Filter,
        after: u64,
        until: u64,
        limit: PageLimit,
    ) -> Result<HistoryPage, Refusal> {
        let wanted = |entry: &Entry| filter.wants(&entry.session, &entry.user);
        let page = journal_reader::read(&self.store.segments, after, until, limit, wanted);
        page.map(|page| HistoryPage { events: page.events, next: page.next }).map_err(|e| failed(&e))
    }

    /// Returns whether a position lies before the session's creation and the journal still has all
    /// events since that position, so that those of earlier sessions with the same id can be
    /// returned. Position 0 asks for the current session only.
    fn is_of_an_earlier_life(&self, after: u64, born: u64) -> bool {
        let oldest = self.store.segments.firsts().first().map_or(u64::MAX, |first| first - 1);
        after > 0 && after + 1 < born && after >= oldest
    }
}

pub(super) fn failed(error: &io::Error) -> Refusal {
    tracing::error!(%error, "events could not be read");
    Refusal::new(Code::Internal, "events could not be read")
}

impl History for StoreHistory {
    fn epoch(&self) -> &str {
        self.store.epoch()
    }

    fn durable(&self) -> u64 {
        self.store.journal.durable()
    }

    fn oldest(&self, filter: &Filter) -> Result<u64, Refusal> {
        if self.whole_session(filter).is_some() {
            return Ok(0);
        }
        Ok(self.store.segments.firsts().first().map_or(0, |first| first - 1))
    }

    fn page(
        &self,
        filter: &Filter,
        after: u64,
        limit: usize,
        max_bytes: usize,
    ) -> Result<HistoryPage, Refusal> {
        let until = self.store.journal.durable();
        let limit = PageLimit { events: limit, bytes: max_bytes };
        let Some((id, born)) = self.whole_session(filter) else {
            return self.journaled(filter, after, until, limit);
        };
        if !self.is_of_an_earlier_life(after, born) {
            return session_page(&self.store, id, after, until, limit);
        }
        // The cost is the distance from the position to the creation. An empty page means that the
        // part before the creation is done.
        let earlier = self.journaled(filter, after, born - 1, limit)?;
        if earlier.events.is_empty() {
            return session_page(&self.store, id, born - 1, until, limit);
        }
        Ok(earlier)
    }

    fn place(&self, session: &SessionId, at: i64) -> Result<Place, Refusal> {
        let until = self.store.journal.durable();
        place::find(&self.store, session, at, until)
    }
}

/// Reads one log from a position on, with the next lines buffered.
struct Cursor {
    log: LogKind,
    file: LogFile,
    at: u64,
    lines: VecDeque<(u64, Bytes)>,
}

impl Cursor {
    fn open(store: &Store, id: &SessionId, log: LogKind, after: u64) -> Result<Self, Refusal> {
        let file = open_log(store, id, log)?;
        let at = file.find(after + 1, by_offset).map_err(|e| failed(&e))?;
        Ok(Self { log, file, at, lines: VecDeque::new() })
    }

    /// Returns the offset of the next line, if there is one.
    fn peek(&mut self, size: usize) -> Result<Option<u64>, Refusal> {
        if self.lines.is_empty() && self.at < self.file.len() {
            let piece =
                Bytes::from(self.file.lines_from(self.at, self.file.len(), size).map_err(|e| failed(&e))?);
            let mut start = 0;
            for end in memchr::memchr_iter(b'\n', &piece) {
                let text = piece.slice(start..end);
                let head = line::head(&text).filter(|_| line::check(&text) == line::Seal::Whole);
                let Some(head) = head else {
                    return Err(super::logs::damaged(self.log, self.at + start as u64));
                };
                self.lines.push_back((head.offset, text.clone()));
                start = end + 1;
            }
            self.at += piece.len() as u64;
            if piece.is_empty() {
                self.at = self.file.len();
            }
        }
        Ok(self.lines.front().map(|(offset, _)| *offset))
    }
}

fn session_page(
    store: &Arc<Store>,
    id: &SessionId,
    after: u64,
    until: u64,
    limit: PageLimit,
) -> Result<HistoryPage, Refusal> {
    let size = (limit.events * 512).clamp(8 * 1024, CHUNK);
    let mut cursors = Vec::new();
    for log in LogKind::ALL {
        cursors.push(Cursor::open(store, id, log, after)?);
    }
    let mut page = HistoryPage { events: Vec::new(), next: after };
    let mut bytes = 0;
    while page.events.len() < limit.events && bytes < limit.bytes {
        let mut next: Option<(u64, usize)> = None;
        for (n, cursor) in cursors.iter_mut().enumerate() {
            if let Some(offset) =
                cursor.peek(size)?.filter(|o| *o <= until && next.is_none_or(|(best, _)| *o < best))
            {
                next = Some((offset, n));
            }
        }
        let Some((offset, n)) = next else {
            page.next = page.next.max(until);
            return Ok(page);
        };
        let Some((_, text)) = cursors[n].lines.pop_front() else { continue };
        let mut json = Vec::new();
        if wire::write_event(&mut json, id, cursors[n].log, &text).is_some() {
            bytes += json.len();
            page.events.push((offset, json.into()));
        }
        page.next = offset;
    }
    Ok(page)
}
