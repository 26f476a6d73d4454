//! What a hook could not do: one line each in the folder's `trouble.log`, as nobody reads a hook's error output.
//!
//! At 64 KiB the file becomes `trouble.1.log`, and the one of that name goes.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

const MAX_BYTES: u64 = 64 * 1024;
const MAX_LINE: usize = 1024;
/// What is noted again within this time is not noted.
const ONCE_IN: Duration = Duration::from_hours(1);

/// Notes it, unless it is what was noted last, and not long ago: what every hook meets anew is told once.
pub(super) fn note_once(folder: &Path, what: &str) {
    if !is_last(folder, &cleaned(what)).unwrap_or_default() {
        note(folder, what);
    }
}

fn is_last(folder: &Path, what: &str) -> io::Result<bool> {
    let mut file = File::open(folder.join("trouble.log"))?;
    let end = file.metadata()?.len();
    // A line's time and as many bytes as its characters may have.
    file.seek(SeekFrom::Start(end.saturating_sub(64 + 4 * MAX_LINE as u64)))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let tail = String::from_utf8_lossy(&tail);
    let Some((at, said)) = tail.lines().last().and_then(|line| line.split_once(' ')) else {
        return Ok(false);
    };
    let Ok(at) = at.parse::<jiff::Timestamp>() else { return Ok(false) };
    Ok(said == what
        && Duration::try_from(jiff::Timestamp::now().duration_since(at)).is_ok_and(|age| age < ONCE_IN))
}

/// One line, not too long.
fn cleaned(what: &str) -> String {
    what.chars().take(MAX_LINE).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Notes it. Where even that can't be written there is nobody left to tell.
pub(super) fn note(folder: &Path, what: &str) {
    let path = folder.join("trouble.log");
    if path.metadata().is_ok_and(|found| found.len() > MAX_BYTES) {
        let _ = std::fs::rename(&path, folder.join("trouble.1.log"));
    }
    let line = format!("{:.3} {}\n", jiff::Timestamp::now(), cleaned(what));
    let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    let _ = opened.and_then(|mut file| file.write_all(line.as_bytes()));
}

/// How many are noted.
pub(crate) fn count(folder: &Path) -> usize {
    let lines = |name| std::fs::read_to_string(folder.join(name)).map_or(0, |text| text.lines().count());
    lines("trouble.1.log") + lines("trouble.log")
}
