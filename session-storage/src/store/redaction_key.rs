//! The key of the tags that stand in the place of secrets: made once, at the first start, for its owner alone.
//!
//! Without it a tag says nothing about its secret; with it, guesses can be tried. If it is lost a new one is made, and the
//! same secret has another tag from then on.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use session_model::redact::Key;

use super::disk::sync_dir;
use super::error::OpenError;
use super::layout::Layout;

/// Reads the key, or makes it. The directory's lock is held.
pub(super) fn read_or_make(layout: &Layout) -> Result<Key, OpenError> {
    let path = layout.redaction_key();
    match fs::read_to_string(&path) {
        Ok(text) => Key::from_hex(&text).ok_or_else(|| OpenError::io("read", &path)(malformed())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make(&path, layout.root()).map_err(OpenError::io("write", &path))
        }
        Err(error) => Err(OpenError::io("read", &path)(error)),
    }
}

fn malformed() -> io::Error {
    let what = "it does not hold 32 hexadecimal digits; without it a new key is made at the next start";
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn make(path: &Path, root: &Path) -> io::Result<Key> {
    let key = Key::new(uuid::Uuid::new_v4().into_bytes());
    let spare = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&spare)?;
    writeln!(file, "{}", key.to_hex())?;
    file.sync_all()?;
    fs::rename(&spare, path)?;
    sync_dir(root)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_made_once_for_its_owner_alone_and_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let made = read_or_make(&layout).unwrap();
        assert_eq!(read_or_make(&layout).unwrap().to_hex(), made.to_hex());
        let mode = fs::metadata(layout.redaction_key()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(layout.redaction_key(), "torn").unwrap();
        let error = read_or_make(&layout).unwrap_err().to_string();
        assert!(error.contains(".redaction-key") && error.contains("hexadecimal"), "{error}");
        assert_eq!(fs::read_to_string(layout.redaction_key()).unwrap(), "torn");
    }
}
