//! The exit codes. 1 and 2 are not used: agents take 2 from a hook as "deny".

use std::io::Write;

use crate::Error;
use crate::text::one_line;

/// How the command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: done; for a write: in the spool, or stderr says why not.
    Done,
    /// 64: the command line, a variable or the session id is not usable.
    Usage,
    /// 65: the event is not a JSON object, or is too large.
    Data,
    /// 69: no answer from the service in time (a write only with `--strict`).
    Unavailable,
    /// 74: the spool can't be written (only with `--strict`).
    Spool,
    /// 76: the service refused it (a write only with `--strict`).
    Refused,
    /// `exec`: the program's own code, 128 + its signal, 126 if it can't be run, 127 if it isn't
    /// there.
    Program(u8),
}

impl Exit {
    /// Returns the exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Usage => 64,
            Self::Data => 65,
            Self::Unavailable => 69,
            Self::Spool => 74,
            Self::Refused => 76,
            Self::Program(code) => code,
        }
    }

    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::InvalidSession { .. } | Error::Config { .. } => Self::Usage,
            Error::NotJson { .. } | Error::TooLarge { .. } => Self::Data,
            Error::SpoolFull { .. }
            | Error::SpoolWrite { .. }
            | Error::Thread { .. }
            | Error::Dropped { .. } => Self::Spool,
            Error::Closed
            | Error::Forgotten
            | Error::Unreachable { .. }
            | Error::Timeout { .. } => Self::Unavailable,
            Error::Rejected { .. } | Error::Refused { .. } => Self::Refused,
        }
    }
}

/// An error that is reported on stderr and ends the command.
#[derive(Debug)]
pub(super) struct Failure {
    pub exit: Exit,
    pub message: String,
}

impl Failure {
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            message: message.into(),
        }
    }

    pub(super) fn report(&self) -> Exit {
        warn(&self.message);
        self.exit
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            exit: Exit::of(&error),
            message: error.to_string(),
        }
    }
}

/// Prints a line for people on stderr. A closed stderr is no reason to fail.
pub(super) fn warn(message: &str) {
    let _ = writeln!(std::io::stderr(), "hook-agent: {}", one_line(message));
}

/// Prints data on stdout. A closed pipe is success.
pub(super) fn print(text: &str) -> Exit {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    Exit::Done
}
