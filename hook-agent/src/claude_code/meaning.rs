//! What each hook event means.

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
    PermissionRequest,
    PermissionDenied,
    Notification,
    Compacted,
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
            "PermissionRequest" => Self::PermissionRequest,
            "PermissionDenied" => Self::PermissionDenied,
            "Notification" => Self::Notification,
            "PostCompact" => Self::Compacted,
            "SubagentStart" => Self::AgentStart,
            "SubagentStop" => Self::AgentStop,
            "SessionEnd" => Self::SessionEnd,
            _ => Self::Other,
        }
    }

    /// Returns whether the event shows that the session has begun. The others may come before its
    /// start, or from outside of it.
    pub(super) fn begins(self) -> bool {
        match self {
            Self::Prompt
            | Self::Stop
            | Self::StopFailure
            | Self::ToolCall
            | Self::ToolResult
            | Self::ToolError
            | Self::ToolBatch
            | Self::AgentStart
            | Self::AgentStop
            | Self::SessionEnd => true,
            Self::SessionStart
            | Self::Message
            | Self::PermissionRequest
            | Self::PermissionDenied
            | Self::Notification
            | Self::Compacted
            | Self::Other => false,
        }
    }

    /// Returns whether the event may add to the session's errors.
    pub(super) fn may_be_error(self) -> bool {
        matches!(self, Self::StopFailure | Self::ToolError | Self::ToolBatch)
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
    if name.is_empty() {
        "unknown_hook".to_owned()
    } else {
        name
    }
}
