//! Custom rules, from a file in TOML or JSON:
//!
//! ```toml
//! [[rules]]
//! name = "acme_key"     # the kind in the placeholder: a-z, 0-9 and _
//! pattern = 'acme-(?<secret>[0-9a-f]{32})'
//! keywords = ["acme-"]  # optional; without keywords every string of every record is searched
//! ```
//! A pattern runs in time linear in the text. Its group `secret` is replaced or, without such a
//! group, the whole match. Keywords are compared without regard to ASCII case; only documents that
//! contain a keyword are searched.

use std::path::Path;

use aho_corasick::{AhoCorasick, Input};
use regex::bytes::Regex;
use serde::Deserialize;

use super::scan::Find;
use session_model::placeholder::is_kind;

/// The most rules in one file.
const MAX_RULES: usize = 256;

/// The reason why a file of rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// The text is not JSON or TOML of the known form.
    #[error("it is not valid: {0}")]
    Malformed(String),
    /// There are too many rules.
    #[error("it has {0} rules; at most {MAX_RULES} are allowed")]
    TooMany(usize),
    /// A rule's name cannot be used in a placeholder.
    #[error("rule `{0}` needs a name of 1 to 40 of a-z, 0-9 and _")]
    Name(String),
    /// A rule's pattern is not a regular expression, or is too large.
    #[error("rule `{name}` has an unusable pattern: {why}")]
    Pattern {
        /// The rule's name.
        name: String,
        /// What is wrong with the pattern.
        why: String,
    },
    /// A rule's pattern matches the empty text.
    #[error("rule `{0}` matches the empty text")]
    Empty(String),
    /// A keyword is empty, or is not visible ASCII.
    #[error("rule `{0}` needs keywords of visible ASCII")]
    Keyword(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    rules: Vec<WrittenRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRule {
    name: String,
    pattern: String,
    #[serde(default)]
    keywords: Vec<String>,
}

#[derive(Debug)]
struct Rule {
    name: String,
    pattern: Regex,
}

/// Custom rules.
#[derive(Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    /// Searches for any keyword; `None` unless all rules have keywords.
    keywords: Option<AhoCorasick>,
}

impl Rules {
    /// Parses the content of a file with this name: JSON if the extension is `json`, otherwise
    /// TOML.
    pub fn parse(name: &Path, text: &str) -> Result<Self, RuleError> {
        if name
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
        {
            return Self::read(&mut serde_json::Deserializer::from_str(text));
        }
        toml::Deserializer::parse(text)
            .map_err(|error| RuleError::Malformed(error.to_string()))
            .and_then(Self::read)
    }

    /// Reads rules from the file's content, in the format of the deserializer.
    pub fn read<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Self, RuleError> {
        let written = Written::deserialize(from)
            .map_err(|error| RuleError::Malformed(error.to_string()))?
            .rules;
        if written.len() > MAX_RULES {
            return Err(RuleError::TooMany(written.len()));
        }
        let keywords: Vec<&String> = written.iter().flat_map(|rule| &rule.keywords).collect();
        let all = written.iter().all(|rule| !rule.keywords.is_empty()) && !written.is_empty();
        let search = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(keywords);
        let malformed = |error: aho_corasick::BuildError| RuleError::Malformed(error.to_string());
        let keywords = all.then_some(search).transpose().map_err(malformed)?;
        Ok(Self {
            rules: written.into_iter().map(compile).collect::<Result<_, _>>()?,
            keywords,
        })
    }

    /// The position of the first sign of one of these secrets in a raw document.
    pub(super) fn sign(&self, raw: &[u8], from: usize) -> Option<usize> {
        if self.rules.is_empty() || from >= raw.len() {
            return None;
        }
        match &self.keywords {
            Some(keywords) => keywords
                .find(Input::new(raw).range(from..))
                .map(|found| found.start()),
            None => Some(from),
        }
    }

    /// Finds all secrets that match these rules.
    pub(super) fn find<'r>(&'r self, text: &[u8], finds: &mut Vec<Find<'r>>) {
        for rule in &self.rules {
            for found in rule.pattern.captures_iter(text) {
                let range = found
                    .name("secret")
                    .or_else(|| found.get(0))
                    .map(|group| group.range());
                finds.extend(
                    range
                        .filter(|range| !range.is_empty())
                        .map(|range| Find::shape(&rule.name, range)),
                );
            }
        }
    }
}

fn compile(
    WrittenRule {
        name,
        pattern,
        keywords,
    }: WrittenRule,
) -> Result<Rule, RuleError> {
    if !is_kind(&name) {
        return Err(RuleError::Name(name));
    }
    if keywords
        .iter()
        .any(|word| word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_graphic()))
    {
        return Err(RuleError::Keyword(name));
    }
    match Regex::new(&pattern) {
        Ok(pattern) if pattern.is_match(b"") => Err(RuleError::Empty(name)),
        Ok(pattern) => Ok(Rule { name, pattern }),
        Err(error) => Err(RuleError::Pattern {
            name,
            why: error.to_string(),
        }),
    }
}
