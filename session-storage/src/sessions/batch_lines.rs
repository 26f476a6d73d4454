//! The lines of a batch: parsing them, running them in order, and their results.

use session_model::answer::BatchBody;
use session_model::event::Creation;
use session_model::timestamp::Timestamp;
use session_model::transition::{self, Outcome, Reply};
use session_model::{Code, Command, EventKind, LogKind, Refusal, json};

use super::keys::stored;
use super::submitted::{Answer, Submitted, accepted};
use super::write::Txn;

/// A batch with more lines than this is large.
const LINES: usize = 1_000;
/// A batch with more bytes than this is large.
const BYTES: usize = 512 << 10;
/// Maximum total size of the final documents that a batch may create by ending the session
/// repeatedly, in bytes of JSON. Each of them repeats the goals.
const MAX_FINALS: usize = 10 << 20;

/// Maximum number of warnings about fields in the response to a batch.
const MAX_WARNINGS: usize = 64;

/// Commands of a batch. A line that cannot be parsed keeps its position, as an error.
pub(super) type Commands<'a> = Vec<Result<Command<'a>, Refusal>>;

/// Returns whether a batch is large and processed on a blocking thread.
pub(super) fn is_large(lines: usize, bytes: usize) -> bool {
    lines > LINES || bytes > BYTES
}

/// Returns the creation data for a session that these commands create.
pub(super) fn creation_of(commands: &Commands<'_>, received: Timestamp) -> Creation {
    let first = commands.iter().find_map(|command| command.as_ref().ok());
    first
        .map(|command| command.creation(received))
        .unwrap_or_default()
}

/// Parses the lines. `marked` means that they may contain placeholders of redacted secrets.
pub(super) fn parse(text: &str, marked: bool) -> Commands<'_> {
    lines_of(text)
        .map(|line| Command::parse_line(line).map(|command| command.marked(marked)))
        .collect()
}

/// Returns the lines that are not blank.
pub(super) fn lines_of(text: &str) -> impl Iterator<Item = &str> {
    rows(text)
        .map(|line| line.trim_matches([' ', '\t', '\r']))
        .filter(|line| !line.is_empty())
}

/// Splits the text at newlines.
fn rows(text: &str) -> impl Iterator<Item = &str> {
    let mut begin = 0;
    memchr::memchr_iter(b'\n', text.as_bytes())
        .chain([text.len()])
        .map(move |end| {
            let row = &text[begin..end];
            begin = (end + 1).min(text.len());
            row
        })
}

/// Results of the lines, in order.
pub(super) struct Results {
    pub(super) body: BatchBody,
    pub(super) refused: Vec<Code>,
    /// Total size of the final documents.
    finals: usize,
    /// Number of warnings about fields.
    warnings: usize,
}

impl Results {
    pub(super) fn new(lines: usize) -> Self {
        Self::going_on(String::new(), 0, lines)
    }

    /// Starts with the results of a batch whose first lines are already done.
    pub(super) fn going_on(body: String, done: usize, lines: usize) -> Self {
        Self {
            body: BatchBody::going_on(body, done, lines),
            refused: Vec::new(),
            finals: 0,
            warnings: 0,
        }
    }

    pub(super) fn run(&mut self, txn: &mut Txn<'_, '_>, command: Result<Command<'_>, Refusal>) {
        match command.and_then(|command| self.apply(txn, command)) {
            Ok(reply) => self.body.push(Ok(&reply)),
            Err(refusal) => self.refuse(&refusal),
        }
    }

    /// Adds the result of a line that is refused.
    pub(super) fn refuse(&mut self, refusal: &Refusal) {
        self.refused.push(refusal.code);
        self.body.push(Err(refusal));
    }

    fn apply(&mut self, txn: &mut Txn<'_, '_>, command: Command<'_>) -> Result<Reply, Refusal> {
        if matches!(command, Command::Finalize(_)) && self.finals > MAX_FINALS {
            let message = "the lines before this one have ended the session often enough: send it in another batch";
            return Err(Refusal::new(Code::PayloadTooLarge, message));
        }
        let outcome = transition::decide(&txn.loaded.view, command, txn.at)?
            .deduplicated(|log, key| stored(txn.loaded, log, key));
        match outcome {
            Outcome::Record(log, body) => {
                txn.record(log, &body);
                let seq = txn.loaded.view.logs[LogKind::index(log)].seq;
                let reply = Reply::recorded(seq, &body, MAX_WARNINGS - self.warnings);
                if let Reply::Warned(_, warnings) = &reply {
                    self.warnings += warnings.len();
                }
                Ok(reply)
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

    /// Truncates the results to an earlier state.
    pub(super) fn cut(&mut self, body: usize, refused: usize, done: usize) {
        self.body.cut(body, done);
        self.refused.truncate(refused);
    }

    pub(super) fn into_answer(self) -> Submitted {
        let stored = accepted(self.body.into_text());
        Submitted {
            refused: self.refused,
            ..Submitted::new(Answer::Stored(stored))
        }
    }
}
