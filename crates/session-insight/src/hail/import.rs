//! Makes the records of a file.

use std::collections::HashSet;

use serde_json::{Map, Value};
use session_model::LogKind;
use session_model::records::RecordKey;

use super::attributes::FIELDS;
use super::event::{Event, Header};
use super::restore::{Restored, is_ours, restore, restore_unknown};
use super::running_total::RunningTotal;

/// How the key of a usage record begins, if the usual one is the key of another record.
const OTHER_USAGE: &str = "hail-usage-";
/// Running totals of tokens.
const INPUT_TOTAL: &str = "input_tokens_total";
const OUTPUT_TOTAL: &str = "output_tokens_total";

/// What must be known of all events of a file before the records of one are made.
#[derive(Clone, Debug, Default)]
pub struct FileNotes {
    /// The keys that the records of the events have and that look like the key of a usage record.
    keys: HashSet<String>,
    /// Whether an event has a running total of tokens. The counts of single events then do not
    /// count: the greatest total is the sum of the session.
    has_input_total: bool,
    has_output_total: bool,
}

impl FileNotes {
    /// Notes an event. Every event of a file is noted before its records are made.
    pub fn note(&mut self, event: &Event) {
        let key = if is_ours(event) {
            let fields = event.attributes.get(FIELDS);
            fields.and_then(|fields| fields.get("key")?.as_str())
        } else {
            Some(event.id.as_str())
        };
        if let Some(key) = key
            && (key.starts_with("usage:") || key.starts_with(OTHER_USAGE))
        {
            self.keys.insert(key.to_owned());
        }
        if !is_ours(event) {
            self.has_input_total |= count(event, INPUT_TOTAL).is_some();
            self.has_output_total |= count(event, OUTPUT_TOTAL).is_some();
        }
    }

    /// The key of the usage of an event.
    fn usage_of(&self, event: &str) -> RecordKey {
        let usual = RecordKey::usage(event, None);
        let others = (1_u32..).map(|n| RecordKey::built(format!("{OTHER_USAGE}{n}:{event}")));
        std::iter::once(usual)
            .chain(others)
            .find(|key| !self.keys.contains(key.as_str()))
            .expect("a file has fewer events than there are numbers")
    }
}

/// Makes records of the lines of one file, in their order.
///
/// Records of another program's file get the id of their event as record key, so that importing the
/// file again stores nothing twice. Counts of tokens at such an event become a `usage`
/// record, whose key no event has. Running totals become differences; beside them the counts of single
/// events do not count.
#[derive(Debug, Default)]
pub struct Import {
    tool: String,
    model: String,
    provider: String,
    notes: FileNotes,
    input: RunningTotal,
    output: RunningTotal,
}

impl Import {
    /// Begins a file.
    pub fn new(header: &Header, notes: FileNotes) -> Self {
        Self {
            notes,
            tool: header.agent.tool.clone(),
            model: header.agent.model.clone(),
            provider: header.agent.provider.clone(),
            ..Self::default()
        }
    }

    /// The records of an event: one, and one of its usage.
    pub fn event(&mut self, event: Event) -> Vec<Restored> {
        if is_ours(&event) {
            return vec![restore(event, &self.tool)];
        }
        let usage = self.usage(&event);
        let key = RecordKey::own(&event.id).ok();
        let mut record = restore(event, &self.tool);
        if let Some(key) = key {
            record.fields.insert("key".to_owned(), key.as_str().into());
        }
        std::iter::once(record).chain(usage).collect()
    }

    /// The record of a line whose type is not known.
    pub fn unknown(line: Map<String, Value>) -> Restored {
        restore_unknown(line)
    }

    fn usage(&mut self, event: &Event) -> Option<Restored> {
        let input = if self.notes.has_input_total {
            count(event, INPUT_TOTAL).map(|total| self.input.next(total))
        } else {
            count(event, "input_tokens")
        };
        let output = if self.notes.has_output_total {
            count(event, OUTPUT_TOTAL).map(|total| self.output.next(total))
        } else {
            count(event, "output_tokens")
        };
        if input.is_none() && output.is_none() {
            return None;
        }
        let mut fields = Map::new();
        let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        put("type", "usage".into());
        put("timestamp", event.timestamp.as_str().into());
        put("key", self.notes.usage_of(&event.id).as_str().into());
        put("messageId", event.id.as_str().into());
        let own_model = event.attributes.get("model").and_then(Value::as_str);
        let models = [own_model.unwrap_or_default(), &self.model];
        if let Some(model) = models.into_iter().find(|model| !model.is_empty()) {
            put("model", model.into());
        }
        if !self.provider.is_empty() {
            put("provider", self.provider.as_str().into());
        }
        put("input", input.unwrap_or(0).into());
        put("output", output.unwrap_or(0).into());
        for name in ["cacheRead", "cacheWrite", "reasoning"] {
            put(name, 0.into());
        }
        if let Some(task) = &event.task_id {
            put("agentId", task.as_str().into());
        }
        Some(Restored {
            log: LogKind::Actions,
            fields,
        })
    }
}

fn count(event: &Event, name: &str) -> Option<u64> {
    event.attributes.get(name).and_then(Value::as_u64)
}
