//! Log repair while the service runs: logs that lack acknowledged lines are detected when they are
//! read or when a snapshot is written, and are completed from the journal.
//!
//! Another program can truncate, move or write-protect a log at any time. A log must hold
//! everything that its session's view counts; if it does not, the missing lines are taken from the
//! journal. During the repair the session accepts no writes (see [`Pending`]), so its view does not
//! change and no lock has to be held. If the journal no longer holds the lines either, they are
//! lost and the session is quarantined. A log that merely cannot be opened now is left alone.

use std::io;
use std::sync::Arc;

use session_model::{LogHead, LogKind, View, line};

use super::error::Damage;
use super::incomplete::PendingWork;
use super::journaled::Journaled;
use super::layout::log_name;
use super::log_file::LogFile;
use super::log_writer::discard;
use super::recovery;
use super::session_cache::{CacheEntry, CachedSession};
use super::session_dir;
use super::store::Store;

/// Returns whether a log holds what a view counts, judged by its length and its end.
///
/// The last counted line must end with its seal at the counted length. The last line of the legacy
/// service may lack its newline.
fn covers(file: &LogFile, head: LogHead) -> io::Result<bool> {
    if head.bytes == head.legacy {
        return Ok(file.len() + 1 >= head.bytes);
    }
    let end = line::SEAL_LEN as u64 + 1;
    if file.len() < head.bytes || head.bytes < end {
        return Ok(false);
    }
    let last = file.bytes(head.bytes - end, end as usize)?;
    Ok(last.strip_suffix(b"\n").is_some_and(line::is_seal))
}

impl Store {
    /// Opens a log for reading, up to the length that the session's view counts; `None` if there is
    /// no such session.
    ///
    /// A log that lacks lines is completed first. Blocks on the disk.
    pub fn open_log(
        &self,
        cell: &Arc<CacheEntry>,
        log: LogKind,
    ) -> Result<Option<LogFile>, Damage> {
        let mut healed = false;
        loop {
            self.load(cell)?;
            let (head, offset, generation) = match &*cell.slot.lock() {
                CachedSession::Loaded(loaded) => (
                    loaded.view.logs[log.index()],
                    loaded.view.offset,
                    loaded.generation,
                ),
                CachedSession::Absent(_) => return Ok(None),
                CachedSession::Unloaded => continue,
            };
            let io = |source| Damage::Io {
                file: log_name(log),
                source,
            };
            let open = || LogFile::open(&self.layout.log(&cell.id, log), head.legacy).map_err(io);
            let file = open()?;
            if covers(&file, head).map_err(io)? {
                return Ok(Some(file.up_to(head.bytes)));
            }
            // The newest lines may not be written yet.
            if !self.journal.wait_durable(offset, generation) {
                if self.journal.has_failed() {
                    return Ok(Some(file));
                }
                continue;
            }
            let file = open()?;
            if covers(&file, head).map_err(io)? {
                return Ok(Some(file.up_to(head.bytes)));
            }
            if healed {
                return Err(Damage::Short {
                    file: log_name(log),
                    found: file.len(),
                    expected: head.bytes,
                });
            }
            self.behind.note(&cell.id, PendingWork::LogsShort);
            match self.complete(cell) {
                // A full disk, a read-only file system, a log with a different owner: the lines in
                // the file and in the journal can still be read.
                Err(damage) if damage.is_passing() => {
                    let view = match &*cell.slot.lock() {
                        CachedSession::Loaded(loaded) => loaded.view.clone(),
                        CachedSession::Absent(_) | CachedSession::Unloaded => continue,
                    };
                    return self.read_from_journal(&view, log).map(Some);
                }
                done => done?,
            }
            healed = true;
        }
    }

    /// Opens a log that cannot be completed now, with the lines that it lacks taken from the
    /// journal. Its session accepts no writes.
    fn read_from_journal(&self, view: &View, log: LogKind) -> Result<LogFile, Damage> {
        let head = view.logs[log.index()];
        let io = |file| move |source| Damage::Io { file, source };
        let entries = recovery::entries_of(&self.layout, &view.id).map_err(io("journal"))?;
        let journaled = Journaled {
            entries: &entries,
            end: u64::MAX,
        };
        let file = session_dir::completed_log(&self.layout, view, log, journaled)?;
        if !covers(&file, head).map_err(io(log_name(log)))? {
            return Err(Damage::Short {
                file: log_name(log),
                found: file.len(),
                expected: head.bytes,
            });
        }
        Ok(file.up_to(head.bytes))
    }

    /// Does the work that a session needs before it accepts writes. Blocks on the disk.
    pub fn complete(&self, cell: &Arc<CacheEntry>) -> Result<(), Damage> {
        match self.behind.pending(&cell.id) {
            None | Some(PendingWork::Unrecovered(_)) => Ok(()),
            Some(PendingWork::LogsShort) => self.heal(cell),
            Some(PendingWork::Undeleted(offset)) => self.discard_again(cell, offset),
        }
    }

    /// Moves a deleted session's folder to the trash, which failed when the session was deleted.
    pub(super) fn discard_again(&self, cell: &Arc<CacheEntry>, offset: u64) -> Result<(), Damage> {
        let _alone = self.directory_locks.enter(&cell.id);
        discard(&self.layout, &cell.id, offset).map_err(|source| Damage::Io {
            file: "folder",
            source,
        })?;
        self.directory_locks.note_moved(&cell.id);
        self.behind.done(&cell.id);
        Ok(())
    }

    fn heal(&self, cell: &Arc<CacheEntry>) -> Result<(), Damage> {
        let _loading = cell.loading.lock();
        let view = loop {
            // The session accepts no writes: once its pending events are durable, the view no
            // longer changes.
            let (view, generation) = match &*cell.slot.lock() {
                CachedSession::Loaded(loaded) => (loaded.view.clone(), loaded.generation),
                // The session is read again from its files when it is next requested.
                CachedSession::Absent(_) | CachedSession::Unloaded => {
                    self.behind.done(&cell.id);
                    return Ok(());
                }
            };
            if generation != self.journal.generation()
                || self.behind.pending(&cell.id) != Some(PendingWork::LogsShort)
            {
                return Ok(());
            }
            if self.journal.wait_durable(view.offset, generation) {
                break view;
            }
        };
        let alone = self.directory_locks.enter(&cell.id);
        match self.complete_logs(&view) {
            Ok(()) => {
                // The commit thread may have a file open that is no longer the log.
                self.directory_locks.note_moved(&cell.id);
                self.behind.done(&cell.id);
                Ok(())
            }
            Err(damage) => {
                drop(alone);
                if !damage.is_passing() {
                    self.quarantine_session(cell, &damage);
                }
                Err(damage)
            }
        }
    }

    fn complete_logs(&self, view: &View) -> Result<(), Damage> {
        if self.logs_are_whole(view, true)? {
            return Ok(());
        }
        tracing::warn!(session = %view.id, "a log lacks what was stored, and is completed from the journal");
        let entries =
            recovery::entries_of(&self.layout, &view.id).map_err(|source| Damage::Io {
                file: "journal",
                source,
            })?;
        let journaled = Journaled {
            entries: &entries,
            end: u64::MAX,
        };
        session_dir::complete_logs(&self.layout, self.disk.as_ref(), view, journaled)?;
        for log in LogKind::ALL {
            let path = self.layout.log(&view.id, log);
            let head = view.logs[log.index()];
            let io = |source| Damage::Io {
                file: log_name(log),
                source,
            };
            if !covers(&LogFile::open(&path, head.legacy).map_err(io)?, head).map_err(io)? {
                let what = format!("the record with seq {} should end here", head.seq);
                return Err(Damage::Record {
                    file: log_name(log),
                    at: head.bytes,
                    what,
                });
            }
        }
        Ok(())
    }

    /// Returns whether the logs hold what a durable view counts and, with `writable`, whether they
    /// can be written.
    fn logs_are_whole(&self, view: &View, writable: bool) -> Result<bool, Damage> {
        for log in LogKind::ALL {
            let path = self.layout.log(&view.id, log);
            let head = view.logs[log.index()];
            let io = |source| Damage::Io {
                file: log_name(log),
                source,
            };
            if writable && head.bytes > head.legacy {
                super::files::open_for_writing(&path).map_err(io)?;
            }
            if !covers(&LogFile::open(&path, head.legacy).map_err(io)?, head).map_err(io)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Checks whether a session's logs are as long as its snapshot says, which is durable, and
    /// completes them if not.
    pub(super) fn check_logs(&self, cell: &Arc<CacheEntry>, heads: [LogHead; 3]) {
        let is_short = |log: LogKind| {
            let head = heads[log.index()];
            let found = std::fs::symlink_metadata(self.layout.log(&cell.id, log))
                .map_or(0, |found| found.len());
            found + u64::from(head.bytes == head.legacy) < head.bytes
        };
        if !LogKind::ALL.into_iter().any(is_short)
            || !self.behind.note(&cell.id, PendingWork::LogsShort)
        {
            return;
        }
        if let Err(damage) = self.complete(cell) {
            tracing::error!(session = %cell.id, %damage, "a log lacks what was stored, and cannot be completed now");
        }
    }

    /// Retries the pending work of all sessions before a checkpoint; otherwise the checkpoint would
    /// leave them behind.
    pub(super) fn complete_pending(&self) {
        for id in self.behind.ids() {
            let cell = self.cache.get(&id);
            if let Err(damage) = self.load(&cell).and_then(|()| self.complete(&cell)) {
                tracing::warn!(session = %id, %damage, "a session's files cannot be completed now: the journal is kept for it");
            }
        }
    }
}
