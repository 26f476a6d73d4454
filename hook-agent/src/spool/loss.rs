//! Counts lost records by session and reason until a record of type `gap` reports them in the
//! session's own log.
//!
//! A `gap` is an ordinary record: it is delivered once and survives the end of the process. If
//! records were dropped to make room, their `gap` takes their segment's place; otherwise it is
//! appended behind the pending records. If a `gap` is itself dropped, its count is added to the
//! `gap` that replaces it. A `gap` that the service rejects is not reported again. Until there is
//! room for the `gap`, only this process knows of the loss: [`Spool::tell_losses`].

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};

use super::kept::LOST;
use super::progress::now_millis;
use super::queue::{Spool, Tail};
use super::record::{Record, begin_frame, behind_damage, decode, finish_frame};
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
            Self::Rejected => "rejected by the service (kept in the spool's `rejected/events.jsonl`)",
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
struct Line {
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
        Loss { count: self.count, from: millis(&self.from), to: millis(&self.to) }
    }
}

fn timestamp(millis: u64) -> String {
    format!("{:.3}", jiff::Timestamp::from_millisecond(millis.cast_signed()).unwrap_or_default())
}

/// Losses that no record reports yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Losses(BTreeMap<(String, Reason), Loss>);

impl Losses {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add(&mut self, session: &[u8], reason: Reason, count: u64, time: Option<u64>) {
        self.add_loss(session, reason, Loss { count, from: time, to: time });
    }

    fn add_loss(&mut self, session: &[u8], reason: Reason, loss: Loss) {
        let Ok(session) = std::str::from_utf8(session) else { return };
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
        let (mut dropped, mut told) = (Self::default(), Self::default());
        let (mut session, mut at): (&[u8], _) = (b"", 0);
        loop {
            if let Some((record, next)) = decode(bytes, at, 0) {
                at = next;
                session = &bytes[record.session.clone()];
                match gap(&record, bytes) {
                    Some(gap) => told.add_loss(session, gap.reason, gap.loss()),
                    None => dropped.add(session, Reason::Dropped, 1, Some(record.time)),
                }
            } else if let Some(next) = behind_damage(bytes, at) {
                at = next;
                dropped.add(session, Reason::Dropped, 1, None);
            } else {
                return (dropped, told);
            }
        }
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
        let known = self.0.iter().filter(|((session, _), _)| !session.is_empty());
        known.map(|((session, reason), loss)| frame(session, Gap::new(*reason, loss, now))).collect()
    }

    /// Also writes the losses to the folder's `lost/events.jsonl`, where `status` finds them.
    fn keep(&self, spool: &Spool) -> io::Result<()> {
        let now = now_millis();
        let lines = self.0.iter().map(|((session, reason), loss)| Gap {
            session: Some(session.clone()).filter(|session| !session.is_empty()),
            ..Gap::new(*reason, loss, now)
        });
        LOST.append(&spool.kept, &lines.collect::<Vec<_>>())
    }
}

fn frame(session: &str, gap: Gap) -> Vec<u8> {
    let line = Line { r#type: Kind::Gap.name().to_owned(), data: gap };
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
    serde_json::from_slice::<Line>(&bytes[record.line.clone()]).map(|line| line.data).ok()
}

/// Returns how many lost records the `gap` records among these bytes report.
pub(super) fn lost_by_gaps(bytes: &[u8]) -> u64 {
    Losses::of_dropped(bytes).1.records()
}

/// Returns how many records a folder has lost, and the message of the last loss.
pub(super) fn survey(folder: &Path) -> io::Result<(u64, Option<String>)> {
    let (mut count, mut last) = (0, None);
    LOST.read(folder, |line| {
        if let Ok(gap) = serde_json::from_slice::<Gap>(&line) {
            count += gap.count;
            last = Some(gap.message);
        }
    })?;
    Ok((count, last))
}

impl Spool {
    /// Counts lost records; [`tell_losses`](Self::tell_losses) reports them later.
    pub(crate) fn lose(&self, session: &[u8], reason: Reason, count: u64, time: Option<u64>) {
        self.tail.lock().losses.add(session, reason, count, time);
    }

    /// Appends a `gap` for each loss not reported yet, beyond the spool's limit if necessary.
    /// Returns whether it appended one. A `gap` that does not fit on a full disk is reported later.
    pub(crate) fn tell_losses(&self) -> bool {
        let mut tail = self.tail.lock();
        self.write_losses(&mut tail)
    }

    /// Like [`tell_losses`](Self::tell_losses), for periodic calls, which must not grow a spool
    /// that stays full.
    pub(crate) fn tell_losses_within_bound(&self) {
        let mut tail = self.tail.lock();
        if self.has_room_to_tell(&tail) {
            self.write_losses(&mut tail);
        }
    }

    pub(super) fn write_losses(&self, tail: &mut Tail) -> bool {
        let mut written = false;
        for (key, loss) in std::mem::take(&mut tail.losses.0) {
            let one = Losses(BTreeMap::from([(key, loss)]));
            let frames = one.frames();
            if frames.iter().all(|frame| tail.append(&self.place, &self.limits, frame, 1).is_ok()) {
                self.counters.pending.fetch_add(frames.len() as u64, Ordering::SeqCst);
                tail.told = tail.next();
                self.note(&one);
                written = true;
            } else {
                tail.losses.merge(one);
            }
        }
        written
    }

    /// Appends a record behind the `gap` records of the losses before it, all or nothing: a full
    /// disk may have room for one `gap` after another, but never for a record.
    pub(super) fn append_with_losses(&self, tail: &mut Tail, frame: &[u8]) -> io::Result<()> {
        if tail.losses.is_empty() {
            return tail.append(&self.place, &self.limits, frame, 1);
        }
        let mut frames = tail.losses.frames();
        let gaps = frames.len() as u64;
        frames.push(frame.to_vec());
        tail.append(&self.place, &self.limits, &frames.concat(), gaps + 1)?;
        self.counters.pending.fetch_add(gaps, Ordering::SeqCst);
        tail.told = tail.next() - 1;
        let told = std::mem::take(&mut tail.losses);
        self.note(&told);
        Ok(())
    }

    /// Writes the losses to `lost/events.jsonl`. If that fails, `status` lacks a line, but the
    /// `gap` still reports the loss.
    pub(super) fn note(&self, losses: &Losses) {
        let _ = losses.keep(self);
    }

    /// Takes the losses not reported yet, for a caller that may not append.
    pub(crate) fn take_losses(&self) -> Losses {
        std::mem::take(&mut self.tail.lock().losses)
    }

    /// Adds losses that another opening of this folder found.
    pub(crate) fn add_losses(&self, losses: Losses) {
        self.tail.lock().losses.merge(losses);
    }

    /// Returns whether all losses so far are reported in records below this one.
    pub(crate) fn are_losses_told(&self, cursor: u64) -> bool {
        let tail = self.tail.lock();
        tail.losses.is_empty() && cursor >= tail.told
    }
}
