//! Implements `session-storage import`, which imports the sessions of a bundle or directory into a
//! directory that is not in use.
//!
//! First, the target is opened and closed, so that nothing is left to replay in its journal: a
//! replay could modify imported sessions. Then all sessions are staged, verified and compared with
//! existing ones; a difference refuses the whole import unless the caller has decided otherwise.
//! Only then the index is removed, and the folders are renamed into place, one by one. Without an
//! index, the next start reads the metadata of each session and assigns no offset that an imported
//! event has. An interrupted import is completed by repeating it: sessions that were already
//! imported are identical.

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

/// How to handle a session that exists with different content.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Existing {
    /// Import no session at all.
    #[default]
    Refuse,
    /// Keep the existing session, and import the others.
    Skip,
    /// Import the session under a new id, derived from its content.
    AsNew,
}

impl Existing {
    /// Converts the flags of the command line, of which at most one is set.
    pub fn from_flags(skip: bool, as_new: bool) -> Self {
        match (skip, as_new) {
            (true, _) => Self::Skip,
            (false, true) => Self::AsNew,
            (false, false) => Self::Refuse,
        }
    }
}

/// The result of an import.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Imported {
    /// Imported sessions, by their ids in the target.
    pub new: Vec<SessionId>,
    /// Sessions that already existed with the same content.
    pub same: Vec<SessionId>,
    /// Sessions that already existed with different content and were not imported.
    pub skipped: Vec<SessionId>,
    /// Messages for the operator.
    pub remarks: Vec<String>,
}

/// The names and checksums of a session's files.
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

/// Sorts the sessions into new, identical and skipped ones; renames those that get a new id.
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

/// Whether the existing session has the same content; `None` if there is none.
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

/// Gives a staged session a new id: the old one and a checksum of the content, so that repeating
/// the import leads to the same id. The logs stay unchanged, byte for byte.
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
