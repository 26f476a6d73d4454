//! The events of one session by position, merged from its three logs.

use std::collections::VecDeque;

use bytes::Bytes;
use session_model::{LogKind, Refusal, SessionId, line, wire};

use super::engine::Engine;
use super::journal_reader::{EventPage, PageLimit};
use super::log_file::{CHUNK, LogFile, by_offset};
use super::refusals::{damaged, open_log, unread_events};

/// Reads one log from a position on, with the next lines buffered.
struct Cursor {
    log: LogKind,
    file: LogFile,
    at: u64,
    lines: VecDeque<(u64, Bytes)>,
}

impl Cursor {
    fn open(
        engine: &dyn Engine,
        id: &SessionId,
        log: LogKind,
        after: u64,
    ) -> Result<Self, Refusal> {
        let file = open_log(engine, id, log)?;
        let at = file
            .find(after + 1, by_offset)
            .map_err(|e| unread_events(&e))?;
        Ok(Self {
            log,
            file,
            at,
            lines: VecDeque::new(),
        })
    }

    /// Returns the offset of the next line, if there is one.
    fn peek(&mut self, size: usize) -> Result<Option<u64>, Refusal> {
        if self.lines.is_empty() && self.at < self.file.len() {
            let piece = Bytes::from(
                self.file
                    .lines_from(self.at, self.file.len(), size)
                    .map_err(|e| unread_events(&e))?,
            );
            let mut start = 0;
            for end in memchr::memchr_iter(b'\n', &piece) {
                let text = piece.slice(start..end);
                let head = match line::head(&text) {
                    Some(head) if line::check(&text) == line::Seal::Whole => head,
                    _ => return Err(damaged(self.log, self.at + start as u64)),
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

/// Returns events of one session with `after < offset <= until`, from its logs. Blocking.
pub fn page(
    engine: &dyn Engine,
    id: &SessionId,
    after: u64,
    until: u64,
    limit: PageLimit,
) -> Result<EventPage, Refusal> {
    let size = (limit.events * 512).clamp(8 * 1024, CHUNK);
    let mut cursors = Vec::new();
    for log in LogKind::ALL {
        cursors.push(Cursor::open(engine, id, log, after)?);
    }
    let mut page = EventPage {
        events: Vec::new(),
        next: after,
    };
    let mut bytes = 0;
    while page.events.len() < limit.events && bytes < limit.bytes {
        let mut next: Option<(u64, usize)> = None;
        for (n, cursor) in cursors.iter_mut().enumerate() {
            if let Some(offset) = cursor
                .peek(size)?
                .filter(|o| *o <= until && next.is_none_or(|(best, _)| *o < best))
            {
                next = Some((offset, n));
            }
        }
        let Some((offset, n)) = next else {
            page.next = page.next.max(until);
            return Ok(page);
        };
        let Some((_, text)) = cursors[n].lines.pop_front() else {
            continue;
        };
        let mut json = Vec::new();
        if wire::write_event(&mut json, id, cursors[n].log, &text).is_some() {
            bytes += json.len();
            page.events.push((offset, json.into()));
        }
        page.next = offset;
    }
    Ok(page)
}
