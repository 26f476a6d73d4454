//! Batches: many commands of one session, written as one journal entry.

use std::sync::Arc;

use bytes::Bytes;
use session_model::event::Birth;
use session_model::producer::{BATCH_OPENING, ProducerNumbers};
use session_model::timestamp::Timestamp;
use session_model::transition::{self, Outcome, Reply};
use session_model::{Code, Command, EventKind, LogKind, Refusal, SessionId, UserId, json};

use super::producers::{check_producer, check_unknown_producer, commit_of};
use super::refused::Refused;
use super::write::{Attempt, Txn};
use super::{Sessions, Submitted, large, not_found, now};
use crate::store::cells::{Cell, Slot};

/// Maximum number of lines in a batch, all of which are decided in one step.
const MAX_LINES: usize = 100_000;
/// Maximum total size of the final documents that a batch may create by ending the session
/// repeatedly, in bytes of JSON. Each of them repeats the goals.
const MAX_FINALS: usize = 10 << 20;

/// Commands of a batch. A line that cannot be parsed keeps its position, as an error.
pub(super) type Commands<'a> = Vec<Result<Command<'a>, Refusal>>;

impl Sessions {
    /// Applies the lines in order; each has its own result. All are committed together, unless the
    /// batch is large (see [`large`]). `marked` means that the lines may contain placeholders of
    /// redacted secrets.
    pub async fn submit_batch(
        &self,
        id: &SessionId,
        (lines, marked): (Bytes, bool),
        producer: Option<ProducerNumbers>,
    ) -> Result<Submitted, Refused> {
        let text = json::text(&lines)?;
        let count = lines_of(text).take(MAX_LINES + 1).count();
        if count > MAX_LINES {
            let message = format!("a batch may have at most {MAX_LINES} lines");
            return Err(Refusal::new(Code::PayloadTooLarge, message).into());
        }
        if large::is_large(count, lines.len()) {
            return self.submit_large(id, lines, marked, producer).await;
        }
        let mut commands = Some(parse(text, marked));
        let submitted = self
            .write(id, |cell, slot| self.attempt_batch(cell, slot, &mut commands, producer.as_ref()))
            .await;
        // An empty batch asks what became of the batch with its numbers. One that is stored in part ends there.
        if count == 0 && submitted.is_err() && self.has_begun(id, producer.as_ref()).await {
            return self.submit_large(id, lines, marked, producer).await;
        }
        submitted
    }

    /// Returns whether a batch with these numbers is stored in part.
    async fn has_begun(&self, id: &SessionId, producer: Option<&ProducerNumbers>) -> bool {
        let Some(numbers) = producer else { return false };
        let cell = self.store.cells.get(id);
        let slot = cell.short().await;
        matches!(&*slot, Slot::Loaded(loaded) if loaded.view.producers.begun(numbers).is_some())
    }

    fn attempt_batch(
        &self,
        cell: &Arc<Cell>,
        slot: &mut Slot,
        commands: &mut Option<Commands<'_>>,
        producer: Option<&ProducerNumbers>,
    ) -> Result<Attempt, Refused> {
        let Some(loaded) = self.ready_to_write(cell, slot) else { return Ok(Attempt::Load) };
        let Some(commands) = commands.take() else { return Ok(Attempt::Load) };
        let at = now();
        let birth = birth_of(&commands, at);
        let mut answer = Submitted::ok(String::new());
        let fill = |txn: &mut Txn<'_, '_>| {
            let mut results = Results::new(commands.len());
            for command in commands {
                results.run(txn, command);
            }
            results.close(txn.offset - 1);
            answer = results.into_answer();
            producer.map(|numbers| commit_of(numbers, &answer))
        };
        let ticket = match loaded {
            Some(loaded) => {
                if let Some(repeat) = check_producer(loaded, producer)? {
                    return Ok(repeat);
                }
                self.store.queue_snapshot(cell);
                let owner = loaded.user.clone();
                self.append(loaded, &owner, at, fill)?
            }
            None if self.settings.auto_create => {
                check_unknown_producer(producer)?;
                self.redaction.check_id(&cell.id)?;
                let mut created = transition::create(&cell.id, &UserId::unknown(), birth);
                self.mention_quarantined(&cell.id, &mut created);
                self.store.queue_snapshot(cell);
                self.append_birth(cell, slot, &created, at, fill)?
            }
            None => return Err(not_found(&cell.id).into()),
        };
        Ok(Attempt::Stored { ticket, answer })
    }
}

/// Returns the creation data for a session that these commands create.
pub(super) fn birth_of(commands: &Commands<'_>, received: Timestamp) -> Birth {
    let first = commands.iter().find_map(|command| command.as_ref().ok());
    first.map(|command| command.birth(received)).unwrap_or_default()
}

/// Parses the lines. `marked` means that they may contain placeholders of redacted secrets.
pub(super) fn parse(text: &str, marked: bool) -> Commands<'_> {
    lines_of(text).map(|line| Command::parse_line(line).map(|command| command.marked(marked))).collect()
}

/// Returns the lines that are not blank.
fn lines_of(text: &str) -> impl Iterator<Item = &str> {
    rows(text).map(|line| line.trim_matches([' ', '\t', '\r'])).filter(|line| !line.is_empty())
}

/// Splits the text at newlines.
fn rows(text: &str) -> impl Iterator<Item = &str> {
    let mut begin = 0;
    memchr::memchr_iter(b'\n', text.as_bytes()).chain([text.len()]).map(move |end| {
        let row = &text[begin..end];
        begin = (end + 1).min(text.len());
        row
    })
}

/// Results of the lines, in order.
pub(super) struct Results {
    pub(super) body: String,
    /// Number of lines that have a result.
    pub(super) done: usize,
    pub(super) refused: Vec<Code>,
    /// Total size of the final documents.
    finals: usize,
}

impl Results {
    pub(super) fn new(lines: usize) -> Self {
        Self::going_on(String::new(), 0, lines)
    }

    /// Starts with the results of a batch whose first lines are already done.
    pub(super) fn going_on(body: String, done: usize, lines: usize) -> Self {
        let mut results = Self { body, done, refused: Vec::new(), finals: 0 };
        results.body.reserve(lines.saturating_sub(done) * 28 + 64);
        if results.done == 0 {
            results.body.push_str(BATCH_OPENING);
        }
        results
    }

    pub(super) fn run(&mut self, txn: &mut Txn<'_, '_>, command: Result<Command<'_>, Refusal>) {
        let result = command.and_then(|command| self.apply(txn, command));
        self.push(&result);
    }

    fn apply(&mut self, txn: &mut Txn<'_, '_>, command: Command<'_>) -> Result<Reply, Refusal> {
        if matches!(command, Command::Finalize(_)) && self.finals > MAX_FINALS {
            let message =
                "the lines before this one have ended the session often enough: send it in another batch";
            return Err(Refusal::new(Code::PayloadTooLarge, message));
        }
        match transition::decide(&txn.loaded.view, command, txn.at)? {
            Outcome::Record(log, body) => {
                txn.record(log, &body);
                Ok(Reply::Seq(txn.loaded.view.logs[LogKind::index(log)].seq))
            }
            Outcome::Change(change, reply) => {
                txn.change(&change);
                if change.kind == EventKind::SessionFinalized {
                    self.finals += txn.loaded.view.final_doc.as_ref().map_or(0, json::size_of);
                }
                Ok(reply)
            }
            Outcome::Nothing(reply) => Ok(reply),
        }
    }

    pub(super) fn push(&mut self, result: &Result<Reply, Refusal>) {
        use std::fmt::Write;
        let comma = if self.done == 0 { "" } else { "," };
        self.done += 1;
        match result {
            Ok(Reply::Seq(seq)) => {
                self.body.push_str(comma);
                self.body.push_str(r#"{"success":true,"seq":"#);
                self.body.push_str(itoa::Buffer::new().format(*seq));
                self.body.push('}');
                Ok(())
            }
            Ok(Reply::Done) => write!(self.body, "{comma}{{\"success\":true}}"),
            Ok(reply) => write!(self.body, "{comma}{}", reply.to_json()),
            Err(refusal) => {
                self.refused.push(refusal.code);
                let error = serde_json::json!({"error": refusal.message, "code": refusal.code.as_str()});
                write!(self.body, "{comma}{error}")
            }
        }
        .expect("writing to a String cannot fail");
    }

    /// Truncates the results to an earlier state.
    pub(super) fn cut(&mut self, body: usize, refused: usize, done: usize) {
        self.body.truncate(body);
        self.refused.truncate(refused);
        self.done = done;
    }

    /// Closes the response, with the offset of the newest event. Call after the last result.
    pub(super) fn close(&mut self, offset: u64) {
        use std::fmt::Write;
        write!(self.body, "],\"offset\":{offset}}}").expect("writing to a String cannot fail");
    }

    pub(super) fn into_answer(self) -> Submitted {
        Submitted { refused: self.refused, ..Submitted::ok(self.body) }
    }
}
