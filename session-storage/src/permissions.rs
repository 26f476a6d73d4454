//! File permissions: who on this machine may read what the service and its commands write.
//!
//! The process sets its umask before it writes anything, whatever umask it was started with, so
//! that every file and folder is covered, including those that libraries create. Files that must
//! never be shared (keys, the audit log, staging folders) also have an explicit mode of 0600 or
//! 0700. An existing directory keeps its mode, which the operator may have chosen; a wider mode is
//! only reported.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::fs::Mode;

use crate::config::StorageMode;
use session_store::directory::sessions_folder;

/// The permission bits of the owner's group.
const GROUP: u32 = 0o070;
/// The permission bits of all other users.
const OTHERS: u32 = 0o007;

/// Sets the umask of this process: 0077, or 0027 for a group.
pub fn apply(mode: StorageMode) {
    let hidden = match mode {
        StorageMode::Private => Mode::RWXG | Mode::RWXO,
        StorageMode::Group => Mode::WGRP | Mode::RWXO,
    };
    rustix::process::umask(hidden);
}

/// Logs one warning if users that `mode` excludes can read the storage directory.
pub fn warn_if_wider(directory: &Path, mode: StorageMode) {
    let Some(found) = mode_of(directory) else {
        return;
    };
    let path = directory.display();
    if found & OTHERS != 0 {
        tracing::warn!(
            "the storage directory `{path}` has mode {found:04o}: every user of this machine can look into it; \
             `chmod -R o= {path}` closes it"
        );
    } else if mode == StorageMode::Private
        && found & GROUP != 0
        // Folders created by the service are closed to the group; those of an older version may not
        // be.
        && mode_of(&sessions_folder(directory)).is_some_and(|sessions| sessions & GROUP != 0)
    {
        tracing::warn!(
            "the storage directory `{path}` has mode {found:04o}: its group can read the sessions; \
             `chmod -R go= {path}` closes it, STORAGE_MODE=group allows it"
        );
    }
}

fn mode_of(path: &Path) -> Option<u32> {
    fs::metadata(path)
        .ok()
        .map(|found| found.permissions().mode() & 0o7777)
}
