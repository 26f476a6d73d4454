//! What a folder keeps for people to read, one JSON line each: `rejected/events.jsonl` and `lost/events.jsonl`.
//!
//! At 16 MiB the file becomes `events.1.jsonl`, and the earlier one of that name is removed. A crash between this file
//! and the state writes a line twice: here that is harmless.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufRead, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use serde::Serialize;

use super::place::Place;

const MAX_BYTES: u64 = 16 * 1024 * 1024;
const NAMES: [&str; 2] = ["events.1.jsonl", "events.jsonl"];

/// A directory of such lines in the folder.
pub(super) struct Kept(&'static str);

/// What the service refused for good.
pub(super) const REJECTED: Kept = Kept("rejected");
/// What was lost on the way to the service.
pub(super) const LOST: Kept = Kept("lost");

impl Kept {
    /// Appends to the folder's file; a spool in memory has none.
    pub(super) fn append(&self, place: &Place, lines: &[impl Serialize]) -> io::Result<()> {
        let Place::Disk(folder) = place else { return Ok(()) };
        let folder = folder.join(self.0);
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let path = folder.join(NAMES[1]);
        if path.metadata().is_ok_and(|found| found.len() > MAX_BYTES) {
            std::fs::rename(&path, folder.join(NAMES[0]))?;
        }
        let mut text = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut text, line)?;
            text.push(b'\n');
        }
        OpenOptions::new().create(true).append(true).mode(0o600).open(path)?.write_all(&text)
    }

    /// Hands over each line of a folder, oldest first.
    pub(super) fn read(&self, folder: &Path, mut each: impl FnMut(Vec<u8>)) -> io::Result<()> {
        for name in NAMES {
            let file = match File::open(folder.join(self.0).join(name)) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            for line in io::BufReader::new(file).split(b'\n') {
                each(line?);
            }
        }
        Ok(())
    }

    /// Whether a folder has any.
    pub(super) fn is_in(&self, folder: &Path) -> bool {
        folder.join(self.0).exists()
    }
}
