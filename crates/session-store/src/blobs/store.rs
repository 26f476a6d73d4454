//! Uploads to the local engine, and opening what they stored.

use std::fs::{self, File};
use std::io;
use std::sync::atomic::Ordering;

use session_model::{BlobName, LogKind, SessionId, Timestamp};

use super::error::BlobError;
use super::folder::{BlobFolder, Kept};
use super::open::OpenBlob;
use super::part::Part;
use super::sidecar::Sidecar;
use super::spec::{BlobLimits, BlobSpec};
use super::upload::{StoredBlob, Target, Upload, Whole};
use crate::files;
use crate::session_cache::CachedSession;
use crate::store::Store;

/// How many times a session is read again after failed commits.
const ATTEMPTS: usize = 10;
/// A blob that is sent again is noted as sent now, unless it was sent within this time.
const RENEWED_AFTER_MS: i64 = 60 * 60 * 1000;

impl Store {
    /// Runs a step in the folder of a session that exists, with the folder locked and the session's
    /// files complete. `created`: the offset of the session's creation must be this one.
    pub(super) fn inside<R>(
        &self,
        id: &SessionId,
        created: Option<u64>,
        step: impl FnOnce(&BlobFolder, u64) -> Result<R, BlobError>,
    ) -> Result<R, BlobError> {
        let cell = self.cache.get(id);
        for _ in 0..ATTEMPTS {
            self.load(&cell)?;
            self.complete(&cell)?;
            let _alone = self.directory_locks.enter(id);
            let found = match &*cell.slot.lock() {
                CachedSession::Loaded(loaded) if loaded.generation == self.journal.generation() => {
                    loaded.view.created_offset
                }
                CachedSession::Absent(generation) if *generation == self.journal.generation() => {
                    return Err(BlobError::NoSession);
                }
                CachedSession::Loaded(_) | CachedSession::Absent(_) | CachedSession::Unloaded => {
                    continue;
                }
            };
            if self.behind.pending(id).is_some() {
                continue;
            }
            if created.is_some_and(|created| created != found) {
                return Err(BlobError::NoSession);
            }
            return step(&BlobFolder::of(&self.layout.session(id)), found);
        }
        Err(BlobError::Overtaken)
    }

    /// Begins an upload. `created`: the offset of the session's creation, if the session exists.
    pub(crate) fn begin_upload(
        &self,
        id: &SessionId,
        created: Option<u64>,
        spec: BlobSpec,
    ) -> Result<Upload, BlobError> {
        let announced = spec.announced.unwrap_or(0);
        if announced > spec.limits.one {
            return Err(BlobError::TooLarge(spec.limits.one));
        }
        let pins = &self.blobs.pins;
        let mut held = vec![pins.pin(id, spec.name)];
        let kept = match created {
            None => {
                check_usage(0, announced, spec.limits)?;
                None
            }
            Some(_) => self.inside(id, created, |folder, created| {
                match folder.find(&spec.name) {
                    Ok(Some(kept)) => {
                        held.push(pins.pin(id, kept.stored));
                        Ok(Some(kept))
                    }
                    // A damaged blob is replaced.
                    Ok(None) | Err(BlobError::Damaged(_)) => {
                        let used = self.used(id, created, folder, spec.limits)?;
                        check_usage(used, announced, spec.limits)?;
                        Ok(None)
                    }
                    Err(error) => Err(error),
                }
            })?,
        };
        let target = match kept {
            Some(kept) => Target::Kept(kept),
            None => Target::Part(self.new_part()?),
        };
        Ok(Upload::new(id.clone(), created, spec, target, held))
    }

    /// Stores an upload; when this returns, the blob is durable.
    pub(crate) fn finish_upload(&self, mut whole: Whole) -> Result<StoredBlob, BlobError> {
        let id = whole.session.clone();
        let at = whole.at;
        if let Target::Part(part) = &whole.target {
            part.sync().map_err(BlobError::io("sync"))?;
        }
        let target = std::mem::replace(&mut whole.target, Target::Memory(Vec::new()));
        let (existing, folders) = self.inside(&id, whole.created, |folder, created| {
            let existing = match target {
                Target::Part(part) => self.put_in_place(&whole, created, part, folder)?,
                Target::Kept(kept) => {
                    // It is pinned, but somebody else may have removed it.
                    if folder.find(&whole.name)?.is_none() {
                        return Err(BlobError::Overtaken);
                    }
                    self.renew(folder, &whole.name, at)?;
                    self.renew(folder, &kept.stored, at)?;
                    true
                }
                Target::Memory(_) => false,
            };
            let names = [&whole.name, &whole.stored];
            let folders = self.folders_to_sync(&id, created, folder, names)?;
            Ok((existing, folders))
        })?;
        for folder in folders {
            folder.sync_all().map_err(BlobError::io("sync"))?;
        }
        Ok(whole.stored(existing))
    }

    /// Gives a synced part its name; returns whether the blob was there by now.
    fn put_in_place(
        &self,
        whole: &Whole,
        created: u64,
        part: Part,
        folder: &BlobFolder,
    ) -> Result<bool, BlobError> {
        let Whole {
            session,
            name,
            stored,
            sidecar,
            limits,
            ..
        } = whole;
        let kept = match folder.find(stored) {
            Err(BlobError::Damaged(_)) => None,
            found => found?.filter(|kept| kept.sidecar.stored_as.is_none()),
        };
        let was_there = kept.is_some();
        for name in [stored, name] {
            fs::create_dir_all(folder.folder(name)).map_err(BlobError::io("write"))?;
        }
        if was_there {
            self.renew(folder, stored, whole.at)?;
        } else {
            let replaced = folder.length(stored).ok().flatten().unwrap_or(0);
            let used = self.used(session, created, folder, *limits)?;
            check_usage(used.saturating_sub(replaced), sidecar.bytes, *limits)?;
            let of_bytes = Sidecar {
                stored_as: None,
                redacted: 0,
                ..sidecar.clone()
            };
            self.write_sidecar(folder, stored, &of_bytes)?;
            part.rename(&folder.bytes(stored))
                .map_err(BlobError::io("write"))?;
            let usage = &self.blobs.usage;
            usage.change(session, created, sidecar.bytes, replaced);
        }
        if sidecar.stored_as.is_some() {
            self.write_sidecar(folder, name, sidecar)?;
            // Bytes of this name, which a damaged sidecar had left, are not redacted.
            match fs::remove_file(folder.bytes(name)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed.map_err(BlobError::io("remove"))?,
            }
        }
        Ok(was_there && stored == name)
    }

    /// Writes a sidecar, durably.
    pub(super) fn write_sidecar(
        &self,
        folder: &BlobFolder,
        name: &BlobName,
        sidecar: &Sidecar,
    ) -> Result<(), BlobError> {
        let mut part = self.new_part()?;
        part.write(&sidecar.to_bytes())
            .and_then(|()| part.sync())
            .and_then(|()| part.rename(&folder.sidecar(name)))
            .map_err(BlobError::io("write"))
    }

    /// Notes that a blob without a reference was sent again, so that it is kept for another day.
    fn renew(&self, folder: &BlobFolder, name: &BlobName, at: Timestamp) -> Result<(), BlobError> {
        let Some(sidecar) = Sidecar::read(&folder.sidecar(name))? else {
            return Ok(());
        };
        let is_fresh = at.as_millis() - sidecar.sent.as_millis() < RENEWED_AFTER_MS;
        if sidecar.referenced || is_fresh {
            return Ok(());
        }
        let renewed = Sidecar {
            sent: at,
            ..sidecar
        };
        self.write_sidecar(folder, name, &renewed)
    }

    fn new_part(&self) -> Result<Part, BlobError> {
        let n = self.blobs.parts.fetch_add(1, Ordering::Relaxed);
        fs::create_dir_all(self.layout.uploads())
            .and_then(|()| Part::create(&self.disk, self.layout.upload(n)))
            .map_err(BlobError::io("write"))
    }

    /// Returns how many bytes the blobs of a session have, if that is limited.
    fn used(
        &self,
        id: &SessionId,
        created: u64,
        folder: &BlobFolder,
        limits: BlobLimits,
    ) -> Result<u64, BlobError> {
        if limits.session.is_none() {
            return Ok(0);
        }
        let used = self.blobs.usage.of(id, created, folder);
        used.map_err(BlobError::io("read"))
    }

    /// Opens the folders whose entries make a blob durable, and the log whose first line tells which
    /// session the folder belongs to, unless a checkpoint has synced that line.
    fn folders_to_sync(
        &self,
        id: &SessionId,
        created: u64,
        folder: &BlobFolder,
        names: [&BlobName; 2],
    ) -> Result<Vec<File>, BlobError> {
        let mut paths = vec![folder.folder(names[0])];
        if names[0] != names[1] {
            paths.push(folder.folder(names[1]));
        }
        paths.extend([
            folder.path().to_owned(),
            self.layout.session(id),
            self.layout.sessions(),
        ]);
        let mut open = Vec::new();
        if created >= self.checkpointed.load(Ordering::Relaxed) {
            match files::open(&self.layout.log(id, LogKind::Changes)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                log => open.push(log.map_err(BlobError::io("sync"))?),
            }
        }
        for path in paths {
            open.push(File::open(path).map_err(BlobError::io("sync"))?);
        }
        Ok(open)
    }

    /// Opens a blob of a session for reading.
    pub(crate) fn open_stored_blob(
        &self,
        id: &SessionId,
        name: &BlobName,
    ) -> Result<OpenBlob, BlobError> {
        let folder = BlobFolder::of(&self.layout.session(id));
        let Kept {
            stored,
            media_type,
            sidecar: _,
        } = folder.find(name)?.ok_or(BlobError::NotFound)?;
        let permit = self.readers.keep();
        match OpenBlob::file(stored, media_type, folder.bytes(&stored), permit) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(BlobError::NotFound),
            opened => opened.map_err(BlobError::io("read")),
        }
    }
}

/// Refuses bytes for which the blobs of a session have no room.
fn check_usage(used: u64, more: u64, limits: BlobLimits) -> Result<(), BlobError> {
    match limits.session {
        Some(most) if used.saturating_add(more) > most => Err(BlobError::SessionFull(most)),
        Some(_) | None => Ok(()),
    }
}
