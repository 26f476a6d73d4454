//! Batches: many commands of one session, written as one journal entry.

use std::sync::Arc;

use bytes::Bytes;
use session_model::producer::ProducerNumbers;
use session_model::transition::{self};
use session_model::{Code, Refusal, SessionId, UserId, json};

use super::attempt::Attempt;
use super::batch_lines::{Commands, Results, creation_of, is_large, lines_of, parse};
use super::keys::wanted;
use super::producers::{check_producer, check_unknown_producer, commit_of};
use super::service::Sessions;
use super::submitted::Submitted;
use super::write::Txn;
use crate::clock::now;
use session_store::engine::{CacheEntry, CachedSession};
use session_store::refusals::not_found;

/// Maximum number of lines in a batch, all of which are decided in one step.
const MAX_LINES: usize = 100_000;

impl Sessions {
    /// Applies the lines in order; each has its own result. All are committed together, unless the
    /// batch is large (see [`super::large`]). `marked` means that the lines may contain placeholders of
    /// redacted secrets.
    pub async fn submit_batch(
        &self,
        id: &SessionId,
        (lines, marked): (Bytes, bool),
        producer: Option<ProducerNumbers>,
    ) -> Result<Submitted, Refusal> {
        let text = json::text(&lines)?;
        let count = lines_of(text).take(MAX_LINES + 1).count();
        if count > MAX_LINES {
            let message = format!("a batch may have at most {MAX_LINES} lines");
            return Err(Refusal::new(Code::PayloadTooLarge, message));
        }
        if is_large(count, lines.len()) {
            return self.submit_large(id, lines, marked, producer).await;
        }
        let mut commands = Some(parse(text, marked));
        let submitted = self
            .write(id, |cell, slot| {
                self.attempt_batch(cell, slot, &mut commands, producer.as_ref())
            })
            .await;
        // An empty batch asks what became of the batch with its numbers. One that is stored in part
        // ends there.
        if count == 0 && submitted.is_err() && self.has_begun(id, producer.as_ref()).await {
            return self.submit_large(id, lines, marked, producer).await;
        }
        submitted
    }

    /// Returns whether a batch with these numbers is stored in part.
    async fn has_begun(&self, id: &SessionId, producer: Option<&ProducerNumbers>) -> bool {
        let Some(numbers) = producer else {
            return false;
        };
        let cell = self.engine.cache().get(id);
        let slot = cell.short().await;
        matches!(&*slot, CachedSession::Loaded(loaded) if loaded.view.producers.begun(numbers).is_some())
    }

    fn attempt_batch(
        &self,
        cell: &Arc<CacheEntry>,
        slot: &mut CachedSession,
        commands: &mut Option<Commands<'_>>,
        producer: Option<&ProducerNumbers>,
    ) -> Result<Attempt, Refusal> {
        let Some(mut loaded) = self.ready_to_write(cell, slot) else {
            return Ok(Attempt::Load);
        };
        if let Some(loaded) = &mut loaded {
            if let Some(repeat) = check_producer(loaded, producer)? {
                return Ok(repeat);
            }
            let valid = commands.iter().flatten().flatten();
            if let Some(work) = self.look_up(loaded, &wanted(valid))? {
                return Ok(Attempt::Keys(work));
            }
        }
        let Some(commands) = commands.take() else {
            return Ok(Attempt::Load);
        };
        let at = now();
        let creation = creation_of(&commands, at);
        let mut answer = None;
        let fill = |txn: &mut Txn<'_, '_>| {
            let mut results = Results::new(commands.len());
            for command in commands {
                results.run(txn, command);
            }
            results.body.close(txn.offset - 1);
            let answer = answer.insert(results.into_answer());
            producer.map(|numbers| commit_of(numbers, answer))
        };
        let ticket = match loaded {
            Some(loaded) => {
                self.engine.queue_snapshot(cell);
                let owner = loaded.user.clone();
                let ticket = self.append(loaded, &owner, at, fill)?;
                self.flush_keys_when_due(cell, loaded);
                ticket
            }
            None if self.settings.auto_create => {
                check_unknown_producer(producer)?;
                self.redaction.check_id(&cell.id)?;
                let mut created = transition::create(&cell.id, &UserId::unknown(), creation);
                self.mention_quarantined(&cell.id, &mut created);
                self.engine.queue_snapshot(cell);
                self.append_creation(cell, slot, &created, at, fill)?
            }
            None => return Err(not_found(&cell.id)),
        };
        let answer = answer.expect("what was appended has its results");
        Ok(Attempt::Stored { ticket, answer })
    }
}
