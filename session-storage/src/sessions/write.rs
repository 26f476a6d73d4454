//! Write path: lock the session, decide, append to the journal, update the view, wait for the
//! commit.

use std::sync::Arc;

use session_model::event::{Creation, LifecycleStep, RowEffect};
use session_model::producer::ProducerNumbers;
use session_model::transition::{self, Existing, Outcome, Reply};
use session_model::{
    Change, Code, Command, EventKind, LogKind, RecordBody, Refusal, SessionId, Stamp, Timestamp,
    UserId, View, change_line,
};

use super::attempt::Attempt;
use super::keys::{stored, wanted};
use super::producers::{check_producer, check_unknown_producer, commit_of};
use super::service::Sessions;
use super::submitted::{Answer, Submitted};
use crate::clock::now;
use session_store::engine::{
    CacheEntry, CachedSession, CommitTicket, EntryWriter, Index, LoadedSession, PendingEvent,
    PendingGroup, ProducerCommit, Row,
};
use session_store::error::CommitError;
use session_store::refusals::not_found;

impl Sessions {
    /// Submits any write to one session. When this returns, the change is durable.
    pub async fn submit(
        &self,
        id: &SessionId,
        command: Command<'_>,
        producer: Option<ProducerNumbers>,
    ) -> Result<Submitted, Refusal> {
        let mut command = Some(command);
        self.write(id, |cell, slot| {
            self.attempt(cell, slot, &mut command, producer.as_ref())
        })
        .await
    }

    /// Runs the attempt under the session's lock, loads the session first if needed, and waits for
    /// the commit.
    pub(super) async fn write(
        &self,
        id: &SessionId,
        mut attempt: impl FnMut(&Arc<CacheEntry>, &mut CachedSession) -> Result<Attempt, Refusal>,
    ) -> Result<Submitted, Refusal> {
        let cell = self.engine.cache().get(id);
        loop {
            let attempted = attempt(&cell, &mut *cell.short().await)?;
            match attempted {
                Attempt::Load => self.load_to_write(&cell).await?,
                Attempt::Keys(work) => self.prepare_keys(&cell, work).await?,
                attempted => return self.outcome_of(attempted).await,
            }
        }
    }

    /// Waits for the commit. The commit itself updates the index, because the requester may be gone
    /// by then.
    pub(super) async fn outcome_of(&self, attempted: Attempt) -> Result<Submitted, Refusal> {
        match attempted {
            Attempt::Load | Attempt::Keys(_) => Err(Refusal::new(
                Code::Internal,
                "a session could not be loaded",
            )),
            Attempt::Answered { ticket, answer } => {
                if let Some(ticket) = ticket {
                    ticket.await.map_err(Refusal::from)?;
                }
                Ok(answer)
            }
            Attempt::Stored { ticket, answer } => {
                ticket.await.map_err(Refusal::from)?;
                Ok(answer)
            }
        }
    }

    /// Returns the loaded session, `Some(None)` if it does not exist, or `None` if it must be
    /// loaded first.
    #[expect(
        clippy::option_option,
        reason = "unread and absent are different things"
    )]
    pub(super) fn ready<'s>(
        &self,
        slot: &'s mut CachedSession,
    ) -> Option<Option<&'s mut LoadedSession>> {
        match slot {
            CachedSession::Loaded(loaded) if self.is_current(loaded) => Some(Some(loaded)),
            CachedSession::Absent(generation)
                if *generation == self.engine.journal().generation() =>
            {
                Some(None)
            }
            CachedSession::Loaded(_) | CachedSession::Absent(_) | CachedSession::Unloaded => None,
        }
    }

    /// Like [`Self::ready`], for a write: also returns `None` while work on the session's files is
    /// pending.
    #[expect(
        clippy::option_option,
        reason = "unread and absent are different things"
    )]
    pub(super) fn ready_to_write<'s>(
        &self,
        cell: &CacheEntry,
        slot: &'s mut CachedSession,
    ) -> Option<Option<&'s mut LoadedSession>> {
        if self.engine.is_incomplete(&cell.id) {
            return None;
        }
        self.ready(slot)
    }

    pub(super) fn attempt(
        &self,
        cell: &Arc<CacheEntry>,
        slot: &mut CachedSession,
        command: &mut Option<Command<'_>>,
        producer: Option<&ProducerNumbers>,
    ) -> Result<Attempt, Refusal> {
        let Some(loaded) = self.ready_to_write(cell, slot) else {
            return Ok(Attempt::Load);
        };
        match loaded {
            None => {
                let Some(command) = command.take() else {
                    return Ok(Attempt::Load);
                };
                self.attempt_creation(cell, slot, command, producer)
            }
            Some(loaded) => {
                if let Some(repeat) = check_producer(loaded, producer)? {
                    return Ok(repeat);
                }
                if let Some(work) = self.look_up(loaded, &wanted(command.as_ref()))? {
                    return Ok(Attempt::Keys(work));
                }
                let Some(command) = command.take() else {
                    return Ok(Attempt::Load);
                };
                let at = now();
                let outcome = transition::decide(&loaded.view, command, at)?
                    .deduplicated(|log, key| stored(loaded, log, key));
                let is_delete = match &outcome {
                    Outcome::Change(change, _) => change.kind.step() == LifecycleStep::Deletes,
                    Outcome::Record(..) | Outcome::Nothing(_) => false,
                };
                // Use the generation from before the append: the commit may fail at any moment, and
                // then the session still exists.
                let generation = loaded.generation;
                let attempt = self.store_outcome(cell, loaded, outcome, at, producer)?;
                if is_delete {
                    *slot = CachedSession::Absent(generation);
                }
                Ok(attempt)
            }
        }
    }

    /// Appends the outcome for an existing session.
    pub(super) fn store_outcome(
        &self,
        cell: &Arc<CacheEntry>,
        loaded: &mut LoadedSession,
        outcome: Outcome<'_>,
        at: Timestamp,
        producer: Option<&ProducerNumbers>,
    ) -> Result<Attempt, Refusal> {
        let reply = match &outcome {
            Outcome::Record(log, body) => {
                Reply::recorded(loaded.view.next_seq(*log), body, usize::MAX)
            }
            Outcome::Change(_, reply) | Outcome::Nothing(reply) => reply.clone(),
        };
        let answer = Submitted::new(Answer::Reply(reply));
        if matches!(outcome, Outcome::Nothing(_)) && producer.is_none() {
            // The view already has this state, but the view may be ahead of what is durable.
            let ticket = self.engine.journal().ticket_of(loaded.view.offset);
            return Ok(Attempt::Answered { ticket, answer });
        }
        let owner = owner(loaded, &outcome);
        // Before the append: a checkpoint between the two would otherwise skip this session.
        self.engine.queue_snapshot(cell);
        let ticket = self.append(loaded, &owner, at, |txn| {
            match outcome {
                Outcome::Record(log, body) => txn.record(log, &body),
                Outcome::Change(change, _) => txn.change(&change),
                Outcome::Nothing(_) => {}
            }
            producer.map(|numbers| commit_of(numbers, &answer))
        })?;
        self.flush_keys_when_due(cell, loaded);
        Ok(Attempt::Stored { ticket, answer })
    }

    /// Writes to a session that does not exist: creates it if the command does, or if a first write
    /// may create sessions.
    fn attempt_creation(
        &self,
        cell: &Arc<CacheEntry>,
        slot: &mut CachedSession,
        command: Command<'_>,
        producer: Option<&ProducerNumbers>,
    ) -> Result<Attempt, Refusal> {
        let at = now();
        self.redaction.check_id(&cell.id)?;
        let (mut created, rest) = match command {
            Command::Create { user, creation } => {
                (transition::create(&cell.id, &user, creation), None)
            }
            Command::Delete | Command::Retire { .. } | Command::LinkChild { .. } => {
                return Err(not_found(&cell.id));
            }
            _ if !self.settings.auto_create => return Err(not_found(&cell.id)),
            command => {
                let created =
                    transition::create(&cell.id, &UserId::unknown(), command.creation(at));
                // Decide on the session as it will be, so that a rejected command creates nothing.
                let stamp = Stamp {
                    seq: 1,
                    offset: 0,
                    at,
                    bytes: 0,
                    keyframe: false,
                };
                let created_view = View::at_creation(&cell.id, &created, stamp);
                (
                    created,
                    Some(transition::decide(&created_view, command, at)?),
                )
            }
        };
        self.mention_quarantined(&cell.id, &mut created);
        check_unknown_producer(producer)?;
        let reply = match &rest {
            None => Reply::Created(Existing::New),
            Some(Outcome::Record(_, body)) => Reply::recorded(1, body, usize::MAX),
            Some(Outcome::Change(_, reply) | Outcome::Nothing(reply)) => reply.clone(),
        };
        let answer = Submitted::new(Answer::Reply(reply));
        self.engine.queue_snapshot(cell);
        let ticket = self.append_creation(cell, slot, &created, at, |txn| {
            match rest {
                Some(Outcome::Record(log, body)) => txn.record(log, &body),
                Some(Outcome::Change(change, _)) => txn.change(&change),
                Some(Outcome::Nothing(_)) | None => {}
            }
            producer.map(|numbers| commit_of(numbers, &answer))
        })?;
        Ok(Attempt::Stored { ticket, answer })
    }

    /// Creates a session that does not exist, as a first write does.
    pub(super) async fn ensure(&self, id: &SessionId) -> Result<(), Refusal> {
        let attempt = |cell: &_, slot: &mut _| self.attempt_presence(cell, slot);
        self.write(id, attempt).await.map(drop)
    }

    fn attempt_presence(
        &self,
        cell: &Arc<CacheEntry>,
        slot: &mut CachedSession,
    ) -> Result<Attempt, Refusal> {
        let answer = Submitted::new(Answer::Reply(Reply::Done));
        match self.ready_to_write(cell, slot) {
            None => return Ok(Attempt::Load),
            Some(Some(loaded)) => {
                let ticket = self.engine.journal().ticket_of(loaded.view.offset);
                return Ok(Attempt::Answered { ticket, answer });
            }
            Some(None) => self.may_create(&cell.id)?,
        }
        let creation = Creation::default();
        let mut created = transition::create(&cell.id, &UserId::unknown(), creation);
        self.mention_quarantined(&cell.id, &mut created);
        self.engine.queue_snapshot(cell);
        let ticket = self.append_creation(cell, slot, &created, now(), |_| None)?;
        Ok(Attempt::Stored { ticket, answer })
    }

    /// Rejects a first write to a session that no first write may create.
    pub(super) fn may_create(&self, id: &SessionId) -> Result<(), Refusal> {
        self.redaction.check_id(id)?;
        if self.settings.auto_create {
            Ok(())
        } else {
            Err(not_found(id))
        }
    }

    /// Adds to the creation event that an earlier session with this id was quarantined. A client
    /// that continues must not mistake the new session for the old one.
    pub(super) fn mention_quarantined(&self, id: &SessionId, created: &mut Change) {
        if let Some(earlier) = self.engine.quarantined_as(id) {
            created.data["quarantined"] =
                serde_json::json!({"folder": earlier.folder, "reason": earlier.reason});
        }
    }

    /// Appends the first entry of a session: its creation and the events that follow immediately.
    pub(super) fn append_creation(
        &self,
        cell: &Arc<CacheEntry>,
        slot: &mut CachedSession,
        created: &Change,
        at: Timestamp,
        fill: impl FnOnce(&mut Txn<'_, '_>) -> Option<ProducerCommit>,
    ) -> Result<CommitTicket, CommitError> {
        let generation = self.engine.journal().generation();
        let user = created.data["userId"]
            .as_str()
            .map_or_else(UserId::unknown, UserId::stored);
        let (ticket, loaded) = self.engine.journal().append(generation, |pending| {
            let offset = pending.next_offset();
            let checkpoint = pending.checkpoint();
            let group = Arc::clone(pending.group());
            let mut new = None;
            pending.entry((&cell.id, &user), at, None, |writer, events| {
                let loaded = new.insert(creation(
                    cell, writer, events, created, at, offset, generation,
                ));
                let commit = fill(&mut Txn {
                    writer,
                    events,
                    loaded,
                    sessions: self.engine.index(),
                    at,
                    offset: offset + 1,
                });
                loaded.view.settle();
                accept(loaded, &group, commit.as_ref(), offset);
                commit
            });
            new.map(|mut loaded| {
                loaded.checkpoint = checkpoint;
                pending.index(&cell.id, Some(Row::of(&loaded.view)));
                loaded
            })
        })?;
        if let Some(loaded) = loaded {
            *slot = CachedSession::Loaded(Box::new(loaded));
        }
        Ok(ticket)
    }

    /// Appends one entry for an existing session, with `user` as its owner. `fill` writes the
    /// events and updates the view.
    pub(super) fn append(
        &self,
        loaded: &mut LoadedSession,
        user: &UserId,
        at: Timestamp,
        fill: impl FnOnce(&mut Txn<'_, '_>) -> Option<ProducerCommit>,
    ) -> Result<CommitTicket, CommitError> {
        let id = loaded.view.id.clone();
        let generation = loaded.generation;
        let mut fill = Some(fill);
        loop {
            // Serialize the image before taking the journal's lock, so that other writes do not
            // wait for it.
            let made = (loaded.checkpoint != self.engine.journal().checkpoint())
                .then(|| image(&loaded.view));
            let (ticket, appended) =
                self.engine
                    .journal()
                    .append(generation, |pending: &mut PendingGroup| {
                        let is_first = loaded.checkpoint != pending.checkpoint();
                        if is_first && made.is_none() {
                            // A checkpoint has begun since then: try again, with an image.
                            return None;
                        }
                        let fill = fill.take()?;
                        let base = if is_first { made } else { None };
                        loaded.checkpoint = pending.checkpoint();
                        let offset = pending.next_offset();
                        let group = Arc::clone(pending.group());
                        let mut effect = RowEffect::Same;
                        pending.entry((&id, user), at, base.as_deref(), |writer, events| {
                            let before = events.len();
                            let commit = fill(&mut Txn {
                                writer,
                                events,
                                loaded,
                                sessions: self.engine.index(),
                                at,
                                offset,
                            });
                            loaded.view.settle();
                            accept(loaded, &group, commit.as_ref(), offset);
                            effect = row_effect(&events[before..]);
                            commit
                        });
                        note_row(effect, pending, &loaded.view);
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
fn owner(loaded: &LoadedSession, outcome: &Outcome<'_>) -> UserId {
    match outcome {
        Outcome::Change(change, _) if change.kind == EventKind::SessionCreated => {
            change.data["userId"]
                .as_str()
                .map_or_else(UserId::unknown, UserId::stored)
        }
        Outcome::Change(..) | Outcome::Record(..) | Outcome::Nothing(_) => loaded.user.clone(),
    }
}

pub(super) fn creation(
    cell: &CacheEntry,
    writer: &mut EntryWriter<'_>,
    events: &mut Vec<PendingEvent>,
    created: &Change,
    at: Timestamp,
    offset: u64,
    generation: u64,
) -> LoadedSession {
    let write = |out: &mut Vec<u8>| change_line::write(out, None, created, 1, at, offset);
    let (line, keyframe) = writer.event(EventKind::SessionCreated, write);
    let stamp = Stamp {
        seq: 1,
        offset,
        at,
        bytes: line.len() as u64,
        keyframe,
    };
    let loaded = LoadedSession::dirty(View::at_creation(&cell.id, created, stamp), generation);
    let session = cell.id.clone();
    let user = loaded.user.clone();
    events.push(PendingEvent {
        session,
        user,
        kind: EventKind::SessionCreated,
        offset,
        line,
        log_at: 0,
    });
    loaded
}

pub(super) fn accept(
    loaded: &mut LoadedSession,
    group: &Arc<session_store::engine::Group>,
    commit: Option<&ProducerCommit>,
    used: u64,
) {
    if let Some(commit) = commit {
        loaded.remember(Arc::clone(group), &commit.numbers.id);
        loaded
            .view
            .producers
            .accept(commit.numbers.clone(), commit.answer.clone(), used);
        loaded.producers_dirty = true;
    }
}

/// An entry that is being written, together with the view that it updates.
pub(super) struct Txn<'t, 'b> {
    pub(super) writer: &'t mut EntryWriter<'b>,
    pub(super) events: &'t mut Vec<PendingEvent>,
    pub(super) loaded: &'t mut LoadedSession,
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
        let kind = if log == LogKind::Actions {
            EventKind::Action
        } else {
            EventKind::Response
        };
        let view = &mut self.loaded.view;
        let seq = view.next_seq(log);
        let at = self.at;
        let offset = self.offset;
        let (line, tags) = self
            .writer
            .event(kind, |out| body.write_line(out, seq, at, offset));
        let stamp = Stamp {
            seq,
            offset,
            at,
            bytes: line.len() as u64,
            keyframe: false,
        };
        let log_at = view.logs[log.index()].bytes;
        self.loaded.keys.note(view, log, body, seq);
        view.apply_record(log, body.tally(), body.indexed(), tags, stamp);
        view.apply_usage(log, body, seq);
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
        if let Ok(Outcome::Change(linked, _)) =
            transition::decide(&self.loaded.view, command, self.at)
        {
            self.append_change(&linked);
        }
    }

    fn lists(&self, child: &str) -> bool {
        self.loaded
            .view
            .metadata
            .texts("subsessions")
            .any(|listed| listed == child)
    }

    fn append_change(&mut self, change: &Change) {
        let view = &mut self.loaded.view;
        if change_line::wants_keyframe(view) {
            view.settle();
        }
        let seq = view.next_seq(LogKind::Changes);
        let at = self.at;
        let offset = self.offset;
        let write =
            |out: &mut Vec<u8>| change_line::write(out, Some(view), change, seq, at, offset);
        let (line, keyframe) = self.writer.event(change.kind, write);
        let log_at = view.logs[LogKind::Changes.index()].bytes;
        let stamp = Stamp {
            seq,
            offset,
            at,
            bytes: line.len() as u64,
            keyframe,
        };
        if let Err(refusal) = view.apply_one(change, stamp) {
            tracing::error!(session = %view.id, %refusal, "a change that was decided does not apply");
        }
        self.loaded.user = view.metadata.user();
        self.loaded.metadata_dirty = true;
        self.loaded.state_dirty |= change.kind.changes_state();
        self.loaded.final_dirty |= match change.kind.step() {
            LifecycleStep::Completes | LifecycleStep::Reopens => true,
            LifecycleStep::None | LifecycleStep::Creates | LifecycleStep::Deletes => false,
        };
        self.push(change.kind, line, log_at);
    }

    fn push(&mut self, kind: EventKind, line: std::ops::Range<usize>, log_at: u64) {
        let session = self.loaded.view.id.clone();
        let user = self.loaded.user.clone();
        let offset = self.offset;
        self.events.push(PendingEvent {
            session,
            user,
            kind,
            offset,
            line,
            log_at,
        });
        self.offset += 1;
    }
}

/// Returns what the events do to their session's row in the index.
pub(super) fn row_effect(events: &[PendingEvent]) -> RowEffect {
    let effects = events.iter().map(|event| event.kind.row());
    effects.max().unwrap_or(RowEffect::Same)
}

/// Registers the index update, which takes effect once the group is durable.
pub(super) fn note_row(effect: RowEffect, pending: &mut PendingGroup, view: &View) {
    match effect {
        RowEffect::Same => {}
        RowEffect::Changed => pending.index(&view.id, Some(Row::of(view))),
        RowEffect::Gone => pending.index(&view.id, None),
    }
}
