//! The whole directory as of one position, copied while the service goes on writing.
//!
//! # How
//! 1. The journal is held: no segment is recycled. The checkpoint is read: all below its offset is complete in the
//!    session files.
//! 2. The files are copied one after the other, while they change: many moments.
//! 3. Everything appended by now is awaited. The newest durable offset is the **position**.
//! 4. The journal is copied from the checkpoint on, cut behind the last group up to the position.
//!
//! What is restored is recovered like after a crash, from the journal that came with it, and then holds every event
//! up to the position and none after it. It is how databases do it: a copy of many moments between a checkpoint and
//! a position, with full-page images in the log between them.
//!
//! # Why that is enough
//! - **A session without an event since the checkpoint** has files that nothing has changed: whenever they are
//!   copied they are those of the position.
//! - **A session with events since then**: its first entry in the copied journal bears its whole view as it was
//!   before, so that none of its snapshots is needed, torn between two moments as they may be. Its logs only grow,
//!   and what the view counts was in them before the checkpoint. Lines behind that, of which a copy may hold any
//!   part, stand in the journal too.
//! - **A line beyond the position** is in no file: a group is written to the journal, then to the logs, and the
//!   position is awaited after the last file was read.
//! - **A session born meanwhile** may be in the files in part or not at all: the journal has it from its birth on.
//! - **A session deleted meanwhile** may be in the files in part: its deletion stands in the journal.
//! - **A commit that fails** takes its lines out of the logs again and its offsets are used by others: what was
//!   copied between may be what did not happen. The copy is given up ([`CopyError::Overtaken`]), as it is when a
//!   session is set aside meanwhile, whose folder moves.
//! - **A checkpoint meanwhile** does no harm: an older one is followed by a longer journal, which is held.
//! - **A crash meanwhile** breaks the stream off before its manifest, and what is broken off is no bundle.
//!
//! Not in it, since they are derived or of the moment: `index.json`, `recent/`, `.lock`, `.trash/`, the spare
//! segments; nor, since they must not lie beside the records that they protect: `access/`, `.redaction-key`, the audit
//! log. The manifest says whether there were any ([`KeptBack`]). A restored directory begins another life: the service went on after the position, and other events
//! have those offsets.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use session_model::{LogKind, SessionId, json};
use sha2::{Digest as _, Sha256};

use super::Store;
use super::checkpoint::Checkpoint;
use super::error::CopyError;
use super::files;
use super::layout::{Layout, METADATA};
use super::segment;
use crate::bundle::manifest::{KeptBack, hex};
use crate::bundle::place::{REASON, is_file_name, is_folder_name};
use crate::bundle::{BundleWriter, Kind};

/// Writes the whole directory into a bundle; answers the position's offset.
pub fn run<W: Write>(store: &Arc<Store>, mut bundle: BundleWriter<W>) -> Result<u64, CopyError> {
    let generation = store.journal.generation();
    let set_aside = store.quarantined().len();
    let held = store.segments.hold();
    let checkpoint = Checkpoint::read(store.layout())?
        .ok_or_else(|| io::Error::other("`journal/checkpoint.json` is missing or damaged"))?;
    add_sessions(store, &mut bundle)?;
    add_quarantine(store, &mut bundle)?;
    let overtaken = !store.journal.wait_durable(store.journal.newest(), generation);
    let position = store.journal.durable();
    if store.journal.has_failed() {
        return Err(CopyError::Failed);
    }
    if overtaken || store.quarantined().len() != set_aside {
        return Err(CopyError::Overtaken);
    }
    add_journal(store, &checkpoint, position, &mut bundle)?;
    drop(held);
    bundle.keep_back(kept_back(store.layout())?);
    bundle.finish(Kind::Backup, store.epoch(), position)?;
    Ok(position)
}

/// What of a directory is in no back-up of it.
pub fn kept_back(layout: &Layout) -> io::Result<KeptBack> {
    let redaction_key = match fs::read_to_string(layout.redaction_key()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        key => Some(hex(&Sha256::digest(key?.trim()))[..16].to_owned()),
    };
    Ok(KeptBack { access_keys: layout.access_keys().is_file(), redaction_key })
}

fn add_sessions<W: Write>(store: &Arc<Store>, bundle: &mut BundleWriter<W>) -> Result<(), CopyError> {
    for entry in fs::read_dir(store.layout().sessions())? {
        let name = entry?.file_name();
        let Some(id) = name.to_str().and_then(|name| SessionId::parse(name).ok()) else {
            tracing::warn!(?name, "is no session and is not backed up");
            continue;
        };
        complete_logs(store, &id)?;
        add_folder(&store.layout().session(&id), &format!("sessions/{id}"), bundle)?;
    }
    Ok(())
}

/// Has the logs of a session completed that another program has cut, as far as its snapshot tells.
fn complete_logs(store: &Arc<Store>, id: &SessionId) -> Result<(), CopyError> {
    let Ok(metadata) = files::read(&store.layout().file(id, METADATA)) else { return Ok(()) };
    let Ok(metadata) = json::stored::<serde_json::Value>(&metadata) else { return Ok(()) };
    for log in LogKind::ALL {
        let expected = metadata["$logs"][log.as_str()]["bytes"].as_u64().unwrap_or(0);
        let found = fs::symlink_metadata(store.layout().log(id, log)).map_or(0, |found| found.len());
        if found + 1 < expected {
            let damaged = |damage| CopyError::Damaged { id: id.to_string(), damage };
            store.open_log(&store.cells.get(id), log).map_err(damaged)?;
        }
    }
    Ok(())
}

fn add_quarantine<W: Write>(store: &Store, bundle: &mut BundleWriter<W>) -> io::Result<()> {
    let quarantine = store.layout().quarantine();
    if !quarantine.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(&quarantine)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !entry.file_type()?.is_dir() {
            continue;
        }
        if !is_folder_name(&name) {
            tracing::warn!(name, "a folder of this name cannot be in a bundle: it is not backed up");
            continue;
        }
        let place = format!("quarantine/{name}");
        add_folder(&entry.path(), &place, bundle)?;
        add_file(&quarantine.join(format!("{name}.reason.txt")), format!("{place}/{REASON}"), bundle)?;
    }
    Ok(())
}

/// The regular files of a folder; links to children are made anew from the metadata.
fn add_folder<W: Write>(folder: &Path, place: &str, bundle: &mut BundleWriter<W>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        // Deleted meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_file = match entry.file_type() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            kind => kind?.is_file(),
        };
        if is_file && is_file_name(&name) {
            add_file(&entry.path(), format!("{place}/{name}"), bundle)?;
        } else if !name.starts_with('.') && name != "subsessions" {
            tracing::warn!(place, name, "is no regular file of a plain name and is not backed up");
        }
    }
    Ok(())
}

/// As much of a file as there is at this moment; one that has just gone is left out.
fn add_file<W: Write>(path: &Path, place: String, bundle: &mut BundleWriter<W>) -> io::Result<()> {
    let file = match files::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    let len = file.metadata()?.len();
    bundle.file(place, len, file)
}

/// The segments from the checkpoint to the position, and the checkpoint itself.
fn add_journal<W: Write>(
    store: &Store,
    checkpoint: &Checkpoint,
    position: u64,
    bundle: &mut BundleWriter<W>,
) -> io::Result<()> {
    let firsts = store.segments.firsts();
    let begin = firsts.partition_point(|first| *first < checkpoint.needs_from()).saturating_sub(1);
    let wanted: Vec<u64> = firsts.into_iter().skip(begin).filter(|first| *first <= position + 1).collect();
    for (n, first) in wanted.iter().enumerate() {
        let bytes = Bytes::from(files::read(&store.layout().segment(*first))?);
        // Those before the last are copied as they are, damage and all.
        let is_last = n + 1 == wanted.len();
        let end = if is_last { segment::end_of(&bytes, *first, position) } else { bytes.len() };
        // An empty one too: its name says which offset comes next.
        bundle.bytes(format!("journal/{first:020}.seg"), &bytes[..end])?;
    }
    let mut json = serde_json::to_vec_pretty(checkpoint)?;
    json.push(b'\n');
    bundle.bytes("journal/checkpoint.json".to_owned(), &json)
}
