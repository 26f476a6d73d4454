//! A part: a temporary file of an upload, removed unless it gets its name.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;

use crate::disk::Disk;

/// A temporary file. It is removed when it is dropped before it got its name.
pub(super) struct Part {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    file: File,
    written: u64,
    is_named: bool,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Part {
    /// Creates the file, whose name must be new.
    pub(super) fn create(disk: &Arc<dyn Disk>, path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(&path)?;
        Ok(Self {
            disk: Arc::clone(disk),
            path,
            file,
            written: 0,
            is_named: false,
        })
    }

    /// Appends bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.disk.write_at(&self.file, bytes, self.written)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Makes the content durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.disk.sync_data(&self.file)
    }

    /// Returns the free bytes and the size of the file system.
    pub(super) fn free_space(&self) -> io::Result<(u64, u64)> {
        self.disk.free_space(&self.file)
    }

    /// Gives the file its name; a file of that name is replaced.
    pub(super) fn rename(mut self, name: &Path) -> io::Result<()> {
        fs::rename(&self.path, name)?;
        self.is_named = true;
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.is_named {
            return;
        }
        match fs::remove_file(&self.path) {
            Ok(()) => {}
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "an upload that was given up could not be removed; the next start removes it");
            }
        }
    }
}
