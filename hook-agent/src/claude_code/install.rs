//! Changes the settings file: reads it, changes it, and replaces it whole. Leaves it untouched if
//! nothing has to change.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::CstRootNode;
use serde_json::{Map, Value};

use super::settings::{put_in, take_out};

/// Whose settings to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SettingsFile {
    /// `.claude/settings.json` in the working directory.
    Project,
    /// `~/.claude/settings.json`, or `settings.json` in `$CLAUDE_CONFIG_DIR`.
    User,
}

/// The result of a change, or of a dry run.
#[derive(Debug)]
pub(crate) struct Done {
    pub path: PathBuf,
    pub changed: bool,
    /// The new content of the file, or `None` if the file is removed because nothing else was in
    /// it.
    pub text: Option<String>,
}

/// Why the settings could not be changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InstallError {
    /// The file can't be read or replaced.
    #[error("failed to change `{}`: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// The file is not JSON that Claude Code can read. It was not changed.
    #[error("`{}` is unchanged: {reason}", path.display())]
    Content { path: PathBuf, reason: String },
}

/// Returns the path of this program for hooks to call. If a shell finds this program in `PATH`,
/// returns that path, because it stays valid after an update.
pub(crate) fn program() -> io::Result<PathBuf> {
    let this = std::env::current_exe()?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_this = |found: &PathBuf| {
        found.is_absolute()
            && matches!((found.canonicalize(), this.canonicalize()), (Ok(a), Ok(b)) if a == b)
    };
    Ok(std::env::split_paths(&path)
        .map(|folder| folder.join("hook-agent"))
        .find(is_this)
        .unwrap_or(this))
}

/// Adds hooks that call `program`, or removes them if `program` is `None`. With `dry`, writes
/// nothing.
pub(crate) fn change(
    folder: &Path,
    program: Option<&Path>,
    dry: bool,
) -> Result<Done, InstallError> {
    let given = folder.join("settings.json");
    let path = target(&given);
    let failed = |source| InstallError::File {
        path: path.clone(),
        source,
    };
    let before = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(error)),
    };
    let content = |reason: String| InstallError::Content {
        path: path.clone(),
        reason,
    };
    let (mark, json) = before
        .strip_prefix(BOM)
        .map_or(("", &*before), |json| (BOM, json));
    let root = parse(json).map_err(content)?;
    let settings = root.object_value_or_set();
    let done = match program {
        Some(program) => {
            let program = program.to_str().ok_or_else(|| {
                content(format!(
                    "the program's path `{}` is not UTF-8: install it elsewhere",
                    program.display()
                ))
            })?;
            put_in(&settings, program)
        }
        None => take_out(&settings),
    };
    done.map_err(|error| content(error.to_string()))?;
    let after = root.to_string();
    let changed = after != json && !(json.is_empty() && settings.properties().is_empty());
    if !changed {
        return Ok(Done {
            path,
            changed,
            text: Some(before),
        });
    }
    let is_empty = program.is_none() && settings.properties().is_empty() && !given.is_symlink();
    let newline = if after.ends_with('\n') || !json.is_empty() {
        ""
    } else {
        "\n"
    };
    let text = (!is_empty).then(|| [mark, &*after, newline].concat());
    if !dry {
        match &text {
            Some(text) => replace(&path, text),
            None => std::fs::remove_file(&path),
        }
        .map_err(failed)?;
    }
    Ok(Done {
        path,
        changed,
        text,
    })
}

/// The byte order mark, which some editors put before UTF-8 text.
const BOM: &str = "\u{feff}";
/// The most symbolic links in a row that are followed.
const LINKS: usize = 40;

/// Returns the file that a path finally refers to. Links are followed, not replaced; their target
/// need not exist yet.
fn target(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        match std::fs::read_link(&path) {
            Ok(link) => path = path.parent().unwrap_or(Path::new(".")).join(link),
            Err(_) => break,
        }
    }
    path.canonicalize().unwrap_or(path)
}

/// Parses the text as strictly as Claude Code does. Blank text is an empty document.
fn parse(text: &str) -> Result<CstRootNode, String> {
    if !text.trim().is_empty() {
        serde_json::from_str::<Map<String, Value>>(text).map_err(|error| error.to_string())?;
    }
    CstRootNode::parse(text, &ParseOptions::default()).map_err(|error| error.to_string())
}

/// Writes a new file beside the old one, with the old one's mode, syncs it, and renames it over the
/// old one.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mode = path
        .metadata()
        .map_or(0o644, |found| found.permissions().mode() & 0o7777);
    let spare = folder.join(format!(".settings.json.{}", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&spare)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
    let replaced = written.and_then(|()| std::fs::rename(&spare, path));
    if replaced.is_err() {
        // Report the first error, not one of the cleanup.
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
        assert!(put_in(&dir, true).changed);
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            first,
            "a dry run writes nothing"
        );
        assert!(put_in(&dir, false).changed);
        let installed = std::fs::read_to_string(&path).unwrap();
        let again = put_in(&dir, false);
        assert!(!again.changed && again.text.as_ref() == Some(&installed));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), installed);
        change(dir.path(), None, false).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), first);
        assert_eq!(
            dir.path().read_dir().unwrap().count(),
            2,
            "nothing is left beside it"
        );
    }

    #[test]
    fn a_file_that_was_made_for_the_hooks_goes_with_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("settings.json");
        assert!(!change(dir.path(), None, false).unwrap().changed && !path.exists());
        put_in(&dir, false);
        assert!(std::fs::read_to_string(&path).unwrap().ends_with("}\n"));
        assert!(change(dir.path(), None, true).unwrap().text.is_none() && path.exists());
        change(dir.path(), None, false).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn the_mark_of_an_editor_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("settings.json");
        let first = "\u{feff}{\n    \"model\": \"opus\",\n    \"n\": 1.50\n}";
        std::fs::write(&path, first).unwrap();
        put_in(&dir, false);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with(&first[..first.len() - 2]) && text.contains("\n    \"hooks\": {"),
            "{text}"
        );
        change(dir.path(), None, false).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), first);
    }

    #[test]
    fn a_link_that_leads_nowhere_yet_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("dotfiles/claude.json", dir.path().join("settings.json"))
            .unwrap();
        put_in(&dir, false);
        assert!(dir.path().join("settings.json").is_symlink());
        let made = dir.path().join("dotfiles/claude.json");
        assert!(
            std::fs::read_to_string(&made)
                .unwrap()
                .contains("claude-code")
        );
        change(dir.path(), None, false).unwrap();
        assert_eq!(
            std::fs::read_to_string(&made).unwrap().trim(),
            "{}",
            "a link's file is emptied, and stays"
        );
    }

    /// Adds hooks that call an existing program.
    fn put_in(dir: &tempfile::TempDir, dry: bool) -> Done {
        let program = dir.path().join("hook-agent");
        std::fs::write(&program, "").unwrap();
        change(dir.path(), Some(&program), dry).unwrap()
    }

    #[test]
    fn a_file_that_is_no_settings_is_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("settings.json");
        for text in ["{ // mine", "[]", "{\"hooks\": 1}"] {
            std::fs::write(&path, text).unwrap();
            assert!(
                matches!(
                    change(dir.path(), Some(Path::new("/x")), false),
                    Err(InstallError::Content { .. })
                ),
                "{text}"
            );
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
        put_in(&dir, false);
        assert!(dir.path().join("settings.json").is_symlink());
        assert_eq!(
            target.metadata().unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}
