//! Claude Code's hooks: turns the JSON passed to a hook command into records of a session.
//!
//! Every hook is a process of its own. Several run at once when agents work in parallel, and a
//! hook's payload has neither a time nor an id. So [`hook`] takes the time when it starts, [`map`]
//! (pure) decides what the payload means, and the records go to the service's one [shared
//! folder](crate::spool), where a lock orders them. Delivery gets a limited time; the next hook
//! delivers what is left, and the last hook gets a second.
//!
//! **What is kept.** A record's own fields are those that users search for (`type`, `tool`,
//! `toolUseId`, `agentId`, `durationMs`, `error` …). The payload follows them unchanged, byte for
//! byte, under `payload`. The environment is not stored: it holds secrets.
//!
//! **Which session.** `SESSION_ID` if it is set, else the payload's `session_id`. In both cases the
//! latter is in every payload, and in the state under `claudeCode.sessionId`, for `claude
//! --resume`.
//!
//! **Pairs.** A call and its result are two actions with the same `toolUseId`. The result has
//! `durationMs` as measured by Claude Code; if Claude Code does not report it, the difference of
//! the two timestamps serves. This needs no state between hooks. The state that is kept (errors so
//! far, how the last turn ended) is in [`run`], and losing it loses no record.
//!
//! **Not disturbing Claude Code.** A hook prints nothing and exits with 0. Errors are written to
//! the folder's `trouble.log` ([`trouble`]), which `hook-agent status` counts.

mod draft;
mod hook;
mod input;
mod install;
mod map;
mod meaning;
mod payload;
mod process;
mod run;
mod settings;
mod transcript;
mod trouble;

pub(crate) use hook::{Hook, unreadable_call};
pub(crate) use install::{Done, Place, change, program};
pub(crate) use trouble::count as troubles;
