//! Collection: removes blobs to which no record refers, a day after they were last sent.
//!
//! A session's logs are read only if it has such blobs. Records never go away, so a blob that was
//! found in them is marked in its sidecar and never searched for again. A blob is removed with the
//! session locked, and only if nothing was appended since the logs were searched and no upload
//! relies on it: a record that is stored later finds it missing, as any record that refers to a blob
//! which was never sent.
//!
//! An alias and the bytes for which it stands are kept or removed together.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::time::Duration;

use session_model::{BlobName, LogKind, SessionId, Timestamp};

use super::error::BlobError;
use super::folder::BlobFolder;
use super::sidecar::Sidecar;
use crate::layout::BlobFile;
use crate::session_cache::CachedSession;
use crate::store::Store;

/// How many times a session's logs are searched, if it is written to meanwhile.
const SEARCHES: usize = 5;

/// A blob that no record refers to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Removed {
    /// The session.
    pub session: SessionId,
    /// The name of the stored bytes.
    pub blob: BlobName,
    /// Their length.
    pub bytes: u64,
}

/// What a collection did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Collected {
    /// The blobs that were removed or, in a dry run, would be.
    pub removed: Vec<Removed>,
}

/// Stored bytes with the names that stand for them.
#[derive(Debug, Default)]
struct Group {
    names: Vec<BlobName>,
    bytes: u64,
    /// When one of the names was last sent.
    sent: Timestamp,
    referenced: bool,
}

type Groups = BTreeMap<BlobName, Group>;

impl Store {
    /// Removes what no record refers to and was last sent before `before`. `dry_run`: removes
    /// nothing. Blocking.
    pub(crate) fn collect(&self, before: Timestamp, dry_run: bool) -> io::Result<Collected> {
        let mut collected = Collected::default();
        for entry in fs::read_dir(self.layout.sessions())? {
            let name = entry?.file_name();
            let Some(id) = name.to_str().and_then(|name| SessionId::parse(name).ok()) else {
                continue;
            };
            if self.stop.0.lock().to_owned() {
                break;
            }
            if let Err(error) = self.collect_in(&id, before, dry_run, &mut collected) {
                tracing::warn!(session = %id, %error, "the blobs of a session could not be collected; it is tried again");
            }
        }
        Ok(collected)
    }

    fn collect_in(
        &self,
        id: &SessionId,
        before: Timestamp,
        dry_run: bool,
        collected: &mut Collected,
    ) -> Result<(), BlobError> {
        let folder = BlobFolder::of(&self.layout.session(id));
        let mut groups = groups_in(id, &folder)?;
        groups.retain(|_, group| !group.referenced && group.sent < before);
        if groups.is_empty() {
            return Ok(());
        }
        let mut searched = [0; 3];
        for _ in 0..SEARCHES {
            let Some(created) = self.search(id, &mut searched, &mut groups, dry_run)? else {
                return Ok(());
            };
            groups.retain(|_, group| !group.referenced);
            if groups.is_empty() || dry_run {
                break;
            }
            if self.remove_groups(id, created, searched, before, &mut groups, collected)? {
                return Ok(());
            }
        }
        if dry_run {
            collected
                .removed
                .extend(groups.iter().map(|(blob, group)| Removed {
                    session: id.clone(),
                    blob: *blob,
                    bytes: group.bytes,
                }));
        }
        Ok(())
    }

    /// Searches what was appended to the logs since `searched`, and marks the blobs that are found.
    /// Returns the offset of the session's creation; `None` if there is no such session.
    fn search(
        &self,
        id: &SessionId,
        searched: &mut [u64; 3],
        groups: &mut Groups,
        dry_run: bool,
    ) -> Result<Option<u64>, BlobError> {
        let cell = self.cache.get(id);
        self.load(&cell)?;
        let created = match &*cell.slot.lock() {
            CachedSession::Loaded(loaded) => loaded.view.created_offset,
            CachedSession::Absent(_) | CachedSession::Unloaded => return Ok(None),
        };
        let wanted: BTreeMap<BlobName, BlobName> = groups
            .iter()
            .flat_map(|(stored, group)| {
                let names = group.names.iter().chain([stored]);
                names.map(|name| (*name, *stored)).collect::<Vec<_>>()
            })
            .collect();
        let mut found = BTreeSet::new();
        for log in LogKind::ALL {
            let Some(file) = self.open_log(&cell, log)? else {
                return Ok(None);
            };
            let from = searched[log.index()];
            let walked = file.walk(from, file.len(), |_, line| {
                BlobName::referenced_in(line, |name| found.extend(wanted.get(&name)));
                true
            });
            walked.map_err(BlobError::io("search the logs for"))?;
            searched[log.index()] = file.len();
        }
        for stored in found {
            if let Some(group) = groups.get_mut(&stored) {
                group.referenced = true;
                if !dry_run {
                    self.mark(id, created, stored, &group.names)?;
                }
            }
        }
        Ok(Some(created))
    }

    fn mark(
        &self,
        id: &SessionId,
        created: u64,
        stored: BlobName,
        names: &[BlobName],
    ) -> Result<(), BlobError> {
        self.inside(id, Some(created), |folder, _| {
            for name in names.iter().chain([&stored]) {
                if let Some(sidecar) = Sidecar::read(&folder.sidecar(name))?
                    && !sidecar.referenced
                {
                    let marked = Sidecar {
                        referenced: true,
                        ..sidecar
                    };
                    self.write_sidecar(folder, name, &marked)?;
                }
            }
            Ok(())
        })
    }

    /// Removes blobs if nothing was appended to the session since its logs were searched; returns
    /// false otherwise.
    fn remove_groups(
        &self,
        id: &SessionId,
        created: u64,
        searched: [u64; 3],
        before: Timestamp,
        groups: &mut Groups,
        collected: &mut Collected,
    ) -> Result<bool, BlobError> {
        let cell = self.cache.get(id);
        let alone = self.directory_locks.enter(id);
        let folder = BlobFolder::of(&self.layout.session(id));
        let removed = cell.long(|slot| {
            let CachedSession::Loaded(loaded) = slot else {
                return Ok(true);
            };
            if loaded.view.created_offset != created {
                return Ok(true);
            }
            // The last line of the legacy service may lack its newline.
            let is_searched = |log: LogKind| {
                let head = loaded.view.logs[log.index()];
                searched[log.index()] + u64::from(head.bytes == head.legacy) >= head.bytes
            };
            if loaded.generation != self.journal.generation()
                || !LogKind::ALL.into_iter().all(is_searched)
            {
                return Ok(false);
            }
            while let Some((stored, group)) = groups.pop_first() {
                if let Some(bytes) = self.remove_group(id, &folder, stored, &group, before)? {
                    self.blobs.usage.change(id, created, 0, bytes);
                    collected.removed.push(Removed {
                        session: id.clone(),
                        blob: stored,
                        bytes,
                    });
                }
            }
            Ok(true)
        });
        drop(alone);
        removed
    }

    /// Removes stored bytes and all names for them, unless one of them was sent again.
    fn remove_group(
        &self,
        id: &SessionId,
        folder: &BlobFolder,
        stored: BlobName,
        group: &Group,
        before: Timestamp,
    ) -> Result<Option<u64>, BlobError> {
        let names: BTreeSet<BlobName> = group.names.iter().copied().chain([stored]).collect();
        for name in &names {
            let is_newer = Sidecar::read(&folder.sidecar(name))?
                .is_some_and(|sidecar| sidecar.referenced || sidecar.sent >= before);
            if is_newer || self.blobs.pins.holds(id, *name) {
                return Ok(None);
            }
        }
        let bytes = folder.length(&stored)?.unwrap_or(0);
        // The names that stand for the bytes go first, and the sidecar of the bytes last: a crash in
        // between leaves nothing that is served and lacks something.
        let aliases = names.iter().filter(|name| **name != stored);
        let paths = aliases
            .map(|name| folder.sidecar(name))
            .chain([folder.bytes(&stored), folder.sidecar(&stored)]);
        for path in paths {
            match fs::remove_file(path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(BlobError::io("remove")(error)),
            }
        }
        Ok(Some(bytes))
    }
}

/// Reads all sidecars of a session.
fn groups_in(id: &SessionId, folder: &BlobFolder) -> Result<Groups, BlobError> {
    let mut names = Vec::new();
    let walked = folder.walk(&mut |found| {
        if let Some(BlobFile::Sidecar(name)) = found.file {
            names.push(name);
        }
        Ok(())
    });
    walked.map_err(BlobError::io("read"))?;
    let mut groups = Groups::new();
    for name in names {
        let sidecar = match Sidecar::read(&folder.sidecar(&name)) {
            Ok(Some(sidecar)) => sidecar,
            Ok(None) => continue,
            Err(BlobError::Damaged(what)) => {
                // It may be the only trace of a blob that a record refers to.
                tracing::warn!(session = %id, blob = %name, what, "a damaged blob is not collected");
                continue;
            }
            Err(error) => return Err(error),
        };
        let group = groups.entry(sidecar.stored_as.unwrap_or(name)).or_default();
        group.names.push(name);
        group.bytes = sidecar.bytes;
        group.sent = group.sent.max(sidecar.sent);
        group.referenced |= sidecar.referenced;
    }
    Ok(groups)
}

/// Returns the time before which blobs must have been sent to be removed.
#[must_use]
pub fn sent_before(now: Timestamp, kept: Duration) -> Timestamp {
    let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(now.as_millis().saturating_sub(kept))
}
