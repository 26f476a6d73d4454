//! Values of which only an excerpt was recorded, one JSON line each in `shortened/events.jsonl`.

use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};

use super::line_files::SHORTENED;
use super::progress::now_millis;
use super::queue::Spool;
use super::record::{begin_frame, decode, finish_frame};
use crate::offload::Part;

/// A value that was shortened.
#[derive(Debug, Clone)]
pub(crate) struct ShortenedValue {
    session: String,
    field: String,
    bytes: u64,
}

/// A record without its long values.
pub(super) struct ShortenedRecord {
    pub frame: Vec<u8>,
    pub values: Vec<ShortenedValue>,
}

/// One line of the file.
#[derive(Serialize, Deserialize)]
struct Line {
    at: String,
    session: String,
    field: String,
    bytes: u64,
    reason: String,
}

impl ShortenedValue {
    pub(crate) fn of(session: &str, part: &Part) -> Self {
        Self {
            session: session.to_owned(),
            field: part.path().to_owned(),
            bytes: part.length as u64,
        }
    }
}

impl Spool {
    /// Counts these values, and lists them in the folder. If that fails, `status` does not show
    /// them; the records do.
    pub(crate) fn note_shortened(&self, values: &[ShortenedValue], reason: &str) {
        let shortened = &self.counters.shortened;
        shortened.fetch_add(values.len() as u64, Ordering::Relaxed);
        let now = jiff::Timestamp::from_millisecond(now_millis().cast_signed());
        let at = format!("{:.3}", now.unwrap_or_default());
        let line = |value: &ShortenedValue| Line {
            at: at.clone(),
            session: value.session.clone(),
            field: value.field.clone(),
            bytes: value.bytes,
            reason: reason.to_owned(),
        };
        let lines: Vec<Line> = values.iter().map(line).collect();
        let _ = SHORTENED.append(&self.kept, &lines);
    }

    /// Returns the record without its long values, if it has any.
    pub(super) fn shortened(&self, frame: &[u8]) -> Option<ShortenedRecord> {
        let (record, _) = decode(frame, 0, 0)?;
        let line = &frame[record.line.clone()];
        let (line, parts) = self.limits.offload.shorten(record.kind, line)?;
        let session = std::str::from_utf8(&frame[record.session]).ok()?;
        let mut short = begin_frame(record.kind, session, record.time, line.len());
        short.extend_from_slice(&line);
        finish_frame(&mut short);
        let value = |part: &Part| ShortenedValue::of(session, part);
        Some(ShortenedRecord {
            frame: short,
            values: parts.iter().map(value).collect(),
        })
    }
}

/// Returns how many values of a folder were shortened, and what is known about the last one.
pub(super) fn survey(folder: &Path) -> io::Result<(u64, Option<String>)> {
    let mut count = 0;
    let mut last = None;
    SHORTENED.read(folder, |line| {
        count += 1;
        last = Some(line);
    })?;
    let last = last.and_then(|line| serde_json::from_slice::<Line>(&line).ok());
    let known = last.map(|line| {
        let Line {
            field,
            bytes,
            reason,
            ..
        } = line;
        format!("`{field}` of {bytes} bytes: {reason}")
    });
    Ok((count, known))
}
