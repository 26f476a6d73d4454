//! Walks over all records of a session, for documents that are computed from them.
//!
//! A walk reads a log piece by piece and keeps one piece in memory. Records of earlier versions are
//! read as types of the vocabulary.

use std::collections::VecDeque;

use bytes::Bytes;
use serde_json::{Map, Value};
use session_model::line::{self, Seal};
use session_model::records::RecordType;
use session_model::{LogKind, Refusal, SessionId, Timestamp, json, upgrade};

use super::engine::Engine;
use super::log_file::{CHUNK, LogFile};
use super::refusals::{damaged, open_log, unread_events};

/// The logs that contain records, in the order in which they are walked.
pub const LOGS: [LogKind; 2] = [LogKind::Actions, LogKind::Responses];

/// A stored line.
#[derive(Clone, Debug)]
pub struct StoredLine {
    /// The line without its newline.
    text: Bytes,
    log: LogKind,
    /// Position in the log, in bytes.
    at: u64,
    /// The number of the line in its log, from 1.
    pub number: u64,
}

/// A record of a session.
#[derive(Debug)]
pub struct StoredRecord {
    /// The log of the record.
    pub log: LogKind,
    /// Its sequence number there.
    pub seq: u64,
    /// The fields, as a current version would have written them.
    pub fields: Map<String, Value>,
}

impl StoredLine {
    /// The size of the line in bytes.
    pub fn size(&self) -> usize {
        self.text.len()
    }

    /// The service-wide offset; 0 for a line of the older service, which comes before all others.
    pub fn offset(&self) -> u64 {
        line::head(&self.text).map_or(0, |head| head.offset)
    }

    /// Whether the record may be of a type. Most lines are of another one, and need not be parsed.
    pub fn may_be(&self, kind: RecordType) -> bool {
        let has = |part: &[u8]| memchr::memmem::find(&self.text, part).is_some();
        // A writer may escape a letter of the type.
        has(kind.name().as_bytes()) || has(b"\\u00")
    }

    /// Parses the record.
    pub fn record(&self) -> Result<StoredRecord, Refusal> {
        let broken = || damaged(self.log, self.at);
        let Ok(Value::Object(fields)) = json::stored::<Value>(&self.text) else {
            return Err(broken());
        };
        let seq = match line::head(&self.text) {
            Some(head) => head.seq,
            None => fields
                .get("seq")
                .and_then(Value::as_u64)
                .unwrap_or(self.number),
        };
        Ok(StoredRecord {
            log: self.log,
            seq,
            fields: upgrade::upgrade(fields),
        })
    }
}

impl StoredRecord {
    /// The time of the record; 1970 if it has none.
    pub fn time(&self) -> Timestamp {
        let time = self.fields.get("timestamp").and_then(Value::as_str);
        time.and_then(Timestamp::parse).unwrap_or_default()
    }
}

/// A walk over one log, up to a length.
#[derive(Debug)]
pub struct LogRecords {
    log: LogKind,
    file: LogFile,
    at: u64,
    number: u64,
    lines: VecDeque<StoredLine>,
}

impl LogRecords {
    /// Opens the logs of a session at these lengths. Blocking.
    pub fn of_session(
        engine: &dyn Engine,
        id: &SessionId,
        lengths: [u64; 3],
    ) -> Result<[Self; 2], Refusal> {
        let open = |log: LogKind| -> Result<Self, Refusal> {
            let file = open_log(engine, id, log)?.up_to(lengths[log.index()]);
            Ok(Self {
                log,
                file,
                at: 0,
                number: 0,
                lines: VecDeque::new(),
            })
        };
        let [first, second] = LOGS;
        Ok([open(first)?, open(second)?])
    }

    /// Starts again at the first record.
    pub fn rewind(&mut self) {
        self.at = 0;
        self.number = 0;
        self.lines.clear();
    }

    /// The next line, which stays the next one. Blocking.
    pub fn peek(&mut self) -> Result<Option<&StoredLine>, Refusal> {
        if self.lines.is_empty() && self.at < self.file.len() {
            self.fill()?;
        }
        Ok(self.lines.front())
    }

    /// The next line. Blocking.
    pub fn next_line(&mut self) -> Result<Option<StoredLine>, Refusal> {
        self.peek()?;
        Ok(self.lines.pop_front())
    }

    fn fill(&mut self) -> Result<(), Refusal> {
        let read = self.file.lines_from(self.at, self.file.len(), CHUNK);
        let piece = Bytes::from(read.map_err(|error| unread_events(&error))?);
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', &piece) {
            let text = piece.slice(start..end);
            let at = self.at + start as u64;
            start = end + 1;
            self.number += 1;
            match line::check(&text) {
                Seal::Legacy if text.trim_ascii().is_empty() => continue,
                Seal::Whole | Seal::Legacy => {}
                Seal::Damaged => return Err(damaged(self.log, at)),
            }
            self.lines.push_back(StoredLine {
                text,
                log: self.log,
                at,
                number: self.number,
            });
        }
        self.at += piece.len() as u64;
        if piece.is_empty() {
            self.at = self.file.len();
        }
        Ok(())
    }
}

/// The next line of all logs, in the order in which they were stored. Lines of the older service
/// have no position and come first. Blocking.
pub fn next_of(logs: &mut [LogRecords; 2]) -> Result<Option<StoredLine>, Refusal> {
    let [first, second] = logs;
    let one = first.peek()?.map(StoredLine::offset);
    let other = second.peek()?.map(StoredLine::offset);
    match (one, other) {
        (Some(one), Some(other)) if other < one => second.next_line(),
        (Some(_), _) => first.next_line(),
        (None, _) => second.next_line(),
    }
}
