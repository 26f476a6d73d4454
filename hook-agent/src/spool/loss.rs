//! Counts lost records by session and reason until a record of type `gap` reports them in the
//! session's own log.
//!
//! A `gap` is an ordinary record: it is delivered once and survives the end of the process. If
//! records were dropped to make room, their `gap` takes their segment's place; otherwise it is
//! appended behind the pending records. If a `gap` is itself dropped, its count is added to the
//! `gap` that replaces it. A `gap` that the service rejects is not reported again. Until there is
//! room for the `gap`, only this process knows of the loss:
//! [`Spool::report_losses`](super::Spool::report_losses).

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::line_files::LOST;
use super::progress::now_millis;
use super::record::{Record, begin_frame, behind_damage, decode, finish_frame};
use super::storage::SpoolStorage;
use crate::kind::Kind;

/// The number of sessions and reasons whose losses are counted apart. Further losses are counted
/// only in `stats()`.
const MAX_SESSIONS: usize = 1000;

/// Why records were lost. The names are those of `stats()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Reason {
    /// Dropped to stay within the spool's limit in bytes.
    Dropped,
    /// Dropped because of their age.
    Expired,
    /// Unreadable.
    Damaged,
    /// Not accepted: the spool was full or could not be written.
    Refused,
    /// Rejected by the service.
    Rejected,
}

impl Reason {
    fn sentence(self, count: u64) -> String {
        let (records, were, least) = match (count, self) {
            (1, Self::Damaged) => ("record", "was", "at least "),
            (1, _) => ("record", "was", ""),
            (_, Self::Damaged) => ("records", "were", "at least "),
            _ => ("records", "were", ""),
        };
        let why = match self {
            Self::Dropped => "dropped from a full spool",
            Self::Expired => "too old to be delivered",
            Self::Damaged => "damaged in the spool's file",
            Self::Refused => "not recorded: the spool was full or could not be written",
            Self::Rejected => {
                "rejected by the service (kept in the spool's `rejected/events.jsonl`)"
            }
        };
        format!("{least}{count} {records} {were} {why}")
    }
}

/// A number of lost records, and the times of the first and last of them in Unix milliseconds, as
/// far as known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Loss {
    count: u64,
    from: Option<u64>,
    to: Option<u64>,
}

impl Loss {
    fn add(&mut self, other: Self) {
        self.count += other.count;
        self.from = [self.from, other.from].into_iter().flatten().min();
        self.to = self.to.max(other.to);
    }
}

/// The data of a `gap` record. With the session, it is also a line of `lost/events.jsonl`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Gap {
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    r#type: String,
    reason: Reason,
    count: u64,
    /// Whether the count is a lower bound.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    at_least: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    message: String,
    timestamp: String,
}

#[derive(Serialize, Deserialize)]
struct GapLine {
    r#type: String,
    data: Gap,
}

impl Gap {
    fn new(reason: Reason, loss: &Loss, now: u64) -> Self {
        Self {
            session: None,
            r#type: "gap".to_owned(),
            reason,
            count: loss.count,
            at_least: reason == Reason::Damaged,
            from: loss.from.map(timestamp),
            to: loss.to.map(timestamp),
            message: reason.sentence(loss.count),
            timestamp: timestamp(now),
        }
    }

    fn loss(&self) -> Loss {
        let millis = |time: &Option<String>| {
            let time = time.as_ref()?.parse::<jiff::Timestamp>().ok()?;
            u64::try_from(time.as_millisecond()).ok()
        };
        Loss {
            count: self.count,
            from: millis(&self.from),
            to: millis(&self.to),
        }
    }
}

fn timestamp(millis: u64) -> String {
    format!(
        "{:.3}",
        jiff::Timestamp::from_millisecond(millis.cast_signed()).unwrap_or_default()
    )
}

/// Losses that no record reports yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Losses(BTreeMap<(String, Reason), Loss>);

impl Losses {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add(&mut self, session: &[u8], reason: Reason, count: u64, time: Option<u64>) {
        self.add_loss(
            session,
            reason,
            Loss {
                count,
                from: time,
                to: time,
            },
        );
    }

    fn add_loss(&mut self, session: &[u8], reason: Reason, loss: Loss) {
        let Ok(session) = std::str::from_utf8(session) else {
            return;
        };
        let key = (session.to_owned(), reason);
        if self.0.len() < MAX_SESSIONS || self.0.contains_key(&key) {
            self.0.entry(key).or_default().add(loss);
        }
    }

    pub(crate) fn merge(&mut self, others: Self) {
        for ((session, reason), loss) in others.0 {
            self.add_loss(session.as_bytes(), reason, loss);
        }
    }

    /// Returns what is lost with the records of a segment: the callers' records, and the losses
    /// that its `gap` records report.
    pub(super) fn of_dropped(bytes: &[u8]) -> (Self, Self) {
        let mut dropped = Self::default();
        let mut reported = Self::default();
        let mut session: &[u8] = b"";
        let mut at = 0;
        loop {
            if let Some((record, next)) = decode(bytes, at, 0) {
                at = next;
                session = &bytes[record.session.clone()];
                match gap(&record, bytes) {
                    Some(gap) => reported.add_loss(session, gap.reason, gap.loss()),
                    None => dropped.add(session, Reason::Dropped, 1, Some(record.time)),
                }
            } else if let Some(next) = behind_damage(bytes, at) {
                at = next;
                dropped.add(session, Reason::Dropped, 1, None);
            } else {
                return (dropped, reported);
            }
        }
    }

    /// Returns each loss as losses of its own.
    pub(super) fn each(self) -> impl Iterator<Item = Self> {
        self.0.into_iter().map(|one| Self(BTreeMap::from([one])))
    }

    /// Returns how many records are lost.
    pub(super) fn records(&self) -> u64 {
        self.0.values().map(|loss| loss.count).sum()
    }

    /// Returns how many `gap` records report these losses.
    pub(super) fn gaps(&self) -> u64 {
        self.frames().len() as u64
    }

    /// Returns the framed `gap` records. A loss whose session is unknown gets none.
    pub(super) fn frames(&self) -> Vec<Vec<u8>> {
        let now = now_millis();
        let known = self
            .0
            .iter()
            .filter(|((session, _), _)| !session.is_empty());
        known
            .map(|((session, reason), loss)| frame(session, Gap::new(*reason, loss, now)))
            .collect()
    }

    /// Also writes the losses to the folder's `lost/events.jsonl`, where `status` finds them.
    pub(super) fn keep(&self, folder: &SpoolStorage) -> io::Result<()> {
        let now = now_millis();
        let lines = self.0.iter().map(|((session, reason), loss)| Gap {
            session: Some(session.clone()).filter(|session| !session.is_empty()),
            ..Gap::new(*reason, loss, now)
        });
        LOST.append(folder, &lines.collect::<Vec<_>>())
    }
}

fn frame(session: &str, gap: Gap) -> Vec<u8> {
    let line = GapLine {
        r#type: Kind::Gap.name().to_owned(),
        data: gap,
    };
    let line = serde_json::to_vec(&line).unwrap_or_default();
    let mut frame = begin_frame(Kind::Gap, session, now_millis(), line.len());
    frame.extend_from_slice(&line);
    finish_frame(&mut frame);
    frame
}

fn gap(record: &Record, bytes: &[u8]) -> Option<Gap> {
    if record.kind != Kind::Gap {
        return None;
    }
    serde_json::from_slice::<GapLine>(&bytes[record.line.clone()])
        .map(|line| line.data)
        .ok()
}

/// Returns how many lost records the `gap` records among these bytes report.
pub(super) fn lost_by_gaps(bytes: &[u8]) -> u64 {
    Losses::of_dropped(bytes).1.records()
}

/// Returns how many records a folder has lost, and the message of the last loss.
pub(super) fn survey(folder: &Path) -> io::Result<(u64, Option<String>)> {
    let mut count = 0;
    let mut last = None;
    LOST.read(folder, |line| {
        if let Ok(gap) = serde_json::from_slice::<Gap>(&line) {
            count += gap.count;
            last = Some(gap.message);
        }
    })?;
    Ok((count, last))
}
