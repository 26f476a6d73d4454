//! The end of the queue, where records are appended: the list of segments, the limits and the
//! counters.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::loss::{Losses, Reason};
use super::progress::{Position, Progress};
use super::record::{count_records, is_torn, nearest_session};
use super::storage::{Segment, SpoolStorage, if_there};
use crate::Config;
use crate::config::FullPolicy;
use crate::offload::Offload;

/// How much the spool may hold, for how long, and what is dropped when it is full.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub max_bytes: u64,
    pub segment_bytes: u64,
    pub max_age: Duration,
    pub policy: FullPolicy,
    /// Which values of a record are left out if the whole record does not fit.
    pub offload: Offload,
}

impl Limits {
    pub(crate) fn of(config: &Config, in_memory: bool) -> Self {
        let max_bytes = if in_memory {
            config.spool_max_bytes / 16
        } else {
            config.spool_max_bytes
        };
        Self {
            max_bytes,
            segment_bytes: (max_bytes / 16).clamp(4096, 1024 * 1024),
            max_age: config.spool_max_age,
            policy: config.spool_full,
            offload: Offload::of(config),
        }
    }
}

/// Counts since this process opened the spool.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub accepted: AtomicU64,
    /// Values of accepted records that were written in another form.
    pub coerced: AtomicU64,
    pub delivered: AtomicU64,
    pub rejected: AtomicU64,
    pub dropped: AtomicU64,
    pub expired: AtomicU64,
    pub damaged: AtomicU64,
    pub refused: AtomicU64,
    /// Values that were stored as blobs.
    pub blobs: AtomicU64,
    /// Values of which only an excerpt was kept.
    pub shortened: AtomicU64,
    /// Records in the spool that are not settled.
    pub pending: AtomicU64,
}

impl Counters {
    /// Returns how many records never reached the service.
    pub(crate) fn lost(&self) -> u64 {
        let ways = [&self.dropped, &self.expired, &self.damaged, &self.refused];
        ways.into_iter()
            .map(|counter| counter.load(Ordering::Relaxed))
            .sum()
    }
}

#[derive(Debug)]
pub(super) struct Tail {
    pub(super) segments: VecDeque<Meta>,
    /// The number of the next record.
    pub(super) next: u64,
    pub(super) bytes: u64,
    /// The last segment takes no more records.
    pub(super) sealed: bool,
    /// The last write failed for lack of space.
    pub(super) starved: bool,
    /// Lost records that no `gap` reports yet.
    pub(super) losses: Losses,
    /// The last appended `gap` is below this number.
    pub(super) reported_below: u64,
    /// The first refusal since the opening was reported.
    pub(super) refusal_reported: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Meta {
    pub first: u64,
    pub length: u64,
    pub segment: Arc<Segment>,
    /// The losses that this segment reports, if it replaces dropped segments.
    pub(super) reports: Option<Losses>,
}

impl Tail {
    pub(super) fn open(storage: &SpoolStorage, progress: &Progress) -> io::Result<(Self, u64)> {
        let mut tail = Self {
            segments: VecDeque::new(),
            next: progress.cursor.record,
            bytes: 0,
            sealed: false,
            starved: false,
            losses: Losses::default(),
            reported_below: 0,
            refusal_reported: false,
        };
        let cursor = progress.cursor;
        for first in storage.list()? {
            if first < cursor.segment {
                if_there(storage.remove(first))?;
                continue;
            }
            let Some(segment) = if_there(storage.open(first))? else {
                continue;
            };
            let length = segment.length()?;
            tail.segments.push_back(Meta {
                first,
                length,
                segment,
                reports: None,
            });
            tail.bytes += length;
        }
        let mut pending = 0;
        for index in 0..tail.segments.len() {
            pending += tail.measure(index, &cursor)?;
        }
        Ok((tail, pending))
    }

    /// Returns how many records of one segment are not settled. The last segment is counted by
    /// reading, and its torn tail is cut off. The first two are counted by reading too, because
    /// segments behind them may have been dropped.
    fn measure(&mut self, index: usize, cursor: &Position) -> io::Result<u64> {
        let last = index + 1 == self.segments.len();
        let meta = &mut self.segments[index];
        let (offset, record) = if meta.first == cursor.segment {
            (cursor.offset, cursor.record)
        } else {
            (0, meta.first)
        };
        if !last && index > 1 {
            return Ok(self.segments[index + 1].first - record);
        }
        let bytes = meta.segment.read(offset, meta.length as usize)?;
        let (count, end) = count_records(&bytes);
        if last {
            let whole = offset.min(meta.length) + end as u64;
            if whole < meta.length {
                meta.segment.truncate(whole)?;
                if !is_torn(&bytes[end..]) {
                    let session = nearest_session(&bytes, end);
                    self.losses.add(session, Reason::Damaged, 1, None);
                }
                self.bytes -= meta.length - whole;
                meta.length = whole;
            }
            self.next = record + count;
        }
        Ok(count)
    }

    /// Appends `count` framed records with one write.
    pub(super) fn append(
        &mut self,
        storage: &SpoolStorage,
        limits: &Limits,
        frames: &[u8],
        count: u64,
    ) -> io::Result<()> {
        let full = self
            .segments
            .back()
            .is_none_or(|last| last.length >= limits.segment_bytes);
        if full || self.sealed {
            let segment = storage
                .create(self.next)
                .inspect_err(|_| self.starved = true)?;
            self.segments.push_back(Meta {
                first: self.next,
                length: 0,
                segment,
                reports: None,
            });
            self.sealed = false;
        }
        let Some(last) = self.segments.back_mut() else {
            return Ok(());
        };
        if let Err(error) = last.segment.append(frames, last.length) {
            self.sealed = last.segment.length().ok() != Some(last.length) && last.length > 0;
            self.starved = true;
            return Err(error);
        }
        self.starved = false;
        last.length += frames.len() as u64;
        self.bytes += frames.len() as u64;
        self.next += count;
        Ok(())
    }

    pub(super) fn is_past_first(&self, at: &Position) -> bool {
        let first = &self.segments[0];
        first.first < at.segment || first.first == at.segment && at.offset >= first.length
    }
}
