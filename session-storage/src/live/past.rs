//! Cache of backlog pages recently read from disk, shared by all slow subscribers of a topic.
//!
//! Subscribers that fall behind together read each page once. The cache is bounded by count; an
//! evicted page is read again when needed.

use std::collections::VecDeque;
use std::time::Instant;

use parking_lot::Mutex;

use super::chunk::Chunk;

/// Maximum number of pages cached per topic.
const PAGES: usize = 8;

/// All matching events between two offsets.
#[derive(Clone, Debug)]
pub struct Page {
    /// Cursor for which the page was read.
    pub after: u64,
    /// Cursor of a reader that has received the whole page.
    pub next: u64,
    /// Events of the page.
    pub chunk: Chunk,
}

/// Recently read pages, newest last.
#[derive(Debug, Default)]
pub struct Past(Mutex<VecDeque<(Instant, Page)>>);

impl Past {
    /// Returns a page that advances this cursor.
    pub fn find(&self, cursor: u64) -> Option<Page> {
        let pages = self.0.lock();
        pages
            .iter()
            .rev()
            .find(|(_, page)| page.after <= cursor && cursor < page.next)
            .map(|(_, p)| p.clone())
    }

    /// Caches a page for other subscribers. Evicts the oldest page if the cache is full.
    pub fn keep(&self, page: Page) {
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
    use crate::live::chunk::ChunkBuilder;

    fn page(after: u64, next: u64) -> Page {
        Page { after, next, chunk: ChunkBuilder::default().finish() }
    }

    #[test]
    fn a_cursor_within_a_page_finds_it_and_one_at_its_end_does_not() {
        let past = Past::default();
        past.keep(page(10, 20));
        assert_eq!([9, 10, 19, 20].map(|c| past.find(c).is_some()), [false, true, true, false]);
    }

    #[test]
    fn old_pages_make_room() {
        let past = Past::default();
        for n in 0..=PAGES as u64 {
            past.keep(page(n * 10, n * 10 + 10));
        }
        assert!(past.find(0).is_none());
        assert!(past.find(10).is_some());
        past.trim(|_| true);
        assert!(past.find(10).is_none());
    }
}
