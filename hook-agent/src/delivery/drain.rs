//! Drains one spool: its windows, their batches, and the responses to them.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use session_model::Code;

use super::hold::Hold;
use super::offloading::{NotStored, Offloading, Source};
use super::request::{body, request};
use super::settling::Settling;
use super::turn::Turn;
use super::verdict::{Asked, LineResult, Verdict, judge};
use super::{Answers, Outcome, Report};
use crate::spool::{Head, Spool, SpoolStorage, Window};
use crate::transport::Transport;

/// After this many failures within the service, a batch is given up: it is split, and a single line
/// is rejected. An unreachable or overloaded service does not count as such a failure.
const BROKEN_ATTEMPTS: u32 = 20;
const BROKEN_ATTEMPTS_SPLIT: u32 = 3;
const MAX_RENUMBERED: u32 = 3;

/// One spool and its delivery position. `H` holds records apart that have to wait.
pub(crate) struct Drain<H> {
    pub spool: Arc<Spool>,
    pub(super) head: Head,
    window: Option<Window>,
    /// The records held apart.
    pub(super) held: H,
    /// Whether the last batch that had to wait was refused for our token.
    pub(super) is_locked: bool,
    /// How many times in a row the current request got new numbers.
    renumbered: u32,
    /// How long the service must have failed on a request before the request is given up.
    patience: Duration,
    /// Since when the service has answered that the session does not exist, by session.
    no_session: HashMap<String, Instant>,
    blobs: Offloading,
    /// Whether the spool belongs to this process alone, so that a turn may append `gap` records.
    owned: bool,
}

/// What became of one request.
enum Sent {
    Settled,
    /// Changed; to be sent again at once.
    Again,
    Failed(Option<Duration>),
    /// Refused for our token, with the message to report, or for a session that does not exist yet.
    Waits {
        locked: Option<String>,
    },
}

impl<H: Hold> Drain<H> {
    pub(crate) fn new(spool: Arc<Spool>, head: Head) -> Self {
        Self {
            spool,
            head,
            window: None,
            held: H::default(),
            is_locked: false,
            renumbered: 0,
            patience: Duration::ZERO,
            no_session: HashMap::new(),
            blobs: Offloading::default(),
            owned: true,
        }
    }

    /// Adapts the drain to a folder that other processes append to. Nothing is given up before the
    /// service has failed on it for `patience`: short processes do not pause for minutes between
    /// attempts, and would use up all attempts while the service restarts.
    pub(crate) fn of_shared(self, patience: Duration) -> Self {
        Self {
            patience,
            owned: false,
            ..self
        }
    }

    /// Returns the number of the first record that is not settled.
    pub(crate) fn cursor(&self) -> u64 {
        self.head.cursor()
    }

    /// Sends the next window, or the rest of the current one.
    pub(crate) fn turn(
        &mut self,
        transport: &mut dyn Transport,
        answers: Option<&Answers>,
        report: &Report,
    ) -> Turn {
        // Held records come before those that follow them, so that it is known why they wait.
        let opened = self.held.open(&self.spool, &self.head);
        let turn = self
            .held
            .turn(&self.spool, &mut self.head, transport, answers, report);
        if turn != Turn::Idle {
            return turn;
        }
        let window = match opened.and_then(|()| self.next_window()) {
            Ok(window) => window,
            Err(error) => {
                Report::add(&report.spool_errors, 1);
                report.failed(format!(
                    "failed to use spool `{}`: {error}",
                    self.spool.path().display()
                ));
                return Turn::Failed { after: None };
            }
        };
        if let Some(answers) = answers {
            answers.passed(self.head.cursor());
        }
        Report::add(&report.spool_errors, std::mem::take(&mut self.head.unsaved));
        let Some(window) = window else {
            return Turn::Idle;
        };
        let turn = self.send_window(&window, transport, answers, report);
        Report::add(&report.spool_errors, std::mem::take(&mut self.head.unsaved));
        if turn != Turn::Progress {
            self.window = Some(window);
        }
        turn
    }

    /// Returns the next window. Losses found on the way are reported at once if this spool is ours,
    /// so that a kill does not hide them.
    fn next_window(&mut self) -> io::Result<Option<Window>> {
        if let Some(held) = self.window.take() {
            return Ok(Some(held));
        }
        let window = self.head.window(&self.spool)?;
        if self.owned && self.spool.report_losses() && window.is_none() {
            return self.head.window(&self.spool);
        }
        Ok(window)
    }

    fn send_window(
        &mut self,
        window: &Window,
        transport: &mut dyn Transport,
        answers: Option<&Answers>,
        report: &Report,
    ) -> Turn {
        let mut waits = None;
        for index in 0..window.batches.len() {
            while self.head.left(window, index) > 0 {
                match self.send(window, index, transport, answers, report) {
                    Sent::Settled | Sent::Again => {}
                    Sent::Failed(after) => return Turn::Failed { after },
                    // The next batch belongs to another session, which the token may cover.
                    Sent::Waits { locked } => {
                        waits = waits.or(Some(locked));
                        break;
                    }
                }
            }
        }
        let Some(locked) = waits else {
            return Turn::Progress;
        };
        self.is_locked = locked.is_some();
        if let Some(reason) = locked {
            report_refusal(report, answers, reason);
        }
        Turn::Locked
    }

    fn send(
        &mut self,
        window: &Window,
        index: usize,
        transport: &mut dyn Transport,
        answers: Option<&Answers>,
        report: &Report,
    ) -> Sent {
        let step = self.head.step(index);
        let batch = &window.batches[index];
        let sent = step.request(batch.lines.len());
        let lines = &batch.lines[sent.clone()];
        let asks = !window.is_create() && step.has_to_ask(&sent);
        let settling = Settling {
            window,
            index,
            sent: &sent,
            asks,
            lines,
            answers,
            report,
        };
        if self.held.holds(&batch.session) && self.hold(&settling, false) {
            return Sent::Settled;
        }
        let bears = if asks { &[] } else { lines };
        if let Some(fewer) = self.blobs.fewer(bears, &self.spool, window) {
            // An earlier process may have sent all of them with this number.
            self.head.sending(index, &sent, asks);
            self.head.split(index, fewer);
            return Sent::Again;
        }
        let source = Source {
            spool: &self.spool,
            head: &mut self.head,
            window,
            session: &batch.session,
        };
        let replaced = match self.blobs.store(bears, source, transport) {
            Ok(replaced) => replaced,
            Err(NotStored::Waits(verdict)) => return self.act(verdict, &settling),
            Err(NotStored::Failed { after, reason }) => {
                settling.failed(reason);
                return Sent::Failed(after);
            }
        };
        self.head.sending(index, &sent, asks);
        let seq = (!window.is_create()).then_some(step.seq);
        let body = body(window, bears, &replaced);
        let request = request(&self.spool.producer, batch, &step, seq, &body);
        Report::add(&report.batches, 1);
        let verdict = match transport.send(&request) {
            Ok(response) => {
                if response.repeated {
                    self.head.doubt(index, &sent);
                }
                let asked = Asked {
                    session: &batch.session,
                    seq,
                    lines: bears.len(),
                    token: transport.shows_token(),
                };
                judge(&response, asked)
            }
            Err(error) => Verdict::Retry {
                after: None,
                reason: error.to_string(),
            },
        };
        self.act(verdict, &settling)
    }

    fn act(&mut self, verdict: Verdict, at: &Settling<'_>) -> Sent {
        match verdict {
            Verdict::Delivered(results) if at.asks => self.shown(at, results),
            Verdict::Delivered(results) => self.delivered(at, results),
            // The response does not say whether the stored request was the one in doubt, so the
            // remaining lines get new numbers.
            Verdict::Stored if at.asks => self.renumber(at, 0),
            Verdict::Stored => self.settle(at, Vec::new(), true),
            Verdict::Retry { after, reason } => {
                self.head.doubt(at.index, at.sent);
                at.failed(reason);
                Sent::Failed(after)
            }
            Verdict::Locked { reason } => self.locked(at, &reason),
            Verdict::NoSession { message } => self.no_session(at, &message),
            Verdict::Renumber { epoch } => self.renumber(at, epoch),
            Verdict::Refused {
                message: reason, ..
            }
            | Verdict::Broken { reason }
                if at.asks =>
            {
                self.not_shown(at, reason)
            }
            Verdict::Refused { code, message } => self.refused(at, code, message),
            Verdict::Broken { reason } => self.broke(at, reason),
        }
    }

    /// Settles the lines if there is one result for each. Otherwise the results are for a request
    /// that this process does not know: the numbers are out of step. A service that always answers
    /// so is not asked without a pause.
    fn delivered(&mut self, at: &Settling<'_>, results: Vec<LineResult>) -> Sent {
        if results.len() == at.lines.len() {
            self.settle(at, results, true)
        } else {
            self.renumber(at, 0)
        }
    }

    /// Handles the response to an empty batch: the results of the request in doubt, or none if that
    /// was not stored.
    fn shown(&mut self, at: &Settling<'_>, mut results: Vec<LineResult>) -> Sent {
        let Some((stored, before)) = self.head.step(at.index).shown(results.len()) else {
            return self.go_on(at);
        };
        results.drain(..before);
        let lines = &at.window.batches[at.index].lines[stored];
        self.settle(&Settling { lines, ..*at }, results, true)
    }

    /// Handles a refusal of an empty batch, or a failure on it. The batch's size is not the reason,
    /// so the cause may pass.
    fn not_shown(&mut self, at: &Settling<'_>, reason: String) -> Sent {
        let (times, since) = self.head.broke();
        if since < self.patience || times < BROKEN_ATTEMPTS {
            at.failed(reason);
            return Sent::Failed(None);
        }
        self.go_on(at)
    }

    /// Continues with the next number.
    fn go_on(&mut self, at: &Settling<'_>) -> Sent {
        self.head.next_number(at.index);
        Sent::Again
    }

    /// Gives the batch new numbers and sends it again at once, but pauses if the service refuses
    /// every number.
    fn renumber(&mut self, at: &Settling<'_>, known: u64) -> Sent {
        Report::add(&at.report.renumbered, 1);
        self.head.renumber(at.index, known);
        self.renumbered += 1;
        if self.renumbered > MAX_RENUMBERED {
            at.failed("the service refuses every producer number".to_owned());
            return Sent::Failed(None);
        }
        Sent::Again
    }

    /// Halves a batch that is refused whole, until the faulty line is alone.
    fn refused(&mut self, at: &Settling<'_>, code: String, message: String) -> Sent {
        if at.lines.len() > 1 {
            self.head.split(at.index, at.lines.len() / 2);
            return Sent::Again;
        }
        if !at.window.is_create() && self.head.step(at.index).in_doubt() {
            self.head.ask(at.index);
            return Sent::Again;
        }
        self.settle(at, vec![LineResult::Refused { code, message }], false)
    }

    fn broke(&mut self, at: &Settling<'_>, reason: String) -> Sent {
        self.head.doubt(at.index, at.sent);
        let (broken, time) = self.head.broke();
        let split = self.head.step(at.index).lines > 0;
        if time < self.patience
            || broken
                < if split {
                    BROKEN_ATTEMPTS_SPLIT
                } else {
                    BROKEN_ATTEMPTS
                }
        {
            at.failed(reason);
            return Sent::Failed(None);
        }
        let code = "service_failed".to_owned();
        if at.lines.len() > 1 {
            return self.refused(at, code, reason);
        }
        self.settle(
            at,
            vec![LineResult::Refused {
                code,
                message: reason,
            }],
            false,
        )
    }

    fn locked(&mut self, at: &Settling<'_>, reason: &str) -> Sent {
        let message = match &self.spool.storage {
            SpoolStorage::Disk(_) => {
                format!("{reason}; nothing is lost, records wait in the spool")
            }
            SpoolStorage::Memory => reason.to_owned(),
        };
        report_refusal(at.report, at.answers, message.clone());
        let old = self.too_old(at);
        self.quarantine_session(at, old, "not_let_in", reason);
        Report::add(&at.report.retries, 1);
        if old == at.lines.len() {
            return Sent::Settled;
        }
        if self.hold(at, false) {
            self.held.mark_locked(&at.window.batches[at.index].session);
            return Sent::Settled;
        }
        Sent::Waits {
            locked: Some(message),
        }
    }

    /// Handles a missing session. The process that creates it may be slightly later than the
    /// session's first record, or may deliver its own spool. Records that have waited too long for
    /// that are rejected, and so are records that are too old, because a process may be too
    /// short-lived to wait.
    fn no_session(&mut self, at: &Settling<'_>, message: &str) -> Sent {
        let session = &at.window.batches[at.index].session;
        let since = *self
            .no_session
            .entry(session.clone())
            .or_insert_with(Instant::now);
        let waited = since.elapsed() >= self.spool.session_wait();
        let old = if waited {
            at.lines.len()
        } else {
            self.too_old(at)
        };
        self.quarantine_session(at, old, Code::SessionNotFound.as_str(), message);
        if old == at.lines.len() {
            return Sent::Settled;
        }
        at.failed(format!(
            "records wait for session `{session}` to be created: {message}"
        ));
        // A session that does not exist has stored nothing.
        if self.hold(at, true) {
            Sent::Settled
        } else {
            Sent::Waits { locked: None }
        }
    }

    /// Holds the rest of a batch apart; returns false if it has to wait where it is. A request that
    /// may be stored can be identified only by its number, and has to be repeated from where it is,
    /// unless the caller is `certain` that it is not stored.
    fn hold(&mut self, at: &Settling<'_>, certain: bool) -> bool {
        let in_doubt = !certain && self.head.may_be_stored(at.index);
        !in_doubt && !at.window.is_create() && self.held.hold(&self.spool, &mut self.head, at)
    }

    /// Returns how many of the lines have waited longer than the spool's age limit.
    fn too_old(&self, at: &Settling<'_>) -> usize {
        at.lines
            .iter()
            .take_while(|index| self.spool.is_too_old(&at.window.records[**index]))
            .count()
    }

    /// Moves this many lines to `rejected/`, so that they do not block the records behind them
    /// forever; the rest goes on waiting.
    fn quarantine_session(&mut self, at: &Settling<'_>, lines: usize, code: &str, reason: &str) {
        if lines > 0 {
            let refused = || LineResult::Refused {
                code: code.to_owned(),
                message: reason.to_owned(),
            };
            let results = std::iter::repeat_with(refused).take(lines).collect();
            // A request that is rejected whole takes its number along: if the service never saw
            // that number, it reports a gap, and the next lines get new numbers. If more lines may
            // be stored under the number, it stays.
            let counted = lines == at.lines.len() && !self.head.step(at.index).in_doubt();
            self.close(
                &Settling {
                    lines: &at.lines[..lines],
                    ..*at
                },
                results,
                counted,
            );
        }
    }

    fn settle(&mut self, at: &Settling<'_>, results: Vec<LineResult>, stored: bool) -> Sent {
        self.renumbered = 0;
        self.no_session.remove(&at.window.batches[at.index].session);
        if at.window.is_create() {
            self.held.retry_all();
        }
        if !self.held.waits_for_token() {
            at.report.access_granted();
        }
        if let Some(answers) = at.answers {
            answers.succeed();
        }
        self.close(at, results, stored);
        Sent::Settled
    }

    /// Settles these lines, whatever their outcomes are.
    fn close(&mut self, at: &Settling<'_>, results: Vec<LineResult>, stored: bool) {
        let mut outcomes = at.outcomes(results);
        let rejected = at.keep_rejected(&self.spool, &outcomes);
        self.head
            .settle(at.window, at.index, at.lines.len(), stored);
        let is_delivered = |number: u64| {
            let mut outcomes = outcomes.iter();
            outcomes.any(|(one, outcome)| {
                *one == number && !matches!(outcome, Outcome::Rejected { .. })
            })
        };
        self.blobs.note(&self.spool, is_delivered);
        let counters = &self.spool.counters;
        Report::add(&counters.rejected, rejected);
        Report::add(&counters.delivered, at.lines.len() as u64 - rejected);
        self.spool.forget(at.lines.len() as u64);
        if self.owned && rejected > 0 {
            // Before the caller knows: a short process ends right then.
            self.spool.report_losses();
        }
        if let Some(answers) = at.answers {
            // A `gap` may have the number of a record that it stands for.
            let gaps: Vec<u64> = at.gaps().collect();
            outcomes.retain(|(number, _)| !gaps.contains(number));
            answers.settle(outcomes);
        }
    }
}

/// Reports that access was refused: as `locked` for our own records; as a plain failure for adopted
/// ones, which may need another token.
fn report_refusal(report: &Report, answers: Option<&Answers>, reason: String) {
    if answers.is_some() {
        report.locked(reason);
    } else {
        report.failed(reason);
    }
}
