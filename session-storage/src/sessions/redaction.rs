//! Redacts client input before anything else reads it, so that the journal, logs, documents,
//! responses and live events only ever contain the redacted text.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use session_model::{Code, Refusal, SessionId};
use session_redact::{Redactor, RuleError, Rules, may_bear};

use session_store::engine::Engine;
use session_store::error::OpenError;

/// Why the file of redaction rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// The file cannot be read.
    #[error("REDACTION_RULES: failed to read `{path}`: {source}")]
    Unreadable {
        /// Path of the file.
        path: PathBuf,
        /// The I/O error.
        source: std::io::Error,
    },
    /// The file's content is invalid.
    #[error("REDACTION_RULES: `{path}` cannot be used: {source}")]
    Unusable {
        /// Path of the file.
        path: PathBuf,
        /// The error in the rules.
        source: RuleError,
    },
}

/// Reads a file of rules: JSON if its name ends in `.json`, otherwise TOML.
pub fn read_rules(path: &Path) -> Result<Rules, RulesError> {
    let unreadable = |source| RulesError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let text = fs::read_to_string(path).map_err(unreadable)?;
    Rules::parse(path, &text).map_err(|source| RulesError::Unusable {
        path: path.to_owned(),
        source,
    })
}

/// The redactor, or none if redaction is off.
#[derive(Debug)]
pub struct Redaction(Option<Arc<Redactor>>);

impl Redaction {
    /// Opens the redactor with the configured rules, the built-in ones and the key of the storage
    /// directory. Without rules, redaction is off.
    pub(super) fn open(
        engine: &dyn Engine,
        rules: Option<&Arc<Rules>>,
        key_required: bool,
    ) -> Result<Self, OpenError> {
        let key = || engine.redaction_key(key_required);
        let with =
            |rules: &Arc<Rules>| Ok(Arc::new(Redactor::with_rules(key()?, Arc::clone(rules))));
        Ok(Self(rules.map(with).transpose()?))
    }

    /// Returns a redaction that changes nothing.
    pub fn off() -> Self {
        Self(None)
    }

    /// Returns the redactor, unless redaction is off.
    pub(super) fn redactor(&self) -> Option<Arc<Redactor>> {
        self.0.clone()
    }

    /// Redacts a body. Returns the body and whether it may contain placeholders. `lines` means that
    /// it is a batch.
    pub fn screen(&self, body: Bytes, lines: bool) -> (Bytes, bool) {
        let Some(redactor) = &self.0 else {
            let marked = may_bear(&body);
            return (body, marked);
        };
        let screened = if lines {
            redactor.lines(&body)
        } else {
            redactor.json(&body)
        };
        (screened.redacted.map_or(body, Bytes::from), screened.marked)
    }

    /// Redacts a text that is not JSON: a name from a path, so that it matches the name stored from
    /// an earlier body, or a whole path for the log.
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.0
            .as_ref()
            .map_or(Cow::Borrowed(text), |redactor| redactor.text(text))
    }

    /// Rejects a session id that contains a secret: the id is the name of a folder and cannot be
    /// redacted.
    pub(super) fn check_id(&self, id: &SessionId) -> Result<(), Refusal> {
        if self.text(id.as_str()) != id.as_str() {
            return Err(Refusal::new(
                Code::InvalidSessionId,
                "this session id has the form of a secret",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_from_both_formats_and_faults_name_file_and_rule() {
        let dir = tempfile::tempdir().unwrap();
        let read = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            read_rules(&path)
                .map(drop)
                .map_err(|error| error.to_string())
        };
        let toml =
            "[[rules]]\nname = \"acme\"\npattern = 'acme-[0-9]{4}'\nkeywords = [\"acme-\"]\n";
        assert_eq!(read("rules.toml", toml), Ok(()));
        assert_eq!(
            read(
                "rules.json",
                r#"{"rules":[{"name":"acme","pattern":"acme-[0-9]{4}"}]}"#
            ),
            Ok(())
        );
        for (name, text, named) in [
            (
                "bad.toml",
                "[[rules]]\nname = \"acme\"\npattern = '('\n",
                "`acme`",
            ),
            ("bad.toml", "rules = 3", "bad.toml"),
            ("bad.json", "{", "bad.json"),
        ] {
            let error = read(name, text).unwrap_err();
            assert!(
                error.starts_with("REDACTION_RULES") && error.contains(named),
                "{error}"
            );
        }
        let error = read_rules(&dir.path().join("none"))
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("REDACTION_RULES") && error.contains("none"),
            "{error}"
        );
    }
}
