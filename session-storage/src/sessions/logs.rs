//! Pages of a log: stored bytes, found by binary search and streamed in pieces, never all in
//! memory.
//!
//! A piece has at most [`PIECE`] bytes, so each reader costs the same memory, whatever it reads and
//! however slowly. A longer record is sent in several pieces. Its checksum is first verified in a
//! pass that keeps nothing in memory, and computed again while it is sent; if the two differ, the
//! connection is closed.

use std::borrow::Cow;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_core::Stream;
use session_model::line::{self, Seal};
use session_model::{Code, LogKind, Refusal, SessionId};

use super::{Refused, Sessions, not_found, open_log};
use crate::store::Store;
use crate::store::layout::log_name;
use crate::store::legacy::{Numbered, legacy_seq};
use crate::store::log_file::{Lines, LogFile, by_seq};
use crate::store::readers::{Kept, Readers};

/// Maximum size of a piece in bytes, not counting commas.
const PIECE: usize = 64 * 1024;
/// How many bytes of a long record are read to see its head.
const PROBE: usize = 256;

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
}

/// JSON streamed in pieces.
pub type JsonStream = Pin<Box<dyn Stream<Item = Result<Bytes, Refusal>>>>;

/// Logs a damaged record, and returns the error of the page that would contain it.
pub(super) fn damaged(log: LogKind, at: u64) -> Refusal {
    let file = log_name(log);
    tracing::error!(file, at, "a stored record is damaged");
    Refusal::new(
        Code::RecordDamaged,
        format!("a record of `{file}` is damaged (byte {at}); it is not served"),
    )
}

fn failed(error: &io::Error) -> Refusal {
    tracing::error!(%error, "a log could not be read");
    Refusal::new(Code::Internal, "the log could not be read")
}

/// A range of a log that is read. Legacy records, written by the older service, are filtered by
/// their own seq.
#[derive(Debug, Clone, Copy)]
struct Stretch {
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
}

/// A log to be read.
pub(super) struct Source {
    log: LogKind,
    path: PathBuf,
    file: LogFile,
    readers: Arc<Readers>,
}

impl Source {
    /// Opens a session's log with everything stored in it. Blocks on the disk.
    pub(super) fn open(store: &Store, id: &SessionId, log: LogKind) -> Result<Self, Refusal> {
        let file = open_log(store, id, log)?;
        Ok(Self { log, path: store.layout().log(id, log), file, readers: Arc::clone(&store.readers) })
    }

    /// Limits the log to the length it had at an earlier moment.
    #[must_use]
    pub(super) fn up_to(self, bytes: u64) -> Self {
        Self { file: self.file.up_to(bytes), ..self }
    }
}

/// A page that is being read.
pub(super) struct Scan {
    log: LogKind,
    path: PathBuf,
    file: LogFile,
    /// Permit to keep the file open. Without one, the file is closed after each piece.
    kept: Option<Kept>,
    query: LogQuery,
    stretches: Vec<Stretch>,
    long: Option<LongRecord>,
    left: u64,
    any: bool,
}

impl Scan {
    /// Finds the start of the page. Blocks on the disk.
    pub(super) fn open(source: Source, query: LogQuery) -> io::Result<Self> {
        let Source { log, path, file, readers } = source;
        let start = match query.after {
            Some(after) => file.find(after.saturating_add(1), by_seq)?,
            None => file.legacy(),
        };
        let end = match query.before {
            Some(before) => file.find(before, by_seq)?,
            None => file.len(),
        };
        let mut stretches = vec![
            Stretch { start: 0, end: file.legacy(), legacy: true },
            Stretch { start, end, legacy: false },
        ];
        if !query.descending {
            stretches.reverse();
        }
        let left = query.limit.unwrap_or(u64::MAX);
        let kept = readers.keep();
        Ok(Self { log, path, file, kept, query, stretches, long: None, left, any: false })
    }

    /// Returns whether the page is known to be complete without reading on.
    fn is_over(&self) -> bool {
        self.left == 0 && self.long.is_none()
    }

    /// Returns the next piece of the array, without brackets; `None` at the end. Blocks on the
    /// disk.
    pub(super) fn piece(&mut self) -> Result<Option<Vec<u8>>, Refusal> {
        self.file.reopen(&self.path).map_err(|e| failed(&e))?;
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
            let Some(stretch) = self.stretches.last().copied().filter(|_| self.left > 0) else {
                return Ok(None);
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
                    self.begin(&mut out, place, stretch.legacy)?;
                }
            }
        }
        Ok(Some(out))
    }

    /// Reads the next lines. A line that fits into a piece is never returned as a long one.
    fn read(&self, stretch: Stretch, size: usize) -> io::Result<Lines> {
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

    fn take(&mut self, out: &mut Vec<u8>, at: u64, lines: &[u8], legacy: bool) -> Result<(), Refusal> {
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
                self.separate(out);
                out.extend_from_slice(text);
            }
        }
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
            Seal::Whole => Ok(self.has_type(text)),
            Seal::Legacy if legacy => Ok(self.wants_legacy(text) && self.has_type(text)),
            Seal::Legacy | Seal::Damaged => Err(damaged(self.log, at)),
        }
    }

    /// Starts to send a long record, if it is selected and intact.
    fn begin(&mut self, out: &mut Vec<u8>, place: Range<u64>, legacy: bool) -> Result<(), Refusal> {
        let (seal, expected) = self.check_long(&place).map_err(|e| failed(&e))?;
        let wanted = match seal {
            Seal::Whole => self.has_long_type(&place),
            Seal::Legacy if legacy => self.wants_long_legacy(&place) && self.has_long_type(&place),
            Seal::Legacy | Seal::Damaged => return Err(damaged(self.log, place.start)),
        };
        if wanted {
            self.separate(out);
            self.long = Some(LongRecord { begin: place.start, rest: place, sum: 0, expected });
            self.go_on(out)?;
        }
        Ok(())
    }

    /// Sends the next part of a long record.
    fn go_on(&mut self, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let Some(mut record) = self.long.take() else { return Ok(()) };
        let size = PIECE.min((record.rest.end - record.rest.start) as usize);
        let part = self.file.bytes(record.rest.start, size).map_err(|e| failed(&e))?;
        record.rest.start += part.len() as u64;
        record.sum = crc32c::crc32c_append(record.sum, &part);
        let is_last = record.rest.is_empty();
        if part.len() < size || is_last && record.sum != record.expected {
            return Err(damaged(self.log, record.begin));
        }
        out.extend_from_slice(&part);
        if !is_last {
            self.long = Some(record);
        }
        Ok(())
    }

    /// Returns the result of the record's checksum test, and the checksum of the whole record.
    fn check_long(&self, place: &Range<u64>) -> io::Result<(Seal, u32)> {
        let start = self.file.bytes(place.start, PROBE)?;
        let seal_at = place.end - line::SEAL_LEN as u64;
        let seal = self.file.bytes(seal_at, line::SEAL_LEN)?;
        let (mut sum, mut at) = (0, place.start);
        while at < seal_at {
            let part = self.file.bytes(at, PIECE.min((seal_at - at) as usize))?;
            if part.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            at += part.len() as u64;
            sum = crc32c::crc32c_append(sum, &part);
        }
        Ok((line::check_parts(&start, &seal, || sum), crc32c::crc32c_append(sum, &seal)))
    }

    fn parse_long<T: serde::de::DeserializeOwned>(&self, place: &Range<u64>) -> Option<T> {
        serde_json::from_reader(io::BufReader::with_capacity(PIECE, self.file.part(place.clone()))).ok()
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
        let is_object = self.file.bytes(place.start, 1).is_ok_and(|first| first == b"{");
        is_object
            && self.parse_long::<serde::de::IgnoredAny>(place).is_some()
            && self.has_seq(self.parse_long::<Numbered>(place).and_then(|numbered| numbered.seq))
    }

    /// The older service wrote no checksums, so a line that is not a JSON object is skipped.
    fn wants_legacy(&self, text: &[u8]) -> bool {
        if !text.starts_with(b"{") || serde_json::from_slice::<serde::de::IgnoredAny>(text).is_err() {
            return false;
        }
        self.has_seq(legacy_seq(text))
    }

    fn has_seq(&self, seq: Option<u64>) -> bool {
        let seq = seq.unwrap_or(0);
        self.query.after.is_none_or(|after| seq > after)
            && self.query.before.is_none_or(|before| seq < before)
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
        let kind = serde_json::from_slice::<Typed<'_>>(text).ok().and_then(|t| t.kind);
        kind.is_some_and(|kind| self.is_of(&kind))
    }
}

/// Streams an array, including `[` and `]`. Reads at most one piece ahead.
pub(super) fn stream(scan: Scan, first: Option<Vec<u8>>) -> JsonStream {
    enum State {
        Open(Box<Scan>, Option<Vec<u8>>),
        Reading(Box<Scan>),
        End,
    }
    let state = State::Open(Box::new(scan), first);
    Box::pin(futures_util::stream::unfold(state, |state| async move {
        match state {
            State::Open(scan, first) => {
                let mut bytes = vec![b'['];
                let next = if let Some(piece) = first {
                    bytes.extend_from_slice(&piece);
                    if scan.is_over() {
                        bytes.push(b']');
                        State::End
                    } else {
                        State::Reading(scan)
                    }
                } else {
                    bytes.push(b']');
                    State::End
                };
                Some((Ok(Bytes::from(bytes)), next))
            }
            State::Reading(mut scan) => {
                let read = actix_web::web::block(move || (scan.piece(), scan)).await;
                Some(match read {
                    Ok((Ok(Some(piece)), scan)) => (Ok(Bytes::from(piece)), State::Reading(scan)),
                    Ok((Ok(None), _)) => (Ok(Bytes::from_static(b"]")), State::End),
                    Ok((Err(refusal), _)) => (Err(refusal), State::End),
                    Err(_) => (Err(Refusal::new(Code::Internal, "the log could not be read")), State::End),
                })
            }
            State::End => None,
        }
    }))
}

impl Sessions {
    /// Returns the records of a log, as a JSON array.
    pub async fn log(&self, id: &SessionId, log: LogKind, query: LogQuery) -> Result<JsonStream, Refused> {
        if !self.exists(id) {
            self.require(id).await?;
        }
        let store = Arc::clone(&self.store);
        let name = id.clone();
        let opened = actix_web::web::block(move || {
            let mut scan = Scan::open(Source::open(&store, &name, log)?, query).map_err(|e| failed(&e))?;
            // Read the first piece before the response starts, so that most errors become error
            // responses.
            let first = scan.piece()?;
            Ok::<_, Refusal>((scan, first))
        });
        let (scan, first) =
            opened.await.map_err(|_| Refusal::new(Code::Internal, "the log could not be read"))??;
        Ok(stream(scan, first))
    }

    /// Rejects a session that does not exist.
    pub(super) async fn require(&self, id: &SessionId) -> Result<(), Refused> {
        self.read(id, |_| ()).await.map_err(|refusal| match refusal.code {
            Code::SessionNotFound => not_found(id).into(),
            _ => refusal.into(),
        })
    }
}
