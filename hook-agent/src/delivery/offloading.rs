//! Stores the long values of the records of a request before the request is sent.
//!
//! A record is never sent with a reference to a blob that the service has not acknowledged. An upload
//! that fails delays its record like a request that fails, but not forever: after
//! [`ATTEMPTS`] failures over the time that a record waits for its session, the record is sent
//! without blobs.

use std::collections::HashMap;
use std::time::Duration;

use super::blob_verdict::BlobVerdict;
use super::report::Report;
use super::uploads::Uploads;
use super::verdict::Verdict;
use crate::config::MAX_EVENT_BYTES;
use crate::offload::Split;
use crate::spool::{Head, Record, ShortenedValue, Spool, Window};
use crate::transport::Transport;

/// How many uploads for one request have to fail before its records are sent without blobs.
const ATTEMPTS: u32 = 20;

/// How many records with long values a request has. A process that has little time, as a hook, makes
/// progress with each request.
const MOST_AT_ONCE: usize = 8;

/// The lines of a request that are sent in another form than the spool has, by the record's index in
/// the window.
pub(super) type Replaced = HashMap<usize, Vec<u8>>;

/// What the delivery of one spool knows about blobs.
#[derive(Debug, Default)]
pub(super) struct Offloading {
    uploads: Uploads,
    /// The long values of the records in the request that is being sent.
    values: Vec<LongValue>,
}

/// The spool that is being delivered.
pub(super) struct Source<'a> {
    pub spool: &'a Spool,
    pub head: &'a mut Head,
    pub window: &'a Window,
    pub session: &'a str,
}

/// Why a request can't be sent now.
pub(super) enum NotStored {
    /// An upload failed.
    Failed {
        after: Option<Duration>,
        reason: String,
    },
    /// The response to an upload holds for the records too.
    Waits(Verdict),
}

/// A long value of a record in the request.
#[derive(Debug)]
struct LongValue {
    record: u64,
    /// The value and the reason, if the record has only an excerpt of it.
    shortened: Option<(ShortenedValue, String)>,
}

/// What becomes of a line.
enum Line {
    /// The service has no blobs: the line is sent as it is.
    Whole,
    Replaced(Vec<u8>),
}

impl Offloading {
    /// Returns how many of these lines one request should have, if not all.
    pub(super) fn fewer(&self, lines: &[usize], spool: &Spool, window: &Window) -> Option<usize> {
        if self.uploads.are_unsupported() {
            return None;
        }
        let may_split = |index: &usize| {
            let record = &window.records[*index];
            spool.offload().may_split(record.kind, window.line(record))
        };
        let mut found = (0..lines.len()).filter(|at| may_split(&lines[*at]));
        found.nth(MOST_AT_ONCE)
    }

    /// Stores the long values of these lines. Returns the lines that change.
    pub(super) fn store(
        &mut self,
        lines: &[usize],
        mut source: Source<'_>,
        transport: &mut dyn Transport,
    ) -> Result<Replaced, NotStored> {
        self.values.clear();
        let mut replaced = Replaced::new();
        for index in lines {
            let record = &source.window.records[*index];
            let line = source.window.line(record);
            let Some(split) = source.spool.offload().split(record.kind, line) else {
                continue;
            };
            let line = self.store_line(split, record, line.len(), &mut source, transport)?;
            if let Line::Replaced(line) = line {
                replaced.insert(*index, line);
            }
        }
        Ok(replaced)
    }

    /// Counts the long values of records that are delivered, and lists those that were shortened.
    pub(super) fn note(&mut self, spool: &Spool, is_delivered: impl Fn(u64) -> bool) {
        let values = std::mem::take(&mut self.values);
        for value in values.into_iter().filter(|one| is_delivered(one.record)) {
            match value.shortened {
                None => Report::add(&spool.counters.blobs, 1),
                Some((value, reason)) => spool.note_shortened(&[value], &reason),
            }
        }
    }

    fn store_line(
        &mut self,
        mut split: Split,
        record: &Record,
        length: usize,
        source: &mut Source<'_>,
        transport: &mut dyn Transport,
    ) -> Result<Line, NotStored> {
        for part in split.take_parts() {
            let verdict = if self.uploads.are_unsupported() || source.has_given_up() {
                BlobVerdict::Unsupported
            } else {
                self.uploads.store(&part, source.session, transport)
            };
            let refusal = match verdict {
                BlobVerdict::Stored { bytes } => {
                    split.refer(&part, bytes);
                    self.add(record, None);
                    continue;
                }
                BlobVerdict::Unsupported if length <= MAX_EVENT_BYTES => {
                    self.values.retain(|one| one.record != record.number);
                    return Ok(Line::Whole);
                }
                BlobVerdict::Unsupported => "the service has no blobs".to_owned(),
                BlobVerdict::Refused { reason } => reason,
                BlobVerdict::Retry { after, reason } => {
                    source.head.upload_failed();
                    let reason = format!("failed to store a blob: {reason}");
                    return Err(NotStored::Failed { after, reason });
                }
                BlobVerdict::Waits(verdict) => return Err(NotStored::Waits(verdict)),
            };
            split.cut(&part);
            let value = ShortenedValue::of(source.session, &part);
            self.add(record, Some((value, refusal)));
        }
        Ok(Line::Replaced(split.into_line()))
    }

    fn add(&mut self, record: &Record, shortened: Option<(ShortenedValue, String)>) {
        self.values.push(LongValue {
            record: record.number,
            shortened,
        });
    }
}

impl Source<'_> {
    /// Returns whether uploads for the current request have failed too often and for too long.
    fn has_given_up(&self) -> bool {
        let (times, since) = self.head.failed_uploads();
        times >= ATTEMPTS && since >= self.spool.session_wait()
    }
}
