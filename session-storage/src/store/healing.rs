//! Logs that lack what was acknowledged while the service runs: noticed when they are read or when a snapshot is
//! written, and completed from the journal.
//!
//! A log can be cut, moved or made unwritable by another program at any time. What its session's view counts must be in
//! it; where it is not, the journal is asked. While that is done the session takes no writes (see [`Pending`]), so that
//! its view stands still and nothing is held locked. What the journal has no more is lost, and the session is
//! quarantined. A log that cannot be opened now is neither.

use std::io;
use std::sync::Arc;

use session_model::{LogHead, LogKind, View, line};

use super::behind::Pending;
use super::cells::{Cell, Slot};
use super::error::Damage;
use super::layout::log_name;
use super::log_file::LogFile;
use super::log_writer::discard;
use super::session_dir::{self, Journaled};
use super::{Store, recovery};

/// Whether a log holds what a view counts, as far as its length and its end tell: its last line must end there with its
/// seal. The last line of the older service may lack its newline.
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
    /// Opens a log for reading, as far as its session's view counts; `None` if there is no such session. A log that
    /// lacks something is completed first. Blocks on the disk.
    pub fn open_log(&self, cell: &Arc<Cell>, log: LogKind) -> Result<Option<LogFile>, Damage> {
        let mut healed = false;
        loop {
            self.load(cell)?;
            let (head, offset, generation) = match &*cell.slot.lock() {
                Slot::Loaded(loaded) => {
                    (loaded.view.logs[log.index()], loaded.view.offset, loaded.generation)
                }
                Slot::Absent(_) => return Ok(None),
                Slot::Unloaded => continue,
            };
            let io = |source| Damage::Io { file: log_name(log), source };
            let open = || LogFile::open(&self.layout.log(&cell.id, log), head.legacy).map_err(io);
            let file = open()?;
            if covers(&file, head).map_err(io)? {
                return Ok(Some(file.up_to(head.bytes)));
            }
            // The newest lines may be on their way.
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
                return Err(Damage::Short { file: log_name(log), found: file.len(), expected: head.bytes });
            }
            self.behind.note(&cell.id, Pending::LogsShort);
            match self.complete(cell) {
                // A full disk, a file system that became read-only, a log that is somebody else's: what is there and
                // what the journal has can be read all the same.
                Err(damage) if damage.is_passing() => {
                    let view = match &*cell.slot.lock() {
                        Slot::Loaded(loaded) => loaded.view.clone(),
                        Slot::Absent(_) | Slot::Unloaded => continue,
                    };
                    return self.read_from_journal(&view, log).map(Some);
                }
                done => done?,
            }
            healed = true;
        }
    }

    /// A log that cannot be completed now, with the lines that it lacks. Its session takes no writes.
    fn read_from_journal(&self, view: &View, log: LogKind) -> Result<LogFile, Damage> {
        let head = view.logs[log.index()];
        let io = |file| move |source| Damage::Io { file, source };
        let entries = recovery::entries_of(&self.layout, &view.id).map_err(io("journal"))?;
        let journaled = Journaled { entries: &entries, end: u64::MAX };
        let file = session_dir::completed_log(&self.layout, view, log, journaled)?;
        if !covers(&file, head).map_err(io(log_name(log)))? {
            return Err(Damage::Short { file: log_name(log), found: file.len(), expected: head.bytes });
        }
        Ok(file.up_to(head.bytes))
    }

    /// Does what has to be done before a session takes writes. Blocks on the disk.
    pub fn complete(&self, cell: &Arc<Cell>) -> Result<(), Damage> {
        match self.behind.pending(&cell.id) {
            None | Some(Pending::Unrecovered(_)) => Ok(()),
            Some(Pending::LogsShort) => self.heal(cell),
            Some(Pending::Undeleted(offset)) => self.discard_again(cell, offset),
        }
    }

    /// Moves a deleted session's folder away, which could not be done when it was deleted.
    pub(super) fn discard_again(&self, cell: &Arc<Cell>, offset: u64) -> Result<(), Damage> {
        let _alone = self.folders.enter(&cell.id);
        discard(&self.layout, &cell.id, offset).map_err(|source| Damage::Io { file: "folder", source })?;
        self.folders.note_moved(&cell.id);
        self.behind.done(&cell.id);
        Ok(())
    }

    fn heal(&self, cell: &Arc<Cell>) -> Result<(), Damage> {
        let _loading = cell.loading.lock();
        let view = loop {
            // It takes no writes: once what is on its way is durable, the view stands still.
            let (view, generation) = match &*cell.slot.lock() {
                Slot::Loaded(loaded) => (loaded.view.clone(), loaded.generation),
                // It is read again, from its files, when it is next asked for.
                Slot::Absent(_) | Slot::Unloaded => {
                    self.behind.done(&cell.id);
                    return Ok(());
                }
            };
            if generation != self.journal.generation()
                || self.behind.pending(&cell.id) != Some(Pending::LogsShort)
            {
                return Ok(());
            }
            if self.journal.wait_durable(view.offset, generation) {
                break view;
            }
        };
        let alone = self.folders.enter(&cell.id);
        match self.complete_logs(&view) {
            Ok(()) => {
                // What the commit thread has open may be another file by now.
                self.folders.note_moved(&cell.id);
                self.behind.done(&cell.id);
                Ok(())
            }
            Err(damage) => {
                drop(alone);
                if !damage.is_passing() {
                    self.set_aside(cell, &damage);
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
        let entries = recovery::entries_of(&self.layout, &view.id)
            .map_err(|source| Damage::Io { file: "journal", source })?;
        let journaled = Journaled { entries: &entries, end: u64::MAX };
        session_dir::complete_logs(&self.layout, self.disk.as_ref(), view, journaled)?;
        for log in LogKind::ALL {
            let (path, head) = (self.layout.log(&view.id, log), view.logs[log.index()]);
            let io = |source| Damage::Io { file: log_name(log), source };
            if !covers(&LogFile::open(&path, head.legacy).map_err(io)?, head).map_err(io)? {
                let what = format!("the record with seq {} should end here", head.seq);
                return Err(Damage::Record { file: log_name(log), at: head.bytes, what });
            }
        }
        Ok(())
    }

    /// Whether the logs hold what a durable view counts, and, if that is asked for, can be written.
    fn logs_are_whole(&self, view: &View, writable: bool) -> Result<bool, Damage> {
        for log in LogKind::ALL {
            let (path, head) = (self.layout.log(&view.id, log), view.logs[log.index()]);
            let io = |source| Damage::Io { file: log_name(log), source };
            if writable && head.bytes > head.legacy {
                super::files::open_for_writing(&path).map_err(io)?;
            }
            if !covers(&LogFile::open(&path, head.legacy).map_err(io)?, head).map_err(io)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Looks whether a session's logs hold what its snapshot says, which is durable, and completes them if not.
    pub(super) fn check_logs(&self, cell: &Arc<Cell>, heads: [LogHead; 3]) {
        let is_short = |log: LogKind| {
            let head = heads[log.index()];
            let found =
                std::fs::symlink_metadata(self.layout.log(&cell.id, log)).map_or(0, |found| found.len());
            found + u64::from(head.bytes == head.legacy) < head.bytes
        };
        if !LogKind::ALL.into_iter().any(is_short) || !self.behind.note(&cell.id, Pending::LogsShort) {
            return;
        }
        if let Err(damage) = self.complete(cell) {
            tracing::error!(session = %cell.id, %damage, "a log lacks what was stored, and cannot be completed now");
        }
    }

    /// Tries once more what could not be done for sessions: before a checkpoint, which would leave them behind.
    pub(super) fn complete_pending(&self) {
        for id in self.behind.ids() {
            let cell = self.cells.get(&id);
            if let Err(damage) = self.load(&cell).and_then(|()| self.complete(&cell)) {
                tracing::warn!(session = %id, %damage, "a session's files cannot be completed now: the journal is kept for it");
            }
        }
    }
}
