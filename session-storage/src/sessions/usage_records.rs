//! Reads the `usage` records of a session, each with what its amendments add.
//!
//! A sum needs memory for each model request of the session. So only [`AT_ONCE`] sessions are summed
//! at the same time, and other requests wait. Nothing of this is kept while a client takes its
//! answer: of the requests only the verdicts are left, a few bytes for each record.

use std::sync::Arc;

use actix_web::web;
use session_insight::usage::{Amendments, RecordRef};
use session_model::record_key::{KeyCounts, MAX_AMENDMENT};
use session_model::records::{Record, RecordType};
use session_model::{Code, Refusal, SessionId, View};
use session_store::log_records::{LOGS, LogRecords, StoredLine, StoredRecord};
use tokio::sync::OwnedSemaphorePermit;

use super::service::Sessions;

/// Number of sessions that are summed at the same time; others wait.
pub(super) const AT_ONCE: usize = 2;

/// What is known of a session before its logs are read.
#[derive(Clone, Copy)]
pub(super) struct Known {
    /// The lengths of the logs, in bytes.
    pub(super) lengths: [u64; 3],
    /// The position of the last event.
    pub(super) offset: u64,
    keyed: Option<KeyCounts>,
}

impl Known {
    pub(super) fn of(view: &View) -> Self {
        Self {
            lengths: view.logs.map(|head| head.bytes),
            offset: view.offset,
            keyed: view.keyed,
        }
    }

    /// The length of the logs that have records, in bytes.
    pub(super) fn record_bytes(&self) -> u64 {
        LOGS.iter().map(|log| self.lengths[log.index()]).sum()
    }
}

/// Permits a request to sum a session.
pub(super) struct Turn(OwnedSemaphorePermit);

impl Sessions {
    /// Waits until fewer than [`AT_ONCE`] sessions are being summed.
    pub(super) async fn turn_to_sum(&self) -> Result<Turn, Refusal> {
        let permit = Arc::clone(&self.summing).acquire_owned().await;
        permit.map(Turn).map_err(|_| not_summed())
    }

    /// Does the work of a request that sums a session, on the blocking pool, once it is its turn.
    pub(super) async fn sum<R: Send + 'static>(
        &self,
        id: &SessionId,
        known: Known,
        work: impl FnOnce(&mut [LogRecords; 2], &mut Amendments) -> Result<R, Refusal> + Send + 'static,
    ) -> Result<Summed<R>, Refusal> {
        let turn = self.turn_to_sum().await?;
        self.sum_in_turn(turn, id, known, work).await
    }

    /// Does the same for a request whose turn it is.
    pub(super) async fn sum_in_turn<R: Send + 'static>(
        &self,
        turn: Turn,
        id: &SessionId,
        known: Known,
        work: impl FnOnce(&mut [LogRecords; 2], &mut Amendments) -> Result<R, Refusal> + Send + 'static,
    ) -> Result<Summed<R>, Refusal> {
        let engine = Arc::clone(&self.engine);
        let name = id.clone();
        let summed = web::block(move || {
            let Turn(_permit) = turn;
            let mut logs = LogRecords::of_session(&*engine, &name, known.lengths)?;
            let mut amendments = amendments(&mut logs, &known)?;
            let result = work(&mut logs, &mut amendments)?;
            amendments.drop_unused();
            logs.iter_mut().for_each(LogRecords::rewind);
            Ok(Summed {
                result,
                logs,
                amendments,
            })
        });
        summed.await.map_err(|_| not_summed())?
    }
}

fn not_summed() -> Refusal {
    Refusal::new(Code::Internal, "the usage could not be summed")
}

/// What was summed, with the logs at their start.
pub(super) struct Summed<R> {
    pub(super) result: R,
    pub(super) logs: [LogRecords; 2],
    pub(super) amendments: Amendments,
}

/// Reads the amendments of usage records. The logs are at their start again afterwards. Blocking.
fn amendments(logs: &mut [LogRecords; 2], known: &Known) -> Result<Amendments, Refusal> {
    let mut amendments = Amendments::default();
    for (log, kind) in logs.iter_mut().zip(LOGS) {
        let has_none = known
            .keyed
            .is_some_and(|counts| counts.of(kind).amends == 0);
        if has_none {
            continue;
        }
        while let Some(line) = log.next_line()? {
            if line.may_be(RecordType::Amend) && line.size() <= MAX_AMENDMENT {
                amendments.note(kind, &line.record()?.fields);
            }
        }
        log.rewind();
    }
    Ok(amendments)
}

/// Returns the record of a line if it may be a `usage` record, with its amendments. Blocking.
pub(super) fn usage_record(
    line: &StoredLine,
    amendments: &mut Amendments,
) -> Result<Option<(RecordRef, Record)>, Refusal> {
    if !line.may_be(RecordType::Usage) {
        return Ok(None);
    }
    let StoredRecord {
        log,
        seq,
        mut fields,
    } = line.record()?;
    amendments.fold(log, &mut fields);
    let record = Record::of_fields(fields).record;
    Ok(Some((RecordRef { log, seq }, record)))
}
