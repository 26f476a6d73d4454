//! Changing the settings file: read, changed, replaced whole; untouched when there is nothing to change.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::settings::{put_in, take_out};

/// Whose settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// `.claude/settings.json` in the working directory.
    Project,
    /// `~/.claude/settings.json`, or in `$CLAUDE_CONFIG_DIR`.
    User,
}

/// What was done, or would be.
#[derive(Debug)]
pub(crate) struct Done {
    pub path: PathBuf,
    pub changed: bool,
    /// The file as it is now, or would be.
    pub text: String,
}

/// What is in the way.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InstallError {
    /// The file can't be read or replaced.
    #[error("`{}`: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// The file is not JSON as Claude Code reads it. It was left as it is.
    #[error("`{}` is left as it is: {reason}", path.display())]
    Content { path: PathBuf, reason: String },
}

/// Puts the hooks in, or takes them out; with `dry` nothing is written.
pub(crate) fn change(folder: &Path, install: bool, dry: bool) -> Result<Done, InstallError> {
    let path = folder.join("settings.json");
    // A link is followed: its file is replaced, not the link.
    let path = path.canonicalize().unwrap_or(path);
    let failed = |source| InstallError::File { path: path.clone(), source };
    let before = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(error)),
    };
    let content = |reason: String| InstallError::Content { path: path.clone(), reason };
    let mut settings = parse(&before).map_err(|error| content(error.to_string()))?;
    let unchanged = settings.clone();
    let done = if install { put_in(&mut settings) } else { take_out(&mut settings) };
    done.map_err(|error| content(error.to_string()))?;
    let changed = settings != unchanged;
    let text = if changed { format!("{:#}\n", Value::Object(settings)) } else { before };
    if changed && !dry {
        replace(&path, &text).map_err(failed)?;
    }
    Ok(Done { path, changed, text })
}

fn parse(text: &str) -> Result<Map<String, Value>, serde_json::Error> {
    if text.trim().is_empty() { Ok(Map::new()) } else { serde_json::from_str(text) }
}

/// A new file beside it, synced, takes its place and its mode.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mode = path.metadata().map_or(0o644, |found| found.permissions().mode() & 0o7777);
    let spare = folder.join(format!(".settings.json.{}", std::process::id()));
    let written =
        OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&spare).and_then(
            |mut file| {
                file.write_all(text.as_bytes())?;
                file.sync_all()
            },
        );
    let replaced = written.and_then(|()| std::fs::rename(&spare, path));
    if replaced.is_err() {
        // The first error is the one to tell.
        let _ = std::fs::remove_file(&spare);
    }
    replaced.and_then(|()| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_time_nothing_is_written_and_uninstalling_gives_the_first_file_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("settings.json");
        let first = "{\n  \"permissions\": {\n    \"allow\": [\n      \"Read\"\n    ]\n  }\n}\n";
        std::fs::write(&path, first).unwrap();
        assert!(change(dir.path(), true, true).unwrap().changed);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), first, "a dry run writes nothing");
        assert!(change(dir.path(), true, false).unwrap().changed);
        let installed = std::fs::read_to_string(&path).unwrap();
        let again = change(dir.path(), true, false).unwrap();
        assert!(!again.changed && again.text == installed);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), installed);
        change(dir.path(), false, false).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), first);
        assert_eq!(dir.path().read_dir().unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_file_that_is_no_settings_is_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("settings.json");
        for text in ["{ // mine", "[]", "{\"hooks\": 1}"] {
            std::fs::write(&path, text).unwrap();
            assert!(matches!(change(dir.path(), true, false), Err(InstallError::Content { .. })), "{text}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn a_link_stays_a_link_and_the_mode_stays() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("dotfiles.json");
        std::fs::write(&target, "{}").unwrap();
        std::fs::set_permissions(&target, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&target, dir.path().join("settings.json")).unwrap();
        change(dir.path(), true, false).unwrap();
        assert!(dir.path().join("settings.json").is_symlink());
        assert_eq!(target.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}
