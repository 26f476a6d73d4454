//! Large batches: stored in parts, on a blocking thread.
//!
//! No other write can be appended while lines are decided under the journal's lock, and every write
//! waits for the commit in progress. A large batch is therefore appended one millisecond's worth of
//! lines at a time, and its thread waits for the disk before it continues: the waiting time of
//! other writes does not grow with the batch.
//!
//! The parts are separate commits, in order. Each contains the producer numbers and the number of
//! lines done. After a crash or a failed commit, a retry with the same numbers continues after the
//! last stored part, and its response contains all results. If only the beginning of a batch
//! without numbers was stored, the response contains the results of those lines, and an error for
//! each of the others.
//!
//! Meanwhile, other requests for the session wait for their turn (see [`Cell::short`]) and block no
//! thread.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use session_model::producer::{Answer, Part, ProducerNumbers};
use session_model::{Code, Refusal, SessionId, UserId, json, transition};

use super::attempt::Attempt;
use super::batch_lines::{Commands, Results, creation_of, parse};
use super::keys::wanted;
use super::producers::{check_producer, check_unknown_producer};
use super::service::Sessions;
use super::submitted::Submitted;
use super::write::Txn;
use crate::clock::now;
use session_store::engine::{
    CacheEntry, CachedSession, CommitTicket, Group, LoadedSession, ProducerCommit,
};
use session_store::error::CommitError;
use session_store::keys::KeyWork;
use session_store::refusals::not_found;
use session_store::refusals::unopened;

/// Number of large batches processed at the same time; others wait.
pub(super) const AT_ONCE: usize = 4;
/// How long lines are decided for one part, under the journal's lock.
const PART_TIME: Duration = Duration::from_millis(1);
/// Approximate maximum size of one part, in bytes.
const PART_BYTES: usize = 64 << 10;
/// Number of appended bytes after which the thread waits until they are durable.
const AHEAD: usize = 64 << 10;

/// Result of an attempt under the session's lock.
enum Progress {
    /// The session must be loaded first.
    Load,
    /// Work on the index of record keys comes first.
    Keys(KeyWork),
    Worked(Worked),
}

/// Result of the thread's work.
enum Worked {
    /// Nothing was stored. Like [`Attempt::Answered`], but with the commit group in place of the
    /// ticket, which is created where it is awaited.
    Answered(Option<Arc<Group>>, Submitted),
    Stored(Stored),
}

/// What was appended of a batch.
struct Stored {
    results: Results,
    /// Number of lines in the batch.
    lines: usize,
    /// The parts of each commit, in order.
    commits: Vec<Parts>,
    /// Why appending stopped early.
    failed: Option<CommitError>,
}

/// Parts that belong to the same commit.
struct Parts {
    group: Arc<Group>,
    /// Length of the results up to and including these parts.
    results: usize,
    refused: usize,
    done: usize,
    /// Offset of the newest event.
    offset: u64,
}

impl Sessions {
    /// Applies a large batch like [`Sessions::submit_batch`]. The batch is processed to its end
    /// even if the requester is gone.
    pub(super) async fn submit_large(
        &self,
        id: &SessionId,
        lines: Bytes,
        marked: bool,
        producer: Option<ProducerNumbers>,
    ) -> Result<Submitted, Refusal> {
        let failed = || Refusal::new(Code::Internal, "the batch could not be worked on");
        let permit = Arc::clone(&self.large)
            .acquire_owned()
            .await
            .map_err(|_| failed())?;
        let cell = self.engine.cache().get(id);
        let sessions = self.clone();
        let its_cell = Arc::clone(&cell);
        let numbers = producer.clone();
        let work = move || {
            let _permit = permit;
            sessions.work_on(&its_cell, &lines, marked, numbers.as_ref())
        };
        match actix_web::web::block(work).await.map_err(|_| failed())?? {
            Worked::Answered(group, answer) => {
                self.outcome_of(Attempt::Answered {
                    ticket: group.map(CommitTicket::new),
                    answer,
                })
                .await
            }
            Worked::Stored(stored) => {
                // An empty batch only asks: its answer is about an earlier request.
                let ends = stored.lines == 0;
                let answer = stored.answer(producer.is_some()).await?;
                Ok(if ends { answer.repeated() } else { answer })
            }
        }
    }

    fn work_on(
        &self,
        cell: &Arc<CacheEntry>,
        lines: &Bytes,
        marked: bool,
        producer: Option<&ProducerNumbers>,
    ) -> Result<Worked, Refusal> {
        let mut commands = Some(parse(json::text(lines)?, marked));
        loop {
            let progress =
                cell.long(|slot| self.store_parts(cell, slot, &mut commands, producer))?;
            let prepared = match progress {
                Progress::Worked(worked) => return Ok(worked),
                Progress::Keys(work) => self.engine.prepare_keys(cell, &work),
                Progress::Load => self
                    .engine
                    .load(cell)
                    .and_then(|()| self.engine.complete(cell)),
            };
            prepared.map_err(|damage| unopened(&cell.id, &damage))?;
        }
    }

    /// Decides and appends under the session's lock.
    fn store_parts(
        &self,
        cell: &Arc<CacheEntry>,
        slot: &mut CachedSession,
        commands: &mut Option<Commands<'_>>,
        producer: Option<&ProducerNumbers>,
    ) -> Result<Progress, Refusal> {
        let Some(mut loaded) = self.ready_to_write(cell, slot) else {
            return Ok(Progress::Load);
        };
        let begun = match &loaded {
            Some(loaded) => match producer.and_then(|numbers| loaded.view.producers.begun(numbers))
            {
                Some((done, results)) => Some((done, results.to_owned())),
                None => match check_producer(loaded, producer)? {
                    Some(Attempt::Answered { ticket, answer }) => {
                        return Ok(Progress::Worked(Worked::Answered(
                            ticket.map(CommitTicket::into_group),
                            answer,
                        )));
                    }
                    Some(Attempt::Load | Attempt::Keys(_) | Attempt::Stored { .. }) | None => None,
                },
            },
            None if self.settings.auto_create => {
                check_unknown_producer(producer)?;
                self.redaction.check_id(&cell.id)?;
                None
            }
            None => return Err(not_found(&cell.id)),
        };
        if let Some(loaded) = &mut loaded {
            let valid = commands.iter().flatten().flatten();
            if let Some(work) = self.look_up(loaded, &wanted(valid))? {
                return Ok(Progress::Keys(work));
            }
        }
        let Some(commands) = commands.take() else {
            return Ok(Progress::Load);
        };
        let lines = commands.len();
        let (done, results) = begun.unwrap_or_default();
        if lines > 0 && done >= lines as u64 {
            let message =
                format!("{done} lines were stored with these numbers, and this batch has {lines}");
            return Err(Refusal::new(Code::ProducerGap, message));
        }
        let results = Results::going_on(results, done as usize, lines);
        let mut stored = Stored {
            results,
            lines,
            commits: Vec::new(),
            failed: None,
        };
        if let Err(error) = self.append_parts(cell, slot, commands, producer, &mut stored) {
            if stored.commits.is_empty() {
                return Err(error.into());
            }
            stored.failed = Some(error);
        }
        Ok(Progress::Worked(Worked::Stored(stored)))
    }

    fn append_parts(
        &self,
        cell: &Arc<CacheEntry>,
        slot: &mut CachedSession,
        commands: Commands<'_>,
        producer: Option<&ProducerNumbers>,
        stored: &mut Stored,
    ) -> Result<(), CommitError> {
        let journal = &self.engine.journal();
        let creation = creation_of(&commands, now());
        let mut commands = commands
            .into_iter()
            .skip(stored.results.body.done())
            .peekable();
        let mut ahead = 0;
        // An empty batch ends the one that was stored in part: a last part without lines.
        let mut ends = stored.lines == 0 && stored.results.body.done() > 0;
        while commands.peek().is_some() || std::mem::take(&mut ends) {
            let at = now();
            let mut bytes = 0;
            let fill = |txn: &mut Txn<'_, '_>| {
                let results = &mut stored.results;
                let from = results.body.done();
                // The first part includes the opening of the response.
                let begin = if from == 0 {
                    0
                } else {
                    results.body.text().len()
                };
                let first = txn.writer.written();
                let begun = Instant::now();
                for command in commands.by_ref() {
                    results.run(txn, command);
                    if begun.elapsed() >= PART_TIME || txn.writer.written() - first >= PART_BYTES {
                        break;
                    }
                }
                bytes = txn.writer.written() - first;
                let last = commands.peek().is_none();
                if last {
                    results.body.close(txn.offset - 1);
                }
                producer.map(|numbers| {
                    let part = Part {
                        from: from as u64,
                        done: results.body.done() as u64,
                        last,
                    };
                    let body = results.body.text()[begin..].to_owned();
                    let answer = Answer {
                        status: 200,
                        body,
                        part: Some(part),
                    };
                    ProducerCommit {
                        numbers: numbers.clone(),
                        answer,
                    }
                })
            };
            self.engine.queue_snapshot(cell);
            let ticket = match slot {
                CachedSession::Loaded(loaded) => {
                    let owner = loaded.user.clone();
                    self.append(loaded, &owner, at, fill)?
                }
                CachedSession::Absent(_) | CachedSession::Unloaded => {
                    let mut created =
                        transition::create(&cell.id, &UserId::unknown(), creation.clone());
                    self.mention_quarantined(&cell.id, &mut created);
                    self.append_creation(cell, slot, &created, at, fill)?
                }
            };
            journal.give_way();
            let CachedSession::Loaded(loaded) = slot else {
                return Err(CommitError::Superseded);
            };
            stored.note(ticket.into_group(), loaded);
            self.flush_keys_when_due(cell, loaded);
            ahead += bytes;
            if ahead >= AHEAD {
                if !journal.wait_durable(loaded.view.offset, loaded.generation) {
                    return Err(CommitError::Superseded);
                }
                ahead = 0;
            }
        }
        Ok(())
    }
}

impl Stored {
    fn note(&mut self, group: Arc<Group>, loaded: &LoadedSession) {
        let results = self.results.body.text().len();
        let refused = self.results.refused.len();
        let parts = Parts {
            group,
            results,
            refused,
            done: self.results.body.done(),
            offset: loaded.view.offset,
        };
        match self.commits.last_mut() {
            Some(before) if Arc::ptr_eq(&before.group, &parts.group) => *before = parts,
            _ => self.commits.push(parts),
        }
    }

    /// Waits for the commits. `repeats` means that the sender can retry with its producer numbers.
    async fn answer(mut self, repeats: bool) -> Result<Submitted, Refusal> {
        let mut durable = None;
        for parts in std::mem::take(&mut self.commits) {
            match CommitTicket::new(Arc::clone(&parts.group)).await {
                Ok(()) => durable = Some(parts),
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        let Some(error) = self.failed else {
            return Ok(self.results.into_answer());
        };
        let durable = match durable {
            Some(durable) if !repeats => durable,
            _ => return Err(Refusal::from(error)),
        };
        let mut results = self.results;
        results.cut(durable.results, durable.refused, durable.done);
        while results.body.done() < self.lines {
            results.refuse(&Refusal::from(error));
        }
        results.body.close(durable.offset);
        Ok(results.into_answer())
    }
}
