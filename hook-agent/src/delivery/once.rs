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
use super::held::SpoolDrain;
use super::turn::Turn;
use super::{Answers, Report};
use crate::Config;
use crate::spool::{Limits, SharedFolder, Spool, now_millis, private};
use crate::transport::{self, Request, Response, Transport, TransportError};

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
            let Some(lock) = self.lock()? else {
                return Ok(Delivered::LeftToOthers);
            };
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
        let mut drain = SpoolDrain::new(Arc::new(spool), head).of_shared(patience);
        let ended = self.drain_until_idle(&mut drain);
        // However it ended: the next process knows nothing of these losses.
        self.report(&drain.spool)?;
        Ok(ended)
    }

    fn drain_until_idle(&self, drain: &mut SpoolDrain) -> Delivered {
        let report = Report::default();
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return out_of_time();
            }
            let (turn, is_out_of_time) = self.turn(drain, left, &report);
            match turn {
                Turn::Progress => {}
                Turn::Idle => {
                    self.pause().clear();
                    if drain.held_records() > 0 {
                        return Delivered::Failed(report.last_error().unwrap_or_default());
                    }
                    return Delivered::All;
                }
                // The service was not asked, so others need not pause.
                Turn::Failed { .. } if is_out_of_time => return out_of_time(),
                turn @ (Turn::Failed { .. } | Turn::Locked) => {
                    let asked = if let Turn::Failed { after } = turn {
                        after
                    } else {
                        None
                    };
                    self.pause().lengthen(asked);
                    return Delivered::Failed(report.last_error().unwrap_or_default());
                }
            }
        }
    }

    /// Appends `gap` records for the losses that delivery found. They are delivered next, like any
    /// appended record.
    fn report(&self, delivered: &Spool) -> io::Result<()> {
        let losses = delivered.take_losses();
        if !losses.is_empty() {
            let (spool, _) = self.folder.hold()?.open(Limits::of(self.config, false))?;
            spool.add_losses(losses);
            spool.report_losses();
        }
        Ok(())
    }

    /// Runs one turn; no request of it takes longer than the remaining time. Also returns whether a
    /// request was not sent because no time was left. This opens a connection per turn, which takes
    /// microseconds on the local machine.
    fn turn(&self, drain: &mut SpoolDrain, left: Duration, report: &Report) -> (Turn, bool) {
        let config = Config {
            connect_timeout: left.min(self.config.connect_timeout),
            answer_timeout: left.min(self.config.answer_timeout),
            ..self.config.clone()
        };
        match transport::open(&config) {
            Ok(transport) => {
                let mut timed = Timed {
                    transport,
                    deadline: self.deadline,
                    is_out_of_time: false,
                };
                let turn = drain.turn(&mut timed, None::<&Answers>, report);
                (turn, timed.is_out_of_time)
            }
            Err(error) => {
                report.failed(error.to_string());
                (Turn::Failed { after: None }, false)
            }
        }
    }

    fn pause(&self) -> Pause {
        Pause {
            path: self.folder.path.join("pause"),
        }
    }
}

fn out_of_time() -> Delivered {
    Delivered::Failed("the service did not accept everything in time".to_owned())
}

/// A transport for requests up to a deadline: a turn makes several of them.
struct Timed {
    transport: Box<dyn Transport>,
    deadline: Instant,
    /// A request was not sent because no time was left.
    is_out_of_time: bool,
}

impl Transport for Timed {
    fn shows_token(&self) -> bool {
        self.transport.shows_token()
    }

    fn limit(&mut self, most: Duration) {
        self.transport.limit(most);
    }

    fn send(&mut self, request: &Request<'_>) -> Result<Response, TransportError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            self.is_out_of_time = true;
            return Err(TransportError::Exchange("no time is left".to_owned()));
        }
        self.transport.limit(left);
        self.transport.send(request)
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
        let left = self
            .read()
            .map_or(0, |(until, _)| until.saturating_sub(now_millis()));
        left > 0 && left <= 600_000
    }

    fn lengthen(&self, asked: Option<Duration>) {
        let failures = self
            .read()
            .map_or(1, |(_, failures)| failures.saturating_add(1));
        let length = pause(failures, MAX_PAUSE, asked, fastrand::f64());
        let until = now_millis() + length.as_millis() as u64;
        let _ = private::write(&self.path, format!("{until} {failures}\n"));
    }

    fn clear(&self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A service that must not be asked.
    struct Unasked;

    impl Transport for Unasked {
        fn shows_token(&self) -> bool {
            false
        }

        fn limit(&mut self, _: Duration) {}

        fn send(&mut self, _: &Request<'_>) -> Result<Response, TransportError> {
            panic!("a request was sent after the deadline")
        }
    }

    #[test]
    fn a_request_after_the_deadline_is_not_sent_and_is_no_failure_of_the_service() {
        let mut timed = Timed {
            transport: Box::new(Unasked),
            deadline: Instant::now(),
            is_out_of_time: false,
        };
        let request = Request {
            method: "GET",
            path: "/".to_owned(),
            content_type: "",
            producer: None,
            body: b"",
        };
        assert!(timed.send(&request).is_err());
        assert!(timed.is_out_of_time);
    }

    #[test]
    fn a_pause_is_read_and_written_as_this_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pause");
        std::fs::write(&path, b"1795975040957 1\n").unwrap();
        let pause = Pause { path: path.clone() };
        assert_eq!(pause.read(), Some((1_795_975_040_957, 1)));
        pause.lengthen(None);
        let written = std::fs::read_to_string(&path).unwrap();
        let until = written.strip_suffix(" 2\n").expect(&written);
        assert_eq!(until.len(), "1795975040957".len(), "{written}");
        assert!(until.bytes().all(|byte| byte.is_ascii_digit()), "{written}");
    }
}
