//! Where the spool's bytes are: files of a folder, or memory when no folder can be written. All
//! file names are built here.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::private;
use crate::sync::Mutex;

/// The size of one slot of the state file.
const SLOT_BYTES: usize = 4096;

/// A folder, or memory.
#[derive(Debug, Clone)]
pub(crate) enum SpoolStorage {
    Disk(PathBuf),
    Memory,
}

/// The bytes of consecutive records.
#[derive(Debug)]
pub(crate) enum Segment {
    File(File),
    Memory(Mutex<Vec<u8>>),
}

impl SpoolStorage {
    /// Creates the segment whose first record has this number.
    pub(crate) fn create(&self, first: u64) -> io::Result<Arc<Segment>> {
        let Self::Disk(folder) = self else {
            return Ok(Arc::new(Segment::Memory(Mutex::default())));
        };
        let mut options = OpenOptions::new();
        options.read(true).append(true).create_new(true).mode(0o600);
        Ok(Arc::new(Segment::File(
            options.open(segment_path(folder, first))?,
        )))
    }

    /// Replaces the segment whose first record has this number by one with these bytes.
    pub(crate) fn replace(&self, first: u64, bytes: &[u8]) -> io::Result<Arc<Segment>> {
        let Self::Disk(folder) = self else {
            return Ok(Arc::new(Segment::Memory(Mutex::new(bytes.to_vec()))));
        };
        let temporary = folder.join("gap.tmp");
        private::write(&temporary, bytes)
            .and_then(|()| std::fs::rename(&temporary, segment_path(folder, first)))?;
        self.open(first)
    }

    /// Lists the existing segments, oldest first.
    pub(crate) fn list(&self) -> io::Result<Vec<u64>> {
        let Self::Disk(folder) = self else {
            return Ok(Vec::new());
        };
        let mut firsts = Vec::new();
        for entry in folder.read_dir()? {
            let entry = entry?;
            if !entry.file_type()?.is_file() {
                continue;
            }
            let name = entry.file_name();
            firsts.extend(
                name.to_str()
                    .and_then(|name| name.strip_suffix(".seg")?.parse::<u64>().ok()),
            );
        }
        firsts.sort_unstable();
        Ok(firsts)
    }

    pub(crate) fn open(&self, first: u64) -> io::Result<Arc<Segment>> {
        let Self::Disk(folder) = self else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .open(segment_path(folder, first))?;
        Ok(Arc::new(Segment::File(file)))
    }

    pub(crate) fn remove(&self, first: u64) -> io::Result<()> {
        let Self::Disk(folder) = self else {
            return Ok(());
        };
        std::fs::remove_file(segment_path(folder, first))
    }

    /// Opens the state file, with both slots allocated so that later writes need no new disk space.
    pub(crate) fn state_file(&self) -> io::Result<Option<File>> {
        let Self::Disk(folder) = self else {
            return Ok(None);
        };
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(folder.join("state"))?;
        if file.metadata()?.len() < 2 * SLOT_BYTES as u64 {
            file.write_all_at(&[b' '; 2 * SLOT_BYTES], 0)?;
        }
        Ok(Some(file))
    }

    /// Opens the state file for reading only, if it exists.
    pub(crate) fn state_reader(&self) -> io::Result<Option<File>> {
        let Self::Disk(folder) = self else {
            return Ok(None);
        };
        match File::open(folder.join("state")) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Disk(folder) => folder,
            Self::Memory => Path::new("(memory)"),
        }
    }
}

fn segment_path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}.seg"))
}

impl Segment {
    /// Appends the whole record with one write, or leaves nothing of it behind. `length` is the
    /// current length.
    pub(crate) fn append(&self, bytes: &[u8], length: u64) -> io::Result<()> {
        match self {
            Self::Memory(held) => held.lock().extend_from_slice(bytes),
            Self::File(file) => {
                let mut writer: &File = file;
                if let Err(error) = writer.write_all(bytes) {
                    file.set_len(length)?;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Reads up to `most` bytes from `offset` on.
    pub(crate) fn read(&self, offset: u64, most: usize) -> io::Result<Vec<u8>> {
        match self {
            Self::Memory(held) => {
                let held = held.lock();
                let from = held.len().min(offset as usize);
                Ok(held[from..held.len().min(from + most)].to_vec())
            }
            Self::File(file) => read_file(file, offset, most),
        }
    }

    pub(crate) fn length(&self) -> io::Result<u64> {
        match self {
            Self::Memory(held) => Ok(held.lock().len() as u64),
            Self::File(file) => Ok(file.metadata()?.len()),
        }
    }

    pub(crate) fn truncate(&self, length: u64) -> io::Result<()> {
        match self {
            Self::Memory(held) => held.lock().truncate(length as usize),
            Self::File(file) => file.set_len(length)?,
        }
        Ok(())
    }
}

fn read_file(file: &File, offset: u64, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; most];
    let mut filled = 0;
    while filled < most {
        match file.read_at(&mut bytes[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// Writes one of the two slots: `checksum json`, padded with blanks.
pub(crate) fn write_slot(file: &File, slot: u64, json: &str) -> io::Result<()> {
    let mut text = format!("{:08x} {json}", crc32c::crc32c(json.as_bytes())).into_bytes();
    if text.len() >= SLOT_BYTES {
        return Err(io::Error::other(format!(
            "the state of {} bytes is larger than its slot",
            text.len()
        )));
    }
    text.resize(SLOT_BYTES - 1, b' ');
    text.push(b'\n');
    file.write_all_at(&text, slot * SLOT_BYTES as u64)
}

/// Returns the JSON of one slot, if its checksum matches.
pub(crate) fn read_slot(file: &File, slot: u64) -> io::Result<Option<String>> {
    let bytes = read_file(file, slot * SLOT_BYTES as u64, SLOT_BYTES)?;
    let Ok(text) = std::str::from_utf8(&bytes) else {
        return Ok(None);
    };
    let Some((checksum, json)) = text.split_once(' ') else {
        return Ok(None);
    };
    let json = json.trim_end();
    let whole = u32::from_str_radix(checksum, 16) == Ok(crc32c::crc32c(json.as_bytes()));
    Ok(whole.then(|| json.to_owned()))
}

/// Maps "not found" to `None`: in a shared folder, another process may have delivered and removed
/// the segment.
pub(super) fn if_there<T>(done: io::Result<T>) -> io::Result<Option<T>> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
