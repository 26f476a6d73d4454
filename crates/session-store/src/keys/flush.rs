//! Flushing: moves the entries in memory to runs, on a thread of its own.

use std::sync::Arc;

use session_model::LogKind;

use super::build::unread;
use super::chain::run_path;
use super::merge::{Addition, Owner};
use super::run::{self, Run, RunFault};
use super::table::Flushing;
use super::{KEYED_LOGS, KeyWork};
use crate::error::Damage;
use crate::layout::log_name;
use crate::session_cache::{CacheEntry, CachedSession};
use crate::store::Store;

/// What a flush of one log writes.
struct Taken {
    owner: Owner,
    offset: u64,
    flushing: Flushing,
    runs: Vec<Arc<Run>>,
}

impl Store {
    /// Requests that a session's entries are written to runs soon.
    pub(crate) fn queue_key_flush(&self, cell: &Arc<CacheEntry>) {
        self.key_flushes.push(cell);
    }

    /// Runs until the store stops.
    pub(crate) fn flush_keys_when_due(&self) {
        while let Some(cell) = self.key_flushes.next() {
            self.flush_keys(&cell);
        }
    }

    /// Flushes before the store is closed, so that the next start reads no log.
    pub(crate) fn flush_all_keys(&self) {
        for cell in self.cache.all() {
            let is_due = match &*cell.slot.lock() {
                CachedSession::Loaded(loaded) => loaded.keys.needs_flush(&loaded.view),
                CachedSession::Absent(_) | CachedSession::Unloaded => false,
            };
            if is_due {
                self.flush_keys(&cell);
            }
        }
    }

    /// Flushes; a failure leaves the entries in memory, and the next flush tries again.
    fn flush_keys(&self, cell: &Arc<CacheEntry>) {
        if let Err(damage) = self.do_key_work(cell, &KeyWork::Flush) {
            tracing::warn!(session = %cell.id, %damage, "the index of record keys could not be written: it stays in memory and is tried again");
        }
    }

    /// Writes the entries in memory to runs. The caller holds the session's `keying` lock.
    pub(super) fn flush_tables(&self, cell: &Arc<CacheEntry>) -> Result<(), Damage> {
        let limits = self.options.keys;
        // The second round is for entries that came while an earlier flush could not be written.
        let rounds = [1, limits.flush_entries.max(1)];
        for (log, least) in KEYED_LOGS
            .into_iter()
            .flat_map(|log| rounds.map(|least| (log, least)))
        {
            if let Some(taken) = take(cell, log, least) {
                if !self
                    .journal
                    .wait_durable(taken.offset, taken.owner.generation)
                {
                    return Ok(());
                }
                self.flush_table(cell, log, &taken)?;
            }
        }
        Ok(())
    }

    fn flush_table(
        &self,
        cell: &Arc<CacheEntry>,
        log: LogKind,
        taken: &Taken,
    ) -> Result<(), Damage> {
        let Some(file) = self.open_log(cell, log)? else {
            return Ok(());
        };
        let addition = Addition {
            entries: &taken.flushing.entries,
            to: taken.flushing.to,
            mark: run::mark(&file, taken.flushing.to).map_err(|source| Damage::Io {
                file: log_name(log),
                source,
            })?,
        };
        let merged = match self.merge_keys(cell, taken.owner, log, &taken.runs, &addition) {
            Ok(Some(runs)) => runs,
            Ok(None) => return Ok(()),
            Err(RunFault::Damaged) => {
                // The next lookup builds the table from the log.
                self.drop_table(cell, log);
                return Ok(());
            }
            Err(fault) => return Err(unread(fault)),
        };
        let mut slot = cell.slot.lock();
        if taken.owner.is_in(&slot)
            && let CachedSession::Loaded(loaded) = &mut *slot
            && let Some(table) = loaded.keys.table(log)
        {
            table.end_flush(merged);
        }
        Ok(())
    }

    /// Drops a table whose runs are damaged, with the runs.
    fn drop_table(&self, cell: &CacheEntry, log: LogKind) {
        tracing::warn!(session = %cell.id, log = log.as_str(), "the index of record keys is damaged: it is rebuilt when it is needed");
        for level in 1..=crate::layout::KEY_LEVELS {
            let path = run_path(&self.layout, &cell.id, log, level);
            if let Err(error) = std::fs::remove_file(&path) {
                tracing::debug!(%error, level, "no run to remove");
            }
        }
        if let CachedSession::Loaded(loaded) = &mut *cell.slot.lock() {
            loaded.keys.set(log, None);
        }
    }
}

/// Takes the entries of one log, if there are at least so many.
fn take(cell: &CacheEntry, log: LogKind, least: usize) -> Option<Taken> {
    let CachedSession::Loaded(loaded) = &mut *cell.slot.lock() else {
        return None;
    };
    let head = loaded.view.logs[log.index()];
    let owner = Owner {
        created_offset: loaded.view.created_offset,
        generation: loaded.generation,
    };
    let offset = loaded.view.offset;
    let table = loaded.keys.table(log)?;
    if table.in_memory() < least {
        return None;
    }
    let flushing = table.begin_flush(head)?;
    Some(Taken {
        owner,
        offset,
        flushing,
        runs: table.runs.clone(),
    })
}
