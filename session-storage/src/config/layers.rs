//! The sources of an option's value, by precedence: flag, environment, file, default.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use super::kinds::Kind;
use super::{Config, Spec};

/// Why the configuration is invalid.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A value is malformed or out of range.
    #[error("{name} {why}, not `{value}` (from {source_of})")]
    Value {
        /// The name of the variable.
        name: String,
        /// What is wrong.
        why: String,
        /// The value.
        value: String,
        /// The source of the value.
        source_of: Source,
    },
    /// The value of a variable is not valid UTF-8.
    #[error("{name} is not valid UTF-8")]
    NotText {
        /// The name of the variable.
        name: String,
    },
    /// The file has an unknown key.
    #[error("unknown key `{key}` in `{path}`")]
    UnknownKey {
        /// The key.
        key: String,
        /// The file.
        path: PathBuf,
    },
    /// The file has a key whose value is a table, a date or a nested list.
    #[error("key `{key}` in `{path}` must be text, a number, true or false, or a list of texts")]
    KeyShape {
        /// The key.
        key: String,
        /// The file.
        path: PathBuf,
    },
    /// The file sets the same option under two names.
    #[error("keys `{key}` and `{other}` in `{path}` are the same option")]
    TwiceInFile {
        /// One of the names.
        key: String,
        /// The other name.
        other: String,
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("failed to read the configuration file `{path}`: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The file is not valid TOML.
    #[error("failed to parse the configuration file `{path}`: {source}")]
    NotToml {
        /// The file.
        path: PathBuf,
        /// Where and why parsing failed.
        source: Box<toml::de::Error>,
    },
}

/// The source of a value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// A flag on the command line.
    Flag(String),
    /// An environment variable.
    Variable(String),
    /// The configuration file.
    File(PathBuf),
    /// No source: the default.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Flag(flag) => write!(f, "flag --{flag}"),
            Source::Variable(name) => write!(f, "environment {name}"),
            Source::File(path) => write!(f, "file {}", path.display()),
            Source::Default => f.write_str("default"),
        }
    }
}

/// The texts given by each source, not parsed yet.
#[derive(Debug, Default)]
pub struct Layers {
    /// Flags by key.
    pub flags: BTreeMap<&'static str, String>,
    /// Environment variables by name.
    pub environment: HashMap<String, OsString>,
    /// The file's path and its values by key.
    file: Option<(PathBuf, BTreeMap<String, String>)>,
}

/// The configuration, with the source of each option in the order of the table.
#[derive(Debug)]
pub struct LoadedConfig {
    /// The values.
    pub config: Config,
    /// The source of each value.
    pub sources: Vec<Source>,
}

impl Layers {
    /// Reads the configuration file and adds its values.
    pub fn with_file(mut self, path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable {
            path: path.into(),
            source,
        };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        self.file = Some((path.into(), parse_file(path, &text)?));
        Ok(self)
    }

    /// Parses all options.
    pub fn load(&self) -> Result<LoadedConfig, ConfigError> {
        let config = Config::read(self)?;
        let sources = Config::OPTIONS
            .iter()
            .map(|spec| self.find(spec).map(|(_, source)| source));
        Ok(LoadedConfig {
            config,
            sources: sources.collect::<Result<_, _>>()?,
        })
    }

    /// Parses the value of the option in the row `spec`.
    pub(super) fn value<K: Kind>(
        &self,
        spec: Option<&Spec>,
        kind: &K,
    ) -> Result<K::Value, ConfigError> {
        let spec = spec.expect("the table has a row for every option");
        let (value, source_of) = self.find(spec)?;
        let name = spec.key.to_ascii_uppercase();
        kind.parse(&value).map_err(|why| ConfigError::Value {
            name,
            why,
            value,
            source_of,
        })
    }

    fn find(&self, spec: &Spec) -> Result<(String, Source), ConfigError> {
        if let Some(value) = self.flags.get(spec.key) {
            return Ok((value.clone(), Source::Flag(spec.key.replace('_', "-"))));
        }
        if let Some(found) = self.in_environment(spec)? {
            return Ok(found);
        }
        if let Some((path, values)) = &self.file
            && let Some(value) = spec.keys().find_map(|key| values.get(key))
        {
            return Ok((value.clone(), Source::File(path.clone())));
        }
        Ok((spec.default.into(), Source::Default))
    }

    /// Looks an option up in the environment. An empty variable counts as not set, because compose
    /// files pass unset variables on as empty ones.
    fn in_environment(&self, spec: &Spec) -> Result<Option<(String, Source)>, ConfigError> {
        for name in spec.variables() {
            match self.environment.get(&name).map(|value| value.to_str()) {
                None | Some(Some("")) => {}
                Some(Some(value)) => return Ok(Some((value.to_owned(), Source::Variable(name)))),
                Some(None) => return Err(ConfigError::NotText { name }),
            }
        }
        Ok(None)
    }
}

fn parse_file(path: &Path, text: &str) -> Result<BTreeMap<String, String>, ConfigError> {
    let not_toml = |source| ConfigError::NotToml {
        path: path.into(),
        source: Box::new(source),
    };
    let table: toml::Table = toml::from_str(text).map_err(not_toml)?;
    let mut values = BTreeMap::new();
    let mut seen: HashMap<&str, String> = HashMap::new();
    for (key, value) in table {
        let Some(spec) = Config::OPTIONS
            .iter()
            .find(|spec| spec.keys().any(|known| known == key))
        else {
            return Err(ConfigError::UnknownKey {
                key,
                path: path.into(),
            });
        };
        if let Some(other) = seen.insert(spec.key, key.clone()) {
            return Err(ConfigError::TwiceInFile {
                key,
                other,
                path: path.into(),
            });
        }
        let Some(text) = plain(&value) else {
            return Err(ConfigError::KeyShape {
                key,
                path: path.into(),
            });
        };
        values.insert(key, text);
    }
    Ok(values)
}

/// Formats a TOML value as the environment would hold it.
fn plain(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(switch) => Some(switch.to_string()),
        toml::Value::Array(items) => {
            let texts: Option<Vec<&str>> = items.iter().map(toml::Value::as_str).collect();
            texts.map(|texts| {
                if texts.is_empty() {
                    "off".into()
                } else {
                    texts.join(",")
                }
            })
        }
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}

impl LoadedConfig {
    /// Whether the option with this key was set by any source, rather than taken from the defaults.
    pub fn is_given(&self, key: &str) -> bool {
        let mut options = Config::OPTIONS.iter().zip(&self.sources);
        options.any(|(spec, source)| spec.key == key && *source != Source::Default)
    }

    /// Prints every option with its value and source, in the form of a file that `--config`
    /// accepts, followed by the version and date of the list of providers' token patterns.
    pub fn print(&self, out: &mut impl std::io::Write) -> std::io::Result<()> {
        let values = self.config.values();
        for ((spec, value), source) in Config::OPTIONS.iter().zip(values).zip(&self.sources) {
            let line = format!("{} = {}", spec.key, in_toml(value));
            writeln!(out, "{line:<60} # {source}")?;
        }
        let (version, date) = session_redact::list_version();
        writeln!(
            out,
            "# the built-in shapes of providers' tokens: version {version} of {date}"
        )?;
        out.flush()
    }
}

/// Formats a value for TOML, where the escapes of JSON are valid.
fn in_toml(value: String) -> String {
    let bare = value == "true" || value == "false" || value.parse::<i64>().is_ok();
    if bare {
        value
    } else {
        serde_json::Value::String(value).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(
        flags: &[(&'static str, &str)],
        environment: &[(&str, &str)],
        file: Option<&str>,
    ) -> Layers {
        let path = PathBuf::from("/etc/service.toml");
        Layers {
            flags: flags.iter().map(|(k, v)| (*k, (*v).to_owned())).collect(),
            environment: environment
                .iter()
                .map(|(k, v)| ((*k).to_owned(), v.into()))
                .collect(),
            file: file.map(|text| (path.clone(), parse_file(&path, text).unwrap())),
        }
    }

    fn refused(environment: &[(&str, &str)]) -> String {
        layers(&[], environment, None)
            .load()
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn flag_before_environment_before_file_before_default() {
        let file = Some("port = 1\nrecent_limit = 1\nhost = \"file\"\n");
        let layers = layers(
            &[("port", "3")],
            &[("PORT", "2"), ("RECENT_LIMIT", "2")],
            file,
        );
        let LoadedConfig { config, sources } = layers.load().unwrap();
        assert_eq!(config.port, 3);
        assert_eq!(config.recent_limit, 2);
        assert_eq!(config.host.as_str(), "file");
        assert_eq!(sources[0], Source::Flag("port".into()));
        assert_eq!(sources[1], Source::File("/etc/service.toml".into()));
        assert_eq!(sources[2], Source::Default);
    }

    #[test]
    fn the_alias_counts_where_the_name_is_missing() {
        let of = |env: &[(&str, &str)]| layers(&[], env, None).load().unwrap().config.storage_path;
        assert_eq!(of(&[("SESSIONS_DIR", "/old")]), PathBuf::from("/old"));
        assert_eq!(
            of(&[("SESSIONS_DIR", "/old"), ("STORAGE_PATH", "/new")]),
            PathBuf::from("/new")
        );
        let file = layers(&[], &[], Some("sessions_dir = \"/file\""))
            .load()
            .unwrap();
        assert_eq!(file.config.storage_path, PathBuf::from("/file"));
    }

    #[test]
    fn malformed_values_are_named_with_their_source() {
        for (name, value) in [
            ("PORT", "abc"),
            ("PORT", "70000"),
            ("STORAGE_SYNC", "sometimes"),
            ("RECENT_LIMIT", "-1"),
            ("AUTO_CREATE_SESSIONS", "perhaps"),
            ("LOG_FORMAT", "xml"),
            ("RETENTION_MAX_AGE", "30"),
            ("RETENTION_MAX_BYTES", "lots"),
            ("MAX_BODY_BYTES", "11MiB"),
            ("JOURNAL_MAX_BYTES", "1KiB"),
            ("WORKERS", "0"),
            ("CORS_ALLOWED_ORIGINS", "localhost"),
        ] {
            let error = refused(&[(name, value)]);
            assert!(error.starts_with(name) && error.contains(value), "{error}");
            assert!(error.contains("(from environment"), "{error}");
        }
        assert!(refused(&[("SESSIONS_DIR", "\u{0}"), ("PORT", "x")]).contains("PORT"));
    }

    #[test]
    fn empty_variables_count_as_not_set() {
        let loaded = layers(&[], &[("PORT", ""), ("SOCKET_PATH", "")], Some("port = 5"))
            .load()
            .unwrap();
        assert_eq!(loaded.config.port, 5);
        assert_eq!(loaded.config.socket_path, None);
    }

    #[test]
    fn a_file_is_refused_by_the_name_of_its_fault() {
        let path = Path::new("/etc/service.toml");
        for (text, named) in [
            ("recent_limmit = 4", "recent_limmit"),
            ("PORT = 4", "PORT"),
            ("[port]\na = 1", "port"),
            ("port = 1.5", "port"),
            ("storage_path = \"a\"\nsessions_dir = \"b\"", "sessions_dir"),
            ("port = ", "/etc/service.toml"),
        ] {
            let error = parse_file(path, text).unwrap_err().to_string();
            assert!(error.contains(named), "{text}: {error}");
        }
    }

    #[test]
    fn the_printed_configuration_is_a_file_that_reads_the_same() {
        let environment = [
            ("CORS_ALLOWED_ORIGINS", "http://a,http://b"),
            ("RETENTION_MAX_AGE", "30d"),
        ];
        let loaded = layers(&[("socket_path", "/tmp/a \"b\".sock")], &environment, None)
            .load()
            .unwrap();
        let mut printed = Vec::new();
        loaded.print(&mut printed).unwrap();
        let printed = String::from_utf8(printed).unwrap();
        assert!(
            printed.contains("# environment RETENTION_MAX_AGE"),
            "{printed}"
        );
        let again = layers(&[], &[], Some(&printed)).load().unwrap();
        assert_eq!(again.config.values(), loaded.config.values());
    }
}
