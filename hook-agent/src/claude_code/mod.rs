//! Claude Code's hooks: turns the JSON passed to a hook command into records of a session.
//!
//! Every hook is a process of its own. Several run at once when agents work in parallel, and a
//! hook's payload has neither a time nor an id. So [`hook`] takes the time when it starts, [`map`]
//! (pure) decides what the payload means, and the records go to the service's one [shared
//! folder](crate::spool), where a lock orders them. Delivery gets a limited time; the next hook
//! delivers what is left, and the last hook gets a second.
//!
//! **What is kept.** The records of the [vocabulary](session_model::records): each field of a
//! payload has a place in one of them. Large values are spliced in unchanged, byte for byte. Fields
//! without a place are under `raw`. The environment is not stored: it holds secrets.
//!
//! **The transcript.** Thinking, message ids, models and the usage of each request are only in
//! Claude Code's own transcript. When an agent stops, the lines that were added since the last hook
//! are read ([`transcript`], [`transcript_lines`]); one that is unreadable or hostile is noted.
//!
//! **Which session.** `SESSION_ID` if it is set, else the payload's `session_id`. In the first case
//! the latter is in each record's `raw`; in both it is in the state under `claudeCode.sessionId`,
//! for `claude --resume`.
//!
//! **Keys.** Each record has one, made from ids that every reader of the session sees, or from the
//! payload. So a second copy of the hooks, an importer or a repeat records nothing twice.
//!
//! **Pairs.** A call and its result are two actions with the same `callId`. The result has
//! `durationMs` as measured by Claude Code. The state that is kept between hooks (open calls,
//! errors so far, how the last turn ended) is in [`run`], and losing it loses no record.
//!
//! **Not disturbing Claude Code.** A hook prints nothing and exits with 0. Errors are written to
//! the folder's `trouble.log` ([`error_log`]), which `hook-agent status` counts.

mod agent_run;
mod agents;
mod calls;
mod catch_up;
mod digest;
mod draft;
mod error_log;
mod file_change;
mod hook;
mod input;
mod install;
mod lifecycle;
mod map;
mod map_inputs;
mod meaning;
mod messages;
mod new_lines;
mod payload;
mod process;
mod read_position;
mod run;
mod settings;
mod shown;
mod transcript;
mod transcript_lines;
mod transcript_shape;

pub(crate) use catch_up::catch_up;
pub(crate) use error_log::count as logged_errors;
pub(crate) use hook::{Hook, log_unreadable_call};
pub(crate) use install::{Done, SettingsFile, change, program};
