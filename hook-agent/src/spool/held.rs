//! Records that wait for another token, or for their session to be created, kept apart so that
//! other records need not wait.
//!
//! ```text
//! <folder>/held/<slot>/   one session each: a spool of its own, its Producer-Id in `producer`
//! ```
//! **Exactly once.** Records are appended here first. Then one write of the folder's `state` marks
//! them as settled there and stores how many are held here. After a crash between the two, the next
//! opening cuts off the records that `state` does not count. The owner of the folder owns its held
//! records too.

use std::io;
use std::path::PathBuf;

use super::count::waiting;
use super::private;
use super::producer::producer_of;
use super::queue::Spool;
use super::slots::{SLOTS, slot_path};
use super::storage::SpoolStorage;
use super::tail::Limits;
use super::window::Head;

/// The held records of one session.
pub(crate) struct OpenedSlot {
    pub slot: usize,
    pub session: String,
    pub spool: Spool,
    pub head: Head,
}

impl Spool {
    /// Opens the held records that the state counts, and removes slots that the state does not
    /// know.
    pub(crate) fn open_held(&self, head: &Head) -> io::Result<Vec<OpenedSlot>> {
        let SpoolStorage::Disk(folder) = &self.storage else {
            return Ok(Vec::new());
        };
        let mut held = Vec::new();
        for slot in (0..SLOTS).filter(|slot| slot_path(folder, *slot).is_dir()) {
            let path = slot_path(folder, slot);
            let Some(known) = head.held(slot) else {
                std::fs::remove_dir_all(&path)?;
                continue;
            };
            // If the slot begins with a damaged record, its session is unknown. The readable
            // records are delivered all the same.
            let session = waiting(&path)?.unwrap_or_default();
            let session = String::from_utf8_lossy(&session).into_owned();
            let (spool, head) = self.open_slot(path)?;
            spool.cut(known)?;
            held.push(OpenedSlot {
                slot,
                session,
                spool,
                head,
            });
        }
        Ok(held)
    }

    /// Creates an empty slot for a session. Returns `None` for a spool in memory.
    pub(crate) fn make_held(&self, slot: usize, session: &str) -> io::Result<Option<OpenedSlot>> {
        let SpoolStorage::Disk(folder) = &self.storage else {
            return Ok(None);
        };
        let path = slot_path(folder, slot);
        if path.exists() {
            std::fs::remove_dir_all(&path)?;
        }
        private::make_folder(&path)?;
        let (spool, head) = self.open_slot(path)?;
        Ok(Some(OpenedSlot {
            slot,
            session: session.to_owned(),
            spool,
            head,
        }))
    }

    /// Removes a slot that the state no longer counts.
    pub(crate) fn remove_held(&self, slot: usize) -> io::Result<()> {
        let SpoolStorage::Disk(folder) = &self.storage else {
            return Ok(());
        };
        std::fs::remove_dir_all(slot_path(folder, slot))
    }

    fn open_slot(&self, path: PathBuf) -> io::Result<(Spool, Head)> {
        let producer = producer_of(&path)?;
        // Nothing is dropped here: records that do not fit are not held.
        let limits = Limits {
            max_bytes: u64::MAX,
            ..self.limits
        };
        let (mut spool, head) = Self::open(SpoolStorage::Disk(path), producer, limits)?;
        spool.kept = self.storage.clone();
        Ok((spool, head.that_keeps_old()))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::Config;
    use crate::kind::Kind;
    use crate::spool::record::{begin_frame, finish_frame};

    fn frame(n: usize) -> Vec<u8> {
        let line = format!(r#"{{"type":"action","data":{{"n":{n}}}}}"#);
        let mut frame = begin_frame(
            Kind::Line(session_model::BatchLine::Action),
            "s",
            1,
            line.len(),
        );
        frame.extend_from_slice(line.as_bytes());
        finish_frame(&mut frame);
        frame
    }

    fn open(folder: &Path) -> (Spool, Head) {
        let limits = Limits::of(&Config::new("http://a:1").unwrap(), false);
        Spool::open(
            SpoolStorage::Disk(folder.to_owned()),
            "p".to_owned(),
            limits,
        )
        .unwrap()
    }

    #[test]
    fn what_cannot_be_copied_is_no_loss_and_what_is_cut_off_waits_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let slot = open(dir.path()).0.make_held(0, "s").unwrap().unwrap().spool;
        let first = frame(0);
        let second = frame(1);
        slot.append_copies(&[&first, &second]).unwrap();
        assert_eq!(slot.pending(), 2);
        assert_eq!(slot.next(), 2);
        slot.cut(1).unwrap();
        assert_eq!(slot.pending(), 1);
        assert_eq!(slot.next(), 1);
        let other = open(dir.path()).0.make_held(1, "s").unwrap().unwrap().spool;
        std::fs::remove_dir_all(dir.path().join("held/1")).unwrap();
        other.append_copies(&[&first]).unwrap_err();
        assert!(
            other.take_losses().is_empty(),
            "it still stands where it was copied from"
        );
        assert_eq!(other.pending(), 0);
        assert_eq!(other.next(), 0);
    }

    #[test]
    fn records_behind_damage_are_kept_although_their_session_is_unknown() {
        let dir = tempfile::tempdir().unwrap();
        let slot = open(dir.path()).0.make_held(0, "s").unwrap().unwrap().spool;
        let first = frame(0);
        let second = frame(1);
        slot.append_copies(&[&first, &second]).unwrap();
        drop(slot);
        let segment = dir.path().join("held/0/00000000000000000000.seg");
        let mut bytes = std::fs::read(&segment).unwrap();
        bytes[..first.len()].fill(0);
        std::fs::write(&segment, bytes).unwrap();
        // A state that does not count the held records cuts nothing off.
        let (spool, head) = open(dir.path());
        let opened = spool.open_held(&head).unwrap();
        assert_eq!(opened.len(), 1);
        assert_eq!(opened[0].spool.pending(), 2, "one of them damaged");
    }
}
