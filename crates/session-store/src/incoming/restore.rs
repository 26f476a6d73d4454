//! Turns a back-up into a storage directory again.
//!
//! The target directory must be empty, and nothing is ever overwritten. The exceptions are the
//! access keys and the redaction key, which no back-up contains: an operator who wants to keep
//! using them puts them in the directory first.
//!
//! The back-up is staged and verified first. Then a marker is created, the parts are renamed into
//! place, and the marker is removed. While the marker exists, no service opens the directory, and
//! repeating the restore starts from the beginning. Finally the directory is opened once, which
//! recovers it up to the position, and the position that was reached is compared with that of the
//! back-up. The restored directory has a new epoch (see [`crate::backup`]).

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::Path;

use super::IncomingError;
use super::staging::{Staging, link_children};
use crate::backup::kept_back;
use crate::bundle::manifest::KeptBack;
use crate::bundle::member_path::REASON;
use crate::bundle::{self, Kind, Manifest};
use crate::checkpoint::{Checkpoint, new_epoch};
use crate::disk::{RealDisk, sync_dir};
use crate::layout::Layout;
use crate::lock::DirLock;
use crate::store::{Options, Store};

/// Entries that a directory may contain and still counts as empty.
const NOTHING: [&str; 5] = [
    "lost+found",
    ".lock",
    ".incoming",
    "access",
    ".redaction-key",
];

/// The result of a restore.
#[derive(Debug)]
pub struct Restored {
    /// The manifest of the back-up.
    pub manifest: Manifest,
    /// The new epoch.
    pub epoch: String,
    /// The number of sessions.
    pub sessions: usize,
    /// Messages for the operator.
    pub remarks: Vec<String>,
}

/// Restores a back-up into the directory of the options, which must be empty.
pub fn restore(options: Options, file: &Path) -> Result<Restored, IncomingError> {
    let layout = Layout::new(&options.path);
    fs::create_dir_all(layout.root()).map_err(IncomingError::io("create", layout.root()))?;
    let manifest = unpack(&layout, file)?;
    let store = Store::open_unwatched(options)?;
    let reached = store.journal.durable();
    let epoch = store.epoch.clone();
    let sessions = store.index.counts().0;
    store.close();
    if reached != manifest.offset {
        return Err(IncomingError::Incomplete {
            expected: manifest.offset,
            reached,
        });
    }
    let has = kept_back(&layout).map_err(IncomingError::io("read the keys of", layout.root()))?;
    let remarks = missing(manifest.kept_back.as_ref(), &has);
    Ok(Restored {
        manifest,
        epoch,
        sessions,
        remarks,
    })
}

/// Unpacks a back-up into an empty directory and verifies it, under the directory's lock.
fn unpack(layout: &Layout, file: &Path) -> Result<Manifest, IncomingError> {
    let _lock = DirLock::take(layout)?;
    make_empty(layout)?;
    let staging = Staging::begin(layout)?;
    let opened = File::open(file).map_err(IncomingError::io("open", file))?;
    let manifest = bundle::stage(
        BufReader::new(opened),
        staging.path(),
        staging.free_bytes()?,
    )?;
    if manifest.kind != Kind::Backup {
        return Err(IncomingError::IsExport);
    }
    settle(layout, &staging)?;
    Ok(manifest)
}

/// Lists what the original directory had and this one lacks.
fn missing(had: Option<&KeptBack>, has: &KeptBack) -> Vec<String> {
    let mut missing = Vec::new();
    if had.is_some_and(|had| had.access_keys) && !has.access_keys {
        let what = "the service that was backed up asked for keys, and this directory has none: everybody who reaches it \
                    may do everything, until its `access/` is put here or new keys are made";
        missing.push(what.to_owned());
    }
    let redaction_key = had.and_then(|had| had.redaction_key.as_ref());
    if redaction_key.is_some() && redaction_key != has.redaction_key.as_ref() {
        let what = "this directory has another redaction key: a secret gets another placeholder than the one that it has in the \
                    records, unless the old `.redaction-key` is put here before the service starts";
        missing.push(what.to_owned());
    }
    missing
}

/// Removes what an interrupted restore left, and refuses a directory that contains anything else.
fn make_empty(layout: &Layout) -> Result<(), IncomingError> {
    let marker = layout.restoring();
    if marker.exists() {
        for folder in [
            layout.sessions(),
            layout.journal(),
            layout.quarantine(),
            layout.recent(),
        ] {
            match fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(IncomingError::io("remove", folder)(error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        fs::remove_file(&marker).map_err(IncomingError::io("remove", marker))?;
    }
    let read = || IncomingError::io("read", layout.root());
    for entry in fs::read_dir(layout.root()).map_err(read())? {
        let name = entry.map_err(read())?.file_name();
        let name = name.to_string_lossy().into_owned();
        if !NOTHING.contains(&name.as_str()) {
            return Err(IncomingError::NotEmpty {
                path: layout.root().to_owned(),
                name,
            });
        }
    }
    Ok(())
}

/// Prepares the staged back-up for its first start, and moves it into place while the marker
/// exists.
fn settle(layout: &Layout, staging: &Staging) -> Result<(), IncomingError> {
    let staged = staging.layout();
    begin_epoch(&staged)?;
    for id in staging.sessions()? {
        link_children(&staged, &id)?;
    }
    let quarantine = staged.quarantine();
    move_reasons(&quarantine).map_err(IncomingError::io("move the reasons in", &quarantine))?;
    staging.sync()?;
    let marker = layout.restoring();
    File::create(&marker)
        .and_then(|file| file.sync_all())
        .and_then(|()| sync_dir(&marker))
        .map_err(IncomingError::io("create", &marker))?;
    for (from, to) in [
        (staged.sessions(), layout.sessions()),
        (quarantine, layout.quarantine()),
        (staged.journal(), layout.journal()),
    ] {
        match fs::rename(&from, &to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            moved => moved.map_err(IncomingError::io("move into place", to))?,
        }
    }
    sync_dir(&layout.sessions()).map_err(IncomingError::io("sync", layout.root()))?;
    fs::remove_file(&marker)
        .and_then(|()| sync_dir(&marker))
        .map_err(IncomingError::io("remove", marker))
}

/// Gives the staged checkpoint a new epoch, and marks it as one to recover from.
fn begin_epoch(staged: &Layout) -> Result<(), IncomingError> {
    let path = staged.checkpoint();
    let checkpoint = Checkpoint::read(staged).map_err(IncomingError::io("read", &path))?;
    let checkpoint = Checkpoint {
        epoch: new_epoch(),
        clean: false,
        boot: None,
        synced: true,
        ..checkpoint.ok_or(IncomingError::NoCheckpoint)?
    };
    checkpoint
        .write(staged, &RealDisk)
        .map_err(IncomingError::io("write", path))
}

/// Moves the reason of each quarantine from inside the session's folder to the file beside it.
fn move_reasons(quarantine: &Path) -> io::Result<()> {
    let Ok(folders) = fs::read_dir(quarantine) else {
        return Ok(());
    };
    for folder in folders {
        let folder = folder?;
        let name = folder.file_name().to_string_lossy().into_owned();
        match fs::rename(
            folder.path().join(REASON),
            quarantine.join(format!("{name}.reason.txt")),
        ) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}
