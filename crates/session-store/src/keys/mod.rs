//! The index of record keys: finds the record with a key, and the records that amend it.
//!
//! # A function of the log
//! A key is stored nowhere but in its record. The index names, for each key, the record's sequence
//! number; it can be deleted at any time and is rebuilt from the log. `session-storage check`
//! compares the two.
//!
//! # Layout
//! An [`Entry`] is 88 bits of a SHA-256 and a sequence number. It is in one of two places:
//! - **In memory** ([`table`]): the entries of records appended since the last flush. The table is
//!   part of the loaded session; it is built when the first keyed record arrives or a key is looked
//!   up, and dropped with the session. A session without keys has no table and no file.
//! - **In runs** ([`run`]): immutable sorted files `keys-<log>-<level>.idx` in the session's folder.
//!   A flush merges the entries in memory into the lowest level that has space for them, and every
//!   run of a lower level with them. Each level holds 16 times as many entries as the one below, so
//!   a lookup among 1,000,000 keys reads a few pages of at most three runs, and each record is
//!   rewritten about twice.
//!
//! # What is believed
//! A run states which part of the log it covers, in bytes, and the checksum of the log's last bytes
//! there. A run is used only if it covers the log from where the next greater run ends, without a
//! gap, and if the log still has these bytes. Each page has a checksum of its own, which every
//! lookup verifies. Records behind the covered part are read from the log when the table is built:
//! at most 1 MiB, since a flush is due after that, and only up to the last keyed record, whose end
//! the metadata holds.
//!
//! # Crash cases
//! | Found when the table is built | Outcome |
//! |---|---|
//! | no run, a damaged or foreign run, a run of another session of that name | it and the runs that depend on it are ignored; the part is read from the log and the next flush replaces them |
//! | a run that is ahead of the log, as after a power cut without `always` | the log's bytes at the run's end differ: ignored as above |
//! | a crash between a merged run and the removal of the runs in it | these cover nothing that the merged run does not cover: ignored, and removed by the next flush |
//! | a crash while a run is written | a temporary file, never read; the next flush overwrites it |
//! | a damaged page, or one that the disk cannot read, found by a lookup | the index is rebuilt from the log before the lookup is answered |
//! | a damaged record in the log | it has no key: a repeat is stored |
//!
//! Runs above level 1 are synced before the runs and entries that they replace are dropped. A run
//! of level 1 is not: a power cut costs at most the reading of 16,384 records.
//!
//! Only entries of durable records get into a run, and a commit that fails drops the table with the
//! session. So the index never names a record that was not stored.
//!
//! # Locks
//! [`CacheEntry::keying`](crate::session_cache::CacheEntry::keying) is held while a table is built,
//! flushed or rebuilt, and taken before all others. Runs are written without a lock on the folder;
//! with that lock held, the session is examined again and the finished file is renamed.

mod build;
mod chain;
mod entry;
mod flush;
mod flush_queue;
pub mod lookup;
mod merge;
mod run;
mod run_writer;
mod scan;
mod table;

#[cfg(test)]
mod tests;

pub(crate) use chain::{Covered, open_chain, run_path};
pub use entry::{Digest, Entry};
pub(crate) use flush_queue::FlushQueue;
pub(crate) use run::{Run, RunFault};
pub(crate) use scan::{Scanned, scan};
pub use table::{KeyTable, KeyTables, Unresolved};

use session_model::LogKind;

/// The logs whose records have keys.
pub const KEYED_LOGS: [LogKind; 2] = [LogKind::Actions, LogKind::Responses];

/// When entries leave the memory, and how large runs become.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyLimits {
    /// A flush is due when this many entries are in memory.
    pub flush_entries: usize,
    /// A flush is due when the log has this many bytes that runs do not cover.
    pub flush_bytes: u64,
    /// The most entries in memory: a writer waits for a flush.
    pub most: usize,
    /// The most entries in a run of level 1.
    pub level_entries: u64,
}

impl Default for KeyLimits {
    fn default() -> Self {
        Self {
            flush_entries: 1024,
            flush_bytes: 1 << 20,
            most: 65_536,
            level_entries: 16_384,
        }
    }
}

impl KeyLimits {
    /// Limits under which nothing leaves the memory.
    pub const NEVER: Self = Self {
        flush_entries: usize::MAX,
        flush_bytes: u64::MAX,
        most: usize::MAX,
        level_entries: u64::MAX,
    };
}

/// Whether a lookup may wait for the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reads {
    /// Only pages in the page cache are read.
    Cached,
    /// Pages are read from the disk if needed.
    Any,
}

/// Work on the disk that must be done before keys can be looked up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeyWork {
    /// Build the table of a log.
    Open(LogKind),
    /// Read the pages that these lookups need.
    Read {
        /// What is looked up.
        wanted: Vec<(LogKind, Digest)>,
        /// How many entries of each are looked up at most.
        most: usize,
    },
    /// Write the entries in memory to runs: there are too many.
    Flush,
    /// Build the table of a log without its runs, one of which is damaged.
    Rebuild {
        /// The log.
        log: LogKind,
        /// The table in which the damage was found: [`KeyTables::opened`] at that time. Another
        /// table is not rebuilt.
        opened: u64,
    },
}
