//! Write path: lock the session, decide, append to the journal, update the view, wait for the
//! commit.

use std::sync::Arc;

use session_model::producer::ProducerNumbers;
use session_model::transition::{self, Existing, Outcome, Reply};
use session_model::{
    Change, Code, Command, EventKind, LogKind, RecordBody, Refusal, SessionId, Stamp, Timestamp, UserId,
    View, change_line,
};

use super::producers::{check_producer, check_unknown_producer, commit_of};
use super::refused::Refused;
use super::{Sessions, Submitted, commit_refusal, not_found, now};
use crate::store::cells::{Cell, Loaded, Slot};
use crate::store::error::CommitError;
use crate::store::index::{Index, Row};
use crate::store::journal::Pending;
use crate::store::log_writer::PendingEvent;
use crate::store::segment::{EntryWriter, ProducerCommit};
use crate::store::ticket::Ticket;

/// Result of one attempt to write under the session's lock.
pub(super) enum Attempt {
    /// The session must be loaded first.
    Load,
    /// Nothing has to be stored. The state behind the answer is durable once the ticket resolves.
    Answered { ticket: Option<Ticket>, answer: Submitted },
    /// The change was appended. It is stored once the ticket resolves.
    Stored { ticket: Ticket, answer: Submitted },
}

impl Sessions {
    /// Submits any write to one session. When this returns, the change is durable.
    pub async fn submit(
        &self,
        id: &SessionId,
        command: Command<'_>,
        producer: Option<ProducerNumbers>,
    ) -> Result<Submitted, Refused> {
        let mut command = Some(command);
        self.write(id, |cell, slot| self.attempt(cell, slot, &mut command, producer.as_ref())).await
    }

    /// Runs the attempt under the session's lock, loads the session first if needed, and waits for
    /// the commit.
    pub(super) async fn write(
        &self,
        id: &SessionId,
        mut attempt: impl FnMut(&Arc<Cell>, &mut Slot) -> Result<Attempt, Refused>,
    ) -> Result<Submitted, Refused> {
        let cell = self.store.cells.get(id);
        loop {
            let attempted = attempt(&cell, &mut *cell.short().await)?;
            match attempted {
                Attempt::Load => self.load_to_write(&cell).await?,
                attempted => return self.outcome_of(attempted).await,
            }
        }
    }

    /// Waits for the commit. The commit itself updates the index, because the requester may be gone
    /// by then.
    pub(super) async fn outcome_of(&self, attempted: Attempt) -> Result<Submitted, Refused> {
        match attempted {
            Attempt::Load => Err(Refusal::new(Code::Internal, "a session could not be loaded").into()),
            Attempt::Answered { ticket, answer } => {
                if let Some(ticket) = ticket {
                    ticket.await.map_err(commit_refusal)?;
                }
                Ok(answer)
            }
            Attempt::Stored { ticket, answer } => {
                ticket.await.map_err(commit_refusal)?;
                Ok(answer)
            }
        }
    }

    /// Returns the loaded session, `Some(None)` if it does not exist, or `None` if it must be
    /// loaded first.
    #[expect(clippy::option_option, reason = "unread and absent are different things")]
    pub(super) fn ready<'s>(&self, slot: &'s mut Slot) -> Option<Option<&'s mut Loaded>> {
        match slot {
            Slot::Loaded(loaded) if self.is_current(loaded) => Some(Some(loaded)),
            Slot::Absent(generation) if *generation == self.store.journal.generation() => Some(None),
            Slot::Loaded(_) | Slot::Absent(_) | Slot::Unloaded => None,
        }
    }

    /// Like [`Self::ready`], for a write: also returns `None` while work on the session's files is
    /// pending.
    #[expect(clippy::option_option, reason = "unread and absent are different things")]
    pub(super) fn ready_to_write<'s>(
        &self,
        cell: &Cell,
        slot: &'s mut Slot,
    ) -> Option<Option<&'s mut Loaded>> {
        if self.store.behind.pending(&cell.id).is_some() {
            return None;
        }
        self.ready(slot)
    }

    pub(super) fn attempt(
        &self,
        cell: &Arc<Cell>,
        slot: &mut Slot,
        command: &mut Option<Command<'_>>,
        producer: Option<&ProducerNumbers>,
    ) -> Result<Attempt, Refused> {
        let Some(loaded) = self.ready_to_write(cell, slot) else { return Ok(Attempt::Load) };
        let Some(command) = command.take() else { return Ok(Attempt::Load) };
        match loaded {
            None => self.attempt_birth(cell, slot, command, producer),
            Some(loaded) => {
                if let Some(repeat) = check_producer(loaded, producer)? {
                    return Ok(repeat);
                }
                let at = now();
                let outcome = transition::decide(&loaded.view, command, at)?;
                let is_delete = matches!(&outcome, Outcome::Change(change, _) if change.kind == EventKind::SessionDeleted);
                // Use the generation from before the append: the commit may fail at any moment, and
                // then the session still exists.
                let generation = loaded.generation;
                let attempt = self.store_outcome(cell, loaded, outcome, at, producer)?;
                if is_delete {
                    *slot = Slot::Absent(generation);
                }
                Ok(attempt)
            }
        }
    }

    /// Appends the outcome for an existing session.
    pub(super) fn store_outcome(
        &self,
        cell: &Arc<Cell>,
        loaded: &mut Loaded,
        outcome: Outcome<'_>,
        at: Timestamp,
        producer: Option<&ProducerNumbers>,
    ) -> Result<Attempt, Refused> {
        let reply = match &outcome {
            Outcome::Record(log, _) => Reply::Seq(loaded.view.next_seq(*log)),
            Outcome::Change(_, reply) | Outcome::Nothing(reply) => reply.clone(),
        };
        let answer = render(&reply);
        if matches!(outcome, Outcome::Nothing(_)) && producer.is_none() {
            // The view already has this state, but the view may be ahead of what is durable.
            let ticket = self.store.journal.ticket_of(loaded.view.offset);
            return Ok(Attempt::Answered { ticket, answer });
        }
        let owner = owner(loaded, &outcome);
        // Before the append: a checkpoint between the two would otherwise skip this session.
        self.store.queue_snapshot(cell);
        let ticket = self.append(loaded, &owner, at, |txn| {
            match outcome {
                Outcome::Record(log, body) => txn.record(log, &body),
                Outcome::Change(change, _) => txn.change(&change),
                Outcome::Nothing(_) => {}
            }
            producer.map(|numbers| commit_of(numbers, &answer))
        })?;
        Ok(Attempt::Stored { ticket, answer })
    }

    /// Writes to a session that does not exist: creates it if the command does, or if a first write
    /// may create sessions.
    fn attempt_birth(
        &self,
        cell: &Arc<Cell>,
        slot: &mut Slot,
        command: Command<'_>,
        producer: Option<&ProducerNumbers>,
    ) -> Result<Attempt, Refused> {
        let at = now();
        self.redaction.check_id(&cell.id)?;
        let (mut created, rest) = match command {
            Command::Create { user, birth } => (transition::create(&cell.id, &user, birth), None),
            Command::Delete | Command::Retire { .. } | Command::LinkChild { .. } => {
                return Err(not_found(&cell.id).into());
            }
            _ if !self.settings.auto_create => return Err(not_found(&cell.id).into()),
            command => {
                let created = transition::create(&cell.id, &UserId::unknown(), command.birth(at));
                // Decide on the session as it will be, so that a rejected command creates nothing.
                let stamp = Stamp { seq: 1, offset: 0, at, bytes: 0, keyframe: false };
                let newborn = View::at_birth(&cell.id, &created, stamp);
                (created, Some(transition::decide(&newborn, command, at)?))
            }
        };
        self.mention_quarantined(&cell.id, &mut created);
        check_unknown_producer(producer)?;
        let reply = match &rest {
            None => Reply::Created(Existing::New),
            Some(Outcome::Record(..)) => Reply::Seq(1),
            Some(Outcome::Change(_, reply) | Outcome::Nothing(reply)) => reply.clone(),
        };
        let answer = render(&reply);
        self.store.queue_snapshot(cell);
        let ticket = self.append_birth(cell, slot, &created, at, |txn| {
            match rest {
                Some(Outcome::Record(log, body)) => txn.record(log, &body),
                Some(Outcome::Change(change, _)) => txn.change(&change),
                Some(Outcome::Nothing(_)) | None => {}
            }
            producer.map(|numbers| commit_of(numbers, &answer))
        })?;
        Ok(Attempt::Stored { ticket, answer })
    }

    /// Adds to the creation event that an earlier session with this id was quarantined. A client
    /// that continues must not mistake the new session for the old one.
    pub(super) fn mention_quarantined(&self, id: &SessionId, created: &mut Change) {
        if let Some((folder, reason)) = self.store.quarantined_as(id) {
            created.data["quarantined"] = serde_json::json!({"folder": folder, "reason": reason});
        }
    }

    /// Appends the first entry of a session: its creation and the events that follow immediately.
    pub(super) fn append_birth(
        &self,
        cell: &Arc<Cell>,
        slot: &mut Slot,
        created: &Change,
        at: Timestamp,
        fill: impl FnOnce(&mut Txn<'_, '_>) -> Option<ProducerCommit>,
    ) -> Result<Ticket, CommitError> {
        let generation = self.store.journal.generation();
        let user = created.data["userId"].as_str().map_or_else(UserId::unknown, UserId::stored);
        let (ticket, loaded) = self.store.journal.append(generation, |pending| {
            let (offset, checkpoint, group) =
                (pending.next_offset(), pending.checkpoint(), Arc::clone(pending.group()));
            let mut born = None;
            pending.entry((&cell.id, &user), at, None, |writer, events| {
                let loaded = born.insert(birth(cell, writer, events, created, at, offset, generation));
                let commit = fill(&mut Txn {
                    writer,
                    events,
                    loaded,
                    sessions: &self.store.index,
                    at,
                    offset: offset + 1,
                });
                loaded.view.settle();
                accept(loaded, &group, commit.as_ref(), offset);
                commit
            });
            born.map(|mut loaded| {
                loaded.checkpoint = checkpoint;
                pending.index(&cell.id, Some(Row::of(&loaded.view)));
                loaded
            })
        })?;
        if let Some(loaded) = loaded {
            *slot = Slot::Loaded(Box::new(loaded));
        }
        Ok(ticket)
    }

    /// Appends one entry for an existing session, with `user` as its owner. `fill` writes the
    /// events and updates the view.
    pub(super) fn append(
        &self,
        loaded: &mut Loaded,
        user: &UserId,
        at: Timestamp,
        fill: impl FnOnce(&mut Txn<'_, '_>) -> Option<ProducerCommit>,
    ) -> Result<Ticket, CommitError> {
        let (id, generation) = (loaded.view.id.clone(), loaded.generation);
        let mut fill = Some(fill);
        loop {
            // Serialize the image before taking the journal's lock, so that other writes do not
            // wait for it.
            let made = (loaded.checkpoint != self.store.journal.checkpoint()).then(|| image(&loaded.view));
            let (ticket, appended) = self.store.journal.append(generation, |pending: &mut Pending| {
                let is_first = loaded.checkpoint != pending.checkpoint();
                if is_first && made.is_none() {
                    // A checkpoint has begun since then: try again, with an image.
                    return None;
                }
                let fill = fill.take()?;
                let base = made.filter(|_| is_first);
                loaded.checkpoint = pending.checkpoint();
                let (offset, group) = (pending.next_offset(), Arc::clone(pending.group()));
                let mut changed = Indexed::Same;
                pending.entry((&id, user), at, base.as_deref(), |writer, events| {
                    let before = events.len();
                    let commit =
                        fill(&mut Txn { writer, events, loaded, sessions: &self.store.index, at, offset });
                    loaded.view.settle();
                    accept(loaded, &group, commit.as_ref(), offset);
                    changed = Indexed::by(&events[before..]);
                    commit
                });
                changed.note(pending, &loaded.view);
                Some(())
            })?;
            if appended.is_some() {
                return Ok(ticket);
            }
        }
    }
}

/// Serializes the view. A session's first entry after a checkpoint contains this image.
pub(super) fn image(view: &View) -> Vec<u8> {
    serde_json::to_vec(view).expect("JSON values always serialize")
}

/// Returns the owner of the outcome's events. For a claim it is already the new user, as it is for
/// live subscribers.
fn owner(loaded: &Loaded, outcome: &Outcome<'_>) -> UserId {
    match outcome {
        Outcome::Change(change, _) if change.kind == EventKind::SessionCreated => {
            change.data["userId"].as_str().map_or_else(UserId::unknown, UserId::stored)
        }
        Outcome::Change(..) | Outcome::Record(..) | Outcome::Nothing(_) => loaded.user.clone(),
    }
}

pub(super) fn birth(
    cell: &Cell,
    writer: &mut EntryWriter<'_>,
    events: &mut Vec<PendingEvent>,
    created: &Change,
    at: Timestamp,
    offset: u64,
    generation: u64,
) -> Loaded {
    let write = |out: &mut Vec<u8>| change_line::write(out, None, created, 1, at, offset);
    let (line, keyframe) = writer.event(EventKind::SessionCreated, write);
    let stamp = Stamp { seq: 1, offset, at, bytes: line.len() as u64, keyframe };
    let loaded = Loaded::dirty(View::at_birth(&cell.id, created, stamp), generation);
    let (session, user) = (cell.id.clone(), loaded.user.clone());
    events.push(PendingEvent { session, user, kind: EventKind::SessionCreated, offset, line, log_at: 0 });
    loaded
}

pub(super) fn accept(
    loaded: &mut Loaded,
    group: &Arc<crate::store::ticket::Group>,
    commit: Option<&ProducerCommit>,
    used: u64,
) {
    if let Some(commit) = commit {
        loaded.remember(Arc::clone(group), &commit.numbers.id);
        loaded.view.producers.accept(commit.numbers.clone(), commit.answer.clone(), used);
        loaded.producers_dirty = true;
    }
}

/// An entry that is being written, together with the view that it updates.
pub(super) struct Txn<'t, 'b> {
    pub(super) writer: &'t mut EntryWriter<'b>,
    pub(super) events: &'t mut Vec<PendingEvent>,
    pub(super) loaded: &'t mut Loaded,
    /// Index of existing sessions.
    pub(super) sessions: &'t Index,
    pub(super) at: Timestamp,
    pub(super) offset: u64,
}

/// Returns the session of the agent that a change starts or ends.
fn agents_session(view: &View, change: &Change) -> Option<String> {
    let agent = match change.kind {
        EventKind::AgentSpawned => &change.data,
        EventKind::AgentCompleted => view.state.agent(change.data["agentId"].as_str()?)?,
        _ => return None,
    };
    agent["subsession"].as_str().map(str::to_owned)
}

impl Txn<'_, '_> {
    /// Appends an action or a response.
    pub(super) fn record(&mut self, log: LogKind, body: &RecordBody<'_>) {
        let kind = if log == LogKind::Actions { EventKind::Action } else { EventKind::Response };
        let view = &mut self.loaded.view;
        let (seq, at, offset) = (view.next_seq(log), self.at, self.offset);
        let (line, tags) = self.writer.event(kind, |out| body.write_line(out, seq, at, offset));
        let stamp = Stamp { seq, offset, at, bytes: line.len() as u64, keyframe: false };
        let log_at = view.logs[log.index()].bytes;
        view.apply_record(log, body.tally(), tags, stamp);
        self.loaded.metadata_dirty = true;
        self.push(kind, line, log_at);
    }

    /// Appends a change and, if it affects the list of children, the change of that list. The view
    /// is settled after the last one.
    ///
    /// An agent's session is listed as a child only if the session exists. It is added when its
    /// agent starts or ends or, if it names its parent, when it is created.
    pub(super) fn change(&mut self, change: &Change) {
        let child = agents_session(&self.loaded.view, change).filter(|child| !self.lists(child));
        self.append_change(change);
        let Some(child) = child else { return };
        let present = child != self.loaded.view.id.as_str() && self.sessions.get(&child).is_some();
        let command = Command::LinkChild { child, present };
        if let Ok(Outcome::Change(linked, _)) = transition::decide(&self.loaded.view, command, self.at) {
            self.append_change(&linked);
        }
    }

    fn lists(&self, child: &str) -> bool {
        self.loaded.view.metadata.texts("subsessions").any(|listed| listed == child)
    }

    fn append_change(&mut self, change: &Change) {
        let view = &mut self.loaded.view;
        if change_line::wants_keyframe(view) {
            view.settle();
        }
        let (seq, at, offset) = (view.next_seq(LogKind::Changes), self.at, self.offset);
        let write = |out: &mut Vec<u8>| change_line::write(out, Some(view), change, seq, at, offset);
        let (line, keyframe) = self.writer.event(change.kind, write);
        let log_at = view.logs[LogKind::Changes.index()].bytes;
        let stamp = Stamp { seq, offset, at, bytes: line.len() as u64, keyframe };
        if let Err(refusal) = view.apply_one(change, stamp) {
            tracing::error!(session = %view.id, %refusal, "a change that was decided does not apply");
        }
        self.loaded.user = view.metadata.user();
        self.loaded.metadata_dirty = true;
        self.loaded.state_dirty |= change.kind.changes_state();
        self.loaded.final_dirty |=
            matches!(change.kind, EventKind::SessionFinalized | EventKind::SessionReopened);
        self.push(change.kind, line, log_at);
    }

    fn push(&mut self, kind: EventKind, line: std::ops::Range<usize>, log_at: u64) {
        let (session, user, offset) = (self.loaded.view.id.clone(), self.loaded.user.clone(), self.offset);
        self.events.push(PendingEvent { session, user, kind, offset, line, log_at });
        self.offset += 1;
    }
}

/// Effect of events on a session's row in the index.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Indexed {
    /// The row does not change.
    Same,
    /// The row changes.
    Changed,
    /// The row is removed.
    Gone,
}

impl Indexed {
    /// Registers the index update, which takes effect once the group is durable.
    pub(super) fn note(self, pending: &mut Pending, view: &View) {
        match self {
            Self::Same => {}
            Self::Changed => pending.index(&view.id, Some(Row::of(view))),
            Self::Gone => pending.index(&view.id, None),
        }
    }

    pub(super) fn by(events: &[PendingEvent]) -> Self {
        events.iter().map(|event| Self::by_one(event.kind)).max().unwrap_or(Self::Same)
    }

    fn by_one(kind: EventKind) -> Self {
        match kind {
            EventKind::SessionDeleted => Self::Gone,
            EventKind::SessionCreated
            | EventKind::MetadataUpdated
            | EventKind::AgentSpawned
            | EventKind::SessionFinalized
            | EventKind::SessionReopened => Self::Changed,
            _ => Self::Same,
        }
    }
}

pub(super) fn render(reply: &Reply) -> Submitted {
    let body = match reply {
        Reply::Seq(seq) => format!("{{\"success\":true,\"seq\":{seq}}}"),
        // The response is the agent itself.
        Reply::Agent(agent) => agent.to_string(),
        other => other.to_json().to_string(),
    };
    Submitted::ok(body)
}
