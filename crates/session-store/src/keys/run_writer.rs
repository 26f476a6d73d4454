//! Writes a run from a sorted stream of entries, in constant memory.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

use super::entry::Entry;
use super::run::{Header, PAGE, PER_PAGE, seal_page};
use crate::disk::Disk;

/// How many bytes are written at once.
const CHUNK: usize = 64 * PAGE;

/// A run that is being written.
pub(super) struct RunWriter<'d> {
    disk: &'d dyn Disk,
    file: File,
    header: Header,
    page: [u8; PAGE],
    in_page: usize,
    /// The number of the page that is being filled.
    number: u32,
    pending: Vec<u8>,
    /// Where the pending bytes belong.
    at: u64,
}

impl<'d> RunWriter<'d> {
    /// Begins a run in a new file. The header's `count` is set at the end.
    pub(super) fn begin(disk: &'d dyn Disk, path: &Path, header: Header) -> io::Result<Self> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)?;
        Ok(Self {
            disk,
            file,
            header: Header { count: 0, ..header },
            page: [0; PAGE],
            in_page: 0,
            number: 0,
            pending: Vec::with_capacity(CHUNK),
            at: PAGE as u64,
        })
    }

    /// Appends an entry, which must be greater than the one before it.
    pub(super) fn push(&mut self, entry: Entry) -> io::Result<()> {
        let at = self.in_page * Entry::LEN;
        self.page[at..at + Entry::LEN].copy_from_slice(&entry.to_bytes());
        self.in_page += 1;
        self.header.count += 1;
        if self.in_page == PER_PAGE {
            self.end_page()?;
        }
        Ok(())
    }

    fn end_page(&mut self) -> io::Result<()> {
        seal_page(&mut self.page, self.number, self.header.id);
        self.pending.extend_from_slice(&self.page);
        self.page = [0; PAGE];
        self.in_page = 0;
        self.number = self
            .number
            .checked_add(1)
            .ok_or_else(|| io::Error::other("a run has too many pages"))?;
        if self.pending.len() >= CHUNK {
            self.write_pending()?;
        }
        Ok(())
    }

    fn write_pending(&mut self) -> io::Result<()> {
        self.disk.write_at(&self.file, &self.pending, self.at)?;
        self.at += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Writes the rest, and the header last: a file without it is no run.
    pub(super) fn finish(mut self, durable: bool) -> io::Result<(Header, File)> {
        if self.in_page > 0 {
            self.end_page()?;
        }
        self.write_pending()?;
        self.disk.write_at(&self.file, &self.header.to_bytes(), 0)?;
        if durable {
            self.disk.sync_data(&self.file)?;
        }
        Ok((self.header, self.file))
    }
}
