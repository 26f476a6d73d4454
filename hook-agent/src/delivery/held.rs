//! Holds apart records that wait for another token, or for their session to be created, so that
//! they block no others.
//!
//! Each session's records are held in their own spool and retried from there. Later records of that
//! session join them, so that the session's order is kept.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::backoff::pause;
use super::drain::Drain;
use super::hold::{Hold, HoldNone};
use super::settling::Settling;
use super::turn::Turn;
use super::{Answers, Outcome, Report};
use crate::spool::{Head, OpenedSlot, SLOTS, Spool};
use crate::transport::Transport;

/// The longest pause before held records are tried again.
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// The records held apart, by session.
pub(crate) struct HeldSessions {
    sessions: Vec<HeldSession>,
    are_open: bool,
    max_pause: Duration,
}

/// A drain that holds records apart.
pub(crate) type SpoolDrain = Drain<HeldSessions>;

/// The held records of one session.
struct HeldSession {
    slot: usize,
    session: String,
    drain: Drain<HoldNone>,
    /// When they are retried next, and how many attempts have failed.
    due: Instant,
    failures: u32,
}

impl Default for HeldSessions {
    fn default() -> Self {
        Self {
            sessions: Vec::new(),
            are_open: false,
            max_pause: MAX_PAUSE,
        }
    }
}

impl HeldSession {
    fn new(opened: OpenedSlot) -> Self {
        let OpenedSlot {
            slot,
            session,
            spool,
            head,
        } = opened;
        Self {
            slot,
            session,
            drain: Drain::new(Arc::new(spool), head),
            due: Instant::now(),
            failures: 0,
        }
    }
}

impl Drain<HeldSessions> {
    /// Limits the pause before held records are tried again.
    pub(crate) fn with_max_pause(mut self, max_pause: Duration) -> Self {
        self.held.max_pause = max_pause;
        self
    }

    /// Returns how many records are held apart.
    pub(crate) fn held_records(&self) -> u64 {
        self.held.records()
    }

    /// Makes all held records due in the next turn.
    pub(crate) fn retry_held(&mut self) {
        self.held.retry_all();
    }
}

impl Hold for HeldSessions {
    fn open(&mut self, spool: &Spool, head: &Head) -> io::Result<()> {
        if !self.are_open {
            let opened = spool.open_held(head)?;
            self.sessions
                .extend(opened.into_iter().map(HeldSession::new));
            spool
                .counters
                .pending
                .fetch_add(self.records(), Ordering::SeqCst);
            self.are_open = true;
        }
        Ok(())
    }

    fn turn(
        &mut self,
        spool: &Spool,
        head: &mut Head,
        transport: &mut dyn Transport,
        answers: Option<&Answers>,
        report: &Report,
    ) -> Turn {
        let now = Instant::now();
        for at in 0..self.sessions.len() {
            if self.sessions[at].due > now {
                continue;
            }
            let drain = &mut self.sessions[at].drain;
            let before = drain.spool.pending();
            let turn = drain.turn(transport, None, report);
            spool.follow(&drain.spool, before);
            match turn {
                Turn::Progress | Turn::Idle => self.progressed(spool, head, at, report),
                Turn::Failed { .. } => {}
                Turn::Locked => {
                    let failures = self.sessions[at].failures.saturating_add(1);
                    let pause = self.pause(failures);
                    let held = &mut self.sessions[at];
                    held.failures = failures;
                    held.due = Instant::now() + pause;
                    if answers.is_some()
                        && held.drain.is_locked
                        && let Some(reason) = report.last_error()
                    {
                        report.locked(reason);
                    }
                    continue;
                }
            }
            if turn == Turn::Progress
                && let Some(answers) = answers
            {
                answers.succeed();
            }
            return if turn == Turn::Idle {
                Turn::Progress
            } else {
                turn
            };
        }
        Turn::Idle
    }

    fn holds(&self, session: &str) -> bool {
        self.sessions.iter().any(|held| held.session == session)
    }

    fn hold(&mut self, spool: &Spool, head: &mut Head, at: &Settling<'_>) -> bool {
        if !spool.can_hold(self.bytes()) {
            return false;
        }
        match self.move_to_held(spool, head, at) {
            Ok(done) => done,
            Err(error) => {
                Report::add(&at.report.spool_errors, 1);
                at.report.failed(format!(
                    "failed to hold records in `{}`: {error}",
                    spool.path().join("held").display()
                ));
                false
            }
        }
    }

    fn mark_locked(&mut self, session: &str) {
        let sessions = self.sessions.iter_mut();
        for held in sessions.filter(|held| held.session == session) {
            held.drain.is_locked = true;
        }
    }

    fn waits_for_token(&self) -> bool {
        self.sessions.iter().any(|held| held.drain.is_locked)
    }

    fn retry_all(&mut self) {
        for held in &mut self.sessions {
            held.due = Instant::now();
        }
    }
}

impl HeldSessions {
    fn records(&self) -> u64 {
        let pending = self.sessions.iter().map(|held| held.drain.spool.pending());
        pending.sum()
    }

    fn bytes(&self) -> u64 {
        let bytes = self.sessions.iter().map(|held| held.drain.spool.bytes());
        bytes.sum()
    }

    fn move_to_held(
        &mut self,
        spool: &Spool,
        head: &mut Head,
        at: &Settling<'_>,
    ) -> io::Result<bool> {
        let window = at.window;
        let index = at.index;
        let batch = &window.batches[index];
        head.know_held();
        let Some(place) = self.slot_of(spool, &batch.session)? else {
            return Ok(false);
        };
        let slot = self.sessions[place].slot;
        let held = Arc::clone(&self.sessions[place].drain.spool);
        let lines = &batch.lines[batch.lines.len() - head.left(window, index)..];
        let frames: Vec<&[u8]> = lines
            .iter()
            .map(|line| window.frame(&window.records[*line]))
            .collect();
        let before = held.next();
        held.append_copies(&frames)?;
        if !head.hold(window, index, slot, held.next()) {
            // The records stay where they are; otherwise they would be delivered from both places.
            held.cut(before)?;
            return Ok(false);
        }
        if let Some(answers) = at.answers {
            let queued = lines
                .iter()
                .map(|line| (window.records[*line].number, Outcome::Queued));
            answers.settle(queued.collect());
        }
        Ok(true)
    }

    /// Returns where records of the session are held, or are to be held from now on.
    fn slot_of(&mut self, spool: &Spool, session: &str) -> io::Result<Option<usize>> {
        let mut sessions = self.sessions.iter();
        if let Some(at) = sessions.position(|held| held.session == session) {
            return Ok(Some(at));
        }
        let is_free = |slot: &usize| self.sessions.iter().all(|held| held.slot != *slot);
        let Some(free) = (0..SLOTS).find(is_free) else {
            return Ok(None);
        };
        let Some(opened) = spool.make_held(free, session)? else {
            return Ok(None);
        };
        let held = HeldSession::new(opened);
        self.sessions.push(HeldSession {
            due: held.due + self.pause(1),
            failures: 1,
            ..held
        });
        Ok(Some(self.sessions.len() - 1))
    }

    fn pause(&self, failures: u32) -> Duration {
        pause(failures, self.max_pause, None, fastrand::f64())
    }

    fn progressed(&mut self, spool: &Spool, head: &mut Head, at: usize, report: &Report) {
        let pause = self.pause(1);
        let held = &mut self.sessions[at];
        held.failures = 0;
        held.drain.is_locked = false;
        let own = &held.drain.spool;
        if own.pending() > 0 || !own.are_losses_reported(u64::MAX) {
            return;
        }
        if !head.release(held.slot) {
            held.due = Instant::now() + pause;
            return;
        }
        let held = self.sessions.remove(at);
        if spool.remove_held(held.slot).is_err() {
            Report::add(&report.spool_errors, 1);
        }
    }
}

impl Spool {
    /// Adds up what a held spool has settled or newly reported since `before` of its records were
    /// pending.
    fn follow(&self, held: &Self, before: u64) {
        self.absorb(held);
        let now = held.pending();
        self.forget(before.saturating_sub(now));
        self.counters
            .pending
            .fetch_add(now.saturating_sub(before), Ordering::SeqCst);
    }

    /// Counts what was delivered for another spool as delivered for this one.
    pub(super) fn absorb(&self, other: &Self) {
        let ours = &self.counters;
        let theirs = &other.counters;
        for (ours, theirs) in [
            (&ours.delivered, &theirs.delivered),
            (&ours.rejected, &theirs.rejected),
            (&ours.expired, &theirs.expired),
            (&ours.damaged, &theirs.damaged),
            (&ours.blobs, &theirs.blobs),
            (&ours.shortened, &theirs.shortened),
        ] {
            ours.fetch_add(theirs.swap(0, Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}
