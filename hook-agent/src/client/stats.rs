//! Statistics of the agent.

use std::sync::atomic::Ordering;

use serde::Serialize;

use crate::delivery::Delivery;
use crate::spool::SpoolStorage;

/// Counters since this process opened its spool. They count records unless stated otherwise.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Accepted from callers.
    pub accepted: u64,
    /// Values without a JSON form, recorded in another form. Counts values, not records.
    pub coerced: u64,
    /// Stored by the service, including records of adopted folders.
    pub delivered: u64,
    /// Rejected permanently by the service; kept in `rejected/`.
    pub rejected: u64,
    /// Dropped to stay within the spool's limit in bytes.
    pub dropped: u64,
    /// Dropped because of their age.
    pub expired: u64,
    /// Lost to damage in the spool's files.
    pub damaged: u64,
    /// Calls that failed because the spool was full or could not be written.
    pub refused: u64,
    /// Values that were stored as blobs. Counts values, not records.
    pub blobs: u64,
    /// Values of which only an excerpt was recorded, because the spool or the service had no room
    /// for them. Counts values, not records.
    pub shortened: u64,
    /// Lost on the way to the service: dropped, expired, damaged or refused. A record of type
    /// `gap` reports them in the session.
    pub lost: u64,
    /// In the spool, not settled yet.
    pub pending: u64,
    /// Requests sent.
    pub batches: u64,
    /// Requests that have to be sent again.
    pub retries: u64,
    /// Batches that got new numbers because the service expected others.
    pub renumbered: u64,
    /// Folders taken over from agents that have ended.
    pub adopted: u64,
    /// Times that delivery could not read or write one of the spool's files.
    pub spool_errors: u64,
    /// Callbacks that panicked.
    pub callback_panics: u64,
    /// False between a failed attempt and the next success, and while the service does not accept
    /// the token.
    pub reachable: bool,
    /// Whether the service refuses access: it requires a token, or does not accept ours. Records
    /// wait in the spool. Records of adopted folders that our token does not cover do not count.
    pub locked: bool,
    /// The latest error, kept after its cause is gone.
    pub last_error: Option<String>,
    /// This process's Producer-Id.
    pub producer: String,
    /// Where undelivered records are.
    pub spool: SpoolStats,
}

/// The spool's location and size.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SpoolStats {
    /// `disk` or `memory`.
    pub kind: &'static str,
    /// The spool's folder, if it is on disk.
    pub path: Option<String>,
    /// Why the spool is in memory.
    pub memory_because: Option<String>,
    /// Bytes in the spool's segments.
    pub bytes: u64,
}

impl Stats {
    pub(crate) fn of(shared: &Delivery) -> Self {
        let spool = &shared.spool;
        let report = &shared.report;
        let counters = &shared.spool.counters;
        let path = match &spool.storage {
            SpoolStorage::Disk(path) => Some(path.display().to_string()),
            SpoolStorage::Memory => None,
        };
        Self {
            accepted: counters.accepted.load(Ordering::Relaxed),
            coerced: counters.coerced.load(Ordering::Relaxed),
            delivered: counters.delivered.load(Ordering::Relaxed),
            rejected: counters.rejected.load(Ordering::Relaxed),
            dropped: counters.dropped.load(Ordering::Relaxed),
            expired: counters.expired.load(Ordering::Relaxed),
            damaged: counters.damaged.load(Ordering::Relaxed),
            refused: counters.refused.load(Ordering::Relaxed),
            blobs: counters.blobs.load(Ordering::Relaxed),
            shortened: counters.shortened.load(Ordering::Relaxed),
            lost: counters.lost(),
            pending: spool.pending(),
            batches: report.batches.load(Ordering::Relaxed),
            retries: report.retries.load(Ordering::Relaxed),
            renumbered: report.renumbered.load(Ordering::Relaxed),
            adopted: report.adopted.load(Ordering::Relaxed),
            spool_errors: report.spool_errors.load(Ordering::Relaxed),
            callback_panics: shared.answers.panics(),
            reachable: !shared.answers.is_failing() && !report.is_locked(),
            locked: report.is_locked(),
            last_error: report.last_error(),
            producer: spool.producer.clone(),
            spool: SpoolStats {
                kind: if path.is_some() { "disk" } else { "memory" },
                path,
                memory_because: shared.memory_because.clone(),
                bytes: spool.bytes(),
            },
        }
    }
}
