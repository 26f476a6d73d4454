//! Writes the lines of a file.

use serde_json::{Map, Value};
use session_model::LogKind;
use session_model::records::{Body, Record};
use session_model::timestamp::Timestamp;

use super::VERSION;
use super::event::{Agent, Context, Event, Header};
use super::project::project;
use super::stats::Stats;
use crate::usage::{RecordRef, Snapshot, Verdict, Verdicts};

/// The name of a program or provider that no record names.
const UNKNOWN: &str = "unknown";

/// The content of the header.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct SessionInfo {
    /// The id of the session.
    pub session_id: String,
    /// The provider of the model.
    pub provider: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// The agent's program.
    pub tool: Option<String>,
    /// The version of the program.
    pub tool_version: Option<String>,
    /// The title.
    pub title: Option<String>,
    /// The tags.
    pub tags: Vec<String>,
    /// When the session began.
    pub created: Timestamp,
    /// When the session last changed.
    pub updated: Timestamp,
    /// The session that started it.
    pub parent: Option<String>,
    /// The sessions that it started.
    pub children: Vec<String>,
    /// The working directory.
    pub cwd: Option<String>,
    /// The branch of the repository.
    pub git_branch: Option<String>,
}

impl SessionInfo {
    /// Learns from a record what no earlier one has said.
    pub fn learn(&mut self, record: &Record) {
        let learn = |known: &mut Option<String>, said: Option<&str>| {
            if known.is_none() {
                *known = said.filter(|said| !said.is_empty()).map(str::to_owned);
            }
        };
        if let Some(origin) = &record.common.origin {
            learn(&mut self.tool, origin.fields.agent.as_deref());
            learn(
                &mut self.tool_version,
                origin.fields.agent_version.as_deref(),
            );
        }
        match &record.body {
            Body::Usage(usage) => {
                learn(&mut self.provider, usage.provider.as_deref());
                learn(&mut self.model, usage.model.as_deref());
            }
            Body::AssistantMessage(message) => learn(&mut self.model, message.model.as_deref()),
            Body::SessionStarted(start) => {
                learn(&mut self.cwd, start.cwd.as_deref());
                learn(&mut self.git_branch, start.git_branch.as_deref());
                learn(&mut self.model, start.model.as_deref());
            }
            _ => {}
        }
    }

    /// The header.
    pub fn header(&self) -> Header {
        let mut attributes = Map::new();
        let mut attribute = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                attributes.insert(name.to_owned(), value.into());
            }
        };
        attribute("cwd", self.cwd.as_deref());
        attribute("git_branch", self.git_branch.as_deref());
        let role = if self.parent.is_some() {
            "auxiliary"
        } else {
            "primary"
        };
        attribute("session_role", Some(role));
        attribute("parent_session_id", self.parent.as_deref());
        let named = |name: &Option<String>| name.clone().unwrap_or_else(|| UNKNOWN.to_owned());
        Header {
            version: VERSION.to_owned(),
            session_id: self.session_id.clone(),
            agent: Agent {
                provider: named(&self.provider),
                model: self.model.clone().unwrap_or_default(),
                tool: named(&self.tool),
                tool_version: self.tool_version.clone(),
                extra: Map::new(),
            },
            context: Context {
                title: self.title.clone(),
                tags: self.tags.clone(),
                created_at: Some(self.created.to_string()),
                updated_at: Some(self.updated.to_string()),
                related_session_ids: self.children.clone(),
                attributes,
                ..Context::default()
            },
            extra: Map::new(),
        }
    }
}

/// Makes the lines of a file from the records of a session.
#[derive(Debug)]
pub struct Export {
    created: Timestamp,
    stats: Stats,
    is_empty: bool,
}

/// The tokens that an event has if its record is the snapshot of a request that counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CountedTokens {
    input: u64,
    output: u64,
}

impl CountedTokens {
    /// The tokens of the next record of a log; `None` if it does not count.
    pub fn of(place: RecordRef, record: &Record, verdicts: &mut Verdicts) -> Option<Self> {
        if verdicts.next(place, record) != Verdict::Counted {
            return None;
        }
        let tokens = Snapshot::of(place, record).ok()?.tokens;
        Some(Self {
            input: tokens.input,
            output: tokens.output,
        })
    }
}

impl Export {
    /// Begins a file; `created` is when the session began.
    pub fn new(created: Timestamp) -> Self {
        Self {
            created,
            stats: Stats::default(),
            is_empty: true,
        }
    }

    /// The event of a record. `line` is the number of its line in the log, from 1, which makes the
    /// id: sequence numbers of the earlier service may repeat. `at` is its time in the order of the
    /// file.
    pub fn event(
        &mut self,
        (log, line): (LogKind, u64),
        at: Timestamp,
        fields: Map<String, Value>,
        tokens: Option<CountedTokens>,
    ) -> Event {
        let id = format!("{}-{line}", log.as_str());
        let mut event = project(id, log, fields, at);
        if let Some(CountedTokens { input, output }) = tokens {
            let mut attribute = |name: &str, count: u64| {
                event.attributes.insert(name.to_owned(), count.into());
            };
            attribute("input_tokens", input);
            attribute("output_tokens", output);
        }
        self.is_empty = false;
        self.stats.add(&event);
        event
    }

    /// The event that stands for a session without records, since a file needs one.
    pub fn stand_in(&mut self) -> Option<Event> {
        if !self.is_empty {
            return None;
        }
        let mut data = Map::new();
        data.insert("kind".to_owned(), "session_created".into());
        let event = Event {
            id: "session-created".to_owned(),
            timestamp: self.created.to_string(),
            kind: "Custom".to_owned(),
            data,
            ..Event::default()
        };
        self.stats.add(&event);
        Some(event)
    }

    /// The fields of the last line.
    pub fn finish(self) -> Map<String, Value> {
        self.stats.into_fields()
    }
}
