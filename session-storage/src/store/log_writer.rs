//! Appending committed lines to the sessions' logs, one write a file and group.
//!
//! Belongs to the commit thread. The place of each line is known from the session's view, so a write never
//! depends on what stands behind the end of a file. At most [`OPEN_FILES`] logs are kept open.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use lru::LruCache;
use session_model::{EventKind, LogKind, SessionId, UserId};

use super::disk::Disk;
use super::folders::Folders;
use super::layout::Layout;

/// The most logs kept open.
const OPEN_FILES: NonZeroUsize = NonZeroUsize::new(512).expect("is not zero");

/// An event of a group, and where its line stands and goes.
#[derive(Clone, Debug)]
pub struct PendingEvent {
    /// Its session.
    pub session: SessionId,
    /// The session's user.
    pub user: UserId,
    /// What happened.
    pub kind: EventKind,
    /// Its service-wide offset.
    pub offset: u64,
    /// Its line in the group's buffer, newline included.
    pub line: Range<usize>,
    /// Where in its log the line goes.
    pub log_at: u64,
}

/// The open logs.
pub struct LogWriter {
    layout: Layout,
    folders: Arc<Folders>,
    open: LruCache<(SessionId, LogKind), File>,
    scratch: Vec<u8>,
}

impl LogWriter {
    /// None open yet.
    pub fn new(layout: Layout, folders: Arc<Folders>) -> Self {
        Self { layout, folders, open: LruCache::new(OPEN_FILES), scratch: Vec::new() }
    }

    /// Writes the lines of a group. On an error some may be written: call [`LogWriter::undo`].
    pub fn write(&mut self, disk: &dyn Disk, events: &[PendingEvent], buffer: &[u8]) -> io::Result<()> {
        self.folders.moved().iter().for_each(|session| self.forget(session));
        if events.iter().any(|e| e.kind == EventKind::SessionDeleted) {
            return events.iter().try_for_each(|event| self.write_one(disk, event, buffer));
        }
        let mut order: Vec<&PendingEvent> = events.iter().collect();
        order.sort_by(|a, b| (&a.session, a.kind.log()).cmp(&(&b.session, b.kind.log())));
        for run in order.chunk_by(|a, b| a.kind.log() == b.kind.log() && a.session == b.session) {
            match run {
                [event] => self.write_line(disk, event, &buffer[event.line.clone()])?,
                run => {
                    let mut scratch = std::mem::take(&mut self.scratch);
                    scratch.clear();
                    run.iter().for_each(|event| scratch.extend_from_slice(&buffer[event.line.clone()]));
                    let result = self.write_line(disk, run[0], &scratch);
                    self.scratch = scratch;
                    result?;
                }
            }
        }
        self.scratch.shrink_to(1 << 20);
        Ok(())
    }

    fn write_one(&mut self, disk: &dyn Disk, event: &PendingEvent, buffer: &[u8]) -> io::Result<()> {
        self.write_line(disk, event, &buffer[event.line.clone()])?;
        if event.kind == EventKind::SessionDeleted {
            self.forget(&event.session);
            let _alone = self.folders.enter(&event.session);
            discard(&self.layout, &event.session, event.offset)?;
        }
        Ok(())
    }

    fn write_line(&mut self, disk: &dyn Disk, event: &PendingEvent, bytes: &[u8]) -> io::Result<()> {
        let log = event.kind.log();
        let layout = &self.layout;
        let open = || open(layout, &event.session, log).and_then(|file| prepare(disk, file, event.log_at));
        let file = self.open.try_get_or_insert((event.session.clone(), log), open)?;
        disk.write_at(file, bytes, event.log_at)
    }

    fn file(&mut self, session: &SessionId, log: LogKind) -> io::Result<&File> {
        let layout = &self.layout;
        self.open.try_get_or_insert((session.clone(), log), || open(layout, session, log))
    }

    /// Closes a session's logs.
    pub fn forget(&mut self, session: &SessionId) {
        for log in LogKind::ALL {
            self.open.pop(&(session.clone(), log));
        }
    }

    /// Cuts off what a failed group may have written, and brings back the folders that it moved aside.
    pub fn undo(&mut self, events: &[PendingEvent]) -> io::Result<()> {
        for event in events.iter().rev() {
            if event.kind == EventKind::SessionDeleted {
                self.forget(&event.session);
                let _alone = self.folders.enter(&event.session);
                bring_back(&self.layout, &event.session, event.offset)?;
            }
            let file = self.file(&event.session, event.kind.log())?;
            if file.metadata()?.len() > event.log_at {
                file.set_len(event.log_at)?;
            }
        }
        Ok(())
    }
}

/// Makes a log that was just opened end where the next line goes: a torn tail is cut off, and the last line of
/// the older service, if it has no end, is given one.
fn prepare(disk: &dyn Disk, file: File, log_at: u64) -> io::Result<File> {
    let len = file.metadata()?.len();
    if len > log_at {
        file.set_len(log_at)?;
    } else if len + 1 == log_at {
        disk.write_at(&file, b"\n", len)?;
    }
    Ok(file)
}

fn open(layout: &Layout, session: &SessionId, log: LogKind) -> io::Result<File> {
    let path = layout.log(session, log);
    let open = || OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(layout.session(session))?;
            open()
        }
        result => result,
    }
}

/// Moves a deleted session's folder aside, to be removed when its deletion is durable and there is time.
pub fn discard(layout: &Layout, session: &SessionId, offset: u64) -> io::Result<()> {
    fs::create_dir_all(layout.trash())?;
    let discarded = layout.discarded(session, offset);
    match fs::rename(layout.session(session), &discarded) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // A crash came before it was removed, and the journal is read again: what lies there now is newer.
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
            fs::remove_dir_all(&discarded)?;
            fs::rename(layout.session(session), discarded)
        }
        result => result,
    }
}

/// Undoes [`discard`], if it was done: in the place of the folder can only be that of a session which was born behind
/// the deletion, and that did not happen either.
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
    use super::*;
    use crate::store::disk::RealDisk;

    fn event(kind: EventKind, offset: u64, log_at: u64) -> PendingEvent {
        let session = SessionId::parse("s").unwrap();
        PendingEvent { session, user: UserId::unknown(), kind, offset, line: 0..5, log_at }
    }

    #[test]
    fn a_deletion_that_failed_with_its_group_brings_the_folder_back() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let mut writer = LogWriter::new(layout.clone(), Arc::default());
        writer.write(&RealDisk, &[event(EventKind::SessionCreated, 1, 0)], b"line\n").unwrap();
        let group = [event(EventKind::SessionDeleted, 2, 5), event(EventKind::SessionCreated, 3, 0)];
        writer.write(&RealDisk, &group, b"next\n").unwrap();
        let changes = layout.log(&group[0].session, LogKind::Changes);
        assert_eq!(fs::read(&changes).unwrap(), b"next\n", "the one that was born behind it");
        writer.undo(&group).unwrap();
        assert_eq!(fs::read(&changes).unwrap(), b"line\n", "the one that was not deleted after all");
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
