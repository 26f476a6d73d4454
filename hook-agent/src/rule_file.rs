//! The file with further formats of secrets, read once with the settings.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use session_redact::Rules;

use crate::Error;

/// Custom secret patterns, as the file contained them when it was read.
#[derive(Clone)]
pub struct RuleFile {
    path: PathBuf,
    pub(crate) rules: Arc<Rules>,
}

impl RuleFile {
    /// Reads a rule file: JSON if its name ends in that, else TOML.
    pub fn read(path: PathBuf) -> Result<Self, Error> {
        let text = std::fs::read_to_string(&path).map_err(|error| unusable(&path, &error))?;
        let rules = Rules::parse(&path, &text).map_err(|error| unusable(&path, &error))?;
        Ok(Self {
            rules: Arc::new(rules),
            path,
        })
    }
}

impl std::fmt::Debug for RuleFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.path.fmt(f)
    }
}

fn unusable(path: &Path, why: &dyn std::fmt::Display) -> Error {
    Error::Config {
        name: "HOOK_AGENT_REDACTION_RULES",
        reason: format!("`{}`: {why}", path.display()),
    }
}
