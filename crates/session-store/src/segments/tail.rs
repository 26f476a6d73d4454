//! The segment being written, and the switch to the next one.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::sync::atomic::Ordering;

use super::{GroupPositions, Segments};
use crate::disk::{Disk, sync_dir};
use crate::segment::GROUP_HEADER;

/// The segment being written.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) file: File,
    /// The offset in the segment's file name.
    pub(crate) segment: u64,
    /// The position of the next group.
    pub(crate) at: u64,
    capacity: u64,
}

impl Tail {
    /// Begins a segment whose first event has this offset.
    pub(crate) fn begin(segments: &Segments, first_offset: u64) -> io::Result<Self> {
        let path = segments.layout.segment(first_offset);
        // Without a spare the segment grows as it is written.
        if !segments
            .spares()
            .any(|spare| fs::rename(spare, &path).is_ok())
        {
            File::create(&path)?;
        }
        segments.begun.fetch_add(1, Ordering::Relaxed);
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        file.sync_all()?;
        sync_dir(&path)?;
        segments
            .marks
            .lock()
            .insert(first_offset, GroupPositions::new());
        let capacity = segments.capacity.max(file.metadata()?.len());
        Ok(Self {
            file,
            segment: first_offset,
            at: 0,
            capacity,
        })
    }

    /// Returns whether a group of this length goes into the next segment.
    ///
    /// Never true for a next segment of the same name: the current one has then consumed no offset
    /// and holds no event, so it grows instead.
    pub(crate) fn is_full(&self, first_offset: u64, len: u64) -> bool {
        self.at > 0 && first_offset != self.segment && self.at + len > self.capacity
    }

    /// Truncates the segment to what was used of it.
    pub(crate) fn seal(&self) -> io::Result<()> {
        self.file.set_len(self.at)
    }

    /// Makes a group that was just written at the end unreadable.
    pub(crate) fn erase(&self, disk: &dyn Disk, sync: bool) -> io::Result<()> {
        if self.file.metadata()?.len() < self.at + GROUP_HEADER as u64 {
            return self.file.set_len(self.at);
        }
        disk.write_at(&self.file, &[0; GROUP_HEADER], self.at)?;
        if sync {
            disk.sync_data(&self.file)
        } else {
            Ok(())
        }
    }
}
