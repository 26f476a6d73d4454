//! Writes a bundle to a file, from the running service, or from the directory if no service runs.
//!
//! The file is written in its target folder under a temporary name, synced, read back and verified,
//! and only then renamed. So a file with the final name is always complete.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, ensure};
use session_model::SessionId;

use super::{Door, Source};
use crate::bundle::{self, BundleWriter, Kind, Manifest};
use crate::clock::now;
use crate::sessions::ExportQuery;
use crate::store::committer::Observer;
use crate::store::disk::{RealDisk, sync_dir};
use crate::store::log_writer::PendingEvent;
use crate::store::{Options, Store, backup, export};

/// The requested content of a bundle.
#[derive(Clone, Debug)]
pub enum Asked {
    /// The whole directory as of one position.
    Backup,
    /// Single sessions.
    Export(ExportQuery),
}

/// The result of writing a bundle.
#[derive(Debug)]
pub struct Written {
    /// The file.
    pub file: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its manifest.
    pub manifest: Manifest,
    /// Where the data came from.
    pub source: Source,
}

/// An observer that ignores commits, for a directory that has no subscribers because it is only
/// copied.
pub(super) struct Nobody;

impl Observer for Nobody {
    fn committed(&self, _: &[PendingEvent], _: &[u8]) {}
}

/// Writes a bundle to a file, or into a folder under a name that contains its position.
pub fn write(door: &Door<'_>, options: Options, asked: &Asked, target: &Path) -> anyhow::Result<Written> {
    let folder = if target.is_dir() { target } else { target.parent().unwrap_or(Path::new("")) };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    ensure!(folder.is_dir(), "`{}` is no folder", folder.display());
    ensure!(!target.is_file(), "`{}` is there already", target.display());
    let part = folder.join(format!(".bundle-{}.part", std::process::id()));
    let source = door.source()?;
    let written = fill(door, &source, options, asked, &part).and_then(|()| {
        let manifest = bundle::prove(File::open(&part)?).context("failed to read back what was written")?;
        let bytes = fs::metadata(&part)?.len();
        let name = format!("{}-{}.tar.zst", name_of(manifest.kind), manifest.position());
        let file = if target.is_dir() { target.join(name) } else { target.to_owned() };
        fs::rename(&part, &file).with_context(|| format!("failed to name `{}`", file.display()))?;
        sync_dir(&file)?;
        Ok(Written { file, bytes, manifest, source })
    });
    if written.is_err() && part.exists() {
        fs::remove_file(&part).with_context(|| format!("failed to remove `{}`", part.display()))?;
    }
    written
}

fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Export => "export",
        Kind::Backup => "backup",
    }
}

/// Fills the bundle from the source.
fn fill(
    door: &Door<'_>,
    source: &Source,
    options: Options,
    asked: &Asked,
    part: &Path,
) -> anyhow::Result<()> {
    let mut packed =
        bundle::file::begin(part).with_context(|| format!("failed to create `{}`", part.display()))?;
    match source {
        Source::Service { place, .. } => {
            let body = door.get(&path_of(asked))?;
            let mut body = body.with_context(|| format!("the service at {place} has stopped: ask again"))?;
            io::copy(&mut body, &mut packed).context("failed to receive the bundle")?;
        }
        Source::Directory(_) => from_directory(options, asked, &mut packed)?,
    }
    packed.finish()?.sync_all().context("failed to sync the bundle")
}

fn path_of(asked: &Asked) -> String {
    let Asked::Export(query) = asked else { return "/api/admin/backup".to_owned() };
    let ids = query.ids.iter().map(|id| format!("session={id}"));
    let user = query.user.iter().map(|user| format!("user={}", percent(user)));
    let parameters: Vec<String> = ids.chain(user).collect();
    format!("/api/admin/export?{}", parameters.join("&"))
}

/// Percent-encodes a value for a query parameter.
pub(super) fn percent(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

/// Opens the directory, recovers it if it was not stopped cleanly, and copies from it.
fn from_directory(options: Options, asked: &Asked, packed: &mut impl Write) -> anyhow::Result<()> {
    let store = Store::open(options, Arc::new(RealDisk), Arc::new(Nobody))?;
    let bundle = BundleWriter::new(packed, now());
    let copied = match asked {
        Asked::Backup => backup::run(&store, bundle).map(drop).map_err(anyhow::Error::from),
        Asked::Export(query) => export_from(&store, query, bundle),
    };
    store.close();
    copied
}

fn export_from(
    store: &Arc<Store>,
    query: &ExportQuery,
    mut bundle: BundleWriter<&mut impl Write>,
) -> anyhow::Result<()> {
    if let Some(id) = query.ids.iter().find(|id| store.index.get(id.as_str()).is_none()) {
        anyhow::bail!("there is no session `{id}`");
    }
    let mut newest = 0;
    for id in selected(store, query) {
        newest = newest.max(export::session(store, &id, &mut bundle)?.unwrap_or(0));
    }
    bundle.finish(Kind::Export, store.epoch(), newest)?;
    Ok(())
}

/// Returns the sessions that match a query, oldest first.
fn selected(store: &Store, query: &ExportQuery) -> Vec<SessionId> {
    store
        .index
        .newest(None, usize::MAX, |id, row| query.wants(id, row))
        .into_iter()
        .rev()
        .map(|((_, _, id), _)| id)
        .collect()
}
