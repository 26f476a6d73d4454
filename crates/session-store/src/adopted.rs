//! Legacy sessions whose names are not valid session ids (`wf:1:2`, `with space`, `wf/1`): each
//! gets the safe name that [`SessionId::adopt`] derives from its name. The old name is kept as
//! `originalId`, and the session can still be found by it.
//!
//! Crash cases: the metadata is replaced first, then the folder is renamed. A start that finds only
//! the first step done repeats both and writes the same result. Only unreadable metadata is rebuilt
//! after the rename, because rebuilding from the logs needs the folder in its place: a crash
//! between the two loses the old name.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use session_model::metadata::Metadata;
use session_model::{SessionId, json};

use super::disk::{Disk, sync_dir};
use super::files;
use super::index::{self, FoundIndex};
use super::layout::{Layout, METADATA};
use super::legacy::{self, IndexedFields};
use super::session_dir::holds_session;

/// The most folder levels below `sessions/` that a name with slashes may have.
const DEEPEST: usize = 4;
/// How many names are tried for one session whose safe name is taken.
const TRIES: usize = 100;

/// A session whose name is not a valid session id.
pub(crate) struct Foreign {
    /// The session's name.
    pub name: String,
    /// The session's folder.
    pub folder: PathBuf,
}

/// Renames every such session in the directory. A session that cannot be renamed now is left for
/// the next start.
pub(super) fn rename_all(layout: &Layout, disk: &dyn Disk) -> io::Result<()> {
    // Names with slashes are searched only once, when a legacy directory is first opened.
    let is_new = !layout.checkpoint().exists();
    let found = foreign(layout, is_new)?;
    if found.is_empty() {
        return Ok(());
    }
    let known = index::look(layout);
    for Foreign { name, folder } in &found {
        match rename(layout, disk, &known, name, folder) {
            Ok(id) => {
                tracing::info!(name, %id, "a session of the older service is kept under a safe name");
            }
            Err(error) => {
                tracing::error!(name, %error, "a session's name is no id, and it cannot get a safe one: it is not served");
            }
        }
    }
    sync_dir(&layout.sessions().join("x"))
}

/// Returns the sessions of a directory whose names are not valid session ids; `deep` includes names
/// with slashes.
pub(crate) fn foreign(layout: &Layout, deep: bool) -> io::Result<Vec<Foreign>> {
    let mut found = Vec::new();
    look(
        &layout.sessions(),
        "",
        if deep { DEEPEST } else { 0 },
        &mut found,
    )?;
    found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn look(folder: &Path, prefix: &str, deeper: usize, found: &mut Vec<Foreign>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let folder = entry.path();
        let is_foreign = !prefix.is_empty() || SessionId::parse(&name).is_err();
        if !is_foreign && deeper == 0 || name == "subsessions" || !entry.file_type()?.is_dir() {
            continue;
        }
        let looked = if deeper > 0 {
            look(&folder, &format!("{prefix}{name}/"), deeper - 1, found)
        } else {
            Ok(())
        };
        // A session that cannot be read now must not prevent the others from being served.
        match looked.and_then(|()| Ok(is_foreign && holds_session(&folder)?)) {
            Ok(true) => found.push(Foreign {
                name: format!("{prefix}{name}"),
                folder,
            }),
            Ok(false) => {}
            Err(error) => tracing::warn!(folder = %folder.display(), %error, "cannot be read now"),
        }
    }
    Ok(())
}

fn rename(
    layout: &Layout,
    disk: &dyn Disk,
    known: &FoundIndex,
    name: &str,
    folder: &Path,
) -> io::Result<SessionId> {
    let id = free_name(layout, name)?;
    let is_named = rename_metadata(folder, disk, &id, name)?;
    fs::rename(folder, layout.session(&id))?;
    // Remove the empty parent folders of a name with slashes; a folder that holds anything else
    // stays.
    let mut above = folder.parent();
    while let Some(emptied) = above.filter(|above| *above != layout.sessions()) {
        if fs::remove_dir(emptied).is_err() {
            break;
        }
        above = emptied.parent();
    }
    if !is_named {
        rebuild_metadata(layout, disk, known, &id, name)?;
    }
    Ok(id)
}

/// Returns the safe name for a session that is not in the directory yet.
pub(crate) fn free_name(layout: &Layout, original: &str) -> io::Result<SessionId> {
    let numbered = (2..=TRIES).map(|n| SessionId::adopt(&format!("{original}#{n}")));
    let mut names = std::iter::once(SessionId::adopt(original)).chain(numbered);
    names
        .find(|id| fs::symlink_metadata(layout.session(id)).is_err())
        .ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::AlreadyExists,
                "every safe name for it is taken",
            )
        })
}

/// Writes both names into the metadata in a folder; returns false if the metadata cannot be read.
pub(crate) fn rename_metadata(
    folder: &Path,
    disk: &dyn Disk,
    id: &SessionId,
    original: &str,
) -> io::Result<bool> {
    let path = folder.join(METADATA);
    let stored = match files::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        stored => stored?,
    };
    let whole = json::stored(&stored).ok();
    let is_damaged = whole.is_none();
    let document = whole.or_else(|| json::leading_object(&stored));
    let Some(metadata) = document.and_then(Metadata::from_value) else {
        return Ok(false);
    };
    if is_damaged {
        files::keep_file(&path)?;
    }
    write_metadata(&path, disk, metadata, id, original).map(|()| true)
}

/// Rebuilds the metadata from the rest of the session's files.
pub(crate) fn rebuild_metadata(
    layout: &Layout,
    disk: &dyn Disk,
    known: &FoundIndex,
    id: &SessionId,
    original: &str,
) -> io::Result<()> {
    let row = known.rows.get(id.as_str());
    let row = row.or_else(|| known.rows.get(SessionId::adopt(original).as_str()));
    let hint = IndexedFields {
        user: row.map(|row| row.user.as_str().to_owned()),
        created: row.map(|row| row.created),
    };
    // A session that is damaged beyond that is quarantined when it is read.
    let Ok(view) = legacy::view(layout, id, &hint, &mut Vec::new()) else {
        return Ok(());
    };
    let path = layout.file(id, METADATA);
    files::keep_file(&path)?;
    write_metadata(&path, disk, view.metadata, id, original)
}

fn write_metadata(
    path: &Path,
    disk: &dyn Disk,
    mut metadata: Metadata,
    id: &SessionId,
    original: &str,
) -> io::Result<()> {
    metadata.adopt(id, original);
    let mut bytes = serde_json::to_vec_pretty(&metadata)?;
    bytes.push(b'\n');
    disk.replace(path, &bytes, false)
}
