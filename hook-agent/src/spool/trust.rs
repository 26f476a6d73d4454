//! Decides whether a directory may be trusted with recorded data.
//!
//! The last candidate is in the system's temporary directory, where any user may have created a
//! directory of that name first. Anyone who can write there could read records, plant some, or keep
//! the redaction key. So it is used only if it belongs to this user alone. A directory named by the
//! settings is the operator's choice and is used as it is.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

use crate::fallback_dir::fallback_dir;

/// Creates the directory, unless it exists, and checks it.
pub(crate) fn make(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    check(dir)
}

/// Fails if this is the shared fallback directory and it does not belong to this user alone.
pub(crate) fn check(dir: &Path) -> io::Result<()> {
    if dir == fallback_dir() {
        check_owner(dir, rustix::process::geteuid().as_raw())
    } else {
        Ok(())
    }
}

fn check_owner(dir: &Path, user: u32) -> io::Result<()> {
    let found = dir.symlink_metadata()?;
    let wrong = if !found.is_dir() {
        "it is not a directory: remove it"
    } else if found.uid() != user {
        "it belongs to another user: set `HOOK_AGENT_SPOOL_DIR`"
    } else if found.mode() & 0o022 != 0 {
        "other users can write to it: run `chmod 700` on it"
    } else {
        return Ok(());
    };
    Err(io::Error::new(io::ErrorKind::PermissionDenied, wrong))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn only_a_directory_of_this_user_that_no_other_user_can_write_is_trusted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spool");
        let user = dir.path().metadata().unwrap().uid();
        let checked =
            |path: &Path, user| check_owner(path, user).map_err(|error| error.to_string());
        make(&path).unwrap();
        assert_eq!(checked(&path, user), Ok(()));
        assert_eq!(
            checked(&path, user + 1),
            Err("it belongs to another user: set `HOOK_AGENT_SPOOL_DIR`".to_owned())
        );
        symlink(&path, dir.path().join("link")).unwrap();
        assert_eq!(
            checked(&dir.path().join("link"), user),
            Err("it is not a directory: remove it".to_owned())
        );
        for mode in [0o777, 0o770, 0o702] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(
                checked(&path, user),
                Err("other users can write to it: run `chmod 700` on it".to_owned()),
                "{mode:o}"
            );
            check(&path).unwrap();
        }
    }
}
