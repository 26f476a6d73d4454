//! Fields that have one of a few values.

use serde_json::Value;

use super::kind::{FieldValue, Kind};

macro_rules! one_of {
    ($($(#[$meta:meta])* $name:ident { $($(#[$value_meta:meta])* $variant:ident = $wire:literal,)+ })+) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        pub enum $name { $($(#[$value_meta])* $variant,)+ }

        impl $name {
            /// Every value, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The value in JSON.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $wire,)+ }
            }

            /// The value with this name.
            pub fn parse(name: &str) -> Option<Self> {
                match name { $($wire => Some(Self::$variant),)+ _ => None }
            }
        }

        impl FieldValue for $name {
            const KIND: Kind = Kind::OneOf(&[$($wire,)+]);
            fn read(value: Value) -> Result<Self, Value> {
                value.as_str().and_then(Self::parse).ok_or(value)
            }
            fn write(self) -> Value {
                self.name().into()
            }
        }
    )+};
}

one_of! {
    /// Where a user's message came from.
    MessageSource {
        /// The user typed it.
        Typed = "typed",
        /// The user typed it while the agent worked.
        Queued = "queued",
        /// The agent's system wrote it.
        System = "system",
        /// A program wrote it.
        Sdk = "sdk",
    }
    /// The reason for a text in the conversation that neither user nor assistant wrote.
    Reason {
        /// The agent adds it to what the user writes: reminders, environment, hook feedback.
        Injected = "injected",
        /// A notice to the user.
        Notice = "notice",
        /// The summary that replaces an earlier conversation.
        Compaction = "compaction",
        /// The output of a command that the user ran.
        CommandOutput = "command_output",
        /// The user interrupted the agent.
        Interrupted = "interrupted",
    }
    /// How a call ended, by the source's own field.
    ResultStatus {
        /// The call succeeded.
        Ok = "ok",
        /// The call failed.
        Error = "error",
        /// A person or rule did not allow the call.
        Denied = "denied",
        /// The call was interrupted.
        Interrupted = "interrupted",
        /// The call took too long.
        Timeout = "timeout",
        /// The source has no field that says it.
        Unknown = "unknown",
    }
    /// The operation that changed a file.
    ChangeOp {
        /// The file was created.
        Create = "create",
        /// The content was changed.
        Edit = "edit",
        /// The file was deleted.
        Delete = "delete",
        /// The file got another path.
        Rename = "rename",
    }
    /// The target of a search.
    SearchTarget {
        /// The content of the files.
        Content = "content",
        /// The names of the files.
        Files = "files",
    }
    /// A decision about a permission.
    Decision {
        /// The user was asked.
        Asked = "asked",
        /// The permission was granted.
        Allowed = "allowed",
        /// The permission was refused.
        Denied = "denied",
    }
    /// How a step of a workflow graph ended.
    StepStatus {
        /// The step succeeded.
        Ok = "ok",
        /// The step failed.
        Error = "error",
        /// The graph waits in the step for input.
        Paused = "paused",
        /// The step was stopped from outside: by the reader of the graph's stream, or by a cancellation.
        Interrupted = "interrupted",
    }
    /// The clock of a record's `timestamp`, if it is not the source's.
    TimeSource {
        /// The source has no time; this is when the record was received.
        Received = "received",
    }
    /// How a record came here.
    Lane {
        /// A hook of the agent.
        Hook = "hook",
        /// The agent's own file.
        Transcript = "transcript",
        /// An OpenTelemetry exporter.
        Otlp = "otlp",
        /// The LangSmith protocol.
        Langsmith = "langsmith",
        /// A library in the agent's process.
        Sdk = "sdk",
        /// The recorder of a program's output.
        Exec = "exec",
        /// A request to the service.
        Api = "api",
    }
}
