//! The main parts of each helper's record, in the order of its arguments.

use super::Helper;

/// A main part of a record: an argument of the helper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    /// The name of the field.
    pub name: &'static str,
    /// Whether the part is any JSON value. Others are texts.
    pub is_json: bool,
}

const fn text(name: &'static str) -> Part {
    Part {
        name,
        is_json: false,
    }
}

const fn json(name: &'static str) -> Part {
    Part {
        name,
        is_json: true,
    }
}

impl Helper {
    /// Returns the main parts of the record.
    pub(crate) const fn parts(self) -> &'static [Part] {
        match self {
            Self::ToolCall => &const { [text("tool"), json("input")] },
            Self::ToolResult => &const { [text("tool"), text("callId"), json("output")] },
            Self::UserMessage | Self::AssistantMessage | Self::Thinking => {
                &const { [text("text")] }
            }
            Self::Usage => &const { [text("messageId"), text("model")] },
            Self::FileChange => &const { [text("path"), text("op")] },
            Self::Checkpoint => &const { [text("message")] },
        }
    }
}
