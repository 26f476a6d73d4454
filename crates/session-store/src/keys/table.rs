//! The index of one log while its session is loaded: recent entries in memory, the others in runs.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use session_model::record_key::KeyCount;
use session_model::{LogHead, LogKind, RecordBody, View};

use super::entry::{Digest, Entry, entries_of};
use super::run::{Run, RunFault};
use super::scan::scan;
use super::{KEYED_LOGS, KeyLimits, KeyWork, Reads};
use crate::log_file::LogFile;

/// A session whose log has fewer bytes than this behind its runs may leave the memory without a
/// flush: reading them again costs less than writing a run.
const NOT_WORTH_A_FLUSH: u64 = 64 << 10;

/// Entries that are being written to runs.
#[derive(Clone, Debug)]
pub(super) struct Flushing {
    /// The entries.
    pub(super) entries: Arc<BTreeSet<Entry>>,
    /// The length of the log that they cover, together with the runs.
    pub(super) to: u64,
}

/// The index of one log.
#[derive(Debug, Default)]
pub struct KeyTable {
    /// Entries that no run has.
    pub(super) recent: BTreeSet<Entry>,
    /// Entries that a flush is writing, or could not write.
    pub(super) flushing: Option<Flushing>,
    /// What the last [`KeyTables::resolve`] found in runs.
    found: BTreeSet<Entry>,
    /// The runs, the one with the greatest level first. Together they cover the log from its start.
    pub(super) runs: Vec<Arc<Run>>,
    /// Whether a flush was requested.
    queued: bool,
}

impl KeyTable {
    /// Builds the table of a whole log in memory.
    pub(crate) fn of_log(log: &LogFile) -> io::Result<Self> {
        let mut table = Self::default();
        scan(log, 0, log.len(), |record| {
            table.recent.extend(record.entries());
            Ok(())
        })?;
        Ok(table)
    }

    /// How much of the log the runs cover, in bytes.
    pub(super) fn covered(&self) -> u64 {
        self.runs.last().map_or(0, |run| run.header.to)
    }

    /// Returns how many entries are in memory.
    pub(super) fn in_memory(&self) -> usize {
        let flushing = self.flushing.as_ref();
        self.recent.len() + flushing.map_or(0, |flushing| flushing.entries.len())
    }

    /// Returns the lowest sequence number of a digest among the entries in memory.
    fn known(&self, digest: Digest) -> Option<u64> {
        let first = |entries: &BTreeSet<Entry>| entries.range(digest.range()).next().copied();
        let flushing = self.flushing.as_ref();
        let in_memory = [
            first(&self.recent),
            flushing.and_then(|flushing| first(&flushing.entries)),
            first(&self.found),
        ];
        in_memory.into_iter().flatten().min().map(Entry::seq)
    }

    /// Returns the entries of a digest that are in memory.
    pub(super) fn in_memory_of(&self, digest: Digest) -> Vec<Entry> {
        let flushing = self.flushing.iter();
        let sets = std::iter::once(&self.recent).chain(flushing.map(|flushing| &*flushing.entries));
        sets.flat_map(|entries| entries.range(digest.range()))
            .copied()
            .collect()
    }

    /// Brings what the runs know of a digest into memory.
    fn resolve(&mut self, digest: Digest, reads: Reads) -> Result<(), RunFault> {
        if self.known(digest).is_some() {
            return Ok(());
        }
        for run in &self.runs {
            if let Some(entry) = run.find(digest, 1, reads)?.first() {
                self.found.insert(*entry);
                return Ok(());
            }
        }
        Ok(())
    }

    /// Takes the entries that a flush writes; `head` is the end of the log. Entries that an earlier
    /// flush could not write come first.
    pub(super) fn begin_flush(&mut self, head: LogHead) -> Option<Flushing> {
        self.queued = false;
        // The last record of the older service may lack its newline, so the log's end is not known.
        let is_complete = head.bytes > head.legacy;
        if self.flushing.is_none() && is_complete && !self.recent.is_empty() {
            self.flushing = Some(Flushing {
                entries: Arc::new(std::mem::take(&mut self.recent)),
                to: head.bytes,
            });
        }
        self.flushing.clone()
    }

    /// Replaces the runs by those that a flush has written.
    pub(super) fn end_flush(&mut self, runs: Vec<Arc<Run>>) {
        self.runs = runs;
        self.flushing = None;
        self.found.clear();
    }
}

/// Why keys cannot be looked up now.
#[derive(Debug)]
pub enum Unresolved {
    /// Work on the disk comes first.
    Work(KeyWork),
    /// A run could not be read.
    Failed(io::Error),
}

/// The indexes of a session's logs; each exists once it is needed.
#[derive(Debug, Default)]
pub struct KeyTables {
    tables: [Option<Box<KeyTable>>; 2],
    /// The number of entries that were noted since the session was loaded, per log.
    noted: [u64; 2],
    /// The number of indexes that were installed since then, per log.
    opened: [u64; 2],
    /// Whether the pages for the next lookup were read ahead: it may then read any page, so that it
    /// makes progress even if the page cache has dropped them again.
    is_read_ahead: bool,
}

fn slot_of(log: LogKind) -> Option<usize> {
    KEYED_LOGS.iter().position(|keyed| *keyed == log)
}

impl KeyTables {
    /// Returns the index of a log, if it exists.
    pub fn table(&mut self, log: LogKind) -> Option<&mut KeyTable> {
        self.tables[slot_of(log)?].as_deref_mut()
    }

    /// Returns whether the index of a log exists, or is known to be empty.
    pub fn is_open(&mut self, view: &View, log: LogKind) -> bool {
        self.table(log).is_some() || has_nothing(view, log)
    }

    /// Returns how many entries of a log were noted since the session was loaded.
    pub fn noted(&self, log: LogKind) -> u64 {
        slot_of(log).map_or(0, |slot| self.noted[slot])
    }

    /// Returns how many indexes of a log were installed since the session was loaded: a number that
    /// tells them apart.
    pub fn opened(&self, log: LogKind) -> u64 {
        slot_of(log).map_or(0, |slot| self.opened[slot])
    }

    /// Installs or drops the index of a log.
    pub fn set(&mut self, log: LogKind, table: Option<KeyTable>) {
        if let Some(slot) = slot_of(log) {
            self.opened[slot] += u64::from(table.is_some());
            self.tables[slot] = table.map(Box::new);
        }
    }

    /// Makes everything known that the index has about these digests, so that [`KeyTables::find`]
    /// answers from memory. The caller must keep the session locked in between.
    pub fn resolve(
        &mut self,
        view: &View,
        wanted: &[(LogKind, Digest)],
        limits: KeyLimits,
    ) -> Result<(), Unresolved> {
        for log in KEYED_LOGS {
            if wanted.iter().any(|(of, _)| *of == log) {
                let work = self.prepare(view, log, limits);
                work.map_or(Ok(()), |work| Err(Unresolved::Work(work)))?;
            }
        }
        let reads = if std::mem::take(&mut self.is_read_ahead) {
            Reads::Any
        } else {
            Reads::Cached
        };
        for (log, digest) in wanted {
            let opened = self.opened(*log);
            let Some(table) = self.table(*log) else {
                continue;
            };
            table.resolve(*digest, reads).map_err(|fault| match fault {
                RunFault::NotCached => Unresolved::Work(KeyWork::Read {
                    wanted: wanted.to_vec(),
                    most: 1,
                }),
                RunFault::Damaged => Unresolved::Work(KeyWork::Rebuild { log: *log, opened }),
                RunFault::Io(error) => Unresolved::Failed(error),
            })?;
        }
        Ok(())
    }

    /// Notes that the pages for the next lookup were read ahead.
    pub(super) fn read_ahead(&mut self) {
        self.is_read_ahead = true;
    }

    /// Returns the work that a lookup in this log needs first; creates the index of a log without
    /// keyed records.
    fn prepare(&mut self, view: &View, log: LogKind, limits: KeyLimits) -> Option<KeyWork> {
        let head = view.logs[log.index()];
        if let Some(table) = self.table(log) {
            table.found.clear();
            let is_full = table.in_memory() >= limits.most && head.bytes > head.legacy;
            return is_full.then_some(KeyWork::Flush);
        }
        if has_nothing(view, log) {
            self.set(log, Some(KeyTable::default()));
            return None;
        }
        Some(KeyWork::Open(log))
    }

    /// Returns the sequence number of the record with a key. The digest must be resolved.
    pub fn find(&mut self, log: LogKind, digest: Digest) -> Option<u64> {
        self.table(log)?.known(digest)
    }

    /// Enters a record that is appended. Call before the record is applied to the view.
    pub fn note(&mut self, view: &View, log: LogKind, body: &RecordBody<'_>, seq: u64) {
        let Some(slot) = slot_of(log).filter(|_| body.indexed().any()) else {
            return;
        };
        self.noted[slot] += 1;
        if self.tables[slot].is_none() && has_nothing(view, log) {
            self.set(log, Some(KeyTable::default()));
        }
        if let Some(table) = self.table(log) {
            table.recent.extend(entries_of(body, seq));
        }
    }

    /// Returns whether a flush is due, once for each time that it becomes due.
    pub fn take_due(&mut self, view: &View, limits: KeyLimits) -> bool {
        let mut is_due = false;
        for log in KEYED_LOGS {
            let end = view.logs[log.index()].bytes;
            let Some(table) = self.table(log).filter(|table| !table.queued) else {
                continue;
            };
            let behind = end.saturating_sub(table.covered());
            if !table.recent.is_empty()
                && (table.recent.len() >= limits.flush_entries || behind >= limits.flush_bytes)
            {
                table.queued = true;
                is_due = true;
            }
        }
        is_due
    }

    /// Returns whether so much of a log is not in runs that a flush must come before the session
    /// leaves the memory.
    pub fn needs_flush(&self, view: &View) -> bool {
        KEYED_LOGS.iter().zip(&self.tables).any(|(log, table)| {
            let head = view.logs[log.index()];
            table.as_ref().is_some_and(|table| {
                table.in_memory() > 0
                    && head.bytes > head.legacy
                    && head.bytes - table.covered().min(head.bytes) >= NOT_WORTH_A_FLUSH
            })
        })
    }
}

/// Returns whether a log is known to have no keyed records.
fn has_nothing(view: &View, log: LogKind) -> bool {
    view.keyed
        .is_some_and(|counts| counts.of(log) == KeyCount::default())
}
