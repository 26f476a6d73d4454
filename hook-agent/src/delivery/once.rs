//! Delivers a shared folder on the caller's thread, within a time limit: what a hook process does
//! before it ends.
//!
//! One process delivers at a time, including records that others append meanwhile. The pause
//! between a failure and the next attempt is kept across processes, so that a hanging service
//! delays one call in many, not each.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::backoff::pause;
use super::drain::{Drain, Turn};
use super::{Answers, Report};
use crate::Config;
use crate::spool::{Limits, SharedFolder, Spool, now_millis, private};
use crate::transport;

/// The longest pause. Hooks come often; after an outage, the first one later than this delivers.
const MAX_PAUSE: Duration = Duration::from_secs(1);
/// A request that the service fails on is given up after the age limit divided by this: about five
/// minutes of seven days.
const PATIENCE: u32 = 2000;

/// How a delivery ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Delivered {
    /// Nothing is left.
    All,
    /// Another process delivers, or a pause is in effect.
    LeftToOthers,
    /// The service did not accept the records, for this reason.
    Failed(String),
}

/// One delivery of a shared folder.
pub(crate) struct Once<'a> {
    pub config: &'a Config,
    pub folder: &'a SharedFolder,
    pub deadline: Instant,
    /// The run ends: wait for another delivering process, and ignore the pause.
    pub last: bool,
}

impl Once<'_> {
    /// Delivers the pending records.
    pub(crate) fn deliver(&self) -> io::Result<Delivered> {
        loop {
            let Some(lock) = self.lock()? else { return Ok(Delivered::LeftToOthers) };
            if !self.last && self.pause().is_pending() {
                return Ok(Delivered::LeftToOthers);
            }
            let ended = self.drain()?;
            drop(lock);
            // A process that appended between the last check and the release found the lock taken,
            // so nobody else delivers its records.
            if ended != Delivered::All || !self.folder.pending()? {
                return Ok(ended);
            }
        }
    }

    fn lock(&self) -> io::Result<Option<File>> {
        loop {
            let lock = self.folder.try_deliver()?;
            if lock.is_some() || !self.last || Instant::now() >= self.deadline {
                return Ok(lock);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn drain(&self) -> io::Result<Delivered> {
        let (spool, head) = self.folder.hold()?.open(Limits::of(self.config, false))?;
        let patience = self.config.spool_max_age / PATIENCE;
        let mut drain = Drain::new(Arc::new(spool), head).of_shared(patience);
        let ended = self.drain_until_idle(&mut drain);
        // However it ended: the next process knows nothing of these losses.
        self.tell(&drain.spool)?;
        Ok(ended)
    }

    fn drain_until_idle(&self, drain: &mut Drain) -> Delivered {
        let report = Report::default();
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Delivered::Failed("not everything was taken in time".to_owned());
            }
            match self.turn(drain, left, &report) {
                Turn::Progress => {}
                Turn::Idle => {
                    self.pause().clear();
                    if drain.held_records() > 0 {
                        return Delivered::Failed(report.last_error().unwrap_or_default());
                    }
                    return Delivered::All;
                }
                turn @ (Turn::Failed { .. } | Turn::Locked) => {
                    let asked = if let Turn::Failed { after } = turn { after } else { None };
                    self.pause().lengthen(asked);
                    return Delivered::Failed(report.last_error().unwrap_or_default());
                }
            }
        }
    }

    /// Appends `gap` records for the losses that delivery found. They are delivered next, like any
    /// appended record.
    fn tell(&self, delivered: &Spool) -> io::Result<()> {
        let losses = delivered.take_losses();
        if !losses.is_empty() {
            let (spool, _) = self.folder.hold()?.open(Limits::of(self.config, false))?;
            spool.add_losses(losses);
            spool.tell_losses();
        }
        Ok(())
    }

    /// Runs one turn with the remaining time as its timeouts. This opens a connection per turn,
    /// which takes microseconds on the local machine.
    fn turn(&self, drain: &mut Drain, left: Duration, report: &Report) -> Turn {
        let config = Config {
            connect_timeout: left.min(self.config.connect_timeout),
            answer_timeout: left.min(self.config.answer_timeout),
            ..self.config.clone()
        };
        match transport::open(&config) {
            Ok(mut transport) => drain.turn(&mut *transport, None::<&Answers>, report),
            Err(error) => {
                report.failed(error.to_string());
                Turn::Failed { after: None }
            }
        }
    }

    fn pause(&self) -> Pause {
        Pause { path: self.folder.path.join("pause") }
    }
}

/// The pause, in a file as `until failures`: Unix milliseconds, and how many attempts in a row have
/// failed. Losing the file costs one attempt, so nothing depends on writing it.
struct Pause {
    path: PathBuf,
}

impl Pause {
    fn read(&self) -> Option<(u64, u32)> {
        let text = std::fs::read_to_string(&self.path).ok()?;
        let (until, failures) = text.trim_end().split_once(' ')?;
        Some((until.parse().ok()?, failures.parse().ok()?))
    }

    /// Returns whether the pause is still in effect. A clock that was set back must not make a
    /// pause long.
    fn is_pending(&self) -> bool {
        let left = self.read().map_or(0, |(until, _)| until.saturating_sub(now_millis()));
        left > 0 && left <= 600_000
    }

    fn lengthen(&self, asked: Option<Duration>) {
        let failures = self.read().map_or(1, |(_, failures)| failures.saturating_add(1));
        let length = pause(failures, MAX_PAUSE, asked, fastrand::f64());
        let until = now_millis() + length.as_millis() as u64;
        let _ = private::write(&self.path, format!("{until} {failures}\n"));
    }

    fn clear(&self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
