//! Claude Code's hooks: from the JSON that it hands to a command to records of a session.
//!
//! Every hook is a process of its own, several at once when agents work side by side, and its payload has neither a
//! time nor an id. So [`hook`] stamps it when it starts, [`map`] says (purely) what it means, and the records go to
//! the one [shared folder](crate::spool) of the service, where a lock puts them in a row. Delivery gets a bounded
//! moment; what it does not finish, the next hook does, and the last one gets a second.
//!
//! **What is kept.** A record's own fields are what one looks for (`type`, `tool`, `toolUseId`, `agentId`,
//! `durationMs`, `error` …); the payload stands behind them as it came, byte for byte, under `payload`.
//! The environment is not stored: it holds secrets.
//!
//! **Which session.** `SESSION_ID` if it is set, else the payload's `session_id`. Either way the latter is in every
//! payload, and in the state under `claudeCode.sessionId`, for `claude --resume`.
//!
//! **Pairs.** A call and its result are two actions with one `toolUseId`. The result bears `durationMs` as Claude Code
//! measured it; where it tells none, the two stamps do. Nothing has to be remembered from one hook to the next for
//! that. What is (errors so far, how the last turn ended) is in [`run`], and losing it loses no record.
//!
//! **Never in the way.** Nothing is printed, the exit code is 0; what went wrong is in the folder's
//! `trouble.log` ([`trouble`]), which `hook-agent status` counts.

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
