//! The lock on the storage directory: only one process may use it.
//!
//! `.lock` records the holder: the process id in the first line, and in the second line the
//! **run**, a name that is new each time the lock is taken. A service publishes its run, so a
//! command can verify whether the service that responds at some address is the one that uses the
//! given directory. An epoch could not prove that, because copies of a directory share it. The run
//! ends with the inode of `.lock`, so that a copy of the file is no proof either.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt as _;

use fs4::{FileExt, TryLockError};

use super::error::OpenError;
use super::layout::Layout;

/// The lock, held while this value exists; the kernel releases it even after `kill -9`.
#[derive(Debug)]
pub(crate) struct DirLock {
    #[expect(dead_code, reason = "holding it is its purpose")]
    file: File,
    run: String,
}

impl DirLock {
    /// Takes the lock, or returns an error that names the holder.
    pub(crate) fn take(layout: &Layout) -> Result<Self, OpenError> {
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
        let random = uuid::Uuid::new_v4().simple().to_string();
        let run = format!(
            "{}{}",
            &random[..12],
            suffix(&file).map_err(OpenError::io("read", &path))?
        );
        // A full disk must not prevent the start: only a command that asks who uses the directory
        // then learns nothing.
        let lines = format!("{}\n{run}\n", std::process::id());
        if let Err(error) = file
            .set_len(0)
            .and_then(|()| file.write_all(lines.as_bytes()))
        {
            tracing::warn!(%error, "pid and run could not be written into `.lock`");
        }
        Ok(Self { file, run })
    }

    /// Returns the name of this run.
    pub(crate) fn run(&self) -> &str {
        &self.run
    }
}

/// Returns the run of the current or last holder of the lock; `None` if the directory never had
/// one.
pub(crate) fn last_run(layout: &Layout) -> io::Result<Option<String>> {
    let mut file = match File::open(layout.lock()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let suffix = suffix(&file)?;
    Ok(text
        .lines()
        .nth(1)
        .filter(|run| run.ends_with(&suffix))
        .map(str::to_owned))
}

/// Returns the ending of every run that is recorded in this file.
fn suffix(file: &File) -> io::Result<String> {
    Ok(format!("-{}", file.metadata()?.ino()))
}

fn in_use(layout: &Layout, file: &mut File) -> OpenError {
    let mut holder = String::new();
    let read = file.read_to_string(&mut holder);
    let pid = holder
        .lines()
        .next()
        .map(str::trim)
        .filter(|pid| read.is_ok() && !pid.is_empty());
    let holder = pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
    OpenError::InUse {
        path: layout.root().to_owned(),
        holder,
    }
}
