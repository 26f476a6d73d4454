//! Export: copies one session as of one offset while the service keeps writing.
//!
//! The view determines the copy: its documents are built from the view, and each log contributes
//! the first `bytes` bytes that the view counts, since a log only grows. So the copy is the session
//! after exactly the events up to the view's offset. The view may be ahead of what is durable, so
//! its commit is awaited; if the commit fails, the view is read again.
//!
//! Files that are written once (`initial.json`, `final-<n>.json`) may not be on disk yet; they are
//! waited for. A legacy session without any event of this service cannot be rebuilt from its view:
//! its files are read first, and are valid if the view still has no event afterwards, because only
//! events change them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use session_model::{LogKind, SessionId, View};

use super::blobs::{self, BlobFolder};
use super::error::CopyError;
use super::layout::{
    FINAL, INITIAL, METADATA, PRODUCERS, STATE, final_archive, is_derived_file, is_session_file,
    log_name,
};
use super::log_file::LogFile;
use super::session_cache::CachedSession;
use super::snapshots::{self, pretty};
use super::store::Store;
use crate::bundle::manifest::Exported;
use crate::bundle::{BundleWriter, Kind};

/// How long to wait for a file that is written once.
const ON_ITS_WAY: Duration = Duration::from_secs(5);
/// How many times a view is read again after failed commits.
const ATTEMPTS: usize = 10;

/// Small files by name.
type Small = BTreeMap<String, Vec<u8>>;

/// Writes sessions into a bundle and finishes it; returns the newest offset of the copies. Sessions
/// that were deleted in the meantime are left out.
pub(crate) fn sessions<W: Write>(
    store: &Store,
    ids: &[SessionId],
    mut bundle: BundleWriter<W>,
) -> Result<u64, CopyError> {
    let mut newest = 0;
    for id in ids {
        newest = newest.max(session(store, id, &mut bundle)?.unwrap_or(0));
    }
    bundle.finish(Kind::Export, &store.epoch, newest)?;
    Ok(newest)
}

/// Adds a session to a bundle; returns the offset of the copy, or `None` if there is no such
/// session.
pub(crate) fn session<W: Write>(
    store: &Store,
    id: &SessionId,
    bundle: &mut BundleWriter<W>,
) -> Result<Option<u64>, CopyError> {
    let found = read_small(store, id)?;
    let Some(view) = durable_view(store, id)? else {
        return Ok(None);
    };
    let documents = if view.offset == 0 {
        found
    } else {
        documents(store, &view, found)?
    };
    for (name, bytes) in &documents {
        bundle.bytes(format!("sessions/{id}/{name}"), bytes)?;
    }
    for log in LogKind::ALL {
        // Completes the log from the journal if another program has truncated it. Where the file
        // cannot be completed now, as on a full disk, the missing lines come from the
        // journal.
        let file = store
            .open_log(&store.cache.get(id), log)
            .map_err(|damage| CopyError::Damaged {
                id: id.to_string(),
                damage,
            })?
            .ok_or(CopyError::Overtaken)?;
        add_log(&view, log, &file, bundle)?;
    }
    // After the view: every blob to which its records refer is there.
    let folder = BlobFolder::of(&store.layout().session(id));
    blobs::add_to_bundle(&folder, &format!("sessions/{id}"), bundle)?;
    let status = if view.metadata.is_completed() {
        "completed"
    } else {
        "active"
    };
    let user_id = view.metadata.user().as_str().to_owned();
    bundle.session(
        id.as_str(),
        Exported {
            user_id,
            status: status.to_owned(),
            offset: view.offset,
        },
    );
    Ok(Some(view.offset))
}

/// Returns a session's view once everything in it is durable.
fn durable_view(store: &Store, id: &SessionId) -> Result<Option<View>, CopyError> {
    let cell = store.cache.get(id);
    for _ in 0..ATTEMPTS {
        store.load(&cell).map_err(|damage| CopyError::Damaged {
            id: id.to_string(),
            damage,
        })?;
        let (view, generation) = match &*cell.slot.lock() {
            CachedSession::Loaded(loaded) => (loaded.view.clone(), loaded.generation),
            CachedSession::Absent(_) => return Ok(None),
            CachedSession::Unloaded => continue,
        };
        if store.journal.wait_durable(view.offset, generation) {
            return Ok(Some(view));
        }
        if store.journal.has_failed() {
            return Err(CopyError::Failed);
        }
    }
    Err(CopyError::Overtaken)
}

/// Reads every file of the folder except the logs, as it is now. Temporary files and subfolders are
/// left out.
fn read_small(store: &Store, id: &SessionId) -> io::Result<Small> {
    let mut found = Small::new();
    let entries = match fs::read_dir(store.layout().session(id)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_log = LogKind::ALL.iter().any(|log| log_name(*log) == name);
        let is_left_out = is_log || is_derived_file(&name) || name.starts_with('.');
        if is_left_out || !entry.file_type()?.is_file() {
            continue;
        }
        if !is_session_file(&name) {
            tracing::warn!(session = %id, name, "is no file of a session: it is left out of the bundle");
            continue;
        }
        match fs::read(entry.path()) {
            // Replaced or deleted at this moment.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            bytes => drop(found.insert(name, bytes?)),
        }
    }
    Ok(found)
}

/// Returns the documents of a view, together with the files that the view does not cover.
fn documents(store: &Store, view: &View, found: Small) -> io::Result<Small> {
    let ours = |name: &String| [METADATA, STATE, FINAL, PRODUCERS].contains(&name.as_str());
    let archived = |name: &String| (1..=view.finals).any(|n| *name == final_archive(n));
    let newer = |name: &String| name.starts_with("final-") && !archived(name);
    let mut documents: Small = found
        .into_iter()
        .filter(|(name, _)| !ours(name) && !newer(name))
        .collect();
    documents.extend(snapshots::documents(view));
    if !view.producers.is_empty() {
        documents.insert(PRODUCERS.to_owned(), pretty(&view.producers));
    }
    let once = std::iter::once(INITIAL.to_owned()).chain((1..=view.finals).map(final_archive));
    for name in once {
        if !documents.contains_key(&name) {
            documents.extend(arrived(store, &view.id, &name)?.map(|bytes| (name, bytes)));
        }
    }
    Ok(documents)
}

/// Waits for a file that is written once; `None` if it was lost, and the session is exported
/// without it.
fn arrived(store: &Store, id: &SessionId, name: &str) -> io::Result<Option<Vec<u8>>> {
    let deadline = Instant::now() + ON_ITS_WAY;
    loop {
        match fs::read(store.layout().file(id, name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            bytes => return bytes.map(Some),
        }
        if Instant::now() > deadline || !store.layout().session(id).is_dir() {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn add_log<W: Write>(
    view: &View,
    log: LogKind,
    file: &LogFile,
    bundle: &mut BundleWriter<W>,
) -> io::Result<()> {
    let head = view.logs[log.index()];
    if head.bytes == 0 {
        return Ok(());
    }
    let found = file.len();
    // The last line of the legacy service may lack its newline, which the view counts nevertheless.
    let len = if head.bytes == head.legacy && head.bytes == found + 1 {
        found
    } else {
        head.bytes
    };
    bundle.file(
        format!("sessions/{}/{}", view.id, log_name(log)),
        len,
        file.part(0..len),
    )
}
