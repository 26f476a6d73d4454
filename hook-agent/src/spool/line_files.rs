//! The lines that a folder keeps for people to read, as JSON: `rejected/events.jsonl`,
//! `shortened/events.jsonl` and `lost/events.jsonl`.
//!
//! At 16 MiB the file is renamed to `events.1.jsonl`, which replaces the earlier file of that name.
//! A crash between writing this file and writing the state makes a line appear twice, which is
//! harmless here.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufRead, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use serde::Serialize;

use super::storage::SpoolStorage;

const MAX_BYTES: u64 = 16 * 1024 * 1024;
const NAMES: [&str; 2] = ["events.1.jsonl", "events.jsonl"];

/// A directory of such files in the folder.
pub(super) struct LineFiles(&'static str);

/// Records that the service rejected permanently.
pub(super) const REJECTED: LineFiles = LineFiles("rejected");
/// Values of which only an excerpt was recorded.
pub(super) const SHORTENED: LineFiles = LineFiles("shortened");
/// Records that were lost on the way to the service.
pub(super) const LOST: LineFiles = LineFiles("lost");

impl LineFiles {
    /// Appends to the folder's file. A spool in memory has no such file.
    pub(super) fn append(
        &self,
        storage: &SpoolStorage,
        lines: &[impl Serialize],
    ) -> io::Result<()> {
        let SpoolStorage::Disk(folder) = storage else {
            return Ok(());
        };
        let folder = folder.join(self.0);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)?;
        let path = folder.join(NAMES[1]);
        if path.metadata().is_ok_and(|found| found.len() > MAX_BYTES) {
            std::fs::rename(&path, folder.join(NAMES[0]))?;
        }
        let mut text = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut text, line)?;
            text.push(b'\n');
        }
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)?
            .write_all(&text)
    }

    /// Passes each line of a folder to `each`, oldest first.
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

    /// Returns whether a folder has any such lines.
    pub(super) fn is_in(&self, folder: &Path) -> bool {
        folder.join(self.0).exists()
    }
}
