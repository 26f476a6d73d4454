//! The few operations that change the disk, behind a trait so that a test can make any of them
//! fail.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};

/// The store's write operations. Reads use `std::fs` directly.
pub trait Disk: Send + Sync + 'static {
    /// Writes all bytes at a position of a file.
    fn write_at(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()>;
    /// Makes a file's content durable.
    fn sync_data(&self, file: &File) -> io::Result<()>;
    /// Makes everything on the file system of `dir` durable.
    fn sync_file_system(&self, dir: &File) -> io::Result<()>;
    /// Replaces a whole file; a reader sees the old content or the new. `durable`: also after a
    /// power cut.
    fn replace(&self, path: &Path, bytes: &[u8], durable: bool) -> io::Result<()>;
    /// Returns the bytes that can still be written to the file system of `dir`, and its size.
    fn free_space(&self, dir: &File) -> io::Result<(u64, u64)>;
}

/// The real disk.
#[derive(Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn write_at(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        file.write_all_at(bytes, at)
    }

    fn sync_data(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn sync_file_system(&self, dir: &File) -> io::Result<()> {
        Ok(rustix::fs::syncfs(dir)?)
    }

    /// Exchanges a new file with the old one, which is then removed. Unlike a rename over the old
    /// file, this does not make the file system flush at once, and a reader that has the old file
    /// open keeps it whole.
    fn replace(&self, path: &Path, bytes: &[u8], durable: bool) -> io::Result<()> {
        let temporary = temporary_name(path);
        let result = write_new(&temporary, bytes, durable).and_then(|()| swap(&temporary, path));
        if let Err(error) = result {
            if let Err(leftover) = fs::remove_file(&temporary) {
                tracing::debug!(%leftover, "no temporary file was left to remove");
            }
            return Err(error);
        }
        if durable { sync_dir(path) } else { Ok(()) }
    }

    fn free_space(&self, dir: &File) -> io::Result<(u64, u64)> {
        let stat = rustix::fs::fstatvfs(dir)?;
        Ok((stat.f_bavail * stat.f_frsize, stat.f_blocks * stat.f_frsize))
    }
}

/// Returns whether a write failed for lack of space, on the file system or in its user's quota.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

fn temporary_name(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.tmp"))
}

fn write_new(path: &Path, bytes: &[u8], durable: bool) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    if durable { file.sync_data() } else { Ok(()) }
}

fn swap(new: &Path, old: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, new, CWD, old, RenameFlags::EXCHANGE) {
        Ok(()) => fs::remove_file(new),
        // There is no file to exchange with, or the file system does not support the exchange.
        Err(_) => fs::rename(new, old),
    }
}

/// Returns the folder that a file is in. The parent of a bare file name is an empty path: such a
/// file is in the working directory.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    }
}

/// Makes a file's entry in its folder durable.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

/// Returns how many bytes are kept free on a file system of this size.
pub(super) fn reserve(size: u64) -> u64 {
    (size / 64).min(8 << 20)
}
