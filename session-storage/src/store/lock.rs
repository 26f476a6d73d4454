//! The lock on the storage directory: one process at a time.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};

use fs4::{FileExt, TryLockError};

use super::error::OpenError;
use super::layout::Layout;

/// Held for as long as it lives; the kernel lets go of it even at `kill -9`.
#[derive(Debug)]
pub struct DirLock(#[expect(dead_code, reason = "holding it is its purpose")] File);

impl DirLock {
    /// Takes the lock, or says who has it.
    pub fn take(layout: &Layout) -> Result<Self, OpenError> {
        let path = layout.lock();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(OpenError::io("open", &path))?;
        match FileExt::try_lock(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use(layout, &mut file)),
            Err(TryLockError::Error(error)) => return Err(OpenError::io("lock", path)(error)),
        }
        // The pid is for people: a full disk is no reason not to start.
        if let Err(error) = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())) {
            tracing::warn!(%error, "the pid could not be written into `.lock`");
        }
        Ok(Self(file))
    }
}

fn in_use(layout: &Layout, file: &mut File) -> OpenError {
    let mut holder = String::new();
    let read = file.read_to_string(&mut holder);
    let known = read.is_ok() && !holder.trim().is_empty();
    let holder = if known { format!(" (pid {})", holder.trim()) } else { String::new() };
    OpenError::InUse { path: layout.root().to_owned(), holder }
}
