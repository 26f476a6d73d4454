//! `session-storage import`: sessions of a bundle or of a directory, into a directory that is not in use.
//!
//! The target is opened and closed first, so that its journal has nothing left to do: what it would replay could
//! touch what comes in. Then everything is staged and proved, then compared, and a difference refuses the whole
//! import unless the caller has said what to do. Only then the index is removed (the next start reads each session's
//! metadata, and gives no event an offset that an imported one has) and the folders are renamed into place, one by
//! one. An import that ends in between is finished by doing it again: what is there already is the same.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use session_model::SessionId;
use sha2::{Digest as _, Sha256};

use super::outgoing::Nobody;
use super::staging::{Staging, link_children};
use super::{gather, inspect};
use crate::bundle::manifest::hex;
use crate::bundle::{self, Kind};
use crate::store::disk::{Disk as _, RealDisk, sync_dir};
use crate::store::layout::{Layout, METADATA, is_session_file};
use crate::store::{Options, Store};

/// What to do about a session that is there already and differs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Existing {
    /// Import nothing at all.
    #[default]
    Refuse,
    /// Leave it, and import the others.
    Skip,
    /// Import the other one under a name of its own, made from its content.
    AsNew,
}

impl Existing {
    /// From the flags of the command line, of which one at most is given.
    pub fn from_flags(skip: bool, as_new: bool) -> Self {
        match (skip, as_new) {
            (true, _) => Self::Skip,
            (false, true) => Self::AsNew,
            (false, false) => Self::Refuse,
        }
    }
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Imported {
    /// Those that are new here, under the names that they have here.
    pub new: Vec<SessionId>,
    /// Those that were here already, the same.
    pub same: Vec<SessionId>,
    /// Those that were here already, different, and were left.
    pub skipped: Vec<SessionId>,
    /// What is worth a word.
    pub remarks: Vec<String>,
}

/// Names and sums of a session's files.
type Files = BTreeMap<String, String>;

/// Imports the sessions of a bundle or a storage directory.
pub fn import(options: Options, source: &Path, existing: Existing) -> anyhow::Result<Imported> {
    let store = Store::open(options, Arc::new(RealDisk), Arc::new(Nobody))?;
    store.close();
    let staging = Staging::begin(store.layout())?;
    let mut imported = Imported::default();
    if source.is_dir() {
        imported.remarks = gather::directory(source, &staging.layout(), staging.room()?)?;
    } else {
        let file = File::open(source).with_context(|| format!("failed to open `{}`", source.display()))?;
        let manifest = bundle::stage(BufReader::new(file), staging.path(), staging.room()?)?;
        ensure!(manifest.kind == Kind::Export, "this is a back-up: see `session-storage restore`");
        imported.remarks = staging.leave_out_foreign()?;
    }
    for id in staging.sessions()? {
        imported.remarks.extend(inspect::session(&staging.layout(), &id)?);
    }
    compare(store.layout(), &staging, existing, &mut imported)?;
    settle(store.layout(), &staging, &imported.new)?;
    Ok(imported)
}

/// Sorts the sessions into those that are new, the same, or to be left; renames those that get a name of their own.
fn compare(
    target: &Layout,
    staging: &Staging,
    existing: Existing,
    imported: &mut Imported,
) -> anyhow::Result<()> {
    let mut differ = Vec::new();
    for id in staging.sessions()? {
        match (is_same(target, staging, &id)?, existing) {
            (None, _) => imported.new.push(id),
            (Some(true), _) => imported.same.push(id),
            (Some(false), Existing::Skip) => imported.skipped.push(id),
            (Some(false), Existing::Refuse) => differ.push(id.to_string()),
            (Some(false), Existing::AsNew) => {
                let id = rename(&staging.layout(), &id)?;
                match is_same(target, staging, &id)? {
                    None => imported.new.push(id),
                    Some(true) => imported.same.push(id),
                    Some(false) => imported.skipped.push(id),
                }
            }
        }
    }
    if !differ.is_empty() {
        bail!(
            "nothing was imported: other sessions of these names are there already: {} (see --skip-existing and --as-new)",
            differ.join(", ")
        );
    }
    Ok(())
}

/// Whether the session that is there is the same; `None`: there is none.
fn is_same(target: &Layout, staging: &Staging, id: &SessionId) -> anyhow::Result<Option<bool>> {
    let there = target.session(id);
    if fs::symlink_metadata(&there).is_err() {
        return Ok(None);
    }
    Ok(Some(files(&there)? == files(&staging.layout().session(id))?))
}

fn files(folder: &Path) -> anyhow::Result<Files> {
    let mut files = Files::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_file() && is_session_file(&name) {
            let (mut sum, mut file) = (Sha256::new(), File::open(entry.path())?);
            std::io::copy(&mut file, &mut Summing(&mut sum))?;
            files.insert(name, hex(&sum.finalize()));
        }
    }
    Ok(files)
}

struct Summing<'s>(&'s mut Sha256);

impl std::io::Write for Summing<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Gives a staged session a name of its own: its old one, and what its content sums to, so that doing it again leads
/// to the same name. Its logs stay as they are, byte for byte.
fn rename(staged: &Layout, id: &SessionId) -> anyhow::Result<SessionId> {
    let sum = Sha256::digest(serde_json::to_vec(&files(&staged.session(id))?)?);
    let stem = &id.as_str()[..id.as_str().len().min(110)];
    let name = SessionId::parse(&format!("{stem}-{}", &hex(&sum)[..12]))?;
    let path = staged.file(id, METADATA);
    let mut metadata: serde_json::Value = session_model::json::stored(&fs::read(&path)?)
        .with_context(|| format!("`{id}` has no readable metadata and cannot get another name"))?;
    metadata["sessionId"] = name.as_str().into();
    metadata["importedFrom"] = id.as_str().into();
    let mut bytes = serde_json::to_vec_pretty(&metadata)?;
    bytes.push(b'\n');
    RealDisk.replace(&path, &bytes, false)?;
    fs::rename(staged.session(id), staged.session(&name))?;
    Ok(name)
}

/// Moves the staged sessions into place, durably.
fn settle(target: &Layout, staging: &Staging, new: &[SessionId]) -> anyhow::Result<()> {
    if new.is_empty() {
        return Ok(());
    }
    for id in new {
        link_children(&staging.layout(), id)?;
    }
    staging.sync().context("failed to sync what came in")?;
    match fs::remove_file(target.index()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        Ok(()) | Err(_) => sync_dir(&target.index())?,
    }
    for id in new {
        fs::rename(staging.layout().session(id), target.session(id))
            .with_context(|| format!("failed to move `{id}` into place"))?;
    }
    sync_dir(&target.sessions().join("x"))?;
    Ok(())
}
