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
use super::drain::{Drain, Turn};
use super::settling::Settling;
use super::{Answers, Outcome, Report};
use crate::spool::{Opened, SLOTS, Spool, Window};
use crate::transport::Transport;

/// The held records of one session.
pub(super) struct Held {
    slot: usize,
    session: String,
    drain: Box<Drain>,
    /// When they are retried next, and how many attempts have failed.
    due: Instant,
    failures: u32,
}

impl Held {
    fn new(opened: Opened) -> Self {
        let Opened { slot, session, spool, head } = opened;
        let drain = Box::new(Drain::of_held(Arc::new(spool), head));
        Self { slot, session, drain, due: Instant::now(), failures: 0 }
    }
}

impl Drain {
    /// Opens the records that an earlier owner has held apart.
    pub(super) fn open_held(&mut self) -> io::Result<()> {
        if self.holds && !self.held_are_open {
            self.held.extend(self.spool.open_held(&self.head)?.into_iter().map(Held::new));
            self.spool.counters.pending.fetch_add(self.held_records(), Ordering::SeqCst);
            self.held_are_open = true;
        }
        Ok(())
    }

    /// Returns how many records are held apart.
    pub(crate) fn held_records(&self) -> u64 {
        self.held.iter().map(|held| held.drain.spool.pending()).sum()
    }

    /// Makes all held records due in the next turn.
    pub(crate) fn retry_held(&mut self) {
        self.held.iter_mut().for_each(|held| held.due = Instant::now());
    }

    /// Returns whether records of the session are held apart.
    pub(super) fn is_held(&self, session: &str) -> bool {
        self.held.iter().any(|held| held.session == session)
    }

    /// Returns whether held records wait for another token.
    pub(super) fn holds_locked(&self) -> bool {
        self.held.iter().any(|held| held.drain.is_locked)
    }

    /// Marks the session's held records as waiting for a token.
    pub(super) fn mark_locked(&mut self, session: &str) {
        let held = self.held.iter_mut().filter(|held| held.session == session);
        held.for_each(|held| held.drain.is_locked = true);
    }

    /// Holds the rest of a batch apart; returns false if it has to wait where it is. A request that
    /// may be stored can be identified only by its number, and has to be repeated from where it is,
    /// unless the caller is `certain` that it is not stored.
    pub(super) fn hold(&mut self, at: &Settling<'_>, certain: bool) -> bool {
        let in_doubt = !certain && self.head.may_be_stored(at.index);
        if !self.holds || in_doubt || at.window.is_create() || !self.spool.has_room_to_hold(self.bytes_held())
        {
            return false;
        }
        match self.put_aside(at.window, at.index, at.answers) {
            Ok(done) => done,
            Err(error) => {
                Report::add(&at.report.spool_errors, 1);
                at.report.failed(format!("`{}`: {error}", self.spool.path().join("held").display()));
                false
            }
        }
    }

    fn bytes_held(&self) -> u64 {
        self.held.iter().map(|held| held.drain.spool.bytes()).sum()
    }

    fn put_aside(&mut self, window: &Window, index: usize, answers: Option<&Answers>) -> io::Result<bool> {
        let batch = &window.batches[index];
        self.head.know_held();
        let Some(at) = self.slot_of(&batch.session)? else { return Ok(false) };
        let (slot, spool) = (self.held[at].slot, Arc::clone(&self.held[at].drain.spool));
        let lines = &batch.lines[batch.lines.len() - self.head.left(window, index)..];
        let frames: Vec<&[u8]> = lines.iter().map(|line| window.frame(&window.records[*line])).collect();
        let before = spool.next();
        spool.append_copies(&frames)?;
        if !self.head.hold(window, index, slot, spool.next()) {
            // The records stay where they are; otherwise they would be delivered from both places.
            spool.cut(before)?;
            return Ok(false);
        }
        if let Some(answers) = answers {
            let queued = lines.iter().map(|line| (window.records[*line].number, Outcome::Queued));
            answers.settle(queued.collect());
        }
        Ok(true)
    }

    /// Returns where records of the session are held, or are to be held from now on.
    fn slot_of(&mut self, session: &str) -> io::Result<Option<usize>> {
        if let Some(at) = self.held.iter().position(|held| held.session == session) {
            return Ok(Some(at));
        }
        let Some(free) = (0..SLOTS).find(|slot| self.held.iter().all(|held| held.slot != *slot)) else {
            return Ok(None);
        };
        let Some(opened) = self.spool.make_held(free, session)? else { return Ok(None) };
        let held = Held::new(opened);
        self.held.push(Held { due: held.due + self.pause(1), failures: 1, ..held });
        Ok(Some(self.held.len() - 1))
    }

    /// Retries held records that are due.
    pub(super) fn held_turn(
        &mut self,
        transport: &mut dyn Transport,
        answers: Option<&Answers>,
        report: &Report,
    ) -> Turn {
        let now = Instant::now();
        for at in 0..self.held.len() {
            if self.held[at].due > now {
                continue;
            }
            let drain = &mut self.held[at].drain;
            let before = drain.spool.pending();
            let turn = drain.turn(transport, None, report);
            self.spool.follow(&drain.spool, before);
            match turn {
                Turn::Progress | Turn::Idle => self.progressed(at, report),
                Turn::Failed { .. } => {}
                Turn::Locked => {
                    let failures = self.held[at].failures.saturating_add(1);
                    let pause = self.pause(failures);
                    let held = &mut self.held[at];
                    (held.failures, held.due) = (failures, Instant::now() + pause);
                    if answers.is_some()
                        && held.drain.is_locked
                        && let Some(reason) = report.last_error()
                    {
                        report.locked(reason);
                    }
                    continue;
                }
            }
            if let Some(answers) = answers.filter(|_| turn == Turn::Progress) {
                answers.succeed();
            }
            return if turn == Turn::Idle { Turn::Progress } else { turn };
        }
        Turn::Idle
    }

    fn pause(&self, failures: u32) -> Duration {
        pause(failures, self.max_pause, None, fastrand::f64())
    }

    fn progressed(&mut self, at: usize, report: &Report) {
        let held = &mut self.held[at];
        held.failures = 0;
        held.drain.is_locked = false;
        let spool = &held.drain.spool;
        if spool.pending() > 0 || !spool.are_losses_told(u64::MAX) {
            return;
        }
        if !self.head.release(held.slot) {
            let pause = pause(1, self.max_pause, None, fastrand::f64());
            self.held[at].due = Instant::now() + pause;
            return;
        }
        let held = self.held.remove(at);
        if self.spool.remove_held(held.slot).is_err() {
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
        self.counters.pending.fetch_add(now.saturating_sub(before), Ordering::SeqCst);
    }

    /// Counts what was delivered for another spool as delivered for this one.
    pub(super) fn absorb(&self, other: &Self) {
        let (ours, theirs) = (&self.counters, &other.counters);
        for (ours, theirs) in [
            (&ours.delivered, &theirs.delivered),
            (&ours.rejected, &theirs.rejected),
            (&ours.expired, &theirs.expired),
            (&ours.damaged, &theirs.damaged),
        ] {
            ours.fetch_add(theirs.swap(0, Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}
