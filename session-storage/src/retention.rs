//! Implements `session-storage retention [--dry-run]`, which lists or deletes the sessions beyond
//! the retention limits.
//!
//! A dry run reads the metadata of all sessions, takes no lock and changes nothing, so a service
//! may be running. Otherwise the directory is opened in the same way as by the service, so that
//! each deletion is an event in the journal.

use std::fs;
use std::io::Write;
use std::sync::Arc;

use anyhow::Context;
use session_model::metadata::Metadata;
use session_model::{SessionId, Timestamp, json};

use crate::archive::Archive;
use crate::clock::now;
use crate::live::Hub;
use crate::sessions::{Sessions, Settings};
use crate::store::layout::{Layout, METADATA};
use crate::store::retention::{Bound, Candidate, Policy, beyond};

/// Lists the sessions beyond the limits and, unless it is a dry run, deletes them; returns the
/// number of deleted sessions.
pub async fn run(
    settings: Settings,
    archive: Option<&str>,
    dry_run: bool,
    out: &mut dyn Write,
) -> anyhow::Result<usize> {
    anyhow::ensure!(
        settings.retention.is_active(),
        "no bound is set: see RETENTION_MAX_SESSIONS, RETENTION_MAX_AGE and RETENTION_MAX_BYTES"
    );
    let layout = Layout::new(&settings.store.path);
    let path = layout.root().display();
    anyhow::ensure!(layout.sessions().is_dir(), "`{path}` is no storage directory: it has no `sessions`");
    if dry_run || settings.retention.dry_run {
        let picked = stored_beyond(&layout, settings.retention)?;
        list(&picked, out)?;
        writeln!(out, "{} sessions would be deleted, {} bytes, in `{path}`", picked.len(), bytes(&picked))?;
        return Ok(0);
    }
    let archive = archive.map(Archive::open).transpose()?;
    let sessions = Sessions::open(settings, Arc::new(Hub::new(crate::live::LiveConfig::default())))?;
    let picked = sessions.beyond_bounds().await;
    let deleted = sessions.retain(archive.as_ref()).await;
    sessions.shutdown().await;
    list(&picked, out)?;
    writeln!(out, "{deleted} sessions deleted, {} bytes, in `{path}`", bytes(&picked))?;
    Ok(deleted)
}

fn bytes(picked: &[(Candidate, Bound)]) -> u64 {
    picked.iter().map(|(session, _)| session.bytes).sum()
}

fn list(picked: &[(Candidate, Bound)], out: &mut dyn Write) -> std::io::Result<()> {
    picked.iter().try_for_each(|(session, bound)| {
        writeln!(out, "{} received {} {} bytes: beyond {bound}", session.id, session.received, session.bytes)
    })
}

/// Finds the sessions beyond the limits from their files.
fn stored_beyond(layout: &Layout, policy: Policy) -> anyhow::Result<Vec<(Candidate, Bound)>> {
    let mut sessions: Vec<(Timestamp, u64, SessionId, bool)> = Vec::new();
    for entry in fs::read_dir(layout.sessions()).context("failed to read `sessions`")? {
        let name = entry?.file_name();
        let Some(id) = name.to_str().and_then(|name| SessionId::parse(name).ok()) else { continue };
        let stored = fs::read(layout.file(&id, METADATA)).ok();
        let Some(metadata) = stored.and_then(|bytes| Metadata::from_value(json::stored(&bytes).ok()?)) else {
            tracing::warn!(session = %id, "its metadata cannot be read: it is not looked at");
            continue;
        };
        let offset = metadata.doc().get("$createdOffset").and_then(serde_json::Value::as_u64);
        sessions.push((metadata.received(), offset.unwrap_or(0), id, metadata.is_completed()));
    }
    sessions.sort_unstable_by(|a, b| b.cmp(a));
    let newest_first = sessions.into_iter().map(|(received, _, id, completed)| (id, received, completed));
    Ok(beyond(layout, newest_first, policy, now()))
}
