//! What can be asked about a storage directory without opening it: whether it is one, and who uses
//! it.

use std::io;
use std::path::{Path, PathBuf};

use crate::layout::{self, Layout};
use crate::lock;

/// Returns whether a path is a storage directory.
pub fn is_storage(path: &Path) -> bool {
    sessions_folder(path).is_dir()
}

/// Returns the folder of all sessions.
pub fn sessions_folder(path: &Path) -> PathBuf {
    Layout::new(path).sessions()
}

/// Returns the file that records who uses the directory.
pub fn lock_file(path: &Path) -> PathBuf {
    Layout::new(path).lock()
}

/// Returns the run of the service that uses the directory or used it last; `None` if there never
/// was one. The running service publishes its run, so a command can verify which directory it uses
/// (see [`Engine::run`](crate::engine::Engine::run)).
pub fn last_run(path: &Path) -> io::Result<Option<String>> {
    lock::last_run(&Layout::new(path))
}

/// Returns whether a file of a session is derived from its logs: it can be deleted and is rebuilt.
pub fn is_derived_file(name: &str) -> bool {
    layout::is_derived_file(name)
}
