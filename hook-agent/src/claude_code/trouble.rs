//! What a hook could not do: one line each in the folder's `trouble.log`, as nobody reads a hook's error output.
//!
//! At 64 KiB the file becomes `trouble.1.log`, and the one of that name goes.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const MAX_BYTES: u64 = 64 * 1024;
const MAX_LINE: usize = 1024;

/// Notes it. Where even that can't be written there is nobody left to tell.
pub(super) fn note(folder: &Path, what: &str) {
    let path = folder.join("trouble.log");
    if path.metadata().is_ok_and(|found| found.len() > MAX_BYTES) {
        let _ = std::fs::rename(&path, folder.join("trouble.1.log"));
    }
    let what: String = what.chars().take(MAX_LINE).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = format!("{:.3} {what}\n", jiff::Timestamp::now());
    let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    let _ = opened.and_then(|mut file| file.write_all(line.as_bytes()));
}

/// How many are noted.
pub(crate) fn count(folder: &Path) -> usize {
    let lines = |name| std::fs::read_to_string(folder.join(name)).map_or(0, |text| text.lines().count());
    lines("trouble.1.log") + lines("trouble.log")
}
