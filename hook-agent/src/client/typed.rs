//! Typed helpers: each records one thing by the names of the vocabulary.
//!
//! A helper takes the main parts of a record, and `fields`: any other fields that `docs/RECORDS.md`
//! lists for it, by their names there. The bindings pass both as JSON text to
//! [`HookAgent::send_typed`], so that the same call makes the same record in every language. What
//! the helper adds goes in front of the caller's own text, which is not parsed into a tree, except
//! for the input of a tool call: it decides the type of the call.
//!
//! No value makes a helper fail. A field of another kind than the vocabulary says is recorded as it
//! is.

mod draft;
mod given;
mod part;
mod record;

use serde::Serialize;
use session_model::json::repair_surrogates;
use session_model::records::{Log, RecordType};

use super::{Call, HookAgent, Ticket};
use crate::Error;

/// Space for the JSON of one value, in bytes: most are shorter.
const SPACE_FOR_VALUE: usize = 256;
/// Space for the name of a part, in bytes.
const SPACE_FOR_NAME: usize = 24;

/// A typed helper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Helper {
    /// The agent calls a tool.
    ToolCall,
    /// A call has ended.
    ToolResult,
    /// A message of the user.
    UserMessage,
    /// An answer of the assistant.
    AssistantMessage,
    /// The model's thinking.
    Thinking,
    /// The cost of a model request.
    Usage,
    /// A file was changed.
    FileChange,
    /// A person or agent marks a point.
    Checkpoint,
}

impl Helper {
    /// Every helper.
    pub const ALL: &'static [Self] = &[
        Self::ToolCall,
        Self::ToolResult,
        Self::UserMessage,
        Self::AssistantMessage,
        Self::Thinking,
        Self::Usage,
        Self::FileChange,
        Self::Checkpoint,
    ];

    /// Returns the name of the method, in Rust and Python.
    pub fn name(self) -> &'static str {
        match self {
            Self::ToolCall => "log_tool_call",
            Self::ToolResult => "log_tool_result",
            Self::UserMessage => "log_user_message",
            Self::AssistantMessage => "log_assistant_message",
            Self::Thinking => "log_thinking",
            Self::Usage => "log_usage",
            Self::FileChange => "log_file_change",
            Self::Checkpoint => "checkpoint",
        }
    }

    /// Returns the helper whose method has this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|helper| helper.name() == name)
    }

    /// Returns the words that name the helper on the command line of `hook-agent`.
    pub(crate) const fn command(self) -> &'static str {
        match self {
            Self::ToolCall => "log tool-call",
            Self::ToolResult => "log tool-result",
            Self::UserMessage => "log user-message",
            Self::AssistantMessage => "log assistant-message",
            Self::Thinking => "log thinking",
            Self::Usage => "log usage",
            Self::FileChange => "log file-change",
            Self::Checkpoint => "log checkpoint",
        }
    }

    /// Returns the object of the main parts. `values` are their JSON texts, in the order of the
    /// table.
    pub(crate) fn object(self, values: &[String]) -> String {
        let length: usize = values
            .iter()
            .map(|value| value.len() + SPACE_FOR_NAME)
            .sum();
        let mut object = String::with_capacity(length);
        object.push('{');
        for (part, value) in self.parts().iter().zip(values) {
            if object.len() > 1 {
                object.push(',');
            }
            object.extend(["\"", part.name, "\":", value]);
        }
        object.push('}');
        object
    }

    /// Returns the type of the record. That of a call depends on the tool.
    fn record_type(self) -> RecordType {
        match self {
            Self::ToolCall => RecordType::ToolCall,
            Self::ToolResult => RecordType::ToolResult,
            Self::UserMessage => RecordType::UserMessage,
            Self::AssistantMessage => RecordType::AssistantMessage,
            Self::Thinking => RecordType::Thinking,
            Self::Usage => RecordType::Usage,
            Self::FileChange => RecordType::FileChange,
            Self::Checkpoint => RecordType::Checkpoint,
        }
    }

    /// Returns the write to the log that the record belongs to.
    fn call(self) -> Call<'static> {
        match self.record_type().log() {
            Log::Said => Call::Response,
            Log::Done | Log::Either => Call::Action,
        }
    }
}

impl HookAgent {
    /// Queues the record of a helper. `parts` and `fields` are JSON objects; `coerced` is how many
    /// of their values were written in another form. All typed helpers use this method.
    pub fn send_typed(
        &self,
        helper: Helper,
        parts: &str,
        fields: &str,
        coerced: u64,
    ) -> Result<Ticket, Error> {
        let record = match helper.record(parts, fields) {
            Ok(record) => record,
            Err(error) => {
                let whole = |json| repair_surrogates(json).unwrap_or_else(|| json.to_owned());
                let repaired = helper.record(&whole(parts), &whole(fields));
                repaired.map_err(|_| not_json(helper, &error))?
            }
        };
        self.send_record(helper.call(), &record, coerced)
    }

    fn typed<F: Serialize + ?Sized>(
        &self,
        helper: Helper,
        values: &[String],
        fields: &F,
    ) -> Result<Ticket, Error> {
        let (fields, coerced) = match json(helper, fields)? {
            object if object.starts_with('{') => (object, 0),
            null if null == "null" => ("{}".to_owned(), 0),
            other => (format!(r#"{{"value":{other}}}"#), 1),
        };
        // Values that were just written as JSON need not be read again to be known as such.
        match helper.record_of_values(values, &fields) {
            Ok(record) => self.send_record(helper.call(), &record, coerced),
            Err(_) => self.send_typed(helper, &helper.object(values), &fields, coerced),
        }
    }

    fn said<F: Serialize + ?Sized>(
        &self,
        helper: Helper,
        text: Option<&str>,
        fields: &F,
    ) -> Result<Ticket, Error> {
        self.typed(helper, &[json(helper, &text)?], fields)
    }

    /// Records that the agent calls a tool. The type of the record follows from the tool and its
    /// input, by the names that the agent of `origin.agent` uses. The key follows from `callId`.
    pub fn log_tool_call<I, F>(&self, tool: &str, input: &I, fields: &F) -> Result<Ticket, Error>
    where
        I: Serialize + ?Sized,
        F: Serialize + ?Sized,
    {
        let helper = Helper::ToolCall;
        let values = [json(helper, tool)?, json(helper, input)?];
        self.typed(helper, &values, fields)
    }

    /// Records how a call ended. `status` is one of the fields; without it, an `error` or an
    /// `exitCode` decides, else it is `unknown`.
    pub fn log_tool_result<O, F>(
        &self,
        tool: &str,
        call_id: &str,
        output: &O,
        fields: &F,
    ) -> Result<Ticket, Error>
    where
        O: Serialize + ?Sized,
        F: Serialize + ?Sized,
    {
        let helper = Helper::ToolResult;
        let values = [
            json(helper, tool)?,
            json(helper, call_id)?,
            json(helper, output)?,
        ];
        self.typed(helper, &values, fields)
    }

    /// Records a message of the user. The key follows from `turnId`, if the message begins the turn:
    /// if its `source` is not `queued` and no `agentId` names a subagent.
    pub fn log_user_message<F>(&self, text: &str, fields: &F) -> Result<Ticket, Error>
    where
        F: Serialize + ?Sized,
    {
        self.said(Helper::UserMessage, Some(text), fields)
    }

    /// Records an answer of the assistant. The key follows from `messageId` and `blockIndex`, the
    /// place of this text among the blocks of the message.
    pub fn log_assistant_message<F>(&self, text: &str, fields: &F) -> Result<Ticket, Error>
    where
        F: Serialize + ?Sized,
    {
        self.said(Helper::AssistantMessage, Some(text), fields)
    }

    /// Records the model's thinking; `None` if only the provider can read it. The key is built as
    /// that of a message.
    pub fn log_thinking<'t, F>(
        &self,
        text: impl Into<Option<&'t str>>,
        fields: &F,
    ) -> Result<Ticket, Error>
    where
        F: Serialize + ?Sized,
    {
        self.said(Helper::Thinking, text.into(), fields)
    }

    /// Records the cost of a model request: `input` without cached tokens, `output`, `cacheRead`,
    /// `cacheWrite` and `reasoning` are fields, 0 if absent. The key follows from the message's id
    /// and `requestId`: record a request once, when it is complete.
    pub fn log_usage<F>(&self, message_id: &str, model: &str, fields: &F) -> Result<Ticket, Error>
    where
        F: Serialize + ?Sized,
    {
        let helper = Helper::Usage;
        let values = [json(helper, message_id)?, json(helper, model)?];
        self.typed(helper, &values, fields)
    }

    /// Records that a file was changed: `create`, `edit`, `delete` or `rename`. The key follows from
    /// `callId` and the path.
    pub fn log_file_change<F>(&self, path: &str, op: &str, fields: &F) -> Result<Ticket, Error>
    where
        F: Serialize + ?Sized,
    {
        let helper = Helper::FileChange;
        let values = [json(helper, path)?, json(helper, op)?];
        self.typed(helper, &values, fields)
    }

    /// Marks a point of the session.
    pub fn checkpoint<F>(&self, message: &str, fields: &F) -> Result<Ticket, Error>
    where
        F: Serialize + ?Sized,
    {
        let helper = Helper::Checkpoint;
        self.typed(helper, &[json(helper, message)?], fields)
    }
}

fn json<T: Serialize + ?Sized>(helper: Helper, value: &T) -> Result<String, Error> {
    let mut json = Vec::with_capacity(SPACE_FOR_VALUE);
    serde_json::to_writer(&mut json, value).map_err(|error| not_json(helper, &error))?;
    String::from_utf8(json).map_err(|error| not_json(helper, &serde::ser::Error::custom(error)))
}

fn not_json(helper: Helper, error: &serde_json::Error) -> Error {
    Error::NotJson {
        call: helper.name(),
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests;
