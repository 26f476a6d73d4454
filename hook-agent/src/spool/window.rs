//! The delivery thread's side of the spool: which records are sent next, in which batches, with
//! which numbers.
//!
//! A window never spans segments and holds at most 32 sessions. A `create_session` is a window of
//! its own, so that a session's records keep their order. Once planned, a window changes only in
//! its progress: see [`super`].

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::loss::Reason;
use super::progress::{Plan, Position, Progress, StateFile, next_epoch, now_millis};
use super::queue::Spool;
use super::record::{
    Record, behind_damage, count_records, decode, frame_length, frame_start, nearest_session,
};
use super::step::Step;
use super::storage::SpoolStorage;
use super::tail::{Limits, Meta};
use crate::config::{MAX_BATCH_BYTES, MAX_BATCH_LINES};
use crate::kind::Kind;

/// The most batches per window; this many fit in a slot of the state file with room to spare.
const MAX_SESSIONS: usize = 32;
/// The number of sessions whose numbers are remembered. Beyond it, all are forgotten and a new
/// epoch starts.
const MAX_REMEMBERED: usize = 10_000;

/// The delivery position of one spool.
#[derive(Debug)]
pub(crate) struct Head {
    state_file: StateFile,
    progress: Progress,
    /// The cursor on disk. A cursor that only skipped records that are too old is saved with the
    /// next plan, or at the end.
    saved: Position,
    /// The epoch of this opening; set when the first batch is numbered.
    epoch: Option<u64>,
    /// Each session's epoch and next number.
    numbers: HashMap<String, (u64, u64)>,
    /// The plan was made by an earlier opening. Its epoch is not used beyond the plan, because
    /// another copy of this folder may use it too.
    inherited: bool,
    /// The batches of an inherited plan of which this owner has sent something.
    begun: BTreeSet<usize>,
    /// Records that are too old are left to delivery, which rejects them with the reason for which
    /// they waited.
    keeps_old: bool,
    /// How many times writing the state failed.
    pub(crate) unsaved: u64,
}

/// Records to send, grouped by session.
#[derive(Debug)]
pub(crate) struct Window {
    bytes: Vec<u8>,
    pub records: Vec<Record>,
    pub batches: Vec<Batch>,
    end: Position,
}

/// One session's records of a window, in order.
#[derive(Debug)]
pub(crate) struct Batch {
    pub session: String,
    /// Indexes into the window's records.
    pub lines: Vec<usize>,
}

impl Window {
    pub(crate) fn line(&self, record: &Record) -> &[u8] {
        &self.bytes[record.line.clone()]
    }

    /// Returns a record's frame as stored in the spool.
    pub(crate) fn frame(&self, record: &Record) -> &[u8] {
        &self.bytes[frame_start(record)..record.line.end]
    }

    /// Returns whether the window is a single `create_session`, which has a route of its own and
    /// needs no numbers.
    pub(crate) fn is_create(&self) -> bool {
        self.records[0].kind == Kind::CreateSession
    }

    fn group(&mut self) {
        let mut found: HashMap<&[u8], usize> = HashMap::new();
        for (index, record) in self.records.iter().enumerate() {
            let session = &self.bytes[record.session.clone()];
            let batch = *found.entry(session).or_insert_with(|| {
                let session = String::from_utf8_lossy(session).into_owned();
                self.batches.push(Batch {
                    session,
                    lines: Vec::new(),
                });
                self.batches.len() - 1
            });
            self.batches[batch].lines.push(index);
        }
    }
}

impl Spool {
    /// Opens the folder's records and the delivery position.
    pub(crate) fn open(
        storage: SpoolStorage,
        producer: String,
        limits: Limits,
    ) -> io::Result<(Self, Head)> {
        let (spool, state_file, progress) = Self::with_progress(storage, producer, limits)?;
        Ok((spool, Head::new(state_file, progress)))
    }

    /// Opens a spool in memory only.
    pub(crate) fn in_memory(producer: String, limits: Limits) -> io::Result<(Self, Head)> {
        Self::open(SpoolStorage::Memory, producer, limits)
    }
}

impl Head {
    pub(super) fn new(state_file: StateFile, progress: Progress) -> Self {
        let inherited = progress.plan.is_some();
        let saved = progress.cursor;
        Self {
            state_file,
            progress,
            saved,
            epoch: None,
            numbers: HashMap::new(),
            inherited,
            begun: BTreeSet::new(),
            keeps_old: false,
            unsaved: 0,
        }
    }

    /// Makes this head send records however old they are, for records that wait for something.
    pub(super) fn that_keeps_old(self) -> Self {
        Self {
            keeps_old: true,
            ..self
        }
    }

    /// Returns the number of the first record that is not settled.
    pub(crate) fn cursor(&self) -> u64 {
        self.progress.cursor.record
    }

    /// Returns the window to send now: the one in delivery, or the next one, after planning it and
    /// saving the plan.
    pub(crate) fn window(&mut self, spool: &Spool) -> io::Result<Option<Window>> {
        loop {
            let before = self.progress.cursor;
            let found = spool.locate(&mut self.progress.cursor);
            if before != self.progress.cursor {
                self.progress.plan = None;
                self.progress.repaired();
            }
            let Some((meta, end)) = found else {
                if self.progress.cursor != self.saved {
                    self.save();
                }
                return Ok(None);
            };
            if let Some(mut window) = self.read(spool, &meta)? {
                window.group();
                self.plan(&window);
                return Ok(Some(window));
            }
            if self.progress.cursor.offset < meta.length {
                self.skip_damage(spool, &meta, end)?;
            }
        }
    }

    /// Returns the progress of batch `index` of the window.
    pub(crate) fn step(&self, index: usize) -> Step {
        self.progress
            .plan
            .as_ref()
            .and_then(|plan| plan.batches.get(index))
            .copied()
            .unwrap_or_default()
    }

    /// Returns how many lines of batch `index` are not settled.
    pub(crate) fn left(&self, window: &Window, index: usize) -> usize {
        if self.progress.cursor == window.end {
            return 0;
        }
        window.batches[index]
            .lines
            .len()
            .saturating_sub(self.step(index).settled)
    }

    /// Settles `lines` more lines of a batch. With `stored`, the service has used the batch's
    /// number. The rest of a request is still sent as one, with the same number.
    pub(crate) fn settle(&mut self, window: &Window, index: usize, lines: usize, stored: bool) {
        self.progress.repaired();
        self.change(index, |step| step.settle(lines, stored));
        let step = self.step(index);
        if !self.inherited && !window.is_create() {
            self.numbers.insert(
                window.batches[index].session.clone(),
                (step.epoch, step.seq),
            );
        }
        if window.is_create() || (0..window.batches.len()).all(|at| self.left(window, at) == 0) {
            self.progress.cursor = window.end;
            self.progress.plan = None;
        }
        self.save();
    }

    /// Settles the rest of a batch because it is now held in `slot`, up to record `next`. One write
    /// of the state says both. If it fails, returns false and changes nothing: the next opening
    /// would cut off records that the state does not count.
    pub(crate) fn hold(&mut self, window: &Window, index: usize, slot: usize, next: u64) -> bool {
        let before = self.progress.clone();
        let unsaved = self.unsaved;
        let held = self.progress.held.get_or_insert_default();
        held.resize(held.len().max(slot + 1), 0);
        held[slot] = next;
        self.settle(window, index, self.left(window, index), false);
        if self.unsaved > unsaved {
            self.progress = before;
            return false;
        }
        true
    }

    /// Returns up to which number a slot is filled. If the state was lost or written by an earlier
    /// version, nothing is known, and nothing that is held is cut off.
    pub(crate) fn held(&self, slot: usize) -> Option<u64> {
        let Some(held) = &self.progress.held else {
            return Some(u64::MAX);
        };
        held.get(slot).copied().filter(|next| *next > 0)
    }

    /// Records in the state that it counts held records, before any record is held.
    pub(crate) fn know_held(&mut self) {
        if self.progress.held.is_none() {
            self.progress.held = Some(Vec::new());
            self.save();
        }
    }

    /// Marks the slot as empty. If the state can't be written, returns false and changes nothing:
    /// the slot can't be reused while the state still counts what it held before.
    pub(crate) fn release(&mut self, slot: usize) -> bool {
        let before = self.progress.clone();
        let unsaved = self.unsaved;
        if let Some(next) = self
            .progress
            .held
            .as_mut()
            .and_then(|held| held.get_mut(slot))
        {
            *next = 0;
        }
        self.save();
        if self.unsaved > unsaved {
            self.progress = before;
            return false;
        }
        true
    }

    /// Notes that a request of a batch is about to be sent. In an inherited plan, the first request
    /// of each batch may have been sent before: nobody knows its response. Later ones are our
    /// own.
    pub(crate) fn sending(&mut self, index: usize, request: &Range<usize>, asks: bool) {
        if self.inherited && self.begun.insert(index) && !asks {
            self.doubt(index, request);
        }
    }

    /// Marks a request as possibly stored: no response said whether it was. Not saved: the next
    /// process treats the request in delivery as in doubt anyway.
    pub(crate) fn doubt(&mut self, index: usize, request: &Range<usize>) {
        self.change(index, |step| step.doubt(request));
    }

    /// Returns whether an earlier request for the rest of a batch may be stored.
    pub(crate) fn may_be_stored(&self, index: usize) -> bool {
        self.inherited || self.step(index).in_doubt()
    }

    /// Notes that an empty batch has to ask for the request of a batch that is in doubt.
    pub(crate) fn ask(&mut self, index: usize) {
        self.change(index, Step::ask);
        self.save();
    }

    /// Marks the current number of a batch as used up.
    pub(crate) fn next_number(&mut self, index: usize) {
        self.change(index, Step::next_number);
        self.progress.broken = 0;
        self.save();
    }

    /// Limits the next requests of this batch to this many lines.
    pub(crate) fn split(&mut self, index: usize, lines: usize) {
        self.change(index, |step| step.split(lines));
        self.progress.broken = 0;
        self.save();
    }

    /// Counts another failure of the current request. Returns how many failed in a row and for how
    /// long, earlier processes included. Halving a request resets the count, but not the duration.
    pub(crate) fn broke(&mut self) -> (u32, Duration) {
        let now = now_millis();
        self.progress.broken = self.progress.broken.saturating_add(1);
        let since = *self.progress.broken_since.get_or_insert(now);
        self.save();
        (
            self.progress.broken,
            Duration::from_millis(now.saturating_sub(since)),
        )
    }

    /// Counts another failed upload for the current request.
    pub(crate) fn upload_failed(&mut self) {
        self.progress.uploads = self.progress.uploads.saturating_add(1);
        self.progress.uploads_since.get_or_insert_with(now_millis);
        self.save();
    }

    /// Returns how many uploads for the current request have failed, and for how long, earlier
    /// processes included.
    pub(crate) fn failed_uploads(&self) -> (u32, Duration) {
        let since = self.progress.uploads_since.unwrap_or_else(now_millis);
        let time = Duration::from_millis(now_millis().saturating_sub(since));
        (self.progress.uploads, time)
    }

    /// Gives a batch new numbers, in an epoch above both ours and the one that the service knows.
    pub(crate) fn renumber(&mut self, index: usize, known: u64) {
        let epoch = next_epoch(self.progress.epoch.max(known));
        self.progress.epoch = epoch;
        self.change(index, |step| step.number(epoch, 0));
        self.save();
    }

    fn change(&mut self, index: usize, change: impl FnOnce(&mut Step)) {
        if let Some(step) = self
            .progress
            .plan
            .as_mut()
            .and_then(|plan| plan.batches.get_mut(index))
        {
            change(step);
        }
    }

    /// Saves the state. If that fails, delivery goes on: only a crash before the next successful
    /// save could then repeat a batch.
    fn save(&mut self) {
        match self.state_file.save(&mut self.progress) {
            Ok(()) => self.saved = self.progress.cursor,
            Err(_) => self.unsaved += 1,
        }
    }

    fn plan(&mut self, window: &Window) {
        if self.progress.plan.is_some() || window.is_create() {
            return;
        }
        if self.numbers.len() > MAX_REMEMBERED {
            self.numbers.clear();
            self.epoch = None;
        }
        let epoch = *self
            .epoch
            .get_or_insert_with(|| next_epoch(self.progress.epoch));
        self.progress.epoch = self.progress.epoch.max(epoch);
        let number = |batch: &Batch| {
            let (epoch, seq) = self
                .numbers
                .get(&batch.session)
                .copied()
                .unwrap_or((epoch, 0));
            Step::new(epoch, seq)
        };
        let batches = window.batches.iter().map(number).collect();
        self.progress.plan = Some(Plan {
            end: window.end,
            batches,
        });
        self.inherited = false;
        self.save();
    }

    /// Returns `None` if the first record cannot be read, or all readable ones were too old.
    fn read(&mut self, spool: &Spool, meta: &Meta) -> io::Result<Option<Window>> {
        let cursor = self.progress.cursor;
        let planned = self.progress.plan.as_ref().map(|plan| plan.end);
        let visible = (meta.length - cursor.offset) as usize;
        let most = planned
            .map_or(MAX_BATCH_BYTES, |end| (end.offset - cursor.offset) as usize)
            .min(visible);
        let mut bytes = meta.segment.read(cursor.offset, most)?;
        if let Some(whole) =
            frame_length(&bytes, 0).filter(|whole| *whole > bytes.len() && *whole <= visible)
        {
            bytes = meta.segment.read(cursor.offset, whole)?;
        }
        let mut window = Window {
            bytes,
            records: Vec::new(),
            batches: Vec::new(),
            end: cursor,
        };
        let mut sessions: Vec<&[u8]> = Vec::new();
        let mut at = 0;
        while let Some((record, next)) = decode(&window.bytes, at, window.end.record) {
            if planned.is_none() {
                // A report of a loss never expires.
                let may_expire = !self.keeps_old && record.kind != Kind::Gap;
                if window.records.is_empty() && may_expire && spool.is_too_old(&record) {
                    at = next;
                    window.end = after(&cursor, next, record.number);
                    self.progress.cursor = window.end;
                    self.progress.repaired();
                    spool.counters.expired.fetch_add(1, Ordering::Relaxed);
                    spool.forget(1);
                    let session = &window.bytes[record.session.clone()];
                    spool.lose(session, Reason::Expired, 1, Some(record.time));
                    continue;
                }
                let session = &window.bytes[record.session.clone()];
                let create = record.kind == Kind::CreateSession && !window.records.is_empty();
                let more = !sessions.contains(&session);
                if create
                    || window.records.len() == MAX_BATCH_LINES
                    || more && sessions.len() == MAX_SESSIONS
                {
                    break;
                }
                if more {
                    sessions.push(session);
                }
            }
            let alone = record.kind == Kind::CreateSession;
            window.end = after(&cursor, next, record.number);
            window.records.push(record);
            at = next;
            if alone {
                break;
            }
        }
        let whole = !window.records.is_empty() && planned.is_none_or(|end| end == window.end);
        Ok(whole.then_some(window))
    }

    /// Skips the record at the cursor, which is lost, or the rest of the segment if no further
    /// record can be found in it. A plan that covered it is void.
    fn skip_damage(&mut self, spool: &Spool, meta: &Meta, end: u64) -> io::Result<()> {
        self.progress.plan = None;
        self.progress.repaired();
        let cursor = self.progress.cursor;
        let bytes = meta
            .segment
            .read(cursor.offset, (meta.length - cursor.offset) as usize)?;
        if decode(&bytes, 0, 0).is_some() {
            return Ok(());
        }
        let known = end.saturating_sub(cursor.record).max(1);
        let mut session: &[u8] = b"";
        self.progress.cursor = if let Some(next) = behind_damage(&bytes, 0) {
            session = decode(&bytes, next, 0).map_or(session, |(record, _)| &bytes[record.session]);
            // The readable records behind it keep their numbers: all numbers before them are lost.
            let lost = known.saturating_sub(count_records(&bytes[next..]).0).max(1);
            let offset = cursor.offset + next as u64;
            Position {
                segment: cursor.segment,
                offset,
                record: cursor.record + lost,
            }
        } else {
            spool.seal(meta.first);
            Position {
                segment: meta.first,
                offset: meta.length,
                record: end.max(cursor.record + 1),
            }
        };
        let before = meta.segment.read(0, cursor.offset as usize)?;
        if session.is_empty() {
            session = nearest_session(&before, before.len());
        }
        let lost = self.progress.cursor.record - cursor.record;
        spool.counters.damaged.fetch_add(lost, Ordering::Relaxed);
        spool.lose(session, Reason::Damaged, lost, None);
        spool.forget(lost);
        self.save();
        Ok(())
    }
}

fn after(cursor: &Position, bytes: usize, record: u64) -> Position {
    Position {
        segment: cursor.segment,
        offset: cursor.offset + bytes as u64,
        record: record + 1,
    }
}
