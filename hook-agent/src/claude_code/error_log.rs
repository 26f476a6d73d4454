//! A hook's error log, one line per error in the folder's `trouble.log`, because nobody reads a
//! hook's stderr.
//!
//! At 64 KiB the file is renamed to `trouble.1.log`, which replaces the earlier file of that name.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use crate::text::one_line;

const MAX_BYTES: u64 = 64 * 1024;
const MAX_LINE: usize = 1024;
/// The same error is not logged again within this time, as far as the last lines show.
const ONCE_IN: Duration = Duration::from_hours(1);
const LOOKED_AT: u64 = 16 * 1024;

/// Logs an error, unless the same error was logged recently: an error that every hook meets is
/// logged once.
pub(super) fn log_once(folder: &Path, what: &str) {
    if !is_logged(folder, &cleaned(what)).unwrap_or_default() {
        log_error(folder, what);
    }
}

fn is_logged(folder: &Path, what: &str) -> io::Result<bool> {
    let mut file = File::open(folder.join("trouble.log"))?;
    let end = file.metadata()?.len();
    file.seek(SeekFrom::Start(end.saturating_sub(LOOKED_AT)))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let tail = String::from_utf8_lossy(&tail);
    let now = jiff::Timestamp::now();
    let recent = |at: &str| {
        let at = at.parse::<jiff::Timestamp>().ok()?;
        Duration::try_from(now.duration_since(at))
            .ok()
            .filter(|age| *age < ONCE_IN)
    };
    Ok(tail
        .lines()
        .filter_map(|line| line.split_once(' '))
        .any(|(at, logged)| logged == what && recent(at).is_some()))
}

/// Returns the text as one line of limited length.
fn cleaned(what: &str) -> String {
    one_line(what).chars().take(MAX_LINE).collect()
}

/// Logs an error. If the log can't be written either, the error is discarded.
pub(super) fn log_error(folder: &Path, what: &str) {
    let path = folder.join("trouble.log");
    if path.metadata().is_ok_and(|found| found.len() > MAX_BYTES) {
        let _ = std::fs::rename(&path, folder.join("trouble.1.log"));
    }
    let line = format!("{:.3} {}\n", jiff::Timestamp::now(), cleaned(what));
    let opened = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path);
    let _ = opened.and_then(|mut file| file.write_all(line.as_bytes()));
}

/// Returns how many errors are logged.
pub(crate) fn count(folder: &Path) -> usize {
    let lines =
        |name| std::fs::read_to_string(folder.join(name)).map_or(0, |text| text.lines().count());
    lines("trouble.1.log") + lines("trouble.log")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_logged_and_counted_as_this_line() {
        let dir = tempfile::tempdir().unwrap();
        log_error(dir.path(), "failed\nto spool");
        let written = std::fs::read_to_string(dir.path().join("trouble.log")).unwrap();
        let at = written.strip_suffix(" failed to spool\n").expect(&written);
        assert_eq!(at.len(), "2026-11-29T17:57:20.931Z".len(), "{written}");
        at.parse::<jiff::Timestamp>().unwrap();
        log_once(dir.path(), "failed\nto spool");
        assert_eq!(count(dir.path()), 1, "the line just written is found");
        let old = "2020-11-29T17:57:20.931Z failed to spool\n";
        std::fs::write(dir.path().join("trouble.log"), old).unwrap();
        log_once(dir.path(), "failed\nto spool");
        assert_eq!(count(dir.path()), 2, "an old line is not looked at");
    }
}
