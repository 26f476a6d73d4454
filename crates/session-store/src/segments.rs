//! The segment files: the current one, prepared spares, older ones, and lookup by offset.
//!
//! A segment is allocated whole (filled with zeros, so that a sync need not update the file
//! system's metadata) and named by the offset of its first event. Segments below the checkpoint
//! that exceed the journal's size limit are recycled as spares or removed. One spare is kept ready.
//! While many segments are used, one more spare is prepared for each segment used since the last
//! check, because commits to a segment that grows as it is written cost several times as much.

mod tail;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::disk::Disk;
use super::layout::Layout;
use super::segment::END;

pub(crate) use tail::Tail;

/// The size of a segment on a disk that is large enough.
pub(crate) const SEGMENT_BYTES: u64 = 16 << 20;
/// The most spare segments.
const MAX_SPARES: usize = 8;
/// A spare is prepared only while there is free space for this many segments.
const SPACE_FOR_SPARE: u64 = 4;
/// The distance in bytes between remembered positions of a segment.
const MARK_EVERY: u64 = 64 << 10;

/// A sparse list of where groups begin in a segment: (first offset of the group, byte position).
type GroupPositions = Vec<(u64, u64)>;

/// All segments.
#[derive(Debug)]
pub(crate) struct Segments {
    layout: Layout,
    capacity: u64,
    marks: Mutex<BTreeMap<u64, GroupPositions>>,
    /// How many segments were begun since the spares were last checked.
    begun: AtomicUsize,
    /// How many spares there should be.
    wanted: AtomicUsize,
    /// How many spares there may be on a disk of this size.
    most: usize,
    /// How many readers need all existing segments to be kept.
    holders: AtomicUsize,
}

/// While this guard exists, no segment is removed or recycled.
#[derive(Debug)]
pub(crate) struct RecyclingGuard<'s>(&'s Segments);

impl Drop for RecyclingGuard<'_> {
    fn drop(&mut self) {
        self.0.holders.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Segments {
    /// Creates the list of segments from their first offsets.
    pub(crate) fn new(
        layout: Layout,
        disk_size: u64,
        existing: impl IntoIterator<Item = u64>,
    ) -> Self {
        let capacity = Self::capacity_for(disk_size);
        let most = usize::try_from(disk_size / 64 / capacity)
            .unwrap_or(MAX_SPARES)
            .clamp(1, MAX_SPARES);
        let marks = existing
            .into_iter()
            .map(|first| (first, GroupPositions::new()))
            .collect();
        let begun = AtomicUsize::new(0);
        let wanted = AtomicUsize::new(1);
        let holders = AtomicUsize::new(0);
        Self {
            layout,
            capacity,
            marks: Mutex::new(marks),
            begun,
            wanted,
            most,
            holders,
        }
    }

    /// Returns the size of a segment on a disk of this size.
    pub(crate) fn capacity_for(disk_size: u64) -> u64 {
        (disk_size / 16).clamp(64 << 10, SEGMENT_BYTES) & !4095
    }

    fn spares(&self) -> impl Iterator<Item = PathBuf> {
        spares(&self.layout)
    }

    /// Returns the path of the first spare that is wanted and does not exist.
    fn missing_spare(&self) -> Option<PathBuf> {
        self.spares()
            .take(self.wanted.load(Ordering::Relaxed))
            .find(|spare| !spare.exists())
    }

    /// Remembers where a group begins, about once per `MARK_EVERY` bytes.
    pub(crate) fn note(&self, segment: u64, offset: u64, at: u64) {
        let mut marks = self.marks.lock();
        let marks = marks.entry(segment).or_default();
        if marks.last().is_none_or(|(_, last)| at >= last + MARK_EVERY) {
            marks.push((offset, at));
        }
    }

    /// Remembers where a group begins that was read in an older segment, about once per
    /// `MARK_EVERY` bytes.
    pub(crate) fn note_read(&self, segment: u64, offset: u64, at: u64) {
        let mut marks = self.marks.lock();
        let Some(places) = marks.get_mut(&segment) else {
            return;
        };
        let n = places.partition_point(|(_, place)| *place <= at);
        let near =
            |place: Option<&(u64, u64)>| place.is_some_and(|(_, p)| p.abs_diff(at) < MARK_EVERY);
        if !near(places.get(n)) && !n.checked_sub(1).is_some_and(|n| near(places.get(n))) {
            places.insert(n, (offset, at));
        }
    }

    /// Returns the first offset of each segment, ascending.
    pub(crate) fn firsts(&self) -> Vec<u64> {
        self.marks.lock().keys().copied().collect()
    }

    /// Returns the segment that holds an offset (or begins after it), and a position in it from
    /// which to search.
    pub(crate) fn find(&self, offset: u64) -> Option<(u64, u64)> {
        let marks = self.marks.lock();
        let (segment, places) = marks
            .range(..=offset)
            .next_back()
            .or_else(|| marks.iter().next())?;
        let known = places.partition_point(|(first, _)| *first <= offset);
        Some((*segment, known.checked_sub(1).map_or(0, |n| places[n].1)))
    }

    /// Returns the segment after this one.
    pub(crate) fn after(&self, segment: u64) -> Option<u64> {
        self.marks
            .lock()
            .range(segment + 1..)
            .next()
            .map(|(first, _)| *first)
    }

    /// Opens a segment for reading.
    pub(crate) fn open(&self, segment: u64) -> io::Result<File> {
        super::files::open(&self.layout.segment(segment))
    }

    /// Returns the total length of all segments.
    pub(crate) fn total_bytes(&self) -> u64 {
        let len = |first: u64| fs::metadata(self.layout.segment(first)).map_or(0, |m| m.len());
        self.firsts().into_iter().map(len).sum()
    }

    /// Prepares the missing spare segments; called outside the commit thread. On an almost full
    /// disk the remaining space is left to the commits.
    pub(crate) fn prepare_spares(&self, disk: &dyn Disk, root: &File) -> io::Result<()> {
        let wanted = (self.begun.swap(0, Ordering::Relaxed) + 1).min(self.most);
        self.wanted.store(wanted, Ordering::Relaxed);
        while let Some(spare) = self.missing_spare() {
            let (free, _) = disk.free_space(root)?;
            if free < SPACE_FOR_SPARE * self.capacity {
                return Ok(());
            }
            if let Err(error) = self.build(&spare) {
                // The error that matters is the first one; the file may not even have been created.
                let _ = fs::remove_file(self.building());
                return Err(error);
            }
        }
        Ok(())
    }

    fn building(&self) -> PathBuf {
        self.layout.journal().join(".spare.tmp")
    }

    fn build(&self, spare: &Path) -> io::Result<()> {
        let building = self.building();
        let file = File::create(&building)?;
        let zeros = vec![0u8; 1 << 20];
        let mut left = self.capacity;
        while left > 0 {
            let piece = left.min(zeros.len() as u64);
            io::Write::write_all(&mut &file, &zeros[..piece as usize])?;
            left -= piece;
        }
        file.sync_all()?;
        fs::rename(&building, spare)
    }

    /// Removes the spares that are no longer wanted.
    fn trim_spares(&self) -> io::Result<()> {
        for spare in self.spares().skip(self.wanted.load(Ordering::Relaxed)) {
            match fs::remove_file(spare) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Keeps every segment that the checkpoint needs for as long as the returned guard exists.
    ///
    /// Take the guard before reading the checkpoint: a trim that is already running belongs to a
    /// checkpoint that is already in its file.
    pub(crate) fn hold(&self) -> RecyclingGuard<'_> {
        self.holders.fetch_add(1, Ordering::SeqCst);
        RecyclingGuard(self)
    }

    /// Removes the oldest segments that are entirely below `keep_from` while the total size exceeds
    /// `max_bytes`.
    pub(crate) fn trim(&self, keep_from: u64, max_bytes: u64) -> io::Result<()> {
        self.trim_spares()?;
        loop {
            let firsts = self.firsts();
            let [oldest, next, ..] = firsts[..] else {
                return Ok(());
            };
            let held = self.holders.load(Ordering::SeqCst) > 0;
            if held || next >= keep_from || self.total_bytes() <= max_bytes {
                return Ok(());
            }
            let path = self.layout.segment(oldest);
            self.marks.lock().remove(&oldest);
            let whole = fs::metadata(&path)?.len() >= self.capacity;
            match self.missing_spare() {
                Some(spare) if whole => {
                    empty(&path)?;
                    fs::rename(&path, spare)?;
                }
                _ => fs::remove_file(&path)?,
            }
        }
    }
}

/// Returns the paths of the spares: `spare`, `spare-1` …
pub(super) fn spares(layout: &Layout) -> impl Iterator<Item = PathBuf> {
    let journal = layout.journal();
    (0..MAX_SPARES).map(move |n| match n {
        0 => journal.join("spare"),
        n => journal.join(format!("spare-{n}")),
    })
}

/// Overwrites the beginning of a segment with zeros, durably, before it becomes a spare. Otherwise
/// a crash right after the spare is put to use would find old bytes there, which look like a torn
/// tail.
fn empty(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.write_all_at(&END, 0)?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;

    const OLD: &[u8] = b"what an earlier life left here, longer than the head of a group";

    fn segments(root: &Path, disk_size: u64) -> Segments {
        let layout = Layout::new(root);
        fs::create_dir_all(layout.journal()).unwrap();
        for first in [1, 9] {
            let path = layout.segment(first);
            fs::write(&path, OLD).unwrap();
            OpenOptions::new()
                .write(true)
                .open(path)
                .unwrap()
                .set_len(Segments::capacity_for(disk_size))
                .unwrap();
        }
        Segments::new(layout, disk_size, [1, 9])
    }

    #[test]
    fn a_recycled_segment_begins_empty() {
        let root = tempfile::tempdir().unwrap();
        let segments = segments(root.path(), 1 << 20);
        segments.trim(10, 0).unwrap();
        assert_eq!(segments.firsts(), [9]);
        let spare = segments.spares().next().unwrap();
        assert_eq!(fs::read(&spare).unwrap()[..END.len()], END);
        let tail = Tail::begin(&segments, 20).unwrap();
        let bytes = bytes::Bytes::from(fs::read(segments.layout.segment(20)).unwrap());
        let end = crate::segment::walk(&bytes, tail.segment, 0, true, |_, _| {});
        assert!(!end.torn && end.at == 0, "{end:?}");
    }

    #[test]
    fn what_is_held_is_not_trimmed() {
        let root = tempfile::tempdir().unwrap();
        let segments = segments(root.path(), 1 << 20);
        let held = segments.hold();
        segments.trim(10, 0).unwrap();
        assert_eq!(segments.firsts(), [1, 9]);
        drop(held);
        segments.trim(10, 0).unwrap();
        assert_eq!(segments.firsts(), [9]);
    }

    #[test]
    fn a_small_disk_has_one_spare_and_a_busy_large_one_some_more() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(segments(root.path(), 2 << 20).most, 1);
        assert_eq!(segments(root.path(), 1 << 40).most, MAX_SPARES);
    }

    #[test]
    fn a_disk_that_is_almost_full_gets_no_spare() {
        struct Full;
        impl Disk for Full {
            fn write_at(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
                RealDisk.write_at(file, bytes, at)
            }
            fn sync_data(&self, file: &File) -> io::Result<()> {
                RealDisk.sync_data(file)
            }
            fn sync_file_system(&self, dir: &File) -> io::Result<()> {
                RealDisk.sync_file_system(dir)
            }
            fn replace(&self, path: &Path, bytes: &[u8], durable: bool) -> io::Result<()> {
                RealDisk.replace(path, bytes, durable)
            }
            fn free_space(&self, _: &File) -> io::Result<(u64, u64)> {
                Ok((100 << 10, 2 << 20))
            }
        }
        let root = tempfile::tempdir().unwrap();
        let segments = segments(root.path(), 2 << 20);
        let directory = File::open(root.path()).unwrap();
        segments.prepare_spares(&Full, &directory).unwrap();
        assert!(segments.missing_spare().is_some());
        segments.prepare_spares(&RealDisk, &directory).unwrap();
        assert!(segments.missing_spare().is_none());
    }
}
