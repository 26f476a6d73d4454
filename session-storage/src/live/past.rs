//! Pages of the past that were read from disk lately, shared by all who lag in the same topic.
//!
//! A herd that falls behind together reads each page once. Bounded by count: a page that leaves is read again.

use std::collections::VecDeque;
use std::time::Instant;

use parking_lot::Mutex;

use super::chunk::Chunk;

/// How many pages a topic keeps.
const PAGES: usize = 8;

/// Everything that matches between two offsets.
#[derive(Clone, Debug)]
pub struct Page {
    /// The cursor it was read for.
    pub after: u64,
    /// The cursor of one who has all of it.
    pub next: u64,
    /// Its events.
    pub chunk: Chunk,
}

/// The pages read lately, newest last.
#[derive(Debug, Default)]
pub struct Past(Mutex<VecDeque<(Instant, Page)>>);

impl Past {
    /// A page that takes this cursor further.
    pub fn find(&self, cursor: u64) -> Option<Page> {
        let pages = self.0.lock();
        pages
            .iter()
            .rev()
            .find(|(_, page)| page.after <= cursor && cursor < page.next)
            .map(|(_, p)| p.clone())
    }

    /// Keeps a page for the others; the oldest makes room.
    pub fn keep(&self, page: Page) {
        let mut pages = self.0.lock();
        if pages.len() == PAGES {
            pages.pop_front();
        }
        pages.push_back((Instant::now(), page));
    }

    /// Gives back what is too old.
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
