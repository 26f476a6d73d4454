//! Implements `session-storage restore`, which turns a back-up into a storage directory again.
//!
//! The target directory must be empty, and nothing is ever overwritten. The exceptions are the
//! access keys and the redaction key, which no back-up contains: an operator who wants to keep
//! using them puts them in the directory first.
//!
//! The back-up is staged and verified first. Then a marker is created, the parts are renamed into
//! place, and the marker is removed. While the marker exists, no service opens the directory, and
//! repeating the restore starts from the beginning. Finally the directory is opened once, which
//! recovers it up to the position, and the position that was reached is compared with that of the
//! back-up. The restored directory has a new epoch (see [`crate::store::backup`]).

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};

use super::outgoing::Nobody;
use super::staging::{Staging, link_children};
use crate::bundle::manifest::KeptBack;
use crate::bundle::place::REASON;
use crate::bundle::{self, Kind, Manifest};
use crate::store::backup::kept_back;
use crate::store::checkpoint::{Checkpoint, new_epoch};
use crate::store::disk::{RealDisk, sync_dir};
use crate::store::layout::Layout;
use crate::store::lock::DirLock;
use crate::store::{Options, Store};

/// Entries that a directory may contain and still counts as empty.
const NOTHING: [&str; 5] = ["lost+found", ".lock", ".incoming", "access", ".redaction-key"];

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
pub fn restore(options: Options, file: &Path) -> anyhow::Result<Restored> {
    let layout = Layout::new(&options.path);
    fs::create_dir_all(layout.root())
        .with_context(|| format!("failed to create `{}`", layout.root().display()))?;
    let manifest = {
        let _lock = DirLock::take(&layout)?;
        make_empty(&layout)?;
        let staging = Staging::begin(&layout)?;
        let opened = File::open(file).with_context(|| format!("failed to open `{}`", file.display()))?;
        let manifest = bundle::stage(BufReader::new(opened), staging.path(), staging.room()?)?;
        ensure!(manifest.kind == Kind::Backup, "this is an export: see `session-storage import`");
        settle(&layout, &staging)?;
        manifest
    };
    let store = Store::open(options, Arc::new(RealDisk), Arc::new(Nobody))?;
    let (reached, epoch, sessions) =
        (store.journal.durable(), store.epoch().to_owned(), store.index.counts().0);
    store.close();
    ensure!(
        reached == manifest.offset,
        "the back-up says position {} but leads to {reached}: see the log above",
        manifest.offset
    );
    let remarks = missing(manifest.kept_back.as_ref(), &kept_back(&layout)?);
    Ok(Restored { manifest, epoch, sessions, remarks })
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
        let what = "this directory has another redaction key: a secret gets another tag than the one that it has in the \
                    records, unless the old `.redaction-key` is put here before the service starts";
        missing.push(what.to_owned());
    }
    missing
}

/// Removes what an interrupted restore left, and refuses a directory that contains anything else.
fn make_empty(layout: &Layout) -> anyhow::Result<()> {
    if layout.restoring().exists() {
        for folder in [layout.sessions(), layout.journal(), layout.quarantine(), layout.recent()] {
            match fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                Ok(()) | Err(_) => {}
            }
        }
        fs::remove_file(layout.restoring())?;
    }
    for entry in fs::read_dir(layout.root())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !NOTHING.contains(&name.as_str()) {
            bail!(
                "`{}` is not empty (`{name}`): nothing is restored over what is there",
                layout.root().display()
            );
        }
    }
    Ok(())
}

fn settle(layout: &Layout, staging: &Staging) -> anyhow::Result<()> {
    let staged = staging.layout();
    let checkpoint = Checkpoint::read(&staged)?.context("the back-up has no readable checkpoint")?;
    let checkpoint = Checkpoint { epoch: new_epoch(), clean: false, boot: None, synced: true, ..checkpoint };
    checkpoint.write(&staged, &RealDisk)?;
    for id in staging.sessions()? {
        link_children(&staged, &id)?;
    }
    move_reasons(&staged)?;
    staging.sync().context("failed to sync what came in")?;
    File::create(layout.restoring())?.sync_all()?;
    sync_dir(&layout.restoring())?;
    for (from, to) in [
        (staged.sessions(), layout.sessions()),
        (staged.quarantine(), layout.quarantine()),
        (staged.journal(), layout.journal()),
    ] {
        match fs::rename(&from, &to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            moved => moved.with_context(|| format!("failed to move `{}` into place", to.display()))?,
        }
    }
    sync_dir(&layout.sessions())?;
    fs::remove_file(layout.restoring())?;
    sync_dir(&layout.restoring())?;
    Ok(())
}

/// Moves the reason of each quarantine from inside the session's folder to the file beside it.
fn move_reasons(staged: &Layout) -> io::Result<()> {
    let Ok(folders) = fs::read_dir(staged.quarantine()) else { return Ok(()) };
    for folder in folders {
        let folder = folder?;
        let name = folder.file_name().to_string_lossy().into_owned();
        match fs::rename(folder.path().join(REASON), staged.quarantine().join(format!("{name}.reason.txt"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}
