//! The table of record types.
//!
//! To add a type, add a row; to add a field, add a line to its row. The structs, the check of
//! appended records, the JSON Schema and the documentation follow; the compiler and the tests name
//! the other places to extend. Types and fields are only ever added.

use serde_json::{Map, Number, Value};

use super::content::Content;
use super::field::{Field, Offered, field_struct};
use super::lookup::Lookup;
use super::values::{
    ChangeOp, Decision, MessageSource, Reason, ResultStatus, SearchTarget, StepStatus,
};
use crate::metric::Metric;

/// The log that a record belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Log {
    /// The conversation: `responses.jsonl`.
    Said,
    /// The agent's work: `actions.jsonl`.
    Done,
    /// The log of the record that it is about.
    Either,
}

/// The subject of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Family {
    /// A message in the conversation.
    Message,
    /// The agent calls a tool.
    Call,
    /// A call has ended.
    Result,
    /// A file has changed.
    Change,
    /// The cost of a model request.
    Usage,
    /// A permission is asked for or decided.
    Permission,
    /// A session, agent or step begins, ends or goes on elsewhere.
    Lifecycle,
    /// A notice or an error.
    Notice,
    /// Adds fields to an earlier record.
    Amendment,
}

macro_rules! record_types {
    (
        calls { $($(#[doc = $call_about:literal])+ $call:ident $call_name:literal $metric:ident {
            $($call_fields:tt)*
        })+ }
        others { $($others:tt)+ }
    ) => {
        record_types! { @all
            $($(#[doc = $call_about])+ $call $call_name Done Call (Some(Metric::$metric)) [] {
                /// The agent's own name of the tool.
                tool "tool": String, required;
                /// The input of the tool, as given.
                input "input": Value, required;
                $($call_fields)*
            })+
            $($others)+
        }

        /// The type of a call.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        pub enum CallType { $($(#[doc = $call_about])+ $call,)+ }

        impl CallType {
            /// Every type of a call, in the order of the documentation.
            pub const ALL: &'static [CallType] = &[$(CallType::$call,)+];

            /// The type as a record type.
            pub const fn record_type(self) -> RecordType {
                match self { $(CallType::$call => RecordType::$call,)+ }
            }

            /// The `type` in JSON.
            pub const fn name(self) -> &'static str {
                self.record_type().name()
            }
        }

        impl RecordType {
            /// The type as the type of a call, if it is one.
            pub fn call_type(self) -> Option<CallType> {
                CallType::ALL.iter().copied().find(|call| call.record_type() == self)
            }
        }

        impl Body {
            /// The agent's own name of the tool, if the record is a call.
            pub fn tool(&self) -> Option<&str> {
                match self {
                    $(Body::$call(call) => call.tool.as_deref(),)+
                    _ => None,
                }
            }

            /// The input of the tool, if the record is a call.
            pub fn input(&self) -> Option<&Value> {
                match self {
                    $(Body::$call(call) => call.input.as_ref(),)+
                    _ => None,
                }
            }
        }
    };
    (@all $($(#[doc = $about:literal])+
        $variant:ident $name:literal $log:ident $family:ident ($metric:expr) [$($common:literal)*] { $($fields:tt)* }
    )+) => {
        /// A record type of the vocabulary.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        #[repr(u8)]
        pub enum RecordType { $($(#[doc = $about])+ $variant,)+ }

        impl RecordType {
            /// Every type, in the order of the documentation.
            pub const ALL: &'static [RecordType] = &[$(RecordType::$variant,)+];
            const NAMES: &'static [&'static str] = &[$($name,)+];

            /// The `type` in JSON.
            pub const fn name(self) -> &'static str {
                match self { $(RecordType::$variant => $name,)+ }
            }

            /// The meaning of a record of the type, in Markdown.
            pub const fn about(self) -> &'static str {
                match self { $(RecordType::$variant => concat!($($about),+).trim_ascii(),)+ }
            }

            /// The log that records of the type belong to.
            pub const fn log(self) -> Log {
                match self { $(RecordType::$variant => Log::$log,)+ }
            }

            /// The subject of records of the type.
            pub const fn family(self) -> Family {
                match self { $(RecordType::$variant => Family::$family,)+ }
            }

            /// The counter that an action of the type increments.
            pub const fn metric(self) -> Option<Metric> {
                match self { $(RecordType::$variant => $metric,)+ }
            }

            /// The fields of the type, without those that any record may have.
            pub const fn fields(self) -> &'static [Field] {
                match self { $(RecordType::$variant => body::$variant::FIELDS,)+ }
            }

            /// The fields that any record may have and without which a record of this type is
            /// incomplete.
            pub const fn required_common(self) -> &'static [&'static str] {
                match self { $(RecordType::$variant => &[$($common),*],)+ }
            }
        }

        /// The fields of each type.
        pub mod body {
            use super::*;
            $(field_struct! {
                $(#[doc = $about])+
                $variant { $($fields)* }
            })+
        }

        /// The type of a record and the fields of that type.
        #[derive(Clone, PartialEq, Debug)]
        pub enum Body {
            $($(#[doc = $about])+ $variant(body::$variant),)+
            /// A type that the vocabulary does not list, or no type.
            Other(Option<String>),
        }

        impl Body {
            /// A body without fields.
            pub(crate) fn of_type(name: Option<&str>) -> Self {
                match name.and_then(RecordType::parse) {
                    $(Some(RecordType::$variant) => Body::$variant(body::$variant::default()),)+
                    None => Body::Other(name.map(str::to_owned)),
                }
            }

            /// The type, if the vocabulary lists it.
            pub const fn record_type(&self) -> Option<RecordType> {
                match self {
                    $(Body::$variant(_) => Some(RecordType::$variant),)+
                    Body::Other(_) => None,
                }
            }

            pub(crate) fn offer(&mut self, name: &str, value: Value) -> Offered {
                match self {
                    $(Body::$variant(fields) => fields.offer(name, value),)+
                    Body::Other(_) => Offered::Unknown(value),
                }
            }

            pub(crate) fn write(self, out: &mut Map<String, Value>) {
                match self {
                    $(Body::$variant(fields) => fields.write(out),)+
                    Body::Other(_) => {}
                }
            }
        }

        $(impl From<body::$variant> for Body {
            fn from(fields: body::$variant) -> Self {
                Body::$variant(fields)
            }
        })+
    };
}

record_types! {
    calls {
        /// A shell command.
        BashExec "bash_exec" BashCommands {
            /// The command line.
            command "command": Content, required;
            /// The directory that it runs in.
            cwd "cwd": String;
            /// Whether the agent goes on before it has ended.
            background "background": bool;
        }
        /// Reading a file.
        FileRead "file_read" ToolCalls {
            /// The file.
            path "path": String, required;
            /// The lines that are read, from 1: `{start?, end?}`.
            range "range": Map<String, Value>;
        }
        /// The intent to create a file or to replace all of it.
        FileWrite "file_write" FilesModified {
            /// The file; the first one of a patch.
            path "path": String, required;
            /// All files of a patch of several.
            paths "paths": Vec<Value>;
        }
        /// The intent to change a part of a file.
        FileEdit "file_edit" FilesModified {
            /// The file; the first one of a patch.
            path "path": String, required;
            /// All files of a patch of several.
            paths "paths": Vec<Value>;
        }
        /// The intent to delete a file.
        FileDelete "file_delete" FilesModified {
            /// The file; the first one of a patch.
            path "path": String, required;
            /// All files of a patch of several.
            paths "paths": Vec<Value>;
        }
        /// A search in files or file names.
        Search "search" ToolCalls {
            /// The search term.
            pattern "pattern": String, required;
            /// The file or directory that is searched.
            path "path": String;
            /// Whether contents or names are searched.
            target "target": SearchTarget, required;
        }
        /// A search in the web.
        WebSearch "web_search" ToolCalls {
            /// The search term.
            query "query": String, required;
        }
        /// Reading a page of the web.
        WebFetch "web_fetch" ToolCalls {
            /// The address.
            url "url": String, required;
        }
        /// A tool of an MCP server. `tool` is the server's own name of it.
        McpCall "mcp_call" McpCalls {
            /// The server.
            server "server": String, required;
        }
        /// Starting a subagent.
        TaskSpawn "task_spawn" AgentsSpawned {
            /// The id of the agent that was started.
            spawned_agent_id "spawnedAgentId": String;
            /// The type of the agent.
            agent_type "agentType": String;
            /// The task, in a few words.
            description "description": String;
        }
        /// A todo list or plan.
        Plan "plan" ToolCalls {
            /// The items: `{text, status}`.
            items "items": Vec<Value>, required;
        }
        /// The agent asks the user.
        Question "question" ToolCalls {
            /// The question.
            text "text": Content, required;
            /// The answers to choose from.
            options "options": Vec<Value>;
        }
        /// Any other tool.
        ToolCall "tool_call" ToolCalls {}
    }
    others {
        /// A message of the user. Text that the agent itself adds in the user's role is a `system_message`.
        UserMessage "user_message" Said Message (None) [] {
            /// The text.
            text "text": Content, required;
            /// Images and files, as blob references.
            blocks "blocks": Vec<Value>;
            /// Where the message came from.
            source "source": MessageSource;
        }
        /// An answer of the assistant.
        AssistantMessage "assistant_message" Said Message (None) [] {
            /// The text.
            text "text": Content, required;
            /// Images and files, as blob references.
            blocks "blocks": Vec<Value>;
            /// The model that wrote it.
            model "model": String;
            /// The id that the provider gave the message.
            message_id "messageId": String;
            /// Why the model stopped, in the provider's words.
            stop_reason "stopReason": String;
        }
        /// The model's thinking. It has `text`, or `encrypted` without a text.
        Thinking "thinking" Said Message (None) [] {
            /// The text.
            text "text": Content;
            /// Whether the text is known to the provider only.
            encrypted "encrypted": bool;
            /// The id that the provider gave the message.
            message_id "messageId": String;
        }
        /// A text in the conversation that neither the user nor the assistant wrote.
        SystemMessage "system_message" Said Message (None) [] {
            /// The text.
            text "text": Content, required;
            /// Why it is there.
            reason "reason": Reason, required;
        }
        /// How a call ended.
        ToolResult "tool_result" Done Result (None) ["callId"] {
            /// The tool, named as in the call.
            tool "tool": String, required;
            /// How it ended, by the source's own field, never by words in the output. Without such a field: `unknown`.
            status "status": ResultStatus, required;
            /// The exit code of a command.
            exit_code "exitCode": i64;
            /// The return value of the tool: a text, any JSON, or a blob reference.
            output "output": Value;
            /// The error message.
            error "error": Content;
            /// How long it took, in milliseconds.
            duration_ms "durationMs": Number;
            /// When it began.
            started_at "startedAt": String;
            /// When it ended.
            ended_at "endedAt": String;
        }
        /// A file was changed.
        FileChange "file_change" Done Change (None) [] {
            /// The file.
            path "path": String, required;
            /// The operation.
            op "op": ChangeOp, required;
            /// The number of lines added.
            added "added": i64;
            /// The number of lines removed.
            removed "removed": i64;
            /// The change in unified format.
            diff "diff": Content;
        }
        /// The cost of one model request. One with a key is written once the request is complete, because a repeated key is not stored again. `input` excludes cached tokens, whatever the source's convention.
        Usage "usage" Done Usage (None) [] {
            /// The id that the provider gave the message.
            message_id "messageId": String, required;
            /// The id that the provider gave the request.
            request_id "requestId": String;
            /// The model.
            model "model": String, required;
            /// The provider of the model.
            provider "provider": String;
            /// Tokens read that were not cached.
            input "input": i64, required;
            /// Tokens written.
            output "output": i64, required;
            /// Tokens read from the cache.
            cache_read "cacheRead": i64, required;
            /// Tokens written to the cache.
            cache_write "cacheWrite": i64, required;
            /// Tokens of `cacheWrite` that are cached for an hour; the others are cached for the provider's usual time.
            cache_write_1h "cacheWrite1h": i64;
            /// Tokens of thinking.
            reasoning "reasoning": i64, required;
            /// The cost, if the source reports it.
            cost_usd "costUsd": Number;
        }
        /// A permission that a call needs.
        Permission "permission" Done Permission (None) [] {
            /// The tool.
            tool "tool": String, required;
            /// The decision.
            decision "decision": Decision, required;
            /// The user, rule or mode that decided.
            by "by": String;
        }
        /// A session began.
        SessionStarted "session_started" Done Lifecycle (None) [] {
            /// The working directory.
            cwd "cwd": String;
            /// The branch of the repository.
            git_branch "gitBranch": String;
            /// The commit of the repository.
            git_commit "gitCommit": String;
            /// The model.
            model "model": String;
        }
        /// A session goes on.
        SessionResumed "session_resumed" Done Lifecycle (None) [] {
            /// The working directory.
            cwd "cwd": String;
            /// The branch of the repository.
            git_branch "gitBranch": String;
            /// The commit of the repository.
            git_commit "gitCommit": String;
            /// The model.
            model "model": String;
        }
        /// A session began as a copy of another.
        SessionForked "session_forked" Done Lifecycle (None) [] {
            /// The working directory.
            cwd "cwd": String;
            /// The branch of the repository.
            git_branch "gitBranch": String;
            /// The commit of the repository.
            git_commit "gitCommit": String;
            /// The model.
            model "model": String;
            /// The id of the other session.
            from "from": String, required;
            /// The key of the last record that both have.
            at "at": String;
        }
        /// The conversation was replaced by a summary.
        Compaction "compaction" Done Lifecycle (None) [] {
            /// The cause, for example `auto` or `manual`.
            trigger "trigger": String, required;
            /// The summary.
            summary "summary": Content;
            /// Tokens of the conversation before.
            tokens_before "tokensBefore": i64;
            /// Tokens of the conversation after.
            tokens_after "tokensAfter": i64;
        }
        /// The user went back.
        Branch "branch" Done Lifecycle (None) [] {
            /// The key of the last record that was kept.
            at "at": String, required;
        }
        /// A subagent began.
        AgentStarted "agent_started" Done Lifecycle (None) ["agentId"] {
            /// The type of the agent.
            agent_type "agentType": String;
            /// The result of its work.
            result "result": Content;
        }
        /// A subagent ended.
        AgentStopped "agent_stopped" Done Lifecycle (None) ["agentId"] {
            /// The type of the agent.
            agent_type "agentType": String;
            /// The result of its work.
            result "result": Content;
        }
        /// A person or agent marks a point.
        Checkpoint "checkpoint" Done Lifecycle (None) [] {
            /// The name of the point.
            message "message": Content, required;
            /// The state of the repository: `{head, branch, dirty}`.
            git "git": Map<String, Value>;
            /// The files that belong to the point.
            files "files": Vec<Value>;
        }
        /// A node of a workflow graph began.
        StepStarted "step_started" Done Lifecycle (None) [] {
            /// The name of the step.
            name "name": String, required;
            /// The id of this run of it.
            run "run": String, required;
            /// The id of the run that started it.
            parent_run "parentRun": String;
            /// The node of the graph.
            node "node": String;
        }
        /// A node of a workflow graph ended.
        StepEnded "step_ended" Done Lifecycle (None) [] {
            /// The name of the step.
            name "name": String, required;
            /// The id of this run of it.
            run "run": String, required;
            /// The id of the run that started it.
            parent_run "parentRun": String;
            /// The node of the graph.
            node "node": String;
            /// How long it took, in milliseconds.
            duration_ms "durationMs": Number;
            /// How it ended.
            status "status": StepStatus, required;
        }
        /// A notice to the user.
        Notification "notification" Done Notice (None) [] {
            /// The text.
            message "message": Content, required;
            /// The kind of it, in the source's words.
            kind "kind": String;
        }
        /// An error that belongs to no call.
        Error "error" Done Notice (None) [] {
            /// The text.
            message "message": Content, required;
            /// The kind of it, in the source's words.
            kind "kind": String;
        }
        /// Fields that a later source adds to an earlier record. Only absent fields can be added.
        Amend "amend" Either Amendment (None) [] {
            /// The key of the record.
            of "of": String, required;
        }
    }
}

impl RecordType {
    /// The type with this name.
    pub fn parse(name: &str) -> Option<Self> {
        match KnownType::of(name)? {
            KnownType::Listed(kind) => Some(kind),
            KnownType::Earlier => None,
        }
    }
}

impl Body {
    /// The `type` in JSON.
    pub fn type_name(&self) -> Option<&str> {
        match self.record_type() {
            Some(kind) => Some(kind.name()),
            None => match self {
                Body::Other(name) => name.as_deref(),
                _ => None,
            },
        }
    }
}

impl Default for Body {
    fn default() -> Self {
        Body::Other(None)
    }
}

/// The meaning of a type that is not just any string.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum KnownType {
    /// A type of the vocabulary.
    Listed(RecordType),
    /// A type that earlier versions of our own hooks and recorders wrote, and that is not a call.
    Earlier,
}

impl KnownType {
    /// Looks up a type.
    pub(crate) fn of(name: &str) -> Option<Self> {
        static TABLE: Lookup<256> = Lookup::new(&ALL_NAMES);
        let index = TABLE.find(name)?;
        Some(match RecordType::ALL.get(index) {
            Some(kind) => KnownType::Listed(*kind),
            None => KnownType::Earlier,
        })
    }
}

/// The types that earlier versions of our own hooks and recorders wrote and that are not calls.
/// [`crate::upgrade`] reads most of them as types of the vocabulary.
pub(crate) const EARLIER: [&str; 33] = [
    "gap",
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

const ALL_NAMES: [&str; RecordType::ALL.len() + EARLIER.len()] = {
    let mut names = [""; RecordType::ALL.len() + EARLIER.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = if at < RecordType::NAMES.len() {
            RecordType::NAMES[at]
        } else {
            EARLIER[at - RecordType::NAMES.len()]
        };
        at += 1;
    }
    names
};
