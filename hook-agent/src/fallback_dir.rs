//! The spool directory of last resort.

use std::path::PathBuf;

/// The spool directory used without a home directory. Other users can create a directory of this
/// name, because its parent is the shared temporary directory.
pub(crate) fn fallback_dir() -> PathBuf {
    let user = rustix::process::geteuid().as_raw();
    std::env::temp_dir().join(format!("hook-agent-{user}"))
}
