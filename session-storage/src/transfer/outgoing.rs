//! Writes a bundle to a file, from the running service, or from the directory if no service runs.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use session_model::SessionId;

use super::{Connector, Source};
use crate::clock::now;
use crate::sessions::ExportQuery;
use session_store::bundle::file::write_new;
use session_store::bundle::{BundleWriter, Manifest, Sink};
use session_store::engine::Engine;
use session_store::{Options, Store};

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

/// Writes a bundle to a file, or into a folder under a name that contains its position.
pub fn write(
    connector: &Connector<'_>,
    options: Options,
    asked: &Asked,
    target: &Path,
) -> anyhow::Result<Written> {
    let source = connector.source()?;
    let written = write_new(target, |packed| match &source {
        Source::Service { place, .. } => receive(connector, place, asked, packed),
        Source::Directory(_) => from_directory(options, asked, packed),
    })?;
    Ok(Written {
        file: written.file,
        bytes: written.bytes,
        manifest: written.manifest,
        source,
    })
}

/// Receives a bundle from the running service.
fn receive(
    connector: &Connector<'_>,
    place: &str,
    asked: &Asked,
    packed: &mut dyn Write,
) -> anyhow::Result<()> {
    let body = connector.get(&path_of(asked))?;
    let mut body =
        body.with_context(|| format!("the service at {place} has stopped: ask again"))?;
    io::copy(&mut body, packed).context("failed to receive the bundle")?;
    Ok(())
}

fn path_of(asked: &Asked) -> String {
    let Asked::Export(query) = asked else {
        return "/api/admin/backup".to_owned();
    };
    let ids = query.ids.iter().map(|id| format!("session={id}"));
    let user = query
        .user
        .iter()
        .map(|user| format!("user={}", percent(user)));
    let parameters: Vec<String> = ids.chain(user).collect();
    format!("/api/admin/export?{}", parameters.join("&"))
}

/// Percent-encodes a value for a query parameter.
pub(super) fn percent(text: &str) -> String {
    text.bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}

/// Opens the directory, recovers it if it was not stopped cleanly, and copies from it.
fn from_directory(options: Options, asked: &Asked, packed: Sink<'_>) -> anyhow::Result<()> {
    let store = Store::open_unwatched(options)?;
    let copied = copy(&*store, asked, BundleWriter::new(packed, now()));
    store.close();
    copied
}

fn copy(engine: &dyn Engine, asked: &Asked, bundle: BundleWriter<Sink<'_>>) -> anyhow::Result<()> {
    match asked {
        Asked::Backup => engine.backup(bundle)?,
        Asked::Export(query) => {
            let is_unknown = |id: &&SessionId| engine.index().get(id.as_str()).is_none();
            if let Some(id) = query.ids.iter().find(is_unknown) {
                bail!("there is no session `{id}`");
            }
            engine.export(&query.selected(engine.index()), bundle)?
        }
    };
    Ok(())
}
