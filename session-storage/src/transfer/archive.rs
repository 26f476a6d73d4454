//! Implements `session-storage archive`: archives completed sessions of the running service, lists
//! and fetches archived ones.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use session_model::SessionId;

use super::{Asked, Connector, Source, write};
use crate::archive::{Archive, Archived};
use crate::sessions::ExportQuery;
use session_store::Options;

/// Archives completed sessions, those of the query or all. Calls `tell` for each session and
/// returns the source of the sessions.
pub async fn push(
    connector: &Connector<'_>,
    options: &Options,
    archive: &Archive,
    query: &ExportQuery,
    mut tell: impl FnMut(&SessionId, Option<&Archived>),
) -> anyhow::Result<Source> {
    let source = connector.source()?;
    let work = std::env::temp_dir().join(format!("session-archive-{}", uuid::Uuid::new_v4()));
    fs::create_dir(&work).with_context(|| format!("failed to create `{}`", work.display()))?;
    let pushed = async {
        for id in completed(connector, query)? {
            let file = work.join("session.tar.zst");
            let only = ExportQuery {
                ids: std::iter::once(id.clone()).collect(),
                user: None,
            };
            let written = write(connector, options.clone(), &Asked::Export(only), &file)?;
            let exported = written.manifest.sessions.get(id.as_str());
            if exported.is_some_and(|session| session.status == "completed") {
                let archived = archive.put(&id, &written.manifest, &file).await?;
                tell(&id, Some(&archived));
            } else {
                tell(&id, None);
            }
            fs::remove_file(&file)?;
        }
        Ok(())
    };
    let pushed = pushed.await;
    fs::remove_dir_all(&work)?;
    pushed.map(|()| source)
}

/// Returns the sessions to archive: those in the query, or all completed ones.
fn completed(connector: &Connector<'_>, query: &ExportQuery) -> anyhow::Result<Vec<SessionId>> {
    if !query.ids.is_empty() {
        return Ok(query.ids.iter().cloned().collect());
    }
    let user = query.user.as_deref().map(super::percent);
    let user = user.map_or_else(String::new, |user| format!("&user={user}"));
    let mut ids = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/api/sessions?status=completed&limit=1000{user}{cursor}");
        let body = connector
            .get(&path)?
            .context("no service answers: archive what it has while it runs")?;
        let mut text = String::new();
        body.take(1 << 30).read_to_string(&mut text)?;
        let page: serde_json::Value =
            serde_json::from_str(&text).context("the service's list is no JSON")?;
        let names = page["sessions"].as_array().into_iter().flatten();
        ids.extend(
            names.filter_map(|session| SessionId::parse(session["sessionId"].as_str()?).ok()),
        );
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={}", super::percent(next)),
            None => return Ok(ids),
        }
    }
}

/// Fetches the newest bundle of a session into a file, or into a folder under the session's id.
pub async fn fetch(
    archive: &Archive,
    id: &SessionId,
    target: &Path,
) -> anyhow::Result<(PathBuf, Archived)> {
    let file = if target.is_dir() {
        target.join(format!("{id}.tar.zst"))
    } else {
        target.to_owned()
    };
    ensure!(!file.exists(), "`{}` is there already", file.display());
    let part = file.with_file_name(format!(".bundle-{}.part", std::process::id()));
    let fetched = archive.fetch(id, &part).await;
    if fetched.is_err() && part.exists() {
        fs::remove_file(&part)?;
    }
    let archived = fetched?;
    fs::rename(&part, &file)?;
    Ok((file, archived))
}
