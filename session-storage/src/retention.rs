//! Implements `session-storage retention [--dry-run]`, which lists or deletes the sessions beyond
//! the retention limits.
//!
//! A dry run reads the metadata of all sessions, takes no lock and changes nothing, so a service
//! may be running. Otherwise the directory is opened in the same way as by the service, so that
//! each deletion is an event in the journal.

use std::io::Write;
use std::sync::Arc;

use anyhow::Context;

use crate::archive::Archive;
use crate::clock::now;
use crate::live::Hub;
use crate::sessions::{Sessions, Settings};
use session_store::directory::is_storage;
use session_store::retention::{Bound, Candidate, stored_beyond};

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
        "no retention limit is set: set RETENTION_MAX_SESSIONS, RETENTION_MAX_AGE or RETENTION_MAX_BYTES"
    );
    let directory = settings.store.path.clone();
    let path = directory.display();
    anyhow::ensure!(
        is_storage(&directory),
        "`{path}` is no storage directory: it has no `sessions`"
    );
    if dry_run || settings.retention.dry_run {
        let picked = stored_beyond(&directory, settings.retention, now())
            .context("failed to read `sessions`")?;
        list(&picked, out)?;
        writeln!(
            out,
            "{} sessions would be deleted, {} bytes, in `{path}`",
            picked.len(),
            bytes(&picked)
        )?;
        return Ok(0);
    }
    let archive = archive.map(Archive::open).transpose()?;
    let sessions = Sessions::open(
        settings,
        Arc::new(Hub::new(crate::live::LiveConfig::default())),
    )?;
    let retained = sessions.retain(archive.as_ref()).await;
    sessions.shutdown().await;
    list(&retained.deleted, out)?;
    writeln!(
        out,
        "{} sessions deleted, {} bytes, in `{path}`",
        retained.deleted.len(),
        bytes(&retained.deleted)
    )?;
    if retained.kept > 0 {
        writeln!(
            out,
            "{} sessions beyond the limits were kept; the log says why",
            retained.kept
        )?;
    }
    Ok(retained.deleted.len())
}

fn bytes(picked: &[(Candidate, Bound)]) -> u64 {
    picked.iter().map(|(session, _)| session.bytes).sum()
}

fn list(picked: &[(Candidate, Bound)], out: &mut dyn Write) -> std::io::Result<()> {
    for (session, bound) in picked {
        writeln!(
            out,
            "{} received {} {} bytes: beyond {bound}",
            session.id, session.received, session.bytes
        )?;
    }
    Ok(())
}
