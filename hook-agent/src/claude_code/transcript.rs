//! Opens Claude Code's own transcript, and reads its new lines.
//!
//! The path comes from outside. Only a regular file that ends with `.jsonl` and belongs to this
//! user is read: no link, no FIFO or device, nothing of `/proc`. The folders above it may be links,
//! because people link their `~/.claude`.
//!
//! A file is read from where the last hook stopped. If it is another file, or shorter than that, it
//! is read from its start; the keys of the records make repeats harmless.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::fs::OFlags;
use rustix::process::geteuid;
use serde::Deserialize;

use super::read_position::ReadPosition;
use super::transcript_lines::Listener;

/// How many bytes of the end are searched for the model: an answer's line may be long.
const LOOKED_AT: u64 = 256 * 1024;
/// How many bytes are read at once.
const PIECE: u64 = 4 * 1024 * 1024;
/// The most bytes of one line: far more than a message of the model has.
const MAX_LINE: u64 = 64 * 1024 * 1024;
/// The most bytes of a note.
const MAX_NOTE: u64 = 64 * 1024;

/// Why a transcript was not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// There is none yet.
    #[error("transcript {0:?} does not exist")]
    Missing(PathBuf),
    /// It is no file that this program reads.
    #[error("refused transcript {path:?}: {why}; a hook reads only Claude Code's own files")]
    Hostile { path: PathBuf, why: &'static str },
    #[error("failed to read transcript {path:?}: {source}")]
    Io { path: PathBuf, source: io::Error },
}

impl Refusal {
    fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.raw_os_error() {
            _ if source.kind() == io::ErrorKind::NotFound => Self::Missing(path),
            Some(code) if code == rustix::io::Errno::LOOP.raw_os_error() => Self::Hostile {
                path,
                why: "it is a symbolic link",
            },
            _ => Self::Io { path, source },
        }
    }
}

/// Reads a small file beside a transcript, in which there is JSON.
pub(super) fn read_note(path: &Path) -> Result<Vec<u8>, Refusal> {
    let mut note = Vec::new();
    open(path, "json")?
        .take(MAX_NOTE)
        .read_to_end(&mut note)
        .map_err(|error| Refusal::io(path, error))?;
    Ok(note)
}

/// Opens a file of Claude Code whose name has this ending.
fn open(path: &Path, ending: &str) -> Result<File, Refusal> {
    let hostile = |why| Refusal::Hostile {
        path: path.to_owned(),
        why,
    };
    if path.extension().is_none_or(|found| found != ending) {
        return Err(hostile("its name has another ending"));
    }
    // Opening a FIFO for reading would wait for a writer without `NONBLOCK`.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(|error| Refusal::io(path, error))?;
    let found = file.metadata().map_err(|error| Refusal::io(path, error))?;
    if !found.is_file() {
        return Err(hostile("it is no regular file"));
    }
    if found.uid() != geteuid().as_raw() {
        return Err(hostile("it belongs to another user"));
    }
    if is_of_the_system(&file) {
        return Err(hostile("it is in /proc or /sys"));
    }
    Ok(file)
}

#[cfg(target_os = "linux")]
fn is_of_the_system(file: &File) -> bool {
    /// The file system types of `/proc` and `/sys`.
    const SYSTEM: [i128; 2] = [0x9fa0, 0x6265_6572];
    // The field has another type on each platform.
    rustix::fs::fstatfs(file).is_ok_and(|found| SYSTEM.contains(&i128::from(found.f_type)))
}

#[cfg(not(target_os = "linux"))]
fn is_of_the_system(_: &File) -> bool {
    false
}

/// Passes the lines that were added since `place` to the listener, until the end of the file, the
/// deadline, or `most` bytes; one line is read to its end even if it is longer. Returns whether the
/// end was reached.
pub(super) fn read_new(
    path: &Path,
    place: &mut ReadPosition,
    listener: &mut Listener,
    most: u64,
    deadline: Instant,
) -> Result<bool, Refusal> {
    let mut file = open(path, "jsonl")?;
    let failed = |error| Refusal::io(path, error);
    let found = file.metadata().map_err(failed)?;
    let is_same = (found.dev(), found.ino()) == (place.device, place.inode);
    if !is_same || found.len() < place.offset {
        *place = ReadPosition {
            device: found.dev(),
            inode: found.ino(),
            ..ReadPosition::default()
        };
    }
    file.seek(SeekFrom::Start(place.offset)).map_err(failed)?;
    let mut left = most;
    let mut rest = Vec::new();
    loop {
        let before = rest.len();
        let read = (&mut file)
            .take(PIECE.min(left))
            .read_to_end(&mut rest)
            .map_err(failed)?;
        left -= read as u64;
        // The first `before` bytes have no line's end.
        let whole = memchr::memrchr(b'\n', &rest[before..]).map_or(0, |at| before + at + 1);
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', &rest[..whole]) {
            listener.line(&rest[start..end], place.offset + start as u64, place);
            start = end + 1;
        }
        place.offset += whole as u64;
        rest.drain(..whole);
        if read == 0 {
            return Ok(true);
        }
        let is_within_line = whole == 0 && rest.len() as u64 >= most;
        if left == 0 && is_within_line {
            if rest.len() as u64 >= MAX_LINE {
                listener.pass_over(place.offset, "it is too long");
                place.offset += rest.len() as u64;
                return Ok(false);
            }
            left = PIECE;
        }
        if left == 0 || Instant::now() >= deadline {
            return Ok(false);
        }
    }
}

/// Returns the model of the last answer in a transcript. Answers that Claude Code generates itself
/// have none.
pub(super) fn last_model(path: &Path) -> Result<Option<String>, Refusal> {
    let mut file = open(path, "jsonl")?;
    let mut tail = Vec::new();
    let read = file
        .seek(SeekFrom::End(0))
        .and_then(|end| file.seek(SeekFrom::Start(end.saturating_sub(LOOKED_AT))))
        .and_then(|_| file.take(LOOKED_AT).read_to_end(&mut tail));
    read.map_err(|error| Refusal::io(path, error))?;
    Ok(tail.rsplit(|byte| *byte == b'\n').find_map(model))
}

fn model(line: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Line {
        #[serde(rename = "type")]
        kind: String,
        message: Message,
    }
    #[derive(Deserialize)]
    struct Message {
        model: String,
    }
    let Line { kind, message } = serde_json::from_slice(line).ok()?;
    Some(message.model)
        .filter(|model| kind == "assistant" && !model.is_empty() && !model.starts_with('<'))
}

#[cfg(test)]
#[path = "transcript_tests.rs"]
mod tests;
