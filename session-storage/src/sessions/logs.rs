//! Pages of a log: the stored bytes, found by bisection and streamed in pieces, never all in memory.

use std::borrow::Cow;
use std::io;
use std::pin::Pin;

use bytes::Bytes;
use futures_core::Stream;
use session_model::line::{self, Seal};
use session_model::{Code, LogKind, Refusal, SessionId};

use super::{Refused, Sessions, not_found, open_log};
use crate::store::layout::log_name;
use crate::store::legacy::legacy_seq;
use crate::store::log_file::{CHUNK, LogFile, by_seq};

/// Which records of a log.
#[derive(Debug, Clone, Default)]
pub struct LogQuery {
    /// Only those with a larger seq.
    pub after: Option<u64>,
    /// Only those with a smaller seq.
    pub before: Option<u64>,
    /// Newest first.
    pub descending: bool,
    /// At most so many.
    pub limit: Option<u64>,
    /// Only those whose `type` is one of these; empty: all.
    pub types: Vec<String>,
}

/// JSON that arrives in pieces.
pub type JsonStream = Pin<Box<dyn Stream<Item = Result<Bytes, Refusal>>>>;

/// The refusal of a page that would contain a damaged record.
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

/// A stretch of a log that is walked; the older service's part is filtered by its own numbers.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    start: u64,
    end: u64,
    legacy: bool,
}

/// A page being read.
pub(super) struct Scan {
    log: LogKind,
    file: LogFile,
    query: LogQuery,
    stretches: Vec<Stretch>,
    left: u64,
    any: bool,
}

impl Scan {
    /// Finds where the page begins. Blocks on the disk.
    pub(super) fn open(file: LogFile, log: LogKind, query: LogQuery) -> io::Result<Self> {
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
        Ok(Self { log, file, query, stretches, left, any: false })
    }

    /// The next piece of the array, its brackets excepted; `None` at the end. Blocks on the disk.
    pub(super) fn piece(&mut self) -> Result<Option<Vec<u8>>, Refusal> {
        let mut out = Vec::new();
        while out.is_empty() {
            let Some(stretch) = self.stretches.last().copied().filter(|_| self.left > 0) else {
                return Ok(None);
            };
            if stretch.start >= stretch.end {
                self.stretches.pop();
                continue;
            }
            let size = (self.left.saturating_mul(512)).clamp(8 * 1024, CHUNK as u64) as usize;
            let (at, lines) = self.read(stretch, size).map_err(|e| failed(&e))?;
            self.advance(at, lines.len() as u64);
            self.take(&mut out, at, &lines, stretch.legacy)?;
        }
        Ok(Some(out))
    }

    fn read(&self, stretch: Stretch, size: usize) -> io::Result<(u64, Vec<u8>)> {
        if self.query.descending {
            self.file.lines_before(stretch.start, stretch.end, size)
        } else {
            Ok((stretch.start, self.file.lines_from(stretch.start, stretch.end, size)?))
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
                if std::mem::replace(&mut self.any, true) {
                    out.push(b',');
                }
                out.extend_from_slice(text);
                self.left -= 1;
            }
        }
        Ok(())
    }

    fn wants(&self, text: &[u8], at: u64, legacy: bool) -> Result<bool, Refusal> {
        match line::check(text) {
            Seal::Whole => Ok(self.has_type(text)),
            Seal::Legacy if legacy => Ok(self.wants_legacy(text) && self.has_type(text)),
            Seal::Legacy | Seal::Damaged => Err(damaged(self.log, at)),
        }
    }

    /// What the older service wrote was never checked: a line that is no JSON object is passed over.
    fn wants_legacy(&self, text: &[u8]) -> bool {
        if !text.starts_with(b"{") || serde_json::from_slice::<serde::de::IgnoredAny>(text).is_err() {
            return false;
        }
        let seq = legacy_seq(text).unwrap_or(0);
        self.query.after.is_none_or(|after| seq > after)
            && self.query.before.is_none_or(|before| seq < before)
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
        kind.is_some_and(|kind| self.query.types.iter().any(|t| *t == kind))
    }
}

/// Streams an array, `[` and `]` included, reading one piece ahead at most.
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
                    if scan.left == 0 {
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
    /// The records of a log, as a JSON array.
    pub async fn log(&self, id: &SessionId, log: LogKind, query: LogQuery) -> Result<JsonStream, Refused> {
        if !self.exists(id) {
            self.require(id).await?;
        }
        let store = std::sync::Arc::clone(&self.store);
        let name = id.clone();
        let opened = actix_web::web::block(move || {
            let mut scan = Scan::open(open_log(&store, &name, log)?, log, query).map_err(|e| failed(&e))?;
            // The first piece is read before the answer begins, so that most errors are answers.
            let first = scan.piece()?;
            Ok::<_, Refusal>((scan, first))
        });
        let (scan, first) =
            opened.await.map_err(|_| Refusal::new(Code::Internal, "the log could not be read"))??;
        Ok(stream(scan, first))
    }

    /// Refuses a session that is not there.
    pub(super) async fn require(&self, id: &SessionId) -> Result<(), Refused> {
        self.read(id, |_| ()).await.map_err(|refusal| match refusal.code {
            Code::SessionNotFound => not_found(id).into(),
            _ => refusal.into(),
        })
    }
}
