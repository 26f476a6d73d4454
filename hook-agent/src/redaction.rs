//! Replaces secrets in a record before it reaches the spool, so that this library never writes a
//! secret to the local disk.
//!
//! The key of the placeholders is `redaction.key` in the spool directory. It is created when the
//! first secret is found, readable only by its owner. All agents that share the directory therefore
//! use the same placeholder for the same secret. If no directory can be written, the key lives only
//! as long as the process. The service does not change these placeholders; it makes its own with a
//! key of its own.

use std::borrow::Cow;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use session_redact::{Key, Redactor, Rules, is_suspicious, prepare};

use crate::Config;
use crate::spool::make_trusted;

const KEY_FILE: &str = "redaction.key";

/// Removes secrets from records before they are spooled.
pub(crate) struct Redaction {
    on: bool,
    dirs: Vec<PathBuf>,
    rules: Option<Arc<Rules>>,
    /// Created when the first secret is found; with custom rules, at the first record. An atomic
    /// instead of a lock: a `fork` at the wrong moment would leave a lock locked in the child.
    redactor: ArcSwapOption<Redactor>,
}

impl Redaction {
    pub(crate) fn of(config: &Config) -> Self {
        if config.redaction {
            prepare();
        }
        Self {
            on: config.redaction,
            dirs: config.spool_dirs.clone(),
            rules: config
                .redaction_rules
                .as_ref()
                .map(|file| Arc::clone(&file.rules)),
            redactor: ArcSwapOption::empty(),
        }
    }

    /// Returns the JSON document with its secrets replaced, or `None` if it contains none.
    pub(crate) fn json(&self, document: &[u8]) -> Option<Vec<u8>> {
        if !self.on || self.rules.is_none() && !is_suspicious(document) {
            return None;
        }
        self.redactor().json(document).redacted
    }

    /// Like [`json`](Self::json), for a text that should be JSON; returns the text unchanged if it
    /// contains no secrets.
    pub(crate) fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let clean = self
            .json(text.as_bytes())
            .and_then(|clean| String::from_utf8(clean).ok());
        clean.map_or(Cow::Borrowed(text), Cow::Owned)
    }

    fn redactor(&self) -> Arc<Redactor> {
        if let Some(redactor) = self.redactor.load_full() {
            return redactor;
        }
        let made = self.dirs.iter().find_map(|dir| read_or_make(dir).ok());
        let rules = self.rules.clone().unwrap_or_default();
        let redactor = Arc::new(Redactor::with_rules(made.unwrap_or_else(draw), rules));
        // Another thread may have stored its redactor first. Use that one: its key differs from
        // ours if keys are only in memory.
        let before = self
            .redactor
            .compare_and_swap(&None::<Arc<Redactor>>, Some(Arc::clone(&redactor)));
        before.as_ref().map_or(redactor, Arc::clone)
    }
}

fn draw() -> Key {
    Key::new(uuid::Uuid::new_v4().into_bytes())
}

/// Returns the directory's key. If several processes create one at the same time, the first one
/// stays.
fn read_or_make(dir: &Path) -> io::Result<Key> {
    let path = dir.join(KEY_FILE);
    make_trusted(dir)?;
    if !path.exists() {
        make(dir, &path)?;
    }
    let read = || {
        Ok::<_, io::Error>(Key::from_hex(&String::from_utf8_lossy(&std::fs::read(
            &path,
        )?)))
    };
    if let Some(key) = read()? {
        return Ok(key);
    }
    // Keep the damaged file under another name and give the directory a new lasting key. Otherwise
    // each process would use a key of its own.
    let aside = dir.join(format!(
        "{KEY_FILE}.damaged.{}",
        uuid::Uuid::new_v4().simple()
    ));
    std::fs::rename(&path, &aside)?;
    // Another process may have replaced the damaged file since it was read: put that key back.
    if Key::from_hex(&String::from_utf8_lossy(&std::fs::read(&aside)?)).is_some() {
        link(&aside, &path)?;
    }
    make(dir, &path)?;
    read()?.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Creates the key file. If another process was faster, its key stays.
fn make(dir: &Path, path: &Path) -> io::Result<()> {
    let spare = dir.join(format!("{KEY_FILE}.{}", uuid::Uuid::new_v4().simple()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&spare)?;
    if let Err(error) = writeln!(file, "{}", draw().to_hex()) {
        // On a full disk each process would leave an empty file behind.
        let _ = std::fs::remove_file(&spare);
        return Err(error);
    }
    link(&spare, path)
}

/// Moves a key file to its final name. A file that already has this name stays.
fn link(from: &Path, path: &Path) -> io::Result<()> {
    let linked = std::fs::hard_link(from, path);
    std::fs::remove_file(from)?;
    linked.or_else(|error| {
        if error.kind() == io::ErrorKind::AlreadyExists {
            Ok(())
        } else {
            Err(error)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule_file::RuleFile;
    use std::os::unix::fs::PermissionsExt;

    fn redaction(dir: &Path) -> Redaction {
        let mut config = Config::new("http://a:1").unwrap();
        config.spool_dirs = vec![dir.to_owned()];
        Redaction::of(&config)
    }

    const SECRET: &str = r#"{"password":"hunter2hunter2"}"#;

    #[test]
    fn agents_that_share_a_directory_share_the_key_and_it_is_made_when_needed() {
        let dir = tempfile::tempdir().unwrap();
        let spool = dir.path().join("spool");
        assert_eq!(
            redaction(&spool).text(r#"{"a":"nothing"}"#),
            r#"{"a":"nothing"}"#
        );
        assert!(!spool.exists());
        let first = redaction(&spool).text(SECRET).into_owned();
        assert!(
            first.contains("[redacted:password:") && !first.contains("hunter2"),
            "{first}"
        );
        assert_eq!(redaction(&spool).text(SECRET), first);
        let mode = spool
            .join(KEY_FILE)
            .metadata()
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(spool.read_dir().unwrap().count(), 1);
        assert_ne!(redaction(&dir.path().join("other")).text(SECRET), first);
    }

    #[test]
    fn a_key_is_written_and_read_as_this_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("redaction.key");
        redaction(dir.path()).text(SECRET);
        let written = std::fs::read_to_string(&path).unwrap();
        let digits = written.strip_suffix('\n').expect(&written);
        assert_eq!(digits.len(), 32, "{written}");
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        assert!(digits.bytes().all(is_digit), "{written}");

        std::fs::write(&path, b"000102030405060708090a0b0c0d0e0f\n").unwrap();
        assert_eq!(
            redaction(dir.path()).text(SECRET),
            r#"{"password":"[redacted:password:e93a3d3b]"}"#
        );
    }

    #[test]
    fn a_damaged_key_is_kept_and_replaced_for_all_agents_of_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let before = redaction(dir.path()).text(SECRET).into_owned();
        std::fs::write(dir.path().join(KEY_FILE), b"torn\xff").unwrap();
        let after = redaction(dir.path()).text(SECRET).into_owned();
        assert_ne!(after, before);
        assert_eq!(
            redaction(dir.path()).text(SECRET),
            after,
            "the same key in the next process"
        );
        let files = dir
            .path()
            .read_dir()
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let damaged: Vec<_> = files
            .filter(|file| file.to_str().unwrap().contains("damaged"))
            .collect();
        assert_eq!(damaged.len(), 1);
        assert_eq!(std::fs::read(&damaged[0]).unwrap(), b"torn\xff".to_vec());
    }

    #[test]
    fn where_nothing_can_be_written_the_key_exists_as_long_as_the_agent() {
        let redaction = redaction(Path::new("/proc/none"));
        let first = redaction.text(SECRET).into_owned();
        assert!(first.contains("[redacted:password:"), "{first}");
        assert_eq!(redaction.text(SECRET), first);
    }

    #[test]
    fn forms_of_ones_own_are_replaced_and_a_bad_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let read = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            RuleFile::read(path)
        };
        let toml = "[[rules]]\nname = \"badge\"\npattern = 'badge-[0-9]{4}'\n";
        let json = r#"{"rules": [{"name": "badge", "pattern": "badge-[0-9]{4}", "keywords": ["badge-"]}]}"#;
        for (name, text) in [("rules.toml", toml), ("rules.json", json)] {
            let mut config = Config::new("http://a:1").unwrap();
            config.spool_dirs = vec![dir.path().join("spool")];
            config.redaction_rules = Some(read(name, text).unwrap());
            let after = Redaction::of(&config)
                .text(r#"{"a":"badge-0815","b":"hunter2"}"#)
                .into_owned();
            assert!(
                after.starts_with(r#"{"a":"[redacted:badge:"#) && after.contains("hunter2"),
                "{after}"
            );
            assert!(!format!("{config:?}").contains("0-9"));
        }
        for (name, text, part) in [("a.toml", "[[rules]", "a.toml"), ("b.json", toml, "b.json")] {
            let error = read(name, text).unwrap_err().to_string();
            assert!(
                error.contains("HOOK_AGENT_REDACTION_RULES") && error.contains(part),
                "{error}"
            );
        }
        let error = RuleFile::read(dir.path().join("none")).unwrap_err();
        assert_eq!(error.code(), "invalid_config");
    }

    #[test]
    fn it_can_be_turned_off() {
        let mut config = Config::new("http://a:1").unwrap();
        config.redaction = false;
        assert_eq!(Redaction::of(&config).text(SECRET), SECRET);
    }
}
