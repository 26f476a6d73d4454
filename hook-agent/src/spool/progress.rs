//! How far delivery is, and the window that is under way: the part of the spool that exactly-once rests on.

use std::fs::File;
use std::io;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::place::{Place, read_slot, write_slot};
use super::step::Step;

/// A place between two records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// The segment, by its first record's number.
    pub segment: u64,
    /// Bytes into it.
    pub offset: u64,
    /// The number of the next record.
    pub record: u64,
}

/// Everything before `cursor` is settled; `plan` tells what of the stretch after it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    pub generation: u64,
    /// The largest epoch that any batch of this folder was numbered with.
    pub epoch: u64,
    pub cursor: Position,
    /// Attempts in a row that broke on the current request, whoever made them.
    #[serde(default, skip_serializing_if = "is_never")]
    pub broken: u32,
    /// When the first attempt broke since something was settled, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken_since: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// By slot, the number behind the last record that is held there; 0: no record. Not given by versions that know of
    /// none: what such a one leaves is all to be kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Vec<u64>>,
}

impl Progress {
    /// Whatever broke, it is not the current request any more.
    pub(super) fn mended(&mut self) {
        (self.broken, self.broken_since) = (0, None);
    }
}

/// A window that is under way: the records from the cursor to `end`, one batch a session in order of appearance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub end: Position,
    pub batches: Vec<Step>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_never(times: &u32) -> bool {
    *times == 0
}

/// The state file.
#[derive(Debug)]
pub(crate) struct Ledger {
    file: Option<File>,
}

impl Ledger {
    /// Opens it and reads the newer whole slot.
    pub(crate) fn open(place: &Place) -> io::Result<(Self, Progress)> {
        let file = place.state_file()?;
        let newest = newest(file.as_ref())?;
        Ok((Self { file }, newest))
    }

    /// Reads the newer whole slot, and makes and changes nothing.
    pub(crate) fn look(place: &Place) -> io::Result<Progress> {
        newest(place.state_reader()?.as_ref())
    }

    /// Writes the other slot.
    pub(crate) fn save(&self, progress: &mut Progress) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        progress.generation += 1;
        write_slot(file, progress.generation % 2, &serde_json::to_string(progress)?)
    }
}

fn newest(file: Option<&File>) -> io::Result<Progress> {
    let mut newest = Progress::default();
    for slot in 0..2 {
        let Some(json) = file.map(|file| read_slot(file, slot)).transpose()?.flatten() else { continue };
        let Ok(read) = serde_json::from_str::<Progress>(&json) else { continue };
        if read.generation > newest.generation {
            newest = read;
        }
    }
    Ok(newest)
}

/// A new life's epoch: the clock, so that copies of one folder never share one, but always larger than the last.
pub(crate) fn next_epoch(last: u64) -> u64 {
    now_millis().max(last + 1)
}

/// Unix milliseconds.
pub(crate) fn now_millis() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_state_leaves_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::Disk(folder.path().to_owned());
        let (ledger, mut progress) = Ledger::open(&place).unwrap();
        for epoch in [5, 6] {
            progress.epoch = epoch;
            ledger.save(&mut progress).unwrap();
        }
        assert_eq!(Ledger::open(&place).unwrap().1.epoch, 6);
        let path = folder.path().join("state");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[20] ^= 1; // generation 2 is in the first slot
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(Ledger::open(&place).unwrap().1.epoch, 5);
    }

    #[test]
    fn an_epoch_never_goes_back() {
        assert!(next_epoch(0) > 1_700_000_000_000);
        assert_eq!(next_epoch(u64::MAX - 1), u64::MAX);
    }
}
