//! Sessions that the older service kept under names that are no session ids (`wf:1:2`, `with space`): each gets the safe
//! name that [`SessionId::adopt`] makes of its own, and keeps that as `originalId`, by which it is still found.
//!
//! Crash cases: the metadata are replaced first, then the folder is renamed; whoever finds the one without the other
//! does both again, and what is written is the same.

use std::fs;
use std::io;
use std::path::Path;

use session_model::metadata::Metadata;
use session_model::{SessionId, json};

use super::disk::{Disk, sync_dir};
use super::files;
use super::layout::{Layout, METADATA};
use super::session_dir::holds_session;

/// Gives every such session in the directory its safe name. One that cannot get it now is left for the next start.
pub(super) fn rename_all(layout: &Layout, disk: &dyn Disk) -> io::Result<()> {
    let mut renamed = false;
    for entry in fs::read_dir(layout.sessions())? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        let folder = layout.sessions().join(&*name);
        if SessionId::parse(&name).is_ok() || !is_session(&folder) {
            continue;
        }
        let id = SessionId::adopt(&name);
        match rename(layout, disk, &folder, &id, &name) {
            Ok(()) => tracing::info!(%name, %id, "a session of the older service is kept under a safe name"),
            Err(error) => {
                tracing::error!(%name, %id, %error, "a session's name is no id, and it cannot get a safe one: it is not served");
                continue;
            }
        }
        renamed = true;
    }
    if renamed { sync_dir(&layout.sessions().join("x")) } else { Ok(()) }
}

fn rename(layout: &Layout, disk: &dyn Disk, folder: &Path, id: &SessionId, name: &str) -> io::Result<()> {
    let target = layout.session(id);
    if fs::symlink_metadata(&target).is_ok() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("`{}` is there", target.display())));
    }
    rename_metadata(folder, disk, id, name)?;
    fs::rename(folder, target)
}

/// Whether a folder holds a session, whatever its name.
pub fn is_session(folder: &Path) -> bool {
    let is_link = fs::symlink_metadata(folder).is_ok_and(|found| found.is_symlink());
    !is_link && holds_session(folder).unwrap_or(false)
}

/// Lets the metadata in a folder say both names. Those that cannot be read are left as they are.
pub fn rename_metadata(folder: &Path, disk: &dyn Disk, id: &SessionId, original: &str) -> io::Result<()> {
    let path = folder.join(METADATA);
    let stored = match files::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        stored => stored?,
    };
    let Some(mut metadata) = json::stored(&stored).ok().and_then(Metadata::from_value) else { return Ok(()) };
    metadata.adopt(id, original);
    let mut bytes = serde_json::to_vec_pretty(&metadata)?;
    bytes.push(b'\n');
    disk.replace(&path, &bytes, false)
}
