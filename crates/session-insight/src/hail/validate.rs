//! The exact rules of a valid file. All of them run, and every error is collected.
//!
//! Not checked, as in the specification: the stats against the events, whether a `call_id` has a
//! call, whether a TaskStart has a TaskEnd, the times of the header, the content of blocks, sizes.

use std::collections::HashSet;
use std::fmt;

use serde::Serialize;

use super::VERSION_PREFIX;
use super::event::{Event, Header};
use super::table::required_datum;

/// A rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The version must start with `hail-`.
    InvalidVersion,
    /// A field must not be empty.
    MissingField,
    /// There must be an event.
    EmptySession,
    /// An `event_id` must be unique.
    DuplicateId,
    /// The times must not decrease.
    OutOfOrder,
}

/// A rule that a file breaks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Fault {
    /// The rule.
    pub rule: Rule,
    /// The number of the event, from 1; 0 for the header and the file as a whole.
    pub event: u64,
    /// The field or value that breaks it.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = &self.what;
        match self.event {
            0 => f.write_str("header: ")?,
            event => write!(f, "event {event}: ")?,
        }
        match self.rule {
            Rule::InvalidVersion => {
                write!(
                    f,
                    "invalid version \"{what}\": it must start with \"{VERSION_PREFIX}\""
                )
            }
            Rule::MissingField => write!(f, "missing field `{what}`"),
            Rule::EmptySession => write!(f, "empty session: there must be at least one event"),
            Rule::DuplicateId => write!(f, "duplicate id \"{what}\""),
            Rule::OutOfOrder => write!(f, "out of order: {what} is earlier than the event before"),
        }
    }
}

/// Checks a file line by line.
#[derive(Debug, Default)]
pub struct Validator {
    events: u64,
    ids: HashSet<String>,
    last: Option<jiff::Timestamp>,
    faults: Vec<Fault>,
}

impl Validator {
    /// Checks the header.
    pub fn header(&mut self, header: &Header) {
        if !header.version.starts_with(VERSION_PREFIX) {
            self.fault(Rule::InvalidVersion, &header.version);
        }
        for (name, value) in [
            ("session_id", &header.session_id),
            ("agent.provider", &header.agent.provider),
            ("agent.tool", &header.agent.tool),
        ] {
            if value.is_empty() {
                self.fault(Rule::MissingField, name);
            }
        }
    }

    /// Checks the next event.
    pub fn event(&mut self, event: &Event) {
        self.events += 1;
        if event.id.is_empty() {
            self.fault(Rule::MissingField, "event_id");
        } else if !self.ids.insert(event.id.clone()) {
            self.fault(Rule::DuplicateId, &event.id);
        }
        if let Some(name) = required_datum(&event.kind)
            && event.datum(name).is_none_or(str::is_empty)
        {
            self.fault(Rule::MissingField, &format!("event_type.data.{name}"));
        }
        let time = event.time();
        if let (Some(last), Some(time)) = (self.last, time)
            && time < last
        {
            self.fault(Rule::OutOfOrder, &event.timestamp);
        }
        // Compared with the event before it, not with the latest one.
        self.last = time.or(self.last);
    }

    fn fault(&mut self, rule: Rule, what: &str) {
        self.faults.push(Fault {
            rule,
            event: self.events,
            what: what.to_owned(),
        });
    }

    /// All errors, in the order of the file.
    pub fn finish(mut self) -> Vec<Fault> {
        if self.events == 0 {
            self.fault(Rule::EmptySession, "");
        }
        self.faults
    }
}
