//! How the text of an option is converted to a value and back: numbers, switches, words, URLs,
//! lists of origins. Sizes and times are in [`super::measures`].
//!
//! Each kind parses a text, formats a value so that it can be parsed again, and describes what it
//! accepts.

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

/// A textual representation of values of one type.
pub trait Kind {
    /// The type of the value.
    type Value;
    /// Parses the text; the error says what is wrong with it.
    fn parse(&self, text: &str) -> Result<Self::Value, String>;
    /// Formats a value so that it can be parsed again.
    fn show(&self, value: &Self::Value) -> String;
    /// Describes the accepted texts, for people.
    fn accepts(&self) -> String;
}

pub(super) fn wanted<K: Kind + ?Sized>(kind: &K) -> String {
    format!("must be {}", kind.accepts())
}

/// A whole number between two bounds.
#[derive(Debug)]
pub struct Number<T> {
    /// The minimum.
    pub min: T,
    /// The maximum.
    pub max: T,
}

impl<T: FromStr + PartialOrd + Display> Kind for Number<T> {
    type Value = T;
    fn parse(&self, text: &str) -> Result<T, String> {
        let number = text
            .parse()
            .ok()
            .filter(|n| (&self.min..=&self.max).contains(&n));
        number.ok_or_else(|| wanted(self))
    }
    fn show(&self, value: &T) -> String {
        value.to_string()
    }
    fn accepts(&self) -> String {
        format!("a number from {} to {}", self.min, self.max)
    }
}

/// A number of threads, or `auto`: half of the cores, at least one.
#[derive(Debug)]
pub struct Threads;

impl Kind for Threads {
    type Value = usize;
    fn parse(&self, text: &str) -> Result<usize, String> {
        if text == "auto" {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            return Ok((cores / 2).max(1));
        }
        Number { min: 1, max: 1024 }
            .parse(text)
            .map_err(|_| wanted(self))
    }
    fn show(&self, value: &usize) -> String {
        value.to_string()
    }
    fn accepts(&self) -> String {
        "auto (half of the cores) or a number from 1 to 1024".into()
    }
}

/// A boolean.
#[derive(Debug)]
pub struct Switch;

impl Kind for Switch {
    type Value = bool;
    fn parse(&self, text: &str) -> Result<bool, String> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(wanted(self)),
        }
    }
    fn show(&self, value: &bool) -> String {
        value.to_string()
    }
    fn accepts(&self) -> String {
        "true or false".into()
    }
}

/// Any text that is not empty.
#[derive(Debug)]
pub struct Text;

impl Kind for Text {
    type Value = String;
    fn parse(&self, text: &str) -> Result<String, String> {
        if text.is_empty() {
            Err(wanted(self))
        } else {
            Ok(text.into())
        }
    }
    fn show(&self, value: &String) -> String {
        value.clone()
    }
    fn accepts(&self) -> String {
        "text".into()
    }
}

/// A path of a file or directory.
#[derive(Debug)]
pub struct FilePath;

impl Kind for FilePath {
    type Value = PathBuf;
    fn parse(&self, text: &str) -> Result<PathBuf, String> {
        Text.parse(text)
            .map(PathBuf::from)
            .map_err(|_| wanted(self))
    }
    fn show(&self, value: &PathBuf) -> String {
        value.to_string_lossy().into_owned()
    }
    fn accepts(&self) -> String {
        "a path".into()
    }
}

/// The URL of a trace collector. TLS is not supported: a collector runs beside the services that it
/// collects from.
#[derive(Debug)]
pub struct Collector;

impl Kind for Collector {
    type Value = String;
    fn parse(&self, text: &str) -> Result<String, String> {
        let rest = text.strip_prefix("http://").ok_or_else(|| wanted(self))?;
        let (authority, _) = rest.split_once('/').unwrap_or((rest, ""));
        let plain = text
            .chars()
            .all(|c| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '@'));
        if plain && !authority.is_empty() {
            Ok(text.into())
        } else {
            Err(wanted(self))
        }
    }
    fn show(&self, value: &String) -> String {
        value.clone()
    }
    fn accepts(&self) -> String {
        "an address such as http://localhost:4318".into()
    }
}

/// A fraction from 0 to 1.
#[derive(Debug)]
pub struct Share;

impl Kind for Share {
    type Value = f64;
    fn parse(&self, text: &str) -> Result<f64, String> {
        text.parse()
            .ok()
            .filter(|share| (0.0..=1.0).contains(share))
            .ok_or_else(|| wanted(self))
    }
    fn show(&self, value: &f64) -> String {
        value.to_string()
    }
    fn accepts(&self) -> String {
        "a number from 0 to 1 such as 0.1".into()
    }
}

/// One of a few words.
#[derive(Debug)]
pub struct Choice<T: 'static>(pub &'static [(&'static str, T)]);

impl<T: Copy + PartialEq> Kind for Choice<T> {
    type Value = T;
    fn parse(&self, text: &str) -> Result<T, String> {
        let found = self.0.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| *value).ok_or_else(|| wanted(self))
    }
    fn show(&self, value: &T) -> String {
        self.0
            .iter()
            .find(|(_, v)| v == value)
            .map_or("", |(word, _)| *word)
            .into()
    }
    fn accepts(&self) -> String {
        self.0
            .iter()
            .map(|(word, _)| *word)
            .collect::<Vec<_>>()
            .join(" | ")
    }
}

/// A value of another kind, or `off`.
#[derive(Debug)]
pub struct Off<K>(pub K);

impl<K: Kind> Kind for Off<K> {
    type Value = Option<K::Value>;
    fn parse(&self, text: &str) -> Result<Self::Value, String> {
        if text == "off" {
            return Ok(None);
        }
        self.0
            .parse(text)
            .map(Some)
            .map_err(|why| format!("{why}, or off"))
    }
    fn show(&self, value: &Self::Value) -> String {
        value
            .as_ref()
            .map_or("off".into(), |value| self.0.show(value))
    }
    fn accepts(&self) -> String {
        format!("{}, or off", self.0.accepts())
    }
}

/// The entry in the list of origins that stands for pages of this machine, on any port.
pub const LOOPBACK: &str = "loopback";

/// A comma-separated list of origins, which may include `loopback`; `*` for any, or `off` for none.
#[derive(Debug)]
pub struct Origins;

impl Kind for Origins {
    type Value = Vec<String>;
    fn parse(&self, text: &str) -> Result<Vec<String>, String> {
        match text {
            "off" => return Ok(Vec::new()),
            "*" => return Ok(vec!["*".into()]),
            _ => {}
        }
        let origins: Vec<String> = text.split(',').map(|o| o.trim().to_owned()).collect();
        if origins
            .iter()
            .all(|origin| origin == LOOPBACK || is_origin(origin))
        {
            Ok(origins)
        } else {
            Err(wanted(self))
        }
    }
    fn show(&self, value: &Vec<String>) -> String {
        if value.is_empty() {
            "off".into()
        } else {
            value.join(",")
        }
    }
    fn accepts(&self) -> String {
        "origins such as http://example.org separated by commas, among them loopback for this machine's of any port, * for any, or off".into()
    }
}

/// Whether the text is `scheme://host[:port]` and nothing more.
fn is_origin(text: &str) -> bool {
    let Some((scheme, host)) = text.split_once("://") else {
        return false;
    };
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | '?' | '#' | '*' | '@');
    !scheme.is_empty()
        && scheme.chars().all(char::is_alphanumeric)
        && !host.is_empty()
        && host.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collectors_have_a_host_and_shares_are_parts_of_one() {
        for good in ["http://localhost:4318", "http://[::1]:4318/otel/"] {
            assert_eq!(Collector.parse(good).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "localhost:4318",
            "https://a",
            "http://",
            "http:///x",
            "http://u@h",
            "http://a b",
        ] {
            assert!(Collector.parse(bad).is_err(), "{bad}");
        }
        assert!(
            Share.parse("0.25").is_ok() && Share.parse("0").is_ok() && Share.parse("1").is_ok()
        );
        for bad in ["", "-0.1", "1.01", "NaN", "half"] {
            assert!(Share.parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn origins_are_origins() {
        assert_eq!(
            Origins.parse("http://a:1, https://b.c").unwrap(),
            ["http://a:1", "https://b.c"]
        );
        assert_eq!(Origins.parse("*").unwrap(), ["*"]);
        assert_eq!(
            Origins.parse("loopback,http://a").unwrap(),
            ["loopback", "http://a"]
        );
        assert_eq!(Origins.show(&Origins.parse("off").unwrap()), "off");
        for bad in [
            "",
            "localhost:3000",
            "http://",
            "http://a/",
            "http://a,*",
            "http://a,,http://b",
            "http://u@h",
        ] {
            assert!(Origins.parse(bad).is_err(), "{bad}");
        }
    }
}
