//! What the service refused for good: one JSON line each in `rejected/events.jsonl`, with the reason.
//!
//! At 16 MiB the file becomes `events.1.jsonl` and the one of that name before goes. A crash between this file
//! and the state writes a line twice: here that is harmless.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufRead, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::place::Place;

const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// One line of the file.
#[derive(Debug, Serialize)]
pub(crate) struct Rejection<'a> {
    pub at: String,
    pub session: &'a str,
    pub code: &'a str,
    pub reason: &'a str,
    pub event: &'a RawValue,
}

/// How many a folder has, and why the last of them was refused.
pub(super) fn survey(folder: &Path) -> io::Result<(u64, Option<String>)> {
    let (mut count, mut last) = (0, None);
    for name in ["events.1.jsonl", "events.jsonl"] {
        let file = match File::open(folder.join("rejected").join(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for line in io::BufReader::new(file).split(b'\n') {
            let line = line?;
            count += 1;
            last = Some(line);
        }
    }
    let why = last.and_then(|line| serde_json::from_slice::<Reason>(&line).ok());
    Ok((count, why.map(|why| format!("{}: {}", why.code, why.reason))))
}

#[derive(Deserialize)]
struct Reason {
    code: String,
    reason: String,
}

/// Appends to the folder's file; in memory there is none, and the counter alone tells.
pub(crate) fn keep(place: &Place, rejections: &[Rejection<'_>]) -> io::Result<()> {
    let Place::Disk(folder) = place else { return Ok(()) };
    let folder = folder.join("rejected");
    DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    let path = folder.join("events.jsonl");
    if path.metadata().is_ok_and(|found| found.len() > MAX_BYTES) {
        std::fs::rename(&path, folder.join("events.1.jsonl"))?;
    }
    let mut lines = Vec::new();
    for rejection in rejections {
        serde_json::to_writer(&mut lines, rejection)?;
        lines.push(b'\n');
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)?.write_all(&lines)
}
