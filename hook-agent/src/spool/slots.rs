//! The folders below `held/` of a spool, one per session whose records are held apart.

use std::path::{Path, PathBuf};

/// The number of sessions whose records can be held apart. Records of further sessions block those
/// behind them.
pub(crate) const SLOTS: usize = 16;

pub(super) fn slot_path(folder: &Path, slot: usize) -> PathBuf {
    folder.join("held").join(slot.to_string())
}

/// Returns the folder's existing slots.
pub(super) fn paths(folder: &Path) -> Vec<PathBuf> {
    if !folder.join("held").exists() {
        return Vec::new();
    }
    (0..SLOTS)
        .map(|slot| slot_path(folder, slot))
        .filter(|path| path.is_dir())
        .collect()
}
