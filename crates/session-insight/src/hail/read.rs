//! Reads a file line by line.

use serde_json::{Map, Value};
use session_model::json;
use thiserror::Error;

use super::event::{Event, Header};

/// A line of a file.
#[derive(Clone, PartialEq, Debug)]
#[expect(clippy::large_enum_variant, reason = "one line is read at a time")]
pub enum Item {
    /// The header.
    Header(Header),
    /// An event.
    Event(Event),
    /// The counters, as they are written. They are computed again from the events.
    Stats(Map<String, Value>),
    /// A line of another type, which is kept.
    Unknown(Map<String, Value>),
}

/// Why a file cannot be read. The validator judges a file that can be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// A line is not a JSON object.
    #[error("line {line} is not a JSON object: {source}")]
    Json {
        /// The number of the line, from 1.
        line: u64,
        /// The reason.
        source: serde_json::Error,
    },
    /// A line is JSON, but not an object.
    #[error("line {line} is not a JSON object: each line must be one, tagged by `type`")]
    NotAnObject {
        /// The number of the line, from 1.
        line: u64,
    },
    /// The file does not begin with a header.
    #[error("line {line} comes before a header: the first line must be {{\"type\":\"header\",…}}")]
    NoHeader {
        /// The number of the line, from 1.
        line: u64,
    },
    /// An event has no time.
    #[error("line {line}: `timestamp` is \"{found}\": give a time in RFC 3339")]
    Time {
        /// The number of the line, from 1.
        line: u64,
        /// The value.
        found: String,
    },
}

/// Reads the lines of one file, in their order.
#[derive(Debug, Default)]
pub struct Reader {
    line: u64,
    has_header: bool,
}

/// The length to which a found value is shown.
const SHOWN: usize = 60;

impl Reader {
    /// Reads a line. `None` for a blank one and for a second header.
    pub fn line(&mut self, text: &str) -> Result<Option<Item>, ReadError> {
        self.line += 1;
        let line = self.line;
        if text.trim().is_empty() {
            return Ok(None);
        }
        let value = json::stored::<Value>(text.as_bytes())
            .map_err(|source| ReadError::Json { line, source })?;
        let Value::Object(fields) = value else {
            return Err(ReadError::NotAnObject { line });
        };
        match fields.get("type").and_then(Value::as_str) {
            Some("header") if self.has_header => Ok(None),
            Some("header") => {
                self.has_header = true;
                Ok(Some(Item::Header(Header::of_fields(fields))))
            }
            Some("event") if !self.has_header => Err(ReadError::NoHeader { line }),
            Some("event") => self.event(fields).map(Some),
            Some("stats") => Ok(Some(Item::Stats(fields))),
            _ => Ok(Some(Item::Unknown(fields))),
        }
    }

    fn event(&self, fields: Map<String, Value>) -> Result<Item, ReadError> {
        let event = Event::of_fields(fields);
        if event.time().is_none() {
            return Err(ReadError::Time {
                line: self.line,
                found: event.timestamp.chars().take(SHOWN).collect(),
            });
        }
        Ok(Item::Event(event))
    }

    /// Checks, behind the last line, that there was a header.
    pub fn finish(&self) -> Result<(), ReadError> {
        if self.has_header {
            Ok(())
        } else {
            Err(ReadError::NoHeader { line: self.line })
        }
    }
}
