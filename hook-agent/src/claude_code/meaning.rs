//! Names: what each hook event means, and the action type of each tool's calls.

/// What a hook event means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    SessionStart,
    Prompt,
    Message,
    Stop,
    StopFailure,
    ToolCall,
    ToolResult,
    ToolError,
    ToolBatch,
    AgentStart,
    AgentStop,
    SessionEnd,
    /// Recorded as an action named after the event.
    Other,
}

/// The Claude Code events that a hook can listen to without changing anything. Not included are
/// events whose hook does the work itself (`WorktreeCreate`, `WorktreeRemove`) or names files to
/// watch (`FileChanged`).
pub(super) const EVENTS: [&str; 27] = [
    "SessionStart",
    "Setup",
    "InstructionsLoaded",
    "UserPromptSubmit",
    "UserPromptExpansion",
    "MessageDisplay",
    "PreToolUse",
    "PermissionRequest",
    "PermissionDenied",
    "PostToolUse",
    "PostToolUseFailure",
    "PostToolBatch",
    "SubagentStart",
    "SubagentStop",
    "TeammateIdle",
    "TaskCreated",
    "TaskCompleted",
    "Notification",
    "Elicitation",
    "ElicitationResult",
    "ConfigChange",
    "CwdChanged",
    "PreCompact",
    "PostCompact",
    "Stop",
    "StopFailure",
    "SessionEnd",
];

impl Meaning {
    pub(super) fn of(event: &str) -> Self {
        match event {
            "SessionStart" => Self::SessionStart,
            "UserPromptSubmit" => Self::Prompt,
            "MessageDisplay" => Self::Message,
            "Stop" => Self::Stop,
            "StopFailure" => Self::StopFailure,
            "PreToolUse" => Self::ToolCall,
            "PostToolUse" => Self::ToolResult,
            "PostToolUseFailure" => Self::ToolError,
            "PostToolBatch" => Self::ToolBatch,
            "SubagentStart" => Self::AgentStart,
            "SubagentStop" => Self::AgentStop,
            "SessionEnd" => Self::SessionEnd,
            _ => Self::Other,
        }
    }

    /// Returns whether the event reads or changes the session's saved state.
    pub(super) fn remembers(self) -> bool {
        !matches!(self, Self::Message | Self::Other)
    }

    /// Returns whether the event may add to the session's errors.
    pub(super) fn may_be_error(self) -> bool {
        matches!(self, Self::StopFailure | Self::ToolError | Self::ToolBatch)
    }
}

/// Returns the action type by which the service counts a call of this tool.
pub(super) fn action_type(tool: Option<&str>) -> &'static str {
    match tool.unwrap_or_default() {
        "Bash" => "bash_exec",
        "Write" => "file_write",
        "Edit" | "MultiEdit" | "NotebookEdit" => "file_edit",
        tool if tool.starts_with("mcp__") => "mcp_call",
        _ => "tool_call",
    }
}

/// Converts an event name to snake case: `PreCompact` becomes `pre_compact`.
pub(super) fn snake_case(event: &str) -> String {
    let mut name = String::new();
    for letter in event.chars().filter(char::is_ascii_alphanumeric) {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    if name.is_empty() { "unknown_hook".to_owned() } else { name }
}
