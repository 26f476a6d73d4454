//! Counters: how records are counted in a session's metrics.

/// Record types that are not calls; first the types of the vocabulary.
const NO_CALLS: [&str; 54] = [
    "user_message",
    "assistant_message",
    "thinking",
    "system_message",
    "tool_result",
    "file_change",
    "usage",
    "permission",
    "session_started",
    "session_resumed",
    "session_forked",
    "compaction",
    "branch",
    "agent_started",
    "agent_stopped",
    "checkpoint",
    "step_started",
    "step_ended",
    "notification",
    "error",
    "amend",
    "gap",
    // Then the types that our own hooks and recorders have written so far.
    "prompt",
    "message",
    "stop",
    "tool_error",
    "stop_failure",
    "session_start",
    "session_end",
    "setup",
    "instructions_loaded",
    "user_prompt_expansion",
    "message_display",
    "permission_request",
    "permission_denied",
    "post_tool_batch",
    "subagent_start",
    "subagent_stop",
    "teammate_idle",
    "task_created",
    "task_completed",
    "elicitation",
    "elicitation_result",
    "config_change",
    "cwd_changed",
    "pre_compact",
    "post_compact",
    "unknown_hook",
    "unreadable_hook",
    "step_start",
    "step_end",
    "model_call",
    "output",
    "exit",
];

/// Record types that report an error, unless their `status` says otherwise.
const ERRORS: [&str; 3] = ["error", "tool_error", "stop_failure"];

/// Whether a record with this `status` reports an error; `None` if the status does not decide that.
/// A record that a person or rule refused or interrupted is not an error.
pub fn is_error_status(status: &str) -> Option<bool> {
    match status {
        "error" | "timeout" => Some(true),
        "ok" | "denied" | "interrupted" | "cancelled" => Some(false),
        _ => None,
    }
}

/// How a record is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tally {
    /// The counter that an action increments.
    pub metric: Option<Metric>,
    /// Whether the record reports an error.
    pub is_error: bool,
}

impl Tally {
    /// How a record of this type is counted.
    pub fn of_type(kind: &str) -> Self {
        Self { metric: Metric::of_action(kind), is_error: ERRORS.contains(&kind) }
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self { metric: Some(Metric::default()), is_error: false }
    }
}

/// The counters that actions increment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum Metric {
    /// Agents spawned by `spawnAgent` or a `task_spawn` action.
    AgentsSpawned,
    /// Tool calls, and every action of an unknown type.
    #[default]
    ToolCalls,
    /// Calls of MCP tools.
    McpCalls,
    /// Files written, edited or deleted.
    FilesModified,
    /// Shell commands.
    BashCommands,
}

impl Metric {
    /// Every counter, in the order of the document.
    pub const ALL: [Metric; 5] = [
        Metric::AgentsSpawned,
        Metric::ToolCalls,
        Metric::McpCalls,
        Metric::FilesModified,
        Metric::BashCommands,
    ];

    /// The counter that an action of this type increments; `None` if it is not a call. An unknown
    /// type counts as a tool call, as it always has.
    pub fn of_action(kind: &str) -> Option<Self> {
        match kind {
            "task_spawn" => Some(Metric::AgentsSpawned),
            "mcp_call" => Some(Metric::McpCalls),
            "file_write" | "file_edit" | "file_delete" => Some(Metric::FilesModified),
            "bash_exec" => Some(Metric::BashCommands),
            kind if NO_CALLS.contains(&kind) => None,
            _ => Some(Metric::ToolCalls),
        }
    }

    /// The counter's field in `metrics`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Metric::AgentsSpawned => "agentsSpawned",
            Metric::ToolCalls => "toolCalls",
            Metric::McpCalls => "mcpCalls",
            Metric::FilesModified => "filesModified",
            Metric::BashCommands => "bashCommands",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};

    use super::*;

    #[test]
    fn the_table_of_counters_is_the_fixture() {
        let table: Map<String, Value> =
            serde_json::from_str(include_str!("../tests/fixtures/metrics.json")).unwrap();
        for (kind, counter) in &table {
            assert_eq!(Metric::of_action(kind).map(Metric::as_str), counter.as_str(), "{kind}");
        }
        assert!(NO_CALLS.iter().all(|kind| table.contains_key(*kind)));
    }
}
