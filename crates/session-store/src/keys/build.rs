//! Building the table of a log: opening its runs, and reading the records behind them.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use session_model::record_key::KeyCount;
use session_model::{LogHead, LogKind};

use super::chain::{Covered, open_chain};
use super::merge::{Addition, Owner};
use super::run::{self, RunFault};
use super::scan::scan;
use super::table::KeyTable;
use super::{Digest, KeyWork, Reads};
use crate::error::Damage;
use crate::layout::log_name;
use crate::log_file::LogFile;
use crate::session_cache::{CacheEntry, CachedSession};
use crate::store::Store;

/// What the table of a log is built from: the session as it was seen.
struct Seen {
    owner: Owner,
    /// The offset up to which the session must be durable.
    offset: u64,
    head: LogHead,
    count: Option<KeyCount>,
    noted: u64,
}

impl Seen {
    /// Where the last keyed record ends, or the log, if that is not known.
    fn end(&self) -> u64 {
        self.count
            .map_or(self.head.bytes, |count| count.end.min(self.head.bytes))
    }
}

/// What a fault of a run means to the session that is asked for.
pub(super) fn unread(fault: RunFault) -> Damage {
    let source = match fault {
        RunFault::Io(source) => source,
        RunFault::NotCached | RunFault::Damaged => {
            io::Error::new(io::ErrorKind::InvalidData, "a run is damaged")
        }
    };
    Damage::Io {
        file: "index of record keys",
        source,
    }
}

impl Store {
    /// Does the work on the disk that a lookup of keys needs. Blocks.
    pub(crate) fn do_key_work(&self, cell: &Arc<CacheEntry>, work: &KeyWork) -> Result<(), Damage> {
        let _alone = cell.keying.lock();
        match work {
            KeyWork::Open(log) => self.open_keys(cell, *log, false),
            KeyWork::Rebuild { log, opened } => self.rebuild_keys(cell, *log, *opened),
            KeyWork::Read { wanted, most } => self.read_ahead(cell, wanted, *most),
            KeyWork::Flush => self.flush_tables(cell),
        }
    }

    /// Builds the table of a log from the log alone, because a run is damaged. Of many callers that
    /// found the damage, the first does it.
    fn rebuild_keys(
        &self,
        cell: &Arc<CacheEntry>,
        log: LogKind,
        opened: u64,
    ) -> Result<(), Damage> {
        if let CachedSession::Loaded(loaded) = &mut *cell.slot.lock() {
            if loaded.keys.opened(log) != opened {
                return Ok(());
            }
            loaded.keys.set(log, None);
        }
        tracing::warn!(session = %cell.id, log = log.as_str(), "the index of record keys is damaged: it is rebuilt");
        self.open_keys(cell, log, true)
    }

    /// Builds the table of a log unless there is one. `from_log`: from the log alone.
    fn open_keys(
        &self,
        cell: &Arc<CacheEntry>,
        log: LogKind,
        from_log: bool,
    ) -> Result<(), Damage> {
        while let Some(seen) = self.seen(cell, log) {
            if !self
                .journal
                .wait_durable(seen.offset, seen.owner.generation)
            {
                return Ok(());
            }
            let Some(table) = self.build(cell, log, &seen, from_log)? else {
                return Ok(());
            };
            if let CachedSession::Loaded(loaded) = &mut *cell.slot.lock()
                && loaded.view.created_offset == seen.owner.created_offset
                && loaded.generation == seen.owner.generation
                && loaded.keys.noted(log) == seen.noted
            {
                loaded.keys.set(log, Some(table));
                return Ok(());
            }
        }
        Ok(())
    }

    /// Returns what a table is built from; `None` if there is one, or the session is not loaded.
    fn seen(&self, cell: &CacheEntry, log: LogKind) -> Option<Seen> {
        let CachedSession::Loaded(loaded) = &mut *cell.slot.lock() else {
            return None;
        };
        if loaded.generation != self.journal.generation() || loaded.keys.table(log).is_some() {
            return None;
        }
        let view = &loaded.view;
        Some(Seen {
            owner: Owner {
                created_offset: view.created_offset,
                generation: loaded.generation,
            },
            offset: view.offset,
            head: view.logs[log.index()],
            count: view.keyed.map(|counts| counts.of(log)),
            noted: loaded.keys.noted(log),
        })
    }

    fn build(
        &self,
        cell: &Arc<CacheEntry>,
        log: LogKind,
        seen: &Seen,
        from_log: bool,
    ) -> Result<Option<KeyTable>, Damage> {
        let Some(file) = self.open_log(cell, log)? else {
            return Ok(None);
        };
        let io = |source| Damage::Io {
            file: log_name(log),
            source,
        };
        let mut table = KeyTable::default();
        if !from_log {
            let covered = Covered {
                log,
                created_offset: seen.owner.created_offset,
                len: seen.head.bytes,
                file: &file,
            };
            table.runs = open_chain(&self.layout, &cell.id, &covered, || self.key_files.keep())
                .map_err(io)?;
        }
        let from = table.covered();
        if from < seen.end() {
            self.read_entries(cell, log, seen, &file, &mut table)
                .map_err(io)?;
        }
        Ok(Some(table))
    }

    /// Reads the entries of the records behind the runs. If there are too many for the memory, they
    /// are written to runs.
    fn read_entries(
        &self,
        cell: &CacheEntry,
        log: LogKind,
        seen: &Seen,
        file: &LogFile,
        table: &mut KeyTable,
    ) -> io::Result<()> {
        let most = self.options.keys.most;
        let mut is_writable = true;
        let mut recent = BTreeSet::new();
        let mut last_end = 0;
        let (from, end) = (table.covered(), seen.end());
        scan(file, from, end, |record| {
            if recent.len() >= most && is_writable && last_end > seen.head.legacy {
                let addition = Addition {
                    entries: &recent,
                    to: last_end,
                    mark: run::mark(file, last_end)?,
                };
                match self.merge_keys(cell, seen.owner, log, &table.runs, &addition) {
                    Ok(Some(runs)) => {
                        table.runs = runs;
                        recent.clear();
                    }
                    // The session is gone: the table will not be used.
                    Ok(None) => is_writable = false,
                    Err(fault) => {
                        is_writable = false;
                        tracing::warn!(session = %cell.id, ?fault, "the index of record keys could not be written: it stays in memory");
                    }
                }
            }
            last_end = record.end;
            recent.extend(record.entries());
            Ok(())
        })?;
        table.recent = recent;
        Ok(())
    }

    /// Reads the pages that these lookups need into the page cache.
    fn read_ahead(
        &self,
        cell: &Arc<CacheEntry>,
        wanted: &[(LogKind, Digest)],
        most: usize,
    ) -> Result<(), Damage> {
        for (log, digest) in wanted {
            let (runs, opened) = match &mut *cell.slot.lock() {
                CachedSession::Loaded(loaded) => {
                    let runs = loaded.keys.table(*log).map(|table| table.runs.clone());
                    (runs.unwrap_or_default(), loaded.keys.opened(*log))
                }
                CachedSession::Absent(_) | CachedSession::Unloaded => return Ok(()),
            };
            for run in runs {
                match run.find(*digest, most, Reads::Any) {
                    Ok(_) => {}
                    Err(RunFault::Damaged) => {
                        self.rebuild_keys(cell, *log, opened)?;
                        break;
                    }
                    Err(fault) => return Err(unread(fault)),
                }
            }
        }
        if let CachedSession::Loaded(loaded) = &mut *cell.slot.lock() {
            loaded.keys.read_ahead();
        }
        Ok(())
    }
}
