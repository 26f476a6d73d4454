//! The first pass: how long strings may be so that the record fits.

use super::text::DecodedLength;
use super::walker::{Frame, Sink, Walker};
use super::writer::{MAX_STORED_LIST, path};
use super::{Cut, Form, MIN, TRUNCATED};

/// The shortest head that is tried.
const SHORTEST: usize = 64;
/// What an entry of `truncated` takes besides its path, in bytes.
const ENTRY: usize = 24;
/// What `truncated` takes besides its entries, in bytes.
const LIST: usize = TRUNCATED.len() + 8;

/// Counts what the record would take with strings of several maximum lengths.
#[derive(Debug)]
pub struct Measure {
    walker: Walker,
    counts: Counts,
}

#[derive(Debug)]
struct Counts {
    form: Form,
    limit: usize,
    /// Bytes of everything but string values.
    fixed: usize,
    /// The length of the current string, as written in JSON.
    text: usize,
    decoded: DecodedLength,
    /// A maximum length, and what the strings take with it.
    tried: Vec<(usize, usize)>,
}

impl Measure {
    /// Starts with a record that must fit into `limit` bytes.
    pub fn new(form: Form, limit: usize) -> Self {
        let limit = limit.max(MIN as usize);
        let lengths = std::iter::successors(Some(limit), |length| Some(length * 3 / 4));
        let tried = lengths
            .take_while(|length| *length >= SHORTEST)
            .map(|length| (length, 0))
            .collect();
        Self {
            walker: Walker::default(),
            counts: Counts {
                form,
                limit,
                fixed: 0,
                text: 0,
                decoded: DecodedLength::default(),
                tried,
            },
        }
    }

    /// Counts the next piece.
    pub fn feed(&mut self, piece: &[u8]) {
        self.walker.feed(piece, &mut self.counts);
    }

    /// Returns the longest cut with which the record fits.
    pub fn cut(&self) -> Cut {
        let counts = &self.counts;
        let fits = |(_, strings): &&(usize, usize)| {
            counts.fixed.saturating_add(*strings).saturating_add(LIST) <= counts.limit
        };
        match counts.tried.iter().find(fits) {
            Some((length, _)) => Cut::Strings(*length),
            None => Cut::Fields(counts.limit),
        }
    }
}

impl Sink for Counts {
    fn key(&mut self, open: &[Frame]) {
        self.fixed += open.last().map_or(0, |frame| frame.key.len() + 2);
    }

    fn opens(&mut self, _: u8, _: &[Frame]) {
        self.fixed += 1;
    }

    fn closes(&mut self, _: u8, _: &[Frame]) {
        self.fixed += 1;
    }

    fn comma(&mut self, _: &[Frame]) {
        self.fixed += 1;
    }

    fn plain(&mut self, bytes: &[u8], _: &[Frame]) {
        self.fixed += bytes.len();
    }

    fn text(&mut self, piece: &[u8], _: &[Frame]) {
        self.text += piece.len();
        self.decoded.feed(piece);
    }

    fn text_ends(&mut self, open: &[Frame]) {
        self.decoded.take();
        let length = std::mem::take(&mut self.text);
        self.fixed += 2;
        if length <= SHORTEST {
            self.fixed += length;
            return;
        }
        let path = path(self.form, open).filter(|path| !is_in_list(path));
        let Some(path) = path else {
            // It is not cut.
            self.fixed += length.min(MAX_STORED_LIST);
            return;
        };
        let listed = listed_len(&path) + ENTRY;
        for (most, strings) in &mut self.tried {
            *strings += if length > *most {
                *most + listed
            } else {
                length
            };
        }
    }
}

/// Returns whether a value is part of the stored list.
fn is_in_list(path: &[u8]) -> bool {
    path.strip_prefix(TRUNCATED.as_bytes())
        .is_some_and(|rest| rest.is_empty() || rest[0] == b'.')
}

/// Returns the greatest length of a path in the list. An escape that stands for no character is
/// listed as it is written, with its backslash escaped.
fn listed_len(path: &[u8]) -> usize {
    path.len() + memchr::memchr_iter(b'\\', path).count()
}
