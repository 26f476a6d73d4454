//! The counters of a session's metrics.

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
