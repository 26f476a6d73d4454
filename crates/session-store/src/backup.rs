//! Backup: copies the whole directory as of one position while the service keeps writing.
//!
//! # Steps
//! 1. The journal is held: no segment is recycled. The checkpoint is read: everything below its
//!    offset is complete in the session files.
//! 2. The files are copied one after the other while they change, so the copy spans a period of
//!    time.
//! 3. Everything appended so far is awaited. The newest durable offset is the **position**.
//! 4. The journal is copied from the checkpoint on and cut after the last group up to the position.
//!
//! A restored directory is recovered from the journal in the backup, as after a crash. It then
//! holds every event up to the position and none after it. Databases do the same: the files are
//! copied over a period between a checkpoint and a position, and the log between the two contains
//! full-page images.
//!
//! # Why this is enough
//! - **A session without an event since the checkpoint**: nothing changes its files, so whenever
//!   they are copied they match the position.
//! - **A session with events since the checkpoint**: its first entry in the copied journal contains
//!   its whole view from before that entry. None of its snapshots is needed, even if the copies are
//!   from different moments. Its logs only grow, and the lines that the view counts were in them
//!   before the checkpoint. The copy may hold any part of the later lines; they are in the journal
//!   too.
//! - **A line after the position** is in no copied file: a group is written to the journal before
//!   the logs, and the position is awaited after the last file was read.
//! - **A session created during the backup** may be in the files partly or not at all: the journal
//!   holds it from its creation on.
//! - **A session deleted during the backup** may be in the files partly: its deletion is in the
//!   journal.
//! - **A blob sent during the backup** is copied after the position is known, if it was not copied
//!   with its session's folder: every blob to which a copied record refers is in the copy.
//! - **A commit that fails** has its lines removed from the logs, and its offsets are used again,
//!   so what was copied in between may never have been committed. The backup is abandoned
//!   ([`CopyError::Overtaken`]). The same happens if a session is quarantined during the backup,
//!   because its folder moves.
//! - **A checkpoint during the backup** does no harm: the copied, older checkpoint goes with a
//!   longer journal, which is held.
//! - **A crash during the backup** ends the stream before its manifest, and a stream without a
//!   manifest is not a valid bundle.
//!
//! A backup leaves out derived and temporary files: `index.json`, `recent/`, the index of record
//! keys, `.lock`, `.trash/` and the spare segments. It also leaves out `access/`, `.redaction-key` and the audit log, which must
//! not be stored together with the records that they protect. The manifest records whether there
//! were any ([`KeptBack`]). A restored directory starts a new epoch: the service continued after
//! the position, and other events have those offsets.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use bytes::Bytes;
use session_model::hex::hex;
use session_model::{LogKind, SessionId, json};
use sha2::{Digest as _, Sha256};

use super::blobs::{self, BlobFolder};
use super::checkpoint::Checkpoint;
use super::error::CopyError;
use super::files;
use super::layout::{BLOBS, Layout, METADATA, is_derived_file, log_name};
use super::log_file::LogFile;
use super::segment;
use super::store::Store;
use crate::bundle::manifest::KeptBack;
use crate::bundle::member_path::{REASON, is_file_name, is_folder_name};
use crate::bundle::{BundleWriter, Kind};

/// Writes the whole directory into a bundle and returns the offset of the position.
pub(crate) fn run<W: Write>(store: &Store, mut bundle: BundleWriter<W>) -> Result<u64, CopyError> {
    let generation = store.journal.generation();
    let quarantined = folders_of(&store.layout().quarantine())?;
    let held = store.segments.hold();
    let checkpoint = Checkpoint::read(store.layout())?
        .ok_or_else(|| io::Error::other("`journal/checkpoint.json` is missing or damaged"))?;
    add_sessions(store, &mut bundle)?;
    add_quarantine(store, &mut bundle)?;
    let overtaken = !store
        .journal
        .wait_durable(store.journal.newest(), generation);
    let position = store.journal.durable();
    if store.journal.has_failed() {
        return Err(CopyError::Failed);
    }
    if overtaken || folders_of(&store.layout().quarantine())? != quarantined {
        return Err(CopyError::Overtaken);
    }
    add_journal(store, &checkpoint, position, &mut bundle)?;
    drop(held);
    add_newer_blobs(store, position, &mut bundle)?;
    bundle.keep_back(kept_back(store.layout())?);
    bundle.finish(Kind::Backup, &store.epoch, position)?;
    Ok(position)
}

/// Returns which of the files that a backup leaves out exist in this directory.
pub(crate) fn kept_back(layout: &Layout) -> io::Result<KeptBack> {
    let redaction_key = match fs::read_to_string(layout.redaction_key()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        key => Some(hex(&Sha256::digest(key?.trim()))[..16].to_owned()),
    };
    Ok(KeptBack {
        access_keys: layout.access_keys().is_file(),
        redaction_key,
    })
}

fn add_sessions<W: Write>(store: &Store, bundle: &mut BundleWriter<W>) -> Result<(), CopyError> {
    for entry in fs::read_dir(store.layout().sessions())? {
        let name = entry?.file_name();
        let Some(id) = name.to_str().and_then(|name| SessionId::parse(name).ok()) else {
            tracing::warn!(?name, "is no session and is not backed up");
            continue;
        };
        let place = format!("sessions/{id}");
        let short = complete_logs(store, &id)?;
        for (name, log) in &short {
            bundle.file(format!("{place}/{name}"), log.len(), log.part(0..log.len()))?;
        }
        let is_left = |name: &str| short.iter().all(|(short, _)| *short != name);
        add_folder(&store.layout().session(&id), &place, is_left, bundle)?;
    }
    Ok(())
}

/// Adds blobs that were sent after their session's folder was copied, to sessions that the position
/// covers: records up to the position may refer to them.
fn add_newer_blobs<W: Write>(
    store: &Store,
    position: u64,
    bundle: &mut BundleWriter<W>,
) -> io::Result<()> {
    let rows = store.index.newest(None, usize::MAX, |_, _| true);
    for ((_, created, id), _) in rows {
        if created <= position {
            let folder = BlobFolder::of(&store.layout().session(&id));
            blobs::add_to_bundle(&folder, &format!("sessions/{id}"), bundle)?;
        }
    }
    Ok(())
}

/// The names in a folder; none if it is not there.
fn folders_of(folder: &Path) -> io::Result<BTreeSet<OsString>> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        entries => entries?.map(|entry| Ok(entry?.file_name())).collect(),
    }
}

/// Completes the logs of a session, as far as its snapshot counts them, if another program has
/// truncated them. Returns those that cannot be completed now, as on a full disk: their missing
/// lines come from the journal, of which the backup has only the part behind the checkpoint.
fn complete_logs(store: &Store, id: &SessionId) -> Result<Vec<(&'static str, LogFile)>, CopyError> {
    let mut short = Vec::new();
    let Ok(metadata) = files::read(&store.layout().file(id, METADATA)) else {
        return Ok(short);
    };
    let Ok(metadata) = json::stored::<serde_json::Value>(&metadata) else {
        return Ok(short);
    };
    for log in LogKind::ALL {
        let expected = metadata["$logs"][log.as_str()]["bytes"]
            .as_u64()
            .unwrap_or(0);
        let found =
            || fs::symlink_metadata(store.layout().log(id, log)).map_or(0, |found| found.len());
        if found() + 1 >= expected {
            continue;
        }
        let damaged = |damage| CopyError::Damaged {
            id: id.to_string(),
            damage,
        };
        let log_file = store.open_log(&store.cache.get(id), log).map_err(damaged)?;
        if let Some(log_file) = log_file
            && found() + 1 < expected
        {
            short.push((log_name(log), log_file));
        }
    }
    Ok(short)
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
            tracing::warn!(
                name,
                "a folder of this name cannot be in a bundle: it is not backed up"
            );
            continue;
        }
        let place = format!("quarantine/{name}");
        add_folder(&entry.path(), &place, |_| true, bundle)?;
        add_file(
            &quarantine.join(format!("{name}.reason.txt")),
            format!("{place}/{REASON}"),
            bundle,
        )?;
    }
    Ok(())
}

/// Adds the regular files of a folder. Links to children are left out; they are created again from
/// the metadata.
fn add_folder<W: Write>(
    folder: &Path,
    place: &str,
    is_wanted: impl Fn(&str) -> bool,
    bundle: &mut BundleWriter<W>,
) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        // Deleted during the backup.
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
        if !is_wanted(&name) || is_derived_file(&name) {
            continue;
        }
        if is_file && is_file_name(&name) {
            add_file(&entry.path(), format!("{place}/{name}"), bundle)?;
        } else if name == BLOBS {
            blobs::add_to_bundle(&BlobFolder::of(folder), place, bundle)?;
        } else if !name.starts_with('.') && name != "subsessions" {
            tracing::warn!(
                place,
                name,
                "is no regular file of a plain name and is not backed up"
            );
        }
    }
    Ok(())
}

/// Adds a file with its current length; a file that no longer exists is left out.
fn add_file<W: Write>(path: &Path, place: String, bundle: &mut BundleWriter<W>) -> io::Result<()> {
    let file = match files::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    let len = file.metadata()?.len();
    bundle.file(place, len, file)
}

/// Adds the segments from the checkpoint to the position, and the checkpoint itself.
fn add_journal<W: Write>(
    store: &Store,
    checkpoint: &Checkpoint,
    position: u64,
    bundle: &mut BundleWriter<W>,
) -> io::Result<()> {
    let firsts = store.segments.firsts();
    let begin = firsts
        .partition_point(|first| *first < checkpoint.needs_from())
        .saturating_sub(1);
    let wanted: Vec<u64> = firsts
        .into_iter()
        .skip(begin)
        .filter(|first| *first <= position + 1)
        .collect();
    for (n, first) in wanted.iter().enumerate() {
        let bytes = Bytes::from(files::read(&store.layout().segment(*first))?);
        // Earlier segments are copied as they are, including any damage.
        let is_last = n + 1 == wanted.len();
        let end = if is_last {
            segment::end_of(&bytes, *first, position)
        } else {
            bytes.len()
        };
        // An empty segment is copied too: its name holds the next offset.
        bundle.bytes(format!("journal/{first:020}.seg"), &bytes[..end])?;
    }
    let mut json = serde_json::to_vec_pretty(checkpoint)?;
    json.push(b'\n');
    bundle.bytes("journal/checkpoint.json".to_owned(), &json)
}
