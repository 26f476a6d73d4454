//! Session loading: reads a session into memory, or quarantines it if its files are damaged.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use session_model::View;
use session_model::producer::Producers;

use super::error::Damage;
use super::incomplete::PendingWork;
use super::journaled::Journaled;
use super::legacy::IndexedFields;
use super::quarantine_folder::quarantine;
use super::recovery;
use super::session_cache::{CacheEntry, CachedSession, LoadedSession};
use super::session_dir::Opened;
use super::store::Store;

/// What was known of a session that is read again.
enum Before {
    Unknown,
    /// Absent as of an older generation, possibly because of a deletion that failed.
    Absent,
    /// The offset of its creation, and its producers.
    Loaded(u64, Producers),
}

/// Returns whether something occupies the path of a session's folder. An empty folder, or one with
/// only `subsessions`, does not: it becomes the session's folder and holds nothing that could be
/// lost when the session is deleted.
pub(crate) fn is_in_the_way(folder: &Path) -> bool {
    let Ok(found) = fs::symlink_metadata(folder) else {
        return false;
    };
    let is_empty = |mut entries: fs::ReadDir| {
        entries.all(|entry| entry.is_ok_and(|entry| entry.file_name() == "subsessions"))
    };
    !found.is_dir() || !fs::read_dir(folder).is_ok_and(is_empty)
}

impl Store {
    /// Reads a session into memory if it is not there or is out of date. Blocks on the disk.
    pub fn load(&self, cell: &Arc<CacheEntry>) -> Result<(), Damage> {
        let _loading = cell.loading.lock();
        let generation = self.journal.generation();
        let before = match &mut *cell.slot.lock() {
            CachedSession::Loaded(loaded) if loaded.generation == generation => return Ok(()),
            CachedSession::Absent(known) if *known == generation => return Ok(()),
            // Built on a commit that failed: read again what is durable.
            CachedSession::Loaded(loaded) => {
                Before::Loaded(loaded.view.created_offset, loaded.durable_producers())
            }
            CachedSession::Absent(_) => Before::Absent,
            CachedSession::Unloaded => Before::Unknown,
        };
        let row = self.index.get(cell.id.as_str());
        // A deletion that failed after the index had removed the session: its row is added again.
        let is_unlisted = row.is_none();
        let hint = row.map(|r| IndexedFields {
            user: Some(r.user.as_str().to_owned()),
            created: Some(r.created),
        });
        let layout = &self.layout;
        let disk = self.disk.as_ref();
        let hint = hint.unwrap_or_default();
        let opened = match self.behind.pending(&cell.id) {
            Some(PendingWork::Unrecovered(from)) => {
                recovery::open_behind(layout, disk, &cell.id, from, &hint)
            }
            // The folder is still there, but the session is deleted.
            Some(PendingWork::Undeleted(offset)) if self.discard_again(cell, offset).is_err() => {
                Ok(None)
            }
            Some(PendingWork::Undeleted(_) | PendingWork::LogsShort) | None => {
                recovery::open_session(layout, disk, &cell.id, Journaled::NOTHING, &hint)
            }
        };
        let mut short = None;
        let slot = match opened {
            Ok(Some(mut opened)) => {
                short = opened.short.take();
                let producers = self.producers(before, &opened.view);
                CachedSession::Loaded(Box::new(self.loaded(opened, producers, generation)))
            }
            Ok(None)
                if matches!(
                    self.behind.pending(&cell.id),
                    Some(PendingWork::Undeleted(_))
                ) =>
            {
                CachedSession::Absent(generation)
            }
            Ok(None) if is_in_the_way(&self.layout.session(&cell.id)) => {
                return Err(Damage::InTheWay);
            }
            Ok(None) => CachedSession::Absent(generation),
            // The session may be readable the next time: its folder and its name are left alone.
            Err(damage) if damage.is_passing() => return Err(damage),
            Err(damage) => {
                self.quarantine_session(cell, &damage);
                return Err(damage);
            }
        };
        if matches!(
            self.behind.pending(&cell.id),
            Some(PendingWork::Unrecovered(_))
        ) {
            self.behind.done(&cell.id);
        }
        if let Some(damage) = short {
            tracing::error!(session = %cell.id, %damage, "a session's logs cannot be completed now: it is read with what the journal has, and takes no writes");
            self.behind.note(&cell.id, PendingWork::LogsShort);
        }
        let is_due =
            matches!(&slot, CachedSession::Loaded(loaded) if loaded.is_dirty() || is_unlisted);
        *cell.slot.lock() = slot;
        if is_due {
            self.queue_snapshot(cell);
        }
        Ok(())
    }

    /// Returns the producers' positions of a session that is read again.
    ///
    /// The file holds them as of the last checkpoint. Newer positions are in memory or, if a
    /// deletion that failed has dropped them, in the journal.
    fn producers(&self, before: Before, view: &View) -> Option<Producers> {
        match before {
            Before::Unknown => None,
            Before::Loaded(born, producers) if born == view.created_offset => Some(producers),
            Before::Loaded(..) | Before::Absent => {
                let entries = recovery::entries_of(&self.layout, &view.id).unwrap_or_else(|error| {
                    tracing::error!(session = %view.id, %error, "the journal could not be read: producers' newest positions are missing");
                    Vec::new()
                });
                let mut producers = view.producers.clone();
                for entry in entries {
                    if let Some(commit) = entry.producer {
                        producers.accept(commit.numbers, commit.answer, entry.first_offset);
                    }
                }
                Some(producers)
            }
        }
    }

    fn loaded(
        &self,
        opened: Opened,
        producers: Option<Producers>,
        generation: u64,
    ) -> LoadedSession {
        let Opened {
            mut view,
            is_ahead,
            damaged,
            short: _,
        } = opened;
        self.journal.pass_over(view.offset);
        let reloaded = producers.is_some();
        view.producers = producers.unwrap_or(view.producers);
        let loaded = if reloaded || (is_ahead && damaged.is_empty()) {
            LoadedSession::dirty(view, generation)
        } else {
            // Reading a session must not overwrite a damaged document.
            LoadedSession::clean(view, generation)
        };
        LoadedSession { damaged, ..loaded }
    }

    /// Quarantines a damaged session; from then on no session of that name exists. If that fails,
    /// the damaged session stays where it is and its name is not free.
    pub(super) fn quarantine_session(&self, cell: &Arc<CacheEntry>, damage: &Damage) {
        let _alone = self.directory_locks.enter(&cell.id);
        if let Err(error) = quarantine(&self.layout, &cell.id, damage, || {
            recovery::entries_of(&self.layout, &cell.id)
        }) {
            tracing::error!(session = %cell.id, %damage, %error, "a damaged session cannot be quarantined now: it is left as it is");
            return;
        }
        self.behind.done(&cell.id);
        self.directory_locks.note_moved(&cell.id);
        self.index.remove(&cell.id);
        self.quarantined
            .lock()
            .insert(cell.id.clone(), damage.to_string());
        // Only after the folder has been moved: from here on another session of this name may be
        // created.
        *cell.slot.lock() = CachedSession::Absent(self.journal.generation());
    }
}
