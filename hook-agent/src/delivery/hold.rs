//! What a drain asks of the place where records are held apart.

use std::io;

use super::settling::Settling;
use super::turn::Turn;
use super::{Answers, Report};
use crate::spool::{Head, Spool};
use crate::transport::Transport;

/// Holds records apart that have to wait, so that they block no others.
pub(crate) trait Hold: Default {
    /// Opens the records that an earlier owner of the spool has held apart.
    fn open(&mut self, spool: &Spool, head: &Head) -> io::Result<()>;

    /// Retries held records that are due.
    fn turn(
        &mut self,
        spool: &Spool,
        head: &mut Head,
        transport: &mut dyn Transport,
        answers: Option<&Answers>,
        report: &Report,
    ) -> Turn;

    /// Returns whether records of the session are held apart.
    fn holds(&self, session: &str) -> bool;

    /// Holds the rest of a batch apart; returns false if there is no room for it.
    fn hold(&mut self, spool: &Spool, head: &mut Head, at: &Settling<'_>) -> bool;

    /// Marks the session's held records as waiting for a token.
    fn mark_locked(&mut self, session: &str);

    /// Returns whether held records wait for another token.
    fn waits_for_token(&self) -> bool;

    /// Makes all held records due in the next turn.
    fn retry_all(&mut self);
}

/// Holds nothing: for records that are already held apart.
#[derive(Default)]
pub(super) struct HoldNone;

impl Hold for HoldNone {
    fn open(&mut self, _: &Spool, _: &Head) -> io::Result<()> {
        Ok(())
    }

    fn turn(
        &mut self,
        _: &Spool,
        _: &mut Head,
        _: &mut dyn Transport,
        _: Option<&Answers>,
        _: &Report,
    ) -> Turn {
        Turn::Idle
    }

    fn holds(&self, _: &str) -> bool {
        false
    }

    fn hold(&mut self, _: &Spool, _: &mut Head, _: &Settling<'_>) -> bool {
        false
    }

    fn mark_locked(&mut self, _: &str) {}

    fn waits_for_token(&self) -> bool {
        false
    }

    fn retry_all(&mut self) {}
}
