//! Finds the position of a session's n-th event without reading the events before it.
//!
//! Each of our logs is dense in `seq` and ascends in `$offset`, so one binary search gives the
//! number of its lines at or below an offset. Another binary search around it finds the offset at
//! which the three counts add up to `n`.

use std::io;

use session_model::{LogKind, Refusal, SessionId};

use super::engine::Engine;
use super::log_file::{LogFile, by_offset, by_seq};
use super::refusals::{open_log, unread_events};

/// A place in one session's history, counted in events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventNumber {
    /// The position after which a reader has received all earlier events of the session.
    pub after: u64,
    /// The number of events before this place.
    pub at: u64,
    /// The number of events in the session.
    pub total: u64,
}

/// How many bytes of a log's end, or of a line's beginning, are read to see a `seq`.
const PROBE: usize = 256;

/// One log, with the seq range of its lines.
struct Ranked {
    file: LogFile,
    first: u64,
    /// The `seq` after the last line.
    end: u64,
}

impl Ranked {
    fn open(file: LogFile) -> io::Result<Self> {
        let seq_at = |at| -> io::Result<Option<u64>> { Ok(by_seq(&file.bytes(at, PROBE)?)) };
        let first = seq_at(file.legacy())?;
        let last = last_seq(&file)?;
        let (first, end) = first
            .zip(last)
            .map_or((0, 0), |(first, last)| (first, last + 1));
        Ok(Self { file, first, end })
    }

    fn len(&self) -> u64 {
        self.end - self.first
    }

    /// Returns the number of lines at or below an offset.
    fn up_to(&self, offset: u64) -> io::Result<u64> {
        let at = self.file.find(offset + 1, by_offset)?;
        let next = by_seq(&self.file.bytes(at, PROBE)?).unwrap_or(self.end);
        Ok(next.min(self.end) - self.first)
    }
}

fn last_seq(file: &LogFile) -> io::Result<Option<u64>> {
    if file.len() == file.legacy() {
        return Ok(None);
    }
    let (_, lines) = file.lines_before(file.legacy(), file.len(), PROBE * 4)?;
    Ok(lines
        .trim_ascii_end()
        .rsplit(|b| *b == b'\n')
        .find_map(by_seq))
}

/// Returns the place of event number `at` among those up to `until`; a negative number counts from
/// the end. Blocking.
pub fn find(
    engine: &dyn Engine,
    id: &SessionId,
    at: i64,
    until: u64,
) -> Result<EventNumber, Refusal> {
    let logs = LogKind::ALL.map(|log| open_log(engine, id, log));
    let logs = logs.into_iter().collect::<Result<Vec<_>, _>>()?;
    number(logs, at, until).map_err(|error| unread_events(&error))
}

fn number(logs: Vec<LogFile>, at: i64, until: u64) -> io::Result<EventNumber> {
    let logs = logs
        .into_iter()
        .map(Ranked::open)
        .collect::<io::Result<Vec<_>>>()?;
    let up_to = |offset| -> io::Result<u64> {
        logs.iter()
            .filter(|log| log.len() > 0)
            .map(|log| log.up_to(offset))
            .sum()
    };
    let total = up_to(until)?;
    let at = if at < 0 {
        total.saturating_add_signed(at)
    } else {
        total.min(at.unsigned_abs())
    };
    let mut low = 0;
    let mut high = until;
    while low < high {
        let middle = low + (high - low) / 2;
        if up_to(middle)? < at {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(EventNumber {
        after: low,
        at,
        total,
    })
}
