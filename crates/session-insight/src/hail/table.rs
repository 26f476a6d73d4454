//! The table: which record type is which event type, and where each field goes.
//!
//! Both directions read it. A record whose type is in no row is a `Custom` event of that kind.

/// The place of a record's field in an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum At {
    /// In the data of the event type.
    Data(&'static str),
    /// A text block.
    Text,
    /// A text block if it is a text, else a JSON block.
    Content,
    /// A JSON block.
    Json,
    /// An attribute.
    Attribute(&'static str),
    /// `duration_ms`.
    Duration,
}

/// A row.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The record type.
    pub record: &'static str,
    /// A field that tells rows of the same record type apart, and its value.
    pub when: Option<(&'static str, &'static str)>,
    /// The event type.
    pub event: &'static str,
    /// The fields and their places.
    pub fields: &'static [(&'static str, At)],
}

/// Fields that any record may have.
pub(super) const COMMON: &[(&str, At)] = &[
    ("turnId", At::Attribute("semantic.group_id")),
    ("callId", At::Attribute("semantic.call_id")),
];

/// The fields of a call whose type HAIL has no event for.
const CALL: &[(&str, At)] = &[("tool", At::Data("name")), ("input", At::Json)];
const PATH: &[(&str, At)] = &[("path", At::Data("path"))];

const fn row(
    record: &'static str,
    event: &'static str,
    fields: &'static [(&'static str, At)],
) -> Row {
    Row {
        record,
        when: None,
        event,
        fields,
    }
}

const fn row_when(
    record: &'static str,
    when: (&'static str, &'static str),
    event: &'static str,
    fields: &'static [(&'static str, At)],
) -> Row {
    Row {
        record,
        when: Some(when),
        event,
        fields,
    }
}

/// The rows. An event of another program becomes a record of the first row with its type.
pub const ROWS: &[Row] = &[
    row("user_message", "UserMessage", &[("text", At::Text)]),
    row(
        "assistant_message",
        "AgentMessage",
        &[("text", At::Text), ("model", At::Attribute("model"))],
    ),
    row("thinking", "Thinking", &[("text", At::Text)]),
    row("system_message", "SystemMessage", &[("text", At::Text)]),
    row(
        "bash_exec",
        "ShellCommand",
        &[("command", At::Data("command"))],
    ),
    row("file_read", "FileRead", PATH),
    row("file_edit", "FileEdit", PATH),
    row("file_write", "FileCreate", PATH),
    row("file_delete", "FileDelete", PATH),
    row_when(
        "search",
        ("target", "content"),
        "CodeSearch",
        &[("pattern", At::Data("query"))],
    ),
    row_when(
        "search",
        ("target", "files"),
        "FileSearch",
        &[("pattern", At::Data("pattern"))],
    ),
    row("web_search", "WebSearch", &[("query", At::Data("query"))]),
    row("web_fetch", "WebFetch", &[("url", At::Data("url"))]),
    row("tool_call", "ToolCall", CALL),
    row("mcp_call", "ToolCall", CALL),
    row("task_spawn", "ToolCall", CALL),
    row("plan", "ToolCall", CALL),
    row("question", "ToolCall", CALL),
    row(
        "tool_result",
        "ToolResult",
        &[
            ("tool", At::Data("name")),
            ("callId", At::Data("call_id")),
            ("output", At::Content),
            ("durationMs", At::Duration),
        ],
    ),
    row_when(
        "file_change",
        ("op", "edit"),
        "FileEdit",
        &[("path", At::Data("path")), ("diff", At::Data("diff"))],
    ),
    row_when("file_change", ("op", "create"), "FileCreate", PATH),
    row_when("file_change", ("op", "delete"), "FileDelete", PATH),
    row(
        "agent_started",
        "TaskStart",
        &[("agentType", At::Data("title"))],
    ),
    row(
        "agent_stopped",
        "TaskEnd",
        &[("result", At::Data("summary"))],
    ),
    row("compaction", "Custom", &[("summary", At::Text)]),
    row("checkpoint", "Custom", &[("message", At::Text)]),
    row("notification", "Custom", &[("message", At::Text)]),
    row("error", "Custom", &[("message", At::Text)]),
    row("step_ended", "Custom", &[("durationMs", At::Duration)]),
    row("usage", "Custom", &[("model", At::Attribute("model"))]),
];

/// The datum of an event type that must not be empty.
pub(super) fn required_datum(event: &str) -> Option<&'static str> {
    match event {
        "ToolCall" | "ToolResult" => Some("name"),
        "FileRead" | "FileEdit" | "FileCreate" | "FileDelete" => Some("path"),
        "ShellCommand" => Some("command"),
        _ => None,
    }
}

/// Data that readers require to be texts, although they may be empty.
pub(super) fn expected_datum(event: &str) -> Option<&'static str> {
    match event {
        "CodeSearch" | "WebSearch" => Some("query"),
        "FileSearch" => Some("pattern"),
        "WebFetch" => Some("url"),
        other => required_datum(other),
    }
}

/// The row of a record.
pub(super) fn of_record(
    record: &str,
    field: impl Fn(&str) -> Option<String>,
) -> Option<&'static Row> {
    ROWS.iter().find(|row| {
        row.record == record
            && row
                .when
                .is_none_or(|(name, value)| field(name).as_deref() == Some(value))
    })
}

/// The row of an event: that of the record type if the event names one, else the first with its
/// type.
pub(super) fn of_event(event: &str, record: Option<&str>) -> Option<&'static Row> {
    ROWS.iter().find(|row| {
        row.event == event
            && match record {
                Some(record) => row.record == record,
                None => row.event != "Custom",
            }
    })
}
