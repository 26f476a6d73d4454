//! Redaction at the door: what clients send is screened before anything else reads it, so that journal, logs,
//! documents, answers and live events only ever see the screened text.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use session_model::redact::{Redactor, RuleError, Rules, may_bear};
use session_model::{Code, Refusal, SessionId};

use super::Settings;
use crate::store::Store;
use crate::store::error::OpenError;

/// Why the file of rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// It cannot be read.
    #[error("REDACTION_RULES: failed to read `{path}`: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not what it should be.
    #[error("REDACTION_RULES: `{path}` cannot be used: {source}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: RuleError,
    },
}

/// Reads a file of rules: JSON if its name ends so, else TOML.
pub fn read_rules(path: &Path) -> Result<Rules, RulesError> {
    let unreadable = |source| RulesError::Unreadable { path: path.to_owned(), source };
    let text = fs::read_to_string(path).map_err(unreadable)?;
    Rules::parse(path, &text).map_err(|source| RulesError::Unusable { path: path.to_owned(), source })
}

/// The screen, or none.
#[derive(Debug)]
pub struct Redaction(Option<Redactor>);

impl Redaction {
    /// With these rules beside the built-in ones and the key of the store's directory; `None`: off.
    pub(super) fn open(store: &Store, settings: &Settings) -> Result<Self, OpenError> {
        let key = || store.redaction_key(settings.redaction_key_required);
        let with = |rules: &Arc<Rules>| Ok(Redactor::with_rules(key()?, Arc::clone(rules)));
        Ok(Self(settings.redaction.as_ref().map(with).transpose()?))
    }

    /// Lets everything pass.
    pub fn off() -> Self {
        Self(None)
    }

    /// A body without its secrets, and whether it may bear tags; `lines`: it is a batch.
    pub fn screen(&self, body: Bytes, lines: bool) -> (Bytes, bool) {
        let Some(redactor) = &self.0 else {
            let marked = may_bear(&body);
            return (body, marked);
        };
        let screened = if lines { redactor.lines(&body) } else { redactor.json(&body) };
        (screened.redacted.map_or(body, Bytes::from), screened.marked)
    }

    /// A text that is no JSON: a name from a path as it was stored if it came in a body before, or a whole path for
    /// the log.
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.0.as_ref().map_or(Cow::Borrowed(text), |redactor| redactor.text(text))
    }

    /// A session's id is the name of a folder and cannot be redacted: no session is born that is named by a secret.
    pub(super) fn check_id(&self, id: &SessionId) -> Result<(), Refusal> {
        if self.text(id.as_str()) != id.as_str() {
            return Err(Refusal::new(Code::InvalidSessionId, "this session id has the form of a secret"));
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
            read_rules(&path).map(drop).map_err(|error| error.to_string())
        };
        let toml = "[[rules]]\nname = \"acme\"\npattern = 'acme-[0-9]{4}'\nkeywords = [\"acme-\"]\n";
        assert_eq!(read("rules.toml", toml), Ok(()));
        assert_eq!(read("rules.json", r#"{"rules":[{"name":"acme","pattern":"acme-[0-9]{4}"}]}"#), Ok(()));
        for (name, text, named) in [
            ("bad.toml", "[[rules]]\nname = \"acme\"\npattern = '('\n", "`acme`"),
            ("bad.toml", "rules = 3", "bad.toml"),
            ("bad.json", "{", "bad.json"),
        ] {
            let error = read(name, text).unwrap_err();
            assert!(error.starts_with("REDACTION_RULES") && error.contains(named), "{error}");
        }
        let error = read_rules(&dir.path().join("none")).unwrap_err().to_string();
        assert!(error.starts_with("REDACTION_RULES") && error.contains("none"), "{error}");
    }
}
