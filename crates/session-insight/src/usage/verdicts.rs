//! Why each record of a session counts or not, in the order in which the records were read.
//!
//! A verdict needs all records, and it is given when they are read a second time. In between, a
//! verdict takes one byte for a record that counts, and about twelve for one that does not.

use std::hash::{DefaultHasher, Hash, Hasher};

use session_model::LogKind;
use session_model::records::Record;
use session_model::usage::{RecordRef, Snapshot, Tokens, Usd};

use super::explain::Verdict;
use super::fold::{RequestNumber, Usage};
use super::prices::Prices;
use super::report::Report;

/// The logs that contain records, by the place of their lists.
const LOGS: [LogKind; 2] = [LogKind::Actions, LogKind::Responses];
/// Stored for a record that counts. For another one, 1 and the place of the log are stored, then
/// the record that counts instead.
const COUNTED: u8 = 0;

/// Sums records and notes their order.
#[derive(Debug, Default)]
pub struct OrderedUsage {
    usage: Usage,
    seen: [Seen; LOGS.len()],
}

/// The snapshots of one log, in their order.
#[derive(Debug, Default)]
struct Seen {
    requests: Vec<RequestNumber>,
    seqs: Vec<u64>,
}

fn slot(log: LogKind) -> usize {
    LOGS.iter().position(|known| *known == log).unwrap_or(0)
}

impl OrderedUsage {
    /// Adds the next record of a log.
    pub fn add(&mut self, place: RecordRef, record: &Record) {
        // The verdict on a record without a request is the same whenever it is given.
        if let Ok(request) = self.usage.add(place, record) {
            let seen = &mut self.seen[slot(place.log)];
            seen.requests.push(request);
            seen.seqs.push(place.seq);
        }
    }

    /// Sums what counts.
    pub fn report(&self, prices: &Prices) -> Report {
        self.usage.report(prices)
    }

    /// The verdicts on all records. The rest is dropped.
    pub fn into_verdicts(self) -> Verdicts {
        let mut verdicts = Verdicts::default();
        let logs = verdicts.logs.iter_mut().zip(LOGS).zip(&self.seen);
        for ((verdicts, log), seen) in logs {
            for (request, seq) in seen.requests.iter().zip(&seen.seqs) {
                let counted = self.usage.counted(*request);
                if counted.place == (RecordRef { log, seq: *seq }) {
                    verdicts.bytes.push(COUNTED);
                    continue;
                }
                let slot = u8::try_from(slot(counted.place.log)).expect("there are two logs");
                let content = content(
                    counted.tokens,
                    counted.reported,
                    counted.names.model.as_deref(),
                );
                verdicts.bytes.push(1 + slot);
                verdicts.put(counted.place.seq);
                verdicts.bytes.extend_from_slice(&content.to_le_bytes());
            }
            verdicts.bytes.shrink_to_fit();
        }
        verdicts
    }
}

/// What two records must agree in to say the same about a request, as a digest.
fn content(tokens: Tokens, reported: Option<Usd>, model: Option<&str>) -> u64 {
    let mut digest = DefaultHasher::new();
    (tokens, reported, model).hash(&mut digest);
    digest.finish()
}

/// The verdicts on the records of each log, in their order.
#[derive(Debug, Default)]
pub struct Verdicts {
    logs: [Pending; LOGS.len()],
}

/// The verdicts of one log that were not given yet.
#[derive(Debug, Default)]
struct Pending {
    bytes: Vec<u8>,
    at: usize,
}

impl Verdicts {
    /// The verdict on the next record of a log. Each log is read in the order in which its records
    /// were added.
    pub fn next(&mut self, place: RecordRef, record: &Record) -> Verdict {
        let snapshot = match Snapshot::of(place, record) {
            Ok(snapshot) => snapshot,
            Err(skip) => return skip.into(),
        };
        let pending = &mut self.logs[slot(place.log)];
        let Some((tag, seq, digest)) = pending.take() else {
            return Verdict::NotAdded;
        };
        if tag == COUNTED {
            return Verdict::Counted;
        }
        let counted = RecordRef {
            log: LOGS[usize::from(tag - 1)],
            seq,
        };
        if content(
            snapshot.tokens,
            snapshot.reported,
            snapshot.names.model.as_deref(),
        ) == digest
        {
            Verdict::Repeat { of: counted }
        } else {
            Verdict::Superseded { by: counted }
        }
    }
}

impl Pending {
    /// Writes a number in groups of seven bits, the lowest first.
    fn put(&mut self, mut number: u64) {
        loop {
            let [low, ..] = number.to_le_bytes();
            number >>= 7;
            if number == 0 {
                return self.bytes.push(low & 0x7f);
            }
            self.bytes.push(low | 0x80);
        }
    }

    /// The tag, the sequence number and the digest of the next verdict.
    fn take(&mut self) -> Option<(u8, u64, u64)> {
        let tag = self.byte()?;
        if tag == COUNTED {
            return Some((tag, 0, 0));
        }
        let mut seq = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            seq |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let digest = self.bytes.get(self.at..)?.first_chunk()?;
        self.at += digest.len();
        Some((tag, seq, u64::from_le_bytes(*digest)))
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied();
        self.at += 1;
        byte
    }
}
