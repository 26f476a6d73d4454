//! The lines of a file as types. A field that is not known is kept.

use serde_json::{Map, Number, Value};

/// The `header` line.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Header {
    /// The version of the format.
    pub version: String,
    /// The id of the session.
    pub session_id: String,
    /// The program that ran.
    pub agent: Agent,
    /// The circumstances of the session.
    pub context: Context,
    /// Other fields.
    pub extra: Map<String, Value>,
}

/// The program that ran.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Agent {
    /// The provider of the model.
    pub provider: String,
    /// The model; may be empty.
    pub model: String,
    /// The agent's program.
    pub tool: String,
    /// The version of the program.
    pub tool_version: Option<String>,
    /// Other fields.
    pub extra: Map<String, Value>,
}

/// The circumstances of a session.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Context {
    /// A title.
    pub title: Option<String>,
    /// A description.
    pub description: Option<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// When the session began, as it is written.
    pub created_at: Option<String>,
    /// When the session last changed, as it is written.
    pub updated_at: Option<String>,
    /// Other sessions that belong to it.
    pub related_session_ids: Vec<String>,
    /// More about the session.
    pub attributes: Map<String, Value>,
    /// Other fields.
    pub extra: Map<String, Value>,
}

/// An `event` line.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Event {
    /// The id, unique in the file.
    pub id: String,
    /// When it happened, as it is written.
    pub timestamp: String,
    /// The name of the type.
    pub kind: String,
    /// The data of the type.
    pub data: Map<String, Value>,
    /// The task that the event belongs to.
    pub task_id: Option<String>,
    /// The content, block by block.
    pub blocks: Vec<Value>,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<Number>,
    /// More about the event.
    pub attributes: Map<String, Value>,
    /// Other fields.
    pub extra: Map<String, Value>,
}

/// Takes a text; a value of another kind stays.
fn text(from: &mut Map<String, Value>, name: &str) -> Option<String> {
    match from.shift_remove(name) {
        Some(Value::String(text)) => Some(text),
        Some(Value::Null) | None => None,
        Some(other) => {
            from.insert(name.to_owned(), other);
            None
        }
    }
}

/// Takes an object; a value of another kind stays.
fn object(from: &mut Map<String, Value>, name: &str) -> Map<String, Value> {
    match from.shift_remove(name) {
        Some(Value::Object(fields)) => fields,
        Some(Value::Null) | None => Map::new(),
        Some(other) => {
            from.insert(name.to_owned(), other);
            Map::new()
        }
    }
}

/// Takes a list; a value of another kind stays.
fn list(from: &mut Map<String, Value>, name: &str) -> Vec<Value> {
    match from.shift_remove(name) {
        Some(Value::Array(items)) => items,
        Some(Value::Null) | None => Vec::new(),
        Some(other) => {
            from.insert(name.to_owned(), other);
            Vec::new()
        }
    }
}

fn texts(from: &mut Map<String, Value>, name: &str) -> Vec<String> {
    let is_texts = |items: &Vec<Value>| items.iter().all(Value::is_string);
    if from
        .get(name)
        .and_then(Value::as_array)
        .is_some_and(is_texts)
    {
        let texts = list(from, name);
        return texts
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
    }
    Vec::new()
}

fn put(out: &mut Map<String, Value>, name: &str, text: Option<String>) {
    if let Some(text) = text {
        out.insert(name.to_owned(), text.into());
    }
}

impl Header {
    /// Reads the fields of the line. A missing text is empty, which the validator reports.
    pub fn of_fields(mut fields: Map<String, Value>) -> Self {
        fields.shift_remove("type");
        let mut agent = object(&mut fields, "agent");
        let mut context = object(&mut fields, "context");
        Self {
            version: text(&mut fields, "version").unwrap_or_default(),
            session_id: text(&mut fields, "session_id").unwrap_or_default(),
            agent: Agent {
                provider: text(&mut agent, "provider").unwrap_or_default(),
                model: text(&mut agent, "model").unwrap_or_default(),
                tool: text(&mut agent, "tool").unwrap_or_default(),
                tool_version: text(&mut agent, "tool_version"),
                extra: agent,
            },
            context: Context {
                title: text(&mut context, "title"),
                description: text(&mut context, "description"),
                tags: texts(&mut context, "tags"),
                created_at: text(&mut context, "created_at"),
                updated_at: text(&mut context, "updated_at"),
                related_session_ids: texts(&mut context, "related_session_ids"),
                attributes: object(&mut context, "attributes"),
                extra: context,
            },
            extra: fields,
        }
    }

    /// Writes the fields of the line.
    pub fn into_fields(self) -> Map<String, Value> {
        let mut agent = Map::new();
        put(&mut agent, "provider", Some(self.agent.provider));
        put(&mut agent, "model", Some(self.agent.model));
        put(&mut agent, "tool", Some(self.agent.tool));
        put(&mut agent, "tool_version", self.agent.tool_version);
        agent.extend(self.agent.extra);
        let mut context = Map::new();
        put(&mut context, "title", self.context.title);
        put(&mut context, "description", self.context.description);
        context.insert("tags".to_owned(), self.context.tags.into());
        put(&mut context, "created_at", self.context.created_at);
        put(&mut context, "updated_at", self.context.updated_at);
        let ids = self.context.related_session_ids.into();
        context.insert("related_session_ids".to_owned(), ids);
        context.insert(
            "attributes".to_owned(),
            Value::Object(self.context.attributes),
        );
        context.extend(self.context.extra);
        let mut out = Map::new();
        put(&mut out, "type", Some("header".to_owned()));
        put(&mut out, "version", Some(self.version));
        put(&mut out, "session_id", Some(self.session_id));
        out.insert("agent".to_owned(), Value::Object(agent));
        out.insert("context".to_owned(), Value::Object(context));
        out.extend(self.extra);
        out
    }
}

impl Event {
    /// Reads the fields of the line. A missing text is empty, which the validator reports.
    pub fn of_fields(mut fields: Map<String, Value>) -> Self {
        fields.shift_remove("type");
        let mut kind = object(&mut fields, "event_type");
        let mut content = object(&mut fields, "content");
        let blocks = list(&mut content, "blocks");
        if !content.is_empty() {
            fields.insert("content".to_owned(), Value::Object(content));
        }
        let duration_ms = match fields.shift_remove("duration_ms") {
            Some(Value::Number(duration)) => Some(duration),
            Some(Value::Null) | None => None,
            Some(other) => {
                fields.insert("duration_ms".to_owned(), other);
                None
            }
        };
        let event = Self {
            id: text(&mut fields, "event_id").unwrap_or_default(),
            timestamp: text(&mut fields, "timestamp").unwrap_or_default(),
            kind: text(&mut kind, "type").unwrap_or_default(),
            data: object(&mut kind, "data"),
            task_id: text(&mut fields, "task_id"),
            blocks,
            duration_ms,
            attributes: object(&mut fields, "attributes"),
            extra: Map::new(),
        };
        if !kind.is_empty() {
            fields.insert("event_type".to_owned(), Value::Object(kind));
        }
        Self {
            extra: fields,
            ..event
        }
    }

    /// Writes the fields of the line.
    pub fn into_fields(self) -> Map<String, Value> {
        let mut kind = Map::new();
        // Older readers refuse these two without data, even if it would be empty.
        let needs_data = matches!(self.kind.as_str(), "TaskStart" | "TaskEnd");
        put(&mut kind, "type", Some(self.kind));
        if needs_data || !self.data.is_empty() {
            kind.insert("data".to_owned(), Value::Object(self.data));
        }
        let mut content = Map::new();
        content.insert("blocks".to_owned(), Value::Array(self.blocks));
        let mut out = Map::new();
        put(&mut out, "type", Some("event".to_owned()));
        put(&mut out, "event_id", Some(self.id));
        put(&mut out, "timestamp", Some(self.timestamp));
        out.insert("event_type".to_owned(), Value::Object(kind));
        put(&mut out, "task_id", self.task_id);
        out.insert("content".to_owned(), Value::Object(content));
        if let Some(duration) = self.duration_ms {
            out.insert("duration_ms".to_owned(), Value::Number(duration));
        }
        if !self.attributes.is_empty() {
            out.insert("attributes".to_owned(), Value::Object(self.attributes));
        }
        for (name, rest) in self.extra {
            // The rest of an object that was read joins what is known of it.
            match (out.get_mut(&name), rest) {
                (Some(Value::Object(known)), Value::Object(rest)) => known.extend(rest),
                (_, rest) => drop(out.insert(name, rest)),
            }
        }
        out
    }

    /// A text of the data.
    pub fn datum(&self, name: &str) -> Option<&str> {
        self.data.get(name).and_then(Value::as_str)
    }

    /// The point in time, with all its digits.
    pub fn time(&self) -> Option<jiff::Timestamp> {
        self.timestamp.parse().ok()
    }

    /// The first text among the blocks.
    pub fn text(&self) -> Option<&str> {
        let mut texts = self.blocks.iter().filter(|block| block["type"] == "Text");
        texts.next()?.get("text")?.as_str()
    }
}
