//! Appends committed lines to the sessions' logs, with one write per file and commit group.
//!
//! Used by the commit thread only. The position of each line comes from the session's view, so a
//! write never depends on what follows the counted lines in the file. The number of logs kept open
//! is limited.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use lru::LruCache;
use session_model::event::LifecycleStep;
use session_model::{EventKind, LogKind, SessionId, UserId};

use super::directory_locks::DirectoryLocks;
use super::disk::{Disk, is_full};
use super::files;
use super::incomplete::{Incomplete, PendingWork};
use super::layout::Layout;

/// An event of a group, with the range of its line in the buffer and its position in the log.
#[derive(Clone, Debug)]
pub struct PendingEvent {
    /// The event's session.
    pub session: SessionId,
    /// The session's user.
    pub user: UserId,
    /// The kind of event.
    pub kind: EventKind,
    /// The event's service-wide offset.
    pub offset: u64,
    /// The range of its line in the group's buffer, newline included.
    pub line: Range<usize>,
    /// The byte position of the line in its log.
    pub log_at: u64,
}

/// Writes to the logs and keeps the recently used ones open.
pub(crate) struct LogWriter {
    layout: Layout,
    directory_locks: Arc<DirectoryLocks>,
    behind: Arc<Incomplete>,
    open: LruCache<(SessionId, LogKind), File>,
    scratch: Vec<u8>,
    /// The changes that the current group has made so far, in order.
    touched: Vec<Touched>,
}

/// A change made by a group.
enum Touched {
    /// A log was written from this position on.
    Log(SessionId, LogKind, u64),
    /// A folder was moved to the trash by the deletion with this offset.
    Folder(SessionId, u64),
}

impl LogWriter {
    /// Creates a writer that keeps at most `most` logs open.
    pub(crate) fn new(
        layout: Layout,
        directory_locks: Arc<DirectoryLocks>,
        behind: Arc<Incomplete>,
        most: NonZeroUsize,
    ) -> Self {
        let open = LruCache::new(most);
        Self {
            layout,
            directory_locks,
            behind,
            open,
            scratch: Vec::new(),
            touched: Vec::new(),
        }
    }

    /// Writes the lines of a group. After an error some may be written: call [`LogWriter::undo`].
    pub(crate) fn write(
        &mut self,
        disk: &dyn Disk,
        events: &[PendingEvent],
        buffer: &[u8],
    ) -> io::Result<()> {
        self.directory_locks
            .moved()
            .iter()
            .for_each(|session| self.forget(session));
        self.write_all(disk, events, buffer)?;
        self.touched.clear();
        self.touched.shrink_to(4096);
        Ok(())
    }

    fn write_all(
        &mut self,
        disk: &dyn Disk,
        events: &[PendingEvent],
        buffer: &[u8],
    ) -> io::Result<()> {
        if events
            .iter()
            .any(|e| e.kind.step() == LifecycleStep::Deletes)
        {
            return events
                .iter()
                .try_for_each(|event| self.write_one(disk, event, buffer));
        }
        let mut order: Vec<&PendingEvent> = events.iter().collect();
        order.sort_by(|a, b| (&a.session, a.kind.log()).cmp(&(&b.session, b.kind.log())));
        for run in order.chunk_by(|a, b| a.kind.log() == b.kind.log() && a.session == b.session) {
            match run {
                [event] => self.write_line(disk, event, &buffer[event.line.clone()])?,
                run => {
                    let mut scratch = std::mem::take(&mut self.scratch);
                    scratch.clear();
                    run.iter()
                        .for_each(|event| scratch.extend_from_slice(&buffer[event.line.clone()]));
                    let result = self.write_line(disk, run[0], &scratch);
                    self.scratch = scratch;
                    result?;
                }
            }
        }
        self.scratch.shrink_to(1 << 20);
        Ok(())
    }

    fn write_one(
        &mut self,
        disk: &dyn Disk,
        event: &PendingEvent,
        buffer: &[u8],
    ) -> io::Result<()> {
        self.write_line(disk, event, &buffer[event.line.clone()])?;
        if event.kind.step() == LifecycleStep::Deletes {
            self.forget(&event.session);
            self.touched
                .push(Touched::Folder(event.session.clone(), event.offset));
            let alone = self.directory_locks.enter(&event.session);
            let discarded = discard(&self.layout, &event.session, event.offset);
            drop(alone);
            if let Err(error) = discarded {
                self.excuse(event, PendingWork::Undeleted(event.offset), error)?;
            }
        }
        Ok(())
    }

    fn write_line(
        &mut self,
        disk: &dyn Disk,
        event: &PendingEvent,
        bytes: &[u8],
    ) -> io::Result<()> {
        self.touched.push(Touched::Log(
            event.session.clone(),
            event.kind.log(),
            event.log_at,
        ));
        match self.write_at_end(disk, event, bytes) {
            Err(error) if is_out_of_descriptors(&error) => {
                self.open.clear();
                self.write_at_end(disk, event, bytes)
            }
            result => result,
        }
        .or_else(|error| self.excuse(event, PendingWork::LogsShort, error))
    }

    fn write_at_end(
        &mut self,
        disk: &dyn Disk,
        event: &PendingEvent,
        bytes: &[u8],
    ) -> io::Result<()> {
        let log = event.kind.log();
        let layout = &self.layout;
        let open = || {
            let path = layout.log(&event.session, log);
            open(&path).and_then(|file| prepare(disk, file, event.log_at, &path))
        };
        let file = self
            .open
            .try_get_or_insert((event.session.clone(), log), open)?;
        // Another program may have truncated the log since it was opened.
        let found = file.metadata()?.len();
        if found < event.log_at {
            return Err(is_short(found, event.log_at));
        }
        disk.write_at(file, bytes, event.log_at)
    }

    /// Notes that one session's files could not be written and lets the group continue; its events
    /// are already durable.
    ///
    /// The files are completed from the journal later, and until then the session accepts no
    /// writes. A full disk affects every session, so that error is returned.
    fn excuse(
        &mut self,
        event: &PendingEvent,
        pending: PendingWork,
        error: io::Error,
    ) -> io::Result<()> {
        if is_full(&error) {
            return Err(error);
        }
        self.forget(&event.session);
        if self.behind.note(&event.session, pending) {
            tracing::error!(session = %event.session, %error, "a session's files cannot be written: what was stored is in the journal, and the session takes no writes until they can");
        }
        Ok(())
    }

    /// Closes a session's logs.
    pub(crate) fn forget(&mut self, session: &SessionId) {
        for log in LogKind::ALL {
            self.open.pop(&(session.clone(), log));
        }
    }

    /// Reverts what the failed group has done so far, which may be nothing: truncates its lines,
    /// removes the folders that it created, and moves back those that it moved to the trash.
    /// Nothing is created, and no file is opened that did not exist.
    pub(crate) fn undo(&mut self) -> io::Result<()> {
        let touched = std::mem::take(&mut self.touched);
        for change in touched.iter().rev() {
            match change {
                Touched::Log(session, log, at) => self.cut_off(session, *log, *at)?,
                Touched::Folder(session, offset) => {
                    self.forget(session);
                    let _alone = self.directory_locks.enter(session);
                    bring_back(&self.layout, session, *offset)?;
                }
            }
        }
        for change in &touched {
            if let Touched::Log(session, _, 0) = change {
                self.remove_created(session)?;
            }
        }
        Ok(())
    }

    fn cut_off(&mut self, session: &SessionId, log: LogKind, at: u64) -> io::Result<()> {
        let path = self.layout.log(session, log);
        match fs::metadata(&path) {
            Ok(found) if found.len() > at => OpenOptions::new().write(true).open(path)?.set_len(at),
            Ok(_) => Ok(()),
            Err(error) if could_not_be_written(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Removes the folder of a session whose creation failed, if it holds only empty logs created
    /// for it.
    fn remove_created(&mut self, session: &SessionId) -> io::Result<()> {
        self.forget(session);
        let _alone = self.directory_locks.enter(session);
        let entries = match fs::read_dir(self.layout.session(session)) {
            Err(error) if could_not_be_written(&error) => return Ok(()),
            entries => entries?.collect::<io::Result<Vec<_>>>()?,
        };
        let logs = LogKind::ALL.map(|log| self.layout.log(session, log));
        for entry in &entries {
            if !logs.contains(&entry.path()) || entry.metadata()?.len() > 0 {
                return Ok(());
            }
        }
        entries
            .iter()
            .try_for_each(|entry| fs::remove_file(entry.path()))?;
        fs::remove_dir(self.layout.session(session))
    }
}

/// Returns whether a path with this error cannot have been written just before.
fn could_not_be_written(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    matches!(error.kind(), NotFound | NotADirectory | PermissionDenied)
}

/// Makes a newly opened log end where the next line goes: cuts off a torn tail, and adds the
/// newline that the last line of the legacy service may lack.
///
/// A log that is shorter than what was stored is not written to, because the write would leave a
/// hole.
fn prepare(disk: &dyn Disk, file: File, log_at: u64, path: &Path) -> io::Result<File> {
    let len = file.metadata()?.len();
    if len > log_at {
        let mut torn = vec![0; (len - log_at) as usize];
        file.read_exact_at(&mut torn, log_at)?;
        files::keep_bytes(path, &torn)?;
        file.set_len(log_at)?;
    } else if len + 1 == log_at && (len == 0 || ends_open(&file, len)?) {
        disk.write_at(&file, b"\n", len)?;
    } else if len < log_at {
        return Err(is_short(len, log_at));
    }
    Ok(file)
}

/// Returns whether the last byte of a file is not a newline.
fn ends_open(file: &File, len: u64) -> io::Result<bool> {
    let mut last = [0];
    file.read_exact_at(&mut last, len - 1)?;
    Ok(last != *b"\n")
}

fn is_short(found: u64, expected: u64) -> io::Error {
    io::Error::other(format!(
        "the log is {found} bytes long, but {expected} were stored: another program has cut it"
    ))
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(
        error.raw_os_error().map(Errno::from_raw_os_error),
        Some(Errno::MFILE | Errno::NFILE)
    )
}

fn open(path: &Path) -> io::Result<File> {
    match files::open_for_writing(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(path.parent().unwrap_or(path))?;
            files::open_for_writing(path)
        }
        result => result,
    }
}

/// Moves a deleted session's folder to the trash, which is emptied later, once the deletion is
/// durable.
pub(crate) fn discard(layout: &Layout, session: &SessionId, offset: u64) -> io::Result<()> {
    fs::create_dir_all(layout.trash())?;
    let discarded = layout.discarded(session, offset);
    match fs::rename(layout.session(session), &discarded) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // A crash came before the trash was emptied, and the journal is replayed: the folder in
        // `sessions/` is newer.
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
            fs::remove_dir_all(&discarded)?;
            fs::rename(layout.session(session), discarded)
        }
        result => result,
    }
}

/// Undoes [`discard`], if it was done.
///
/// A folder of the same name can only belong to a session created after the deletion, and that
/// creation failed too.
fn bring_back(layout: &Layout, session: &SessionId, offset: u64) -> io::Result<()> {
    let discarded = layout.discarded(session, offset);
    if !discarded.exists() {
        return Ok(());
    }
    match fs::remove_dir_all(layout.session(session)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => fs::rename(discarded, layout.session(session)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::disk::RealDisk;

    fn event(kind: EventKind, offset: u64, log_at: u64) -> PendingEvent {
        let session = SessionId::parse("s").unwrap();
        PendingEvent {
            session,
            user: UserId::unknown(),
            kind,
            offset,
            line: 0..5,
            log_at,
        }
    }

    #[test]
    fn a_deletion_that_failed_with_its_group_brings_the_folder_back() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let behind = Arc::new(Incomplete::new(BTreeMap::new(), 1));
        let mut writer = LogWriter::new(layout.clone(), Arc::default(), behind, NonZeroUsize::MIN);
        writer
            .write(
                &RealDisk,
                &[event(EventKind::SessionCreated, 1, 0)],
                b"line\n",
            )
            .unwrap();
        let group = [
            event(EventKind::SessionDeleted, 2, 5),
            event(EventKind::SessionCreated, 3, 0),
        ];
        writer.write_all(&RealDisk, &group, b"next\n").unwrap();
        let changes = layout.log(&group[0].session, LogKind::Changes);
        assert_eq!(
            fs::read(&changes).unwrap(),
            b"next\n",
            "the one that was born behind it"
        );
        writer.undo().unwrap();
        assert_eq!(
            fs::read(&changes).unwrap(),
            b"line\n",
            "the one that was not deleted after all"
        );
        writer.undo().unwrap();
        assert_eq!(
            fs::read(&changes).unwrap(),
            b"line\n",
            "a group that failed before it came to the logs"
        );
        writer.write(&RealDisk, &group[..1], b"next\n").unwrap();
        assert!(!changes.exists() && layout.discarded(&group[0].session, 2).is_dir());
    }

    #[test]
    fn a_folder_is_discarded_again_when_a_crash_came_before_the_trash_was_emptied() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let id = SessionId::parse("s").unwrap();
        for _ in 0..2 {
            fs::create_dir_all(layout.session(&id)).unwrap();
            fs::write(layout.log(&id, LogKind::Changes), b"line\n").unwrap();
            discard(&layout, &id, 7).unwrap();
        }
        assert!(!layout.session(&id).exists() && layout.discarded(&id, 7).is_dir());
    }
}
