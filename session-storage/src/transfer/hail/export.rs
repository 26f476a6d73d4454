//! Writes sessions as files.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, ensure};
use futures_util::StreamExt as _;
use session_insight::hail::FILE_ENDING;
use session_model::SessionId;
use session_store::disk::sync_dir;

use super::super::{Connector, Source};
use super::check::check;
use crate::live::{Hub, LiveConfig};
use crate::sessions::{Sessions, Settings};

/// Writes sessions as files: one session into a file, or any number into a folder.
pub fn export(
    connector: &Connector<'_>,
    settings: Settings,
    ids: &[SessionId],
    target: &Path,
) -> anyhow::Result<Vec<PathBuf>> {
    ensure!(!ids.is_empty(), "name the sessions to write: --session ID");
    ensure!(
        target.is_dir() || ids.len() == 1,
        "`{}` is no folder: several sessions need one",
        target.display()
    );
    let mut sources: Vec<(PathBuf, &SessionId)> = Vec::new();
    for id in ids {
        let file = if target.is_dir() {
            target.join(format!("{id}{FILE_ENDING}"))
        } else {
            target.to_owned()
        };
        ensure!(!file.exists(), "`{}` is there already", file.display());
        sources.push((file, id));
    }
    let source = connector.source()?;
    match &source {
        Source::Service { place, .. } => {
            for (file, id) in &sources {
                let body = connector.get(&format!("/api/sessions/{id}?format=hail"))?;
                let mut body =
                    body.with_context(|| format!("the service at {place} has stopped: ask again"))?;
                complete(file, |out| Ok(io::copy(&mut body, out).map(drop)?))?;
            }
        }
        Source::Directory(_) => {
            actix_web::rt::System::new().block_on(export_directory(settings, &sources))?;
        }
    }
    Ok(sources.into_iter().map(|(file, _)| file).collect())
}

async fn export_directory(
    settings: Settings,
    sources: &[(PathBuf, &SessionId)],
) -> anyhow::Result<()> {
    let sessions = Sessions::open(settings, Arc::new(Hub::new(LiveConfig::default())))?;
    let mut written = Ok(());
    for (file, id) in sources {
        written = write_one(&sessions, file, id).await;
        if written.is_err() {
            break;
        }
    }
    sessions.shutdown().await;
    written
}

async fn write_one(sessions: &Sessions, file: &Path, id: &SessionId) -> anyhow::Result<()> {
    let mut stream = sessions.hail(id).await?;
    let mut part = tempfile_beside(file)?;
    while let Some(piece) = stream.next().await {
        part.1.write_all(&piece?)?;
    }
    finish(file, part)
}

/// Writes under a temporary name, checks the file, and gives it the final name.
fn complete(
    file: &Path,
    fill: impl FnOnce(&mut BufWriter<File>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut part = tempfile_beside(file)?;
    fill(&mut part.1)?;
    finish(file, part)
}

fn tempfile_beside(file: &Path) -> anyhow::Result<(Part, BufWriter<File>)> {
    let name = file
        .file_name()
        .map(|name| name.to_string_lossy())
        .unwrap_or_default();
    let part = file.with_file_name(format!(".{name}-{}.part", std::process::id()));
    let out = File::create_new(&part)
        .with_context(|| format!("failed to create `{}`", part.display()))?;
    Ok((Part(part), BufWriter::new(out)))
}

/// A file under its temporary name; dropping it removes the file.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        match fs::remove_file(&self.0) {
            Ok(()) => {}
            // The file was renamed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(%error, path = %self.0.display(), "failed to remove a temporary file");
            }
        }
    }
}

fn finish(file: &Path, (part, mut out): (Part, BufWriter<File>)) -> anyhow::Result<()> {
    out.flush()?;
    out.get_ref().sync_all()?;
    check(&part.0).context("what was written is not valid")?;
    fs::rename(&part.0, file).with_context(|| format!("failed to name `{}`", file.display()))?;
    sync_dir(file).with_context(|| format!("failed to sync the folder of `{}`", file.display()))
}
