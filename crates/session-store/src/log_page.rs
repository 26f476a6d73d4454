//! Pages of a log: stored bytes, found by binary search and streamed in pieces, never all in
//! memory.
//!
//! A piece has at most `PIECE` bytes, so each reader costs the same memory, whatever it reads and
//! however slowly. A longer record is sent in several pieces. Its checksum is first verified in a
//! pass that keeps nothing in memory, and computed again while it is sent; if the two differ, the
//! connection is closed. A record that is longer than the reader wants is measured in the first pass and
//! clamped in the second.

use std::borrow::Cow;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use session_model::clamp::{Clamper, Form, Measure, clamp};
use session_model::line::{self, Seal};
use session_model::{LogKind, RecordBody, Refusal, SessionId};

use super::engine::Engine;
use super::fold::{Fold, Folded};
use super::keys::{Digest, lookup};
use super::legacy::{Numbered, legacy_seq};
use super::log_file::{Lines, LogFile, by_seq};
use super::reader_limit::{OpenPermit, ReaderLimit};
use super::refusals::{damaged, not_found, open_log, unopened, unread_log as failed};

/// Maximum size of a piece in bytes, not counting commas.
const PIECE: usize = 64 * 1024;
/// How many bytes of a long record are read to see its head.
const PROBE: usize = 256;

/// Returns the number of the record with a key. Blocking.
fn find_key(
    engine: &dyn Engine,
    id: &SessionId,
    log: LogKind,
    key: &str,
) -> Result<Option<u64>, Refusal> {
    let found = lookup::find(engine, id, log, Digest::of_record(key), 1);
    let found = found.map_err(|damage| unopened(id, &damage))?;
    Ok(found.ok_or_else(|| not_found(id))?.first().copied())
}

/// Selects records of a log.
#[derive(Debug, Clone, Default)]
pub struct LogQuery {
    /// Only records with a larger seq.
    pub after: Option<u64>,
    /// Only records with a smaller seq.
    pub before: Option<u64>,
    /// Newest first.
    pub descending: bool,
    /// Maximum number of records.
    pub limit: Option<u64>,
    /// Only records whose `type` is one of these; empty means all.
    pub types: Vec<String>,
    /// Longer records are clamped to this length.
    pub max_bytes: Option<usize>,
    /// Only the record with this key.
    pub key: Option<String>,
    /// Adds to each record what amends it, and leaves the amendments out.
    pub fold: bool,
}

/// A range of a log that is read. Legacy records, written by the older service, are filtered by
/// their own seq.
#[derive(Debug, Clone, Copy)]
struct LogRange {
    start: u64,
    end: u64,
    legacy: bool,
}

/// A record longer than a piece, while it is being sent.
struct LongRecord {
    begin: u64,
    /// Part that has not been sent yet.
    rest: Range<u64>,
    /// Checksum of the part sent so far.
    sum: u32,
    /// Checksum of the whole record, from the first pass.
    expected: u32,
    /// Clamps the record, if it is longer than the reader wants.
    clamper: Option<Box<Clamper>>,
}

/// A page of a log that is being read.
pub struct LogPage {
    log: LogKind,
    file: LogFile,
    /// Permit to keep the file open. Without one, the file is closed after each piece.
    kept: Option<OpenPermit>,
    query: LogQuery,
    stretches: Vec<LogRange>,
    long: Option<LongRecord>,
    /// How records are folded, if they are.
    fold: Option<Fold>,
    left: u64,
    any: bool,
}

impl LogPage {
    /// Opens a page of a session's log, with everything stored in it. With `length`, the log is read
    /// as it was when it had this many bytes. Blocking.
    pub fn open(
        engine: &Arc<dyn Engine>,
        id: &SessionId,
        log: LogKind,
        query: LogQuery,
        length: Option<u64>,
    ) -> Result<Self, Refusal> {
        // Before the log is opened: the log then holds the record that is found.
        let found = match &query.key {
            Some(key) => Some(find_key(&**engine, id, log, key)?),
            None => None,
        };
        let fold = if query.fold {
            Fold::of(engine, id, log)?
        } else {
            None
        };
        let file = open_log(&**engine, id, log)?.up_to(length.unwrap_or(u64::MAX));
        let page = Self::begin(log, file, engine.readers(), query);
        let mut page = page.map_err(|error| failed(&error))?;
        if let Some(found) = found {
            page.select(found).map_err(|error| failed(&error))?;
        }
        page.fold = fold;
        Ok(page)
    }

    /// Limits the page to one record, or to none.
    fn select(&mut self, found: Option<u64>) -> io::Result<()> {
        let stretches = std::mem::take(&mut self.stretches);
        let Some(seq) = found else { return Ok(()) };
        // The first record with a key counts.
        self.query.descending = false;
        self.left = self.left.min(1);
        self.stretches = match self.file.line(seq, by_seq)? {
            Some((at, line)) => {
                let end = at + line.len() as u64 + 1;
                let stretches = stretches.into_iter().filter(|stretch| !stretch.legacy);
                let one = |stretch: LogRange| LogRange {
                    start: stretch.start.max(at),
                    end: stretch.end.min(end),
                    legacy: false,
                };
                stretches.map(one).collect()
            }
            // Records of the older service may have any number: the key decides.
            None => stretches
                .into_iter()
                .filter(|stretch| stretch.legacy)
                .collect(),
        };
        Ok(())
    }

    /// Finds the start of the page.
    fn begin(
        log: LogKind,
        file: LogFile,
        readers: &Arc<ReaderLimit>,
        query: LogQuery,
    ) -> io::Result<Self> {
        let start = match query.after {
            Some(after) => file.find(after.saturating_add(1), by_seq)?,
            None => file.legacy(),
        };
        let end = match query.before {
            Some(before) => file.find(before, by_seq)?,
            None => file.len(),
        };
        let mut stretches = vec![
            LogRange {
                start: 0,
                end: file.legacy(),
                legacy: true,
            },
            LogRange {
                start,
                end,
                legacy: false,
            },
        ];
        if !query.descending {
            stretches.reverse();
        }
        let left = query.limit.unwrap_or(u64::MAX);
        let kept = readers.keep();
        Ok(Self {
            log,
            file,
            kept,
            query,
            stretches,
            long: None,
            fold: None,
            left,
            any: false,
        })
    }

    /// Returns whether the page is known to be complete without reading on.
    pub fn is_over(&self) -> bool {
        self.left == 0 && self.long.is_none()
    }

    /// Returns the next piece of the JSON array, without brackets; `None` at the end. Blocking.
    pub fn piece(&mut self) -> Result<Option<Vec<u8>>, Refusal> {
        self.file.reopen().map_err(|e| failed(&e))?;
        let piece = self.read_piece();
        if self.kept.is_none() {
            self.file.close();
        }
        piece
    }

    fn read_piece(&mut self) -> Result<Option<Vec<u8>>, Refusal> {
        let mut out = Vec::new();
        while out.is_empty() {
            if self.long.is_some() {
                self.go_on(&mut out)?;
                continue;
            }
            let stretch = match self.stretches.last() {
                Some(stretch) if self.left > 0 => *stretch,
                _ => return Ok(None),
            };
            if stretch.start >= stretch.end {
                self.stretches.pop();
                continue;
            }
            let size = (self.left.saturating_mul(512)).clamp(8 * 1024, PIECE as u64) as usize;
            match self.read(stretch, size).map_err(|e| failed(&e))? {
                Lines::Whole(at, lines) => {
                    self.advance(at, lines.len() as u64);
                    self.take(&mut out, at, &lines, stretch.legacy)?;
                }
                Lines::Long(place) => {
                    self.advance(place.start, place.end - place.start + 1);
                    self.begin_long(&mut out, place, stretch.legacy)?;
                }
            }
        }
        Ok(Some(out))
    }

    /// Reads the next lines. A line that fits into a piece is never returned as a long one.
    fn read(&self, stretch: LogRange, size: usize) -> io::Result<Lines> {
        let read = |size| {
            if self.query.descending {
                self.file.previous_lines(stretch.start, stretch.end, size)
            } else {
                self.file.next_lines(stretch.start, stretch.end, size)
            }
        };
        match read(size)? {
            Lines::Long(place) if place.end - place.start < PIECE as u64 => {
                read((place.end - place.start) as usize + 1)
            }
            lines => Ok(lines),
        }
    }

    fn advance(&mut self, at: u64, len: u64) {
        if let Some(stretch) = self.stretches.last_mut() {
            if self.query.descending {
                stretch.end = at;
            } else if len == 0 {
                stretch.start = stretch.end;
            } else {
                stretch.start = at + len;
            }
        }
    }

    fn take(
        &mut self,
        out: &mut Vec<u8>,
        at: u64,
        lines: &[u8],
        legacy: bool,
    ) -> Result<(), Refusal> {
        let mut places: Vec<(usize, usize)> = Vec::new();
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', lines) {
            places.push((start, end));
            start = end + 1;
        }
        if self.query.descending {
            places.reverse();
        }
        for (start, end) in places {
            if self.left == 0 {
                break;
            }
            let text = &lines[start..end];
            if self.wants(text, at + start as u64, legacy)? {
                out.reserve_exact(if out.is_empty() { lines.len() + 1 } else { 0 });
                self.show(out, text)?;
            }
        }
        Ok(())
    }

    /// Writes a record, folded and clamped if that is wanted.
    fn show(&mut self, out: &mut Vec<u8>, text: &[u8]) -> Result<(), Refusal> {
        let folded = match &self.fold {
            Some(fold) => fold.fold(&self.file, text)?,
            None => Folded::Stored,
        };
        let record = match folded {
            Folded::Stored => Cow::Borrowed(text),
            Folded::Amended(record) => Cow::Owned(record),
            Folded::LeftOut => return Ok(()),
        };
        self.separate(out);
        let most = self.query.max_bytes.unwrap_or(usize::MAX);
        let clamped = clamp(&record, Form::Record, most);
        out.extend_from_slice(clamped.as_deref().unwrap_or(&record));
        Ok(())
    }

    /// Counts one more record, and writes a comma before it unless it is the first.
    fn separate(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.any, true) {
            out.push(b',');
        }
        self.left -= 1;
    }

    fn wants(&self, text: &[u8], at: u64, legacy: bool) -> Result<bool, Refusal> {
        match line::check(text) {
            Seal::Whole => Ok(self.has_type(text) && self.has_key(text)),
            Seal::Legacy if legacy => {
                Ok(self.wants_legacy(text) && self.has_type(text) && self.has_key(text))
            }
            Seal::Legacy | Seal::Damaged => Err(damaged(self.log, at)),
        }
    }

    /// Starts to send a long record, if it is selected and intact.
    fn begin_long(
        &mut self,
        out: &mut Vec<u8>,
        place: Range<u64>,
        legacy: bool,
    ) -> Result<(), Refusal> {
        let mut measure = self
            .query
            .max_bytes
            .filter(|most| place.end - place.start > *most as u64)
            .map(|most| Measure::new(Form::Record, most));
        let (seal, expected) = self
            .check_long(&place, measure.as_mut())
            .map_err(|e| failed(&e))?;
        let wanted = match seal {
            Seal::Whole => self.has_long_type(&place),
            Seal::Legacy if legacy => self.wants_long_legacy(&place) && self.has_long_type(&place),
            Seal::Legacy | Seal::Damaged => return Err(damaged(self.log, place.start)),
        };
        if wanted && (self.fold.is_some() || self.query.key.is_some()) {
            // Its key is needed, so it is read as a whole.
            let len = (place.end - place.start) as usize;
            let text = self.file.bytes(place.start, len).map_err(|e| failed(&e))?;
            if self.has_key(&text) {
                self.show(out, &text)?;
            }
        } else if wanted {
            self.separate(out);
            self.long = Some(LongRecord {
                begin: place.start,
                rest: place,
                sum: 0,
                expected,
                clamper: measure.map(|measure| Box::new(Clamper::new(Form::Record, measure.cut()))),
            });
            self.go_on(out)?;
        }
        Ok(())
    }

    /// Sends the next part of a long record.
    fn go_on(&mut self, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let Some(mut record) = self.long.take() else {
            return Ok(());
        };
        let size = PIECE.min((record.rest.end - record.rest.start) as usize);
        let part = self
            .file
            .bytes(record.rest.start, size)
            .map_err(|e| failed(&e))?;
        record.rest.start += part.len() as u64;
        record.sum = crc32c::crc32c_append(record.sum, &part);
        let is_last = record.rest.is_empty();
        if part.len() < size || is_last && record.sum != record.expected {
            return Err(damaged(self.log, record.begin));
        }
        match &mut record.clamper {
            Some(clamper) => clamper.feed(&part, out),
            None => out.extend_from_slice(&part),
        }
        if !is_last {
            self.long = Some(record);
        }
        Ok(())
    }

    /// Returns the result of the record's checksum test, and the checksum of the whole record.
    /// Measures the record on the way, if it will be clamped.
    fn check_long(
        &self,
        place: &Range<u64>,
        mut measure: Option<&mut Measure>,
    ) -> io::Result<(Seal, u32)> {
        let start = self.file.bytes(place.start, PROBE)?;
        let seal_at = place.end - line::SEAL_LEN as u64;
        let seal = self.file.bytes(seal_at, line::SEAL_LEN)?;
        let mut sum = 0;
        let mut at = place.start;
        while at < seal_at {
            let part = self.file.bytes(at, PIECE.min((seal_at - at) as usize))?;
            if part.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            at += part.len() as u64;
            if let Some(measure) = &mut measure {
                measure.feed(&part);
            }
            sum = crc32c::crc32c_append(sum, &part);
        }
        Ok((
            line::check_parts(&start, &seal, || sum),
            crc32c::crc32c_append(sum, &seal),
        ))
    }

    fn parse_long<T: serde::de::DeserializeOwned>(&self, place: &Range<u64>) -> Option<T> {
        serde_json::from_reader(io::BufReader::with_capacity(
            PIECE,
            self.file.part(place.clone()),
        ))
        .ok()
    }

    fn has_long_type(&self, place: &Range<u64>) -> bool {
        #[derive(serde::Deserialize)]
        struct Typed {
            #[serde(rename = "type", default)]
            kind: Option<String>,
        }
        self.query.types.is_empty()
            || self
                .parse_long::<Typed>(place)
                .and_then(|typed| typed.kind)
                .is_some_and(|kind| self.is_of(&kind))
    }

    fn wants_long_legacy(&self, place: &Range<u64>) -> bool {
        let is_object = self
            .file
            .bytes(place.start, 1)
            .is_ok_and(|first| first == b"{");
        is_object
            && self.parse_long::<serde::de::IgnoredAny>(place).is_some()
            && self.has_seq(
                self.parse_long::<Numbered>(place)
                    .and_then(|numbered| numbered.seq),
            )
    }

    /// The older service wrote no checksums, so a line that is not a JSON object is skipped.
    fn wants_legacy(&self, text: &[u8]) -> bool {
        if !text.starts_with(b"{") || serde_json::from_slice::<serde::de::IgnoredAny>(text).is_err()
        {
            return false;
        }
        self.has_seq(legacy_seq(text))
    }

    fn has_seq(&self, seq: Option<u64>) -> bool {
        let seq = seq.unwrap_or(0);
        self.query.after.is_none_or(|after| seq > after)
            && self.query.before.is_none_or(|before| seq < before)
    }

    fn has_key(&self, text: &[u8]) -> bool {
        let Some(wanted) = self.query.key.as_deref() else {
            return true;
        };
        RecordBody::parse(text).is_ok_and(|body| body.key() == Some(wanted))
    }

    fn is_of(&self, kind: &str) -> bool {
        self.query.types.iter().any(|wanted| wanted == kind)
    }

    fn has_type(&self, text: &[u8]) -> bool {
        #[derive(serde::Deserialize)]
        struct Typed<'a> {
            #[serde(borrow, rename = "type", default)]
            kind: Option<Cow<'a, str>>,
        }
        if self.query.types.is_empty() {
            return true;
        }
        let kind = serde_json::from_slice::<Typed<'_>>(text)
            .ok()
            .and_then(|t| t.kind);
        kind.is_some_and(|kind| self.is_of(&kind))
    }
}
