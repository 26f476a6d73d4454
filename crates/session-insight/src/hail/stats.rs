//! The counters of the `stats` line, derived from the events exactly as the specification says.
//!
//! Shell commands, edits and requests to the web are no tool calls here: a session that only runs
//! commands shows 0.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::event::Event;

/// The counters while events are added.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    events: u64,
    messages: u64,
    user_messages: u64,
    tool_calls: u64,
    tasks: HashSet<String>,
    files: HashSet<String>,
    lines_added: u64,
    lines_removed: u64,
    input: Tokens,
    output: Tokens,
    first: Option<jiff::Timestamp>,
    last: Option<jiff::Timestamp>,
}

/// Counts of tokens, which are sums unless a source reports running totals.
#[derive(Clone, Copy, Debug, Default)]
struct Tokens {
    sum: u64,
    greatest_total: Option<u64>,
}

impl Tokens {
    fn add(&mut self, event: &Event, name: &str, total_name: &str) {
        let attribute = |name| event.attributes.get(name).and_then(Value::as_u64);
        self.sum = self.sum.saturating_add(attribute(name).unwrap_or(0));
        self.greatest_total = self.greatest_total.max(attribute(total_name));
    }

    fn count(self) -> u64 {
        self.greatest_total.unwrap_or(self.sum)
    }
}

impl Stats {
    /// Adds the next event.
    pub fn add(&mut self, event: &Event) {
        self.events += 1;
        match event.kind.as_str() {
            "UserMessage" => {
                self.messages += 1;
                self.user_messages += 1;
            }
            "AgentMessage" => self.messages += 1,
            "TaskEnd" => {
                let has_summary = event
                    .datum("summary")
                    .is_some_and(|text| !text.trim().is_empty());
                self.messages += u64::from(has_summary);
            }
            "ToolCall" | "FileRead" | "CodeSearch" | "FileSearch" => self.tool_calls += 1,
            "FileEdit" | "FileCreate" | "FileDelete" => self.change(event),
            _ => {}
        }
        if let Some(task) = &event.task_id {
            self.tasks.insert(task.clone());
        }
        self.input.add(event, "input_tokens", "input_tokens_total");
        self.output
            .add(event, "output_tokens", "output_tokens_total");
        let time = event.time();
        self.first = self.first.or(time);
        self.last = time.or(self.last);
    }

    fn change(&mut self, event: &Event) {
        if let Some(path) = event.datum("path") {
            self.files.insert(path.to_owned());
        }
        if event.kind != "FileEdit" {
            return;
        }
        for line in event.datum("diff").unwrap_or_default().lines() {
            // `+++` and `---` name the files.
            if line.starts_with('+') && !line.starts_with("+++") {
                self.lines_added += 1;
            } else if line.starts_with('-') && !line.starts_with("---") {
                self.lines_removed += 1;
            }
        }
    }

    /// The fields of the line, in their order.
    pub fn into_fields(self) -> Map<String, Value> {
        let duration = match (self.first, self.last) {
            (Some(first), Some(last)) => last.duration_since(first).as_secs().max(0).unsigned_abs(),
            _ => 0,
        };
        let mut out = Map::new();
        out.insert("type".to_owned(), "stats".into());
        for (name, count) in [
            ("event_count", self.events),
            ("message_count", self.messages),
            ("tool_call_count", self.tool_calls),
            ("task_count", self.tasks.len() as u64),
            ("duration_seconds", duration),
            ("total_input_tokens", self.input.count()),
            ("total_output_tokens", self.output.count()),
            ("user_message_count", self.user_messages),
            ("files_changed", self.files.len() as u64),
            ("lines_added", self.lines_added),
            ("lines_removed", self.lines_removed),
        ] {
            out.insert(name.to_owned(), count.into());
        }
        out
    }
}
