//! The delivery position and the window in delivery: the part of the spool that exactly-once
//! depends on.

use std::fs::File;
use std::io;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::step::Step;
use super::storage::{SpoolStorage, read_slot, write_slot};

/// A position between two records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// The segment, named by its first record's number.
    pub segment: u64,
    /// The offset in the segment in bytes.
    pub offset: u64,
    /// The number of the next record.
    pub record: u64,
}

/// The delivery progress of a folder. Everything before `cursor` is settled; `plan` says which of
/// the records after it are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    pub generation: u64,
    /// The largest epoch of any batch of this folder.
    pub epoch: u64,
    pub cursor: Position,
    /// Failed attempts in a row on the current request, by any process.
    #[serde(default, skip_serializing_if = "is_never")]
    pub broken: u32,
    /// When the first attempt failed after the last settled record, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken_since: Option<u64>,
    /// Failed uploads for the current request, by any process, and when the first one failed.
    #[serde(default, skip_serializing_if = "is_never")]
    pub uploads: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uploads_since: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// By slot, the number after the last record held there; 0 means no record. Versions without
    /// held records do not write it; a state without it means that all held records are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Vec<u64>>,
}

impl Progress {
    /// Clears the failure counters: the failed request is no longer the current one.
    pub(super) fn repaired(&mut self) {
        self.broken = 0;
        self.broken_since = None;
        self.uploads = 0;
        self.uploads_since = None;
    }
}

/// A window in delivery: the records from the cursor to `end`, one batch per session in order of
/// appearance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub end: Position,
    pub batches: Vec<Step>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
fn is_never(times: &u32) -> bool {
    *times == 0
}

/// The state file.
#[derive(Debug)]
pub(crate) struct StateFile {
    file: Option<File>,
}

impl StateFile {
    /// Opens the file and reads the newer valid slot.
    pub(crate) fn open(storage: &SpoolStorage) -> io::Result<(Self, Progress)> {
        let file = storage.state_file()?;
        let newest = newest(file.as_ref())?;
        Ok((Self { file }, newest))
    }

    /// Reads the newer valid slot; creates and changes nothing.
    pub(crate) fn look(storage: &SpoolStorage) -> io::Result<Progress> {
        newest(storage.state_reader()?.as_ref())
    }

    /// Writes the older slot.
    pub(crate) fn save(&self, progress: &mut Progress) -> io::Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        progress.generation += 1;
        write_slot(
            file,
            progress.generation % 2,
            &serde_json::to_string(progress)?,
        )
    }
}

fn newest(file: Option<&File>) -> io::Result<Progress> {
    let mut newest = Progress::default();
    for slot in 0..2 {
        let Some(json) = file
            .map(|file| read_slot(file, slot))
            .transpose()?
            .flatten()
        else {
            continue;
        };
        let Ok(read) = serde_json::from_str::<Progress>(&json) else {
            continue;
        };
        if read.generation > newest.generation {
            newest = read;
        }
    }
    Ok(newest)
}

/// Returns a new epoch: the clock, so that copies of one folder never share an epoch, but always
/// larger than `last`.
pub(crate) fn next_epoch(last: u64) -> u64 {
    now_millis().max(last + 1)
}

/// The current time in Unix milliseconds.
pub(crate) fn now_millis() -> u64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    since.as_millis() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_state_leaves_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let storage = SpoolStorage::Disk(folder.path().to_owned());
        let (state_file, mut progress) = StateFile::open(&storage).unwrap();
        for epoch in [5, 6] {
            progress.epoch = epoch;
            state_file.save(&mut progress).unwrap();
        }
        assert_eq!(StateFile::open(&storage).unwrap().1.epoch, 6);
        let path = folder.path().join("state");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[20] ^= 1; // generation 2 is in the first slot
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(StateFile::open(&storage).unwrap().1.epoch, 5);
    }

    #[test]
    fn an_epoch_never_goes_back() {
        assert!(next_epoch(0) > 1_700_000_000_000);
        assert_eq!(next_epoch(u64::MAX - 1), u64::MAX);
    }
}
