//! Opening files in the storage directory: regular files only, without following links and without
//! blocking.
//!
//! Anybody who may write to the directory can replace a file with a FIFO, a device, a folder or a
//! link. Opening a FIFO would wait forever, and a link could lead out of the directory, so each of
//! them is an error that names it.
//!
//! This module also keeps bytes that are about to be replaced although they may be evidence:
//! [`keep_file`] and [`keep_bytes`].

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// The most damaged files kept for one name.
const MAX_KEPT: u32 = 1000;

fn flags() -> i32 {
    (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed()
}

/// Returns the file if it is a regular file.
fn regular(file: File) -> io::Result<File> {
    let kind = file.metadata()?.file_type();
    let what = if kind.is_file() {
        return Ok(file);
    } else if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a FIFO"
    } else {
        "a device or socket"
    };
    Err(not_a_file(what))
}

fn not_a_file(what: &str) -> io::Error {
    io::Error::other(format!("{what} is in its place: put the file back"))
}

/// Names the kind of file in the error for a refused link, folder or special file.
fn named(error: io::Error) -> io::Error {
    match error
        .raw_os_error()
        .map(rustix::io::Errno::from_raw_os_error)
    {
        Some(rustix::io::Errno::LOOP) => not_a_file("a link"),
        Some(rustix::io::Errno::ISDIR) => not_a_file("a folder"),
        Some(rustix::io::Errno::NXIO) => not_a_file("a FIFO, device or socket"),
        Some(_) | None => error,
    }
}

/// Opens a file for reading.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(flags())
        .open(path)
        .map_err(named)
        .and_then(regular)
}

/// Opens a file for reading and writing; creates it if it does not exist.
pub(crate) fn open_for_writing(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .custom_flags(flags());
    options.open(path).map_err(named).and_then(regular)
}

/// Reads a whole file.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = open(path)?;
    let mut bytes = Vec::with_capacity(file.metadata()?.len() as usize + 1);
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Returns whether a folder exists. If that cannot be determined, the result is an error, not
/// `false`.
pub(crate) fn is_folder(path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(found) => Ok(found.is_dir()),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}

/// Keeps a file that is about to be replaced, as `<name>.damaged`, `<name>.damaged.2` and so on. It
/// adds a hard link and copies no bytes, so it needs no space.
pub(crate) fn keep_file(path: &Path) -> io::Result<()> {
    for n in 1..=MAX_KEPT {
        let kept = beside(
            path,
            &if n == 1 {
                ".damaged".to_owned()
            } else {
                format!(".damaged.{n}")
            },
        );
        match fs::hard_link(path, &kept) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            result => return result,
        }
    }
    Err(io::Error::other(format!(
        "{MAX_KEPT} damaged files of this name are kept already: move them away"
    )))
}

/// Appends bytes that are about to be cut off a log to `<name>.torn`. All-zero bytes are not kept:
/// a power cut leaves them in a file that had grown.
pub(crate) fn keep_bytes(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if bytes.iter().all(|byte| *byte == 0) {
        return Ok(());
    }
    let mut options = OpenOptions::new();
    let mut kept = options
        .append(true)
        .create(true)
        .custom_flags(flags())
        .open(beside(path, ".torn"))
        .map_err(named)?;
    kept.write_all(bytes)?;
    if bytes.ends_with(b"\n") {
        Ok(())
    } else {
        kept.write_all(b"\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_is_no_file_is_named_and_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("folder")).unwrap();
        symlink("/etc/hostname", at("link")).unwrap();
        symlink("loop", at("loop")).unwrap();
        symlink("gone", at("dangling")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at("fifo"),
            rustix::fs::FileType::Fifo,
            0o600.into(),
            0,
        )
        .unwrap();
        for (name, what) in [
            ("folder", "a folder"),
            ("link", "a link"),
            ("loop", "a link"),
            ("dangling", "a link"),
            ("fifo", "FIFO"),
        ] {
            for error in [
                read(&at(name)).unwrap_err(),
                open_for_writing(&at(name)).unwrap_err(),
            ] {
                assert!(
                    error.to_string().contains(what) || name == "fifo",
                    "{name}: {error}"
                );
            }
        }
        assert!(
            read(&at("fifo"))
                .unwrap_err()
                .to_string()
                .contains("a FIFO")
        );
        assert_eq!(
            read(&at("nothing")).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }

    #[test]
    fn what_is_kept_is_never_replaced_by_what_is_kept_later() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("state.json");
        for text in ["first", "second"] {
            fs::write(&file, text).unwrap();
            keep_file(&file).unwrap();
            fs::remove_file(&file).unwrap();
        }
        keep_file(&file).unwrap();
        assert_eq!(
            fs::read_to_string(dir.path().join("state.json.damaged")).unwrap(),
            "first"
        );
        assert_eq!(
            fs::read_to_string(dir.path().join("state.json.damaged.2")).unwrap(),
            "second"
        );
        keep_bytes(&file, b"{\"half\":").unwrap();
        keep_bytes(&file, b"\0\0\0").unwrap();
        keep_bytes(&file, b"whole\n").unwrap();
        assert_eq!(
            fs::read_to_string(dir.path().join("state.json.torn")).unwrap(),
            "{\"half\":\nwhole\n"
        );
    }
}
