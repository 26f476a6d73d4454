//! Reading the journal by offset: the backlog of the firehose and of the users' feeds.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use session_model::wire;

use super::segment::{self, Entry, GROUP_HEADER};
use super::segments::Segments;

/// How many bytes are read at once.
const CHUNK: usize = 256 * 1024;

/// A page of events as JSON, with their offsets.
#[derive(Debug, Default)]
pub struct EventPage {
    /// The events, ascending.
    pub events: Vec<(u64, Bytes)>,
    /// Everything up to and including this offset was examined.
    pub next: u64,
}

/// The size limit of a page.
#[derive(Clone, Copy, Debug)]
pub struct PageLimit {
    /// The most events.
    pub events: usize,
    /// About the most bytes.
    pub bytes: usize,
}

/// Returns events with `after < offset <= until` whose entries match `wanted`.
pub(crate) fn read(
    segments: &Segments,
    after: u64,
    until: u64,
    limit: PageLimit,
    wanted: &dyn Fn(&Entry) -> bool,
) -> io::Result<EventPage> {
    let mut page = Page::new(after, until, limit);
    let Some((mut segment, mut at)) = segments.find(after + 1) else {
        page.found.next = until;
        return Ok(page.found);
    };
    loop {
        if !read_segment(segments, segment, at, &mut page, wanted)? {
            return Ok(page.found);
        }
        match segments.after(segment) {
            Some(next) if next <= until => (segment, at) = (next, 0),
            Some(_) | None => {
                page.found.next = page.found.next.max(until);
                return Ok(page.found);
            }
        }
    }
}

/// A page that is being filled.
pub(crate) struct Page {
    pub(crate) found: EventPage,
    bytes: usize,
    limit: PageLimit,
    until: u64,
}

impl Page {
    pub(crate) fn new(after: u64, until: u64, limit: PageLimit) -> Self {
        Self {
            found: EventPage {
                events: Vec::new(),
                next: after,
            },
            bytes: 0,
            limit,
            until,
        }
    }

    /// Adds an entry's events; returns false once the page is full or the end is reached.
    pub(crate) fn take(&mut self, entry: &Entry, wanted: bool) -> bool {
        for event in &entry.events {
            if event.offset <= self.found.next {
                continue;
            }
            let full =
                self.found.events.len() >= self.limit.events || self.bytes >= self.limit.bytes;
            if full || event.offset > self.until {
                return false;
            }
            self.found.next = event.offset;
            if wanted {
                let mut json = Vec::new();
                let line = event.line.strip_suffix(b"\n").unwrap_or(&event.line);
                if wire::write_event(&mut json, &entry.session, event.kind.log(), line).is_some() {
                    self.bytes += json.len();
                    self.found.events.push((event.offset, json.into()));
                }
            }
        }
        true
    }
}

/// Reads on in a segment; returns false once the page is full or the end is reached.
fn read_segment(
    segments: &Segments,
    segment: u64,
    mut at: u64,
    page: &mut Page,
    wanted: &dyn Fn(&Entry) -> bool,
) -> io::Result<bool> {
    let file = match segments.open(segment) {
        // Trimmed in the meantime.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        file => file?,
    };
    loop {
        let bytes = chunk(&file, segment, at)?;
        let mut place = 0;
        while let Some((entries, next)) = segment::group_at(&bytes, place, segment) {
            if let Some(first) = entries.first() {
                segments.note_read(segment, first.first_offset, at + place as u64);
            }
            for entry in &entries {
                if !page.take(entry, wanted(entry)) {
                    return Ok(false);
                }
            }
            place = next;
        }
        if place == 0 {
            return Ok(true);
        }
        at += place as u64;
    }
}

/// Reads a chunk that begins at a group, and at least that whole group.
fn chunk(file: &File, segment: u64, at: u64) -> io::Result<Bytes> {
    let mut buffer = read_some(file, at, CHUNK)?;
    if let Some(len) = segment::group_len(&buffer, 0, segment).filter(|len| *len > buffer.len()) {
        buffer = read_some(file, at, len.max(GROUP_HEADER))?;
    }
    Ok(buffer.into())
}

fn read_some(file: &File, at: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; len];
    let mut filled = 0;
    while filled < len {
        match file.read_at(&mut buffer[filled..], at + filled as u64)? {
            0 => break,
            n => filled += n,
        }
    }
    buffer.truncate(filled);
    Ok(buffer)
}
