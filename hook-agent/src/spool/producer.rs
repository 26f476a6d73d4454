//! The Producer-Id of a folder.

use std::io;
use std::path::Path;

use super::private;

/// Returns the Producer-Id that a folder keeps in a file. It is created once; a file torn by a full
/// disk is replaced.
pub(super) fn producer_of(folder: &Path) -> io::Result<String> {
    let path = folder.join("producer");
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    if known.len() == 32 && known.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(known);
    }
    let made = uuid::Uuid::new_v4().simple().to_string();
    private::write(&path, &made)?;
    Ok(made)
}
