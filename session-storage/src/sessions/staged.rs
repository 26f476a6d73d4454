//! Large batches: decided and written on a thread of their own, and then appended to the journal in one short step.
//!
//! Small ones are decided and written right into the journal's pending group, for which every other write waits.
//! A large one would hold all of them up, and the runtime's thread with them. So its lines are written into a buffer
//! first, under the session's own lock, with the offsets that they would have if nobody else wrote anything meanwhile.
//! Under the journal's lock they are copied with the offsets that they really get.
//!
//! Whoever else asks for the session meanwhile waits for the turn (see [`Cell::short`]) and blocks no thread. The view
//! runs ahead of the journal until the lines are appended: if they are not, it is put back as it was.

use std::sync::Arc;

use bytes::Bytes;
use session_model::event::Birth;
use session_model::producer::ProducerNumbers;
use session_model::{
    Change, Code, LogKind, Refusal, SessionId, Timestamp, UserId, View, json, line, transition,
};

use super::batch::{Commands, Results, parse};
use super::producers::{check_producer, check_unknown_producer, commit_of};
use super::refused::Refused;
use super::write::{Attempt, Indexed, Txn, accept, birth, image};
use super::{Sessions, Submitted, not_found, now, unopened};
use crate::store::cells::{Cell, Loaded, Slot};
use crate::store::error::CommitError;
use crate::store::journal::Pending;
use crate::store::log_writer::PendingEvent;
use crate::store::segment::EntryWriter;
use crate::store::ticket::{Group, Ticket};

/// How many large batches are worked on at the same time; the others wait.
pub(super) const AT_ONCE: usize = 4;
/// A batch with more lines is large,
const LINES: usize = 1_000;
/// or one with more bytes.
const BYTES: usize = 512 << 10;

/// Whether a batch is worked on by a thread of its own.
pub(super) fn is_large(lines: usize, bytes: usize) -> bool {
    lines > LINES || bytes > BYTES
}

/// What the thread comes back with: an [`Attempt`] without the ticket, which stays where it is waited for.
enum Worked {
    Answered(Option<Arc<Group>>, Submitted),
    Stored(Arc<Group>, Submitted),
}

impl Worked {
    /// What an attempt that stored nothing answers.
    fn answered(attempt: Attempt) -> Option<Self> {
        match attempt {
            Attempt::Answered { ticket, answer } => {
                Some(Self::Answered(ticket.map(Ticket::into_group), answer))
            }
            Attempt::Load | Attempt::Stored { .. } => None,
        }
    }

    fn into_attempt(self) -> Attempt {
        match self {
            Self::Answered(group, answer) => Attempt::Answered { ticket: group.map(Ticket::new), answer },
            Self::Stored(group, answer) => Attempt::Stored { ticket: Ticket::new(group), answer },
        }
    }
}

impl Sessions {
    /// Applies a large batch like [`Sessions::submit_batch`]. It is done to its end, also if nobody waits for it any
    /// more.
    pub(super) async fn submit_large(
        &self,
        id: &SessionId,
        lines: Bytes,
        marked: bool,
        producer: Option<ProducerNumbers>,
    ) -> Result<Submitted, Refused> {
        let failed = || Refused::from(Refusal::new(Code::Internal, "the batch could not be worked on"));
        let permit = Arc::clone(&self.large).acquire_owned().await.map_err(|_| failed())?;
        let cell = self.store.cells.get(id);
        let (sessions, its_cell) = (self.clone(), Arc::clone(&cell));
        let work = move || {
            let _permit = permit;
            sessions.work_on(&its_cell, &lines, marked, producer.as_ref())
        };
        let worked = actix_web::web::block(work).await.map_err(|_| failed())??;
        self.outcome_of(worked.into_attempt()).await
    }

    fn work_on(
        &self,
        cell: &Arc<Cell>,
        lines: &Bytes,
        marked: bool,
        producer: Option<&ProducerNumbers>,
    ) -> Result<Worked, Refused> {
        let mut commands = Some(parse(json::text(lines)?, marked));
        loop {
            if let Some(worked) = cell.long(|slot| self.stage(cell, slot, &mut commands, producer))? {
                return Ok(worked);
            }
            let opened = self.store.load(cell).and_then(|()| self.store.complete(cell));
            opened.map_err(|damage| unopened(&cell.id, &damage))?;
        }
    }

    /// Decides, writes and appends under the session's lock; `None`: the session has to be read first.
    fn stage(
        &self,
        cell: &Arc<Cell>,
        slot: &mut Slot,
        commands: &mut Option<Commands<'_>>,
        producer: Option<&ProducerNumbers>,
    ) -> Result<Option<Worked>, Refused> {
        let Some(loaded) = self.ready_to_write(cell, slot) else { return Ok(None) };
        match &loaded {
            Some(loaded) => {
                if let Some(repeat) = check_producer(loaded, producer)? {
                    return Ok(Worked::answered(repeat));
                }
            }
            None if self.settings.auto_create => {
                check_unknown_producer(producer)?;
                self.redaction.check_id(&cell.id)?;
            }
            None => return Err(not_found(&cell.id).into()),
        }
        let Some(commands) = commands.take() else { return Ok(None) };
        self.store.queue_snapshot(cell);
        let next = self.store.journal.newest() + 1;
        let mut staged = Staged { next, at: now(), ..Staged::default() };
        let Some(loaded) = loaded else {
            let mut created = transition::create(&cell.id, &UserId::unknown(), Birth::default());
            self.mention_quarantined(&cell.id, &mut created);
            let generation = self.store.journal.generation();
            let mut born = staged.birth(cell, &created, generation, commands);
            let worked = self.append_staged(&mut born, None, staged, producer)?;
            *slot = Slot::Loaded(Box::new(born));
            return Ok(Some(worked));
        };
        let mut kept = Kept { before: Some(loaded.view.clone()), loaded };
        staged.run(kept.loaded, commands);
        let worked = self.append_staged(kept.loaded, kept.before.as_ref(), staged, producer)?;
        kept.before = None;
        Ok(Some(worked))
    }

    /// Appends what was staged as one entry; `before`: the view before it, if the session was there.
    fn append_staged(
        &self,
        loaded: &mut Loaded,
        before: Option<&View>,
        mut staged: Staged,
        producer: Option<&ProducerNumbers>,
    ) -> Result<Worked, CommitError> {
        let journal = &self.store.journal;
        let generation = loaded.generation;
        loop {
            let base = before.filter(|_| loaded.checkpoint != journal.checkpoint()).map(image);
            let (ticket, answer) = journal.append(generation, |pending| {
                if before.is_some() && base.is_none() && loaded.checkpoint != pending.checkpoint() {
                    // A checkpoint has begun this moment. Others do not wait while the image is made.
                    return None;
                }
                Some(staged.append(pending, loaded, base.as_deref(), producer))
            })?;
            if let Some(answer) = answer {
                return Ok(Worked::Stored(ticket.into_group(), answer));
            }
        }
    }
}

/// Puts a view back as it was unless `before` is taken away: what was decided on it was not appended.
struct Kept<'l> {
    before: Option<View>,
    loaded: &'l mut Loaded,
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        if let Some(before) = self.before.take() {
            self.loaded.user = before.metadata.user();
            self.loaded.view = before;
        }
    }
}

/// Lines that are written and not yet appended.
#[derive(Default)]
struct Staged {
    /// The lines, in an entry that is not committed itself.
    entry: Vec<u8>,
    /// Where the entry's events begin, and how many they are.
    region: (usize, u32),
    events: Vec<PendingEvent>,
    /// The offset of the first event, if nobody else writes meanwhile.
    next: u64,
    results: Option<Results>,
    owner: Option<UserId>,
    at: Timestamp,
    is_birth: bool,
}

impl Staged {
    /// Makes a session as a first write does, and then as [`Staged::run`].
    fn birth(&mut self, cell: &Cell, created: &Change, generation: u64, commands: Commands<'_>) -> Loaded {
        self.is_birth = true;
        let user = UserId::unknown();
        let mut entry = std::mem::take(&mut self.entry);
        let mut writer = EntryWriter::begin(&mut entry, (&cell.id, &user), self.at, self.next, None);
        let mut loaded = birth(cell, &mut writer, &mut self.events, created, self.at, self.next, generation);
        self.fill(&mut loaded, writer, self.next + 1, commands);
        self.entry = entry;
        loaded
    }

    /// Decides the commands and writes their lines.
    fn run(&mut self, loaded: &mut Loaded, commands: Commands<'_>) {
        let (id, owner) = (loaded.view.id.clone(), loaded.user.clone());
        let mut entry = std::mem::take(&mut self.entry);
        let writer = EntryWriter::begin(&mut entry, (&id, &owner), self.at, self.next, None);
        self.fill(loaded, writer, self.next, commands);
        self.entry = entry;
    }

    fn fill(
        &mut self,
        loaded: &mut Loaded,
        mut writer: EntryWriter<'_>,
        offset: u64,
        commands: Commands<'_>,
    ) {
        self.owner = Some(loaded.user.clone());
        let mut txn = Txn { writer: &mut writer, events: &mut self.events, loaded, at: self.at, offset };
        let results = Results::run(&mut txn, commands);
        loaded.view.settle();
        self.results = Some(results);
        self.region = writer.staged();
    }

    /// Appends the lines under the journal's lock, with the offsets that are theirs, and lets the view know them.
    fn append(
        &mut self,
        pending: &mut Pending,
        loaded: &mut Loaded,
        base: Option<&[u8]>,
        producer: Option<&ProducerNumbers>,
    ) -> Submitted {
        let (first, group) = (pending.next_offset(), Arc::clone(pending.group()));
        loaded.checkpoint = pending.checkpoint();
        let next = first + self.events.len() as u64;
        let mut answer = Submitted::ok(String::new());
        if let Some(results) = &mut self.results {
            answer.body = results.render(next - 1);
            answer.refused = std::mem::take(&mut results.refused);
        }
        let commit = producer.map(|numbers| commit_of(numbers, &answer));
        let (id, owner) = (loaded.view.id.clone(), self.owner.clone().unwrap_or_else(UserId::unknown));
        let mut changed = Indexed::Same;
        pending.entry((&id, &owner), self.at, base, |writer, events| {
            let before = events.len();
            let grown = if self.fits(first) {
                self.copy(first, writer, events);
                Grown::default()
            } else {
                self.restamp(first, writer, events, loaded.view.keyframe.seq)
            };
            let view = &mut loaded.view;
            if next > first {
                view.offset = next - 1;
            }
            if self.is_birth {
                view.created_offset = first;
            }
            for log in LogKind::ALL {
                let head = &mut view.logs[log.index()];
                head.bytes = head.bytes.wrapping_add_signed(grown.logs[log.index()]);
            }
            view.keyframe.bytes = view.keyframe.bytes.wrapping_add_signed(grown.since_keyframe);
            accept(loaded, &group, commit.as_ref(), first);
            changed = Indexed::by(&events[before..]);
            commit
        });
        changed.note(pending, &loaded.view);
        answer
    }

    /// Whether offsets from this one on have as many digits as those that the lines have.
    fn fits(&self, first: u64) -> bool {
        let digits = |offset: u64| offset.checked_ilog10();
        let last = (self.events.len() as u64).saturating_sub(1);
        let wanted = digits(first);
        [first + last, self.next, self.next + last].into_iter().all(|offset| digits(offset) == wanted)
    }

    /// Copies the lines at once and then gives them offsets from this one on.
    fn copy(&mut self, first: u64, writer: &mut EntryWriter<'_>, events: &mut Vec<PendingEvent>) {
        let (start, count) = self.region;
        let at = writer.events(&self.entry[start..], count);
        for (event, offset) in self.events.iter_mut().zip(first..) {
            event.line = event.line.start - start + at..event.line.end - start + at;
            event.offset = offset;
            line::restamp_in_place(writer.line(event.line.clone()), offset);
        }
        events.append(&mut self.events);
    }

    /// Copies the lines one by one with offsets from this one on, where some of them have more digits or fewer.
    fn restamp(
        &self,
        first: u64,
        writer: &mut EntryWriter<'_>,
        events: &mut Vec<PendingEvent>,
        keyframe: u64,
    ) -> Grown {
        let mut grown = Grown::default();
        events.reserve(self.events.len());
        for (event, offset) in self.events.iter().zip(first..) {
            let staged = &self.entry[event.line.clone()];
            let (line, ()) = writer.event(event.kind, |out| line::restamp(out, staged, offset));
            let log = event.kind.log();
            let log_at = event.log_at.wrapping_add_signed(grown.logs[log.index()]);
            let more = line.len().cast_signed() as i64 - staged.len().cast_signed() as i64;
            grown.logs[log.index()] += more;
            if more != 0
                && log == LogKind::Changes
                && line::head(staged).is_some_and(|head| head.seq > keyframe)
            {
                grown.since_keyframe += more;
            }
            events.push(PendingEvent { offset, line, log_at, ..event.clone() });
        }
        grown
    }
}

/// By how much lines have become longer with their offsets.
#[derive(Default)]
struct Grown {
    logs: [i64; 3],
    since_keyframe: i64,
}
