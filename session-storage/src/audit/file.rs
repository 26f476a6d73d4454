//! The files of the audit log: appended to, never changed, and rotated at a maximum size. The
//! service and the command line write to the same file, each under the lock of the directory.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::config::Config;

/// Where the audit log is, how large its files may be, and how many are kept.
#[derive(Clone, Debug)]
pub struct AuditFiles {
    /// The directory; created at the first write.
    pub dir: PathBuf,
    /// The size at which a file is rotated.
    pub max_bytes: u64,
    /// The maximum number of files, including the current one.
    pub max_files: usize,
}

impl AuditFiles {
    /// Returns the files that the configuration sets.
    pub fn of(config: &Config) -> Self {
        let dir = config
            .audit_log_path
            .clone()
            .unwrap_or_else(|| config.storage_path.join("audit"));
        Self {
            dir,
            max_bytes: config.audit_log_max_bytes,
            max_files: config.audit_log_files,
        }
    }

    /// Returns the path of the n-th newest file; 0 is the current one.
    fn file(&self, n: usize) -> PathBuf {
        self.dir.join(if n == 0 {
            "audit.jsonl".into()
        } else {
            format!("audit.{n}.jsonl")
        })
    }

    /// Appends whole lines durably, in one write.
    pub fn append(&self, lines: &[u8]) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.dir)?;
        let lock = self.lock()?;
        let size = fs::metadata(self.file(0)).map_or(0, |found| found.len());
        if size > 0 && size + lines.len() as u64 > self.max_bytes {
            self.rotate()?;
        }
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(self.file(0))?;
        let before = file.metadata()?.len();
        let written = end_line(&mut file, before)
            .and_then(|()| file.write_all(lines))
            .and_then(|()| file.sync_data());
        if let Err(error) = written {
            // A partial line would corrupt the next one.
            if let Err(left) = file.set_len(before) {
                tracing::warn!(error = %left, "an incomplete line stays in the audit log");
            }
            return Err(error);
        }
        lock.unlock()
    }

    /// Takes the lock under which files are rotated and lines are appended.
    fn lock(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        let lock = options
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(self.dir.join("lock"))?;
        lock.lock()?;
        Ok(lock)
    }

    /// Gives what root created at the command line to the owner of the storage directory.
    pub fn give_to_owner_of(&self, storage: &Path) {
        for path in [
            self.dir.clone(),
            self.dir.join("lock"),
            self.file(0),
            self.file(1),
        ] {
            if path.exists() {
                crate::access::key_file::give_to_owner(&path, Some(storage));
            }
        }
    }

    /// Rotates: each file becomes the next older one, and the oldest is deleted.
    fn rotate(&self) -> io::Result<()> {
        for n in self.max_files - 1.. {
            if !forget(&self.file(n))? && n >= self.max_files {
                break;
            }
        }
        for n in (0..self.max_files - 1).rev() {
            match fs::rename(self.file(n), self.file(n + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        File::open(&self.dir)?.sync_all()
    }
}

/// Ends a line that was torn by a power failure, so that the next one starts on a line of its own.
fn end_line(file: &mut File, len: u64) -> io::Result<()> {
    let mut last = [b'\n'];
    if len > 0 {
        file.read_exact_at(&mut last, len - 1)?;
    }
    if last == [b'\n'] {
        Ok(())
    } else {
        file.write_all(b"\n")
    }
}

/// Removes a file and returns whether it existed.
fn forget(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(files: &AuditFiles) -> Vec<Option<String>> {
        (0..4)
            .map(|n| fs::read_to_string(files.file(n)).ok())
            .collect()
    }

    #[test]
    fn files_are_rotated_by_size_and_kept_by_count() {
        let outer = tempfile::tempdir().unwrap();
        let files = AuditFiles {
            dir: outer.path().join("audit"),
            max_bytes: 8,
            max_files: 3,
        };
        for line in ["one\n", "two\n", "three\n", "four four four\n", "five\n"] {
            files.append(line.as_bytes()).unwrap();
        }
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            contents(&files),
            [
                text("five\n"),
                text("four four four\n"),
                text("three\n"),
                None
            ]
        );
        let one = AuditFiles {
            max_files: 1,
            ..files
        };
        one.append(b"and another\n").unwrap();
        assert!(
            contents(&one)[1..].iter().all(Option::is_none),
            "what is above the count goes"
        );
        one.append(b"longer than eight\n").unwrap();
        assert_eq!(contents(&one)[0], text("longer than eight\n"));
    }

    #[test]
    fn the_names_of_the_files_never_change() {
        let files = AuditFiles {
            dir: "audit".into(),
            max_bytes: 8,
            max_files: 3,
        };
        assert_eq!(files.file(0), Path::new("audit/audit.jsonl"));
        assert_eq!(files.file(1), Path::new("audit/audit.1.jsonl"));
    }

    #[test]
    fn a_line_that_a_power_cut_has_torn_does_not_spoil_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let files = AuditFiles {
            dir: dir.path().join("audit"),
            max_bytes: 1000,
            max_files: 2,
        };
        files.append(b"whole\n").unwrap();
        fs::write(files.file(0), b"whole\ntorn by a cu").unwrap();
        files.append(b"next\n").unwrap();
        files.append(b"last\n").unwrap();
        assert_eq!(
            contents(&files)[0].as_deref(),
            Some("whole\ntorn by a cu\nnext\nlast\n")
        );
    }
}
