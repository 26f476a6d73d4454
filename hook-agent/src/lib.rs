//! Records what an agent does in the flight recorder, without losing records and without slowing
//! the agent.
//!
//! A call appends one record to the spool, a file that belongs to this process, and returns in
//! about two microseconds. One background thread delivers the spool in order and exactly once,
//! whatever happens to the service, the network or this process. Awaiting a call waits until the
//! service has the record. If the service can't be reached, the answer is
//! `{"success":true,"queued":true}`, and this process or the next one delivers the record later.
//!
//! ```no_run
//! use hook_agent::HookAgent;
//! use serde_json::json;
//! use std::time::Duration;
//!
//! let agent = HookAgent::from_env()?;
//! agent.log_action(&json!({"type": "tool_call", "tool": "grep"}))?; // queued: returns at once
//! let answer = agent.add_goal(&json!({"description": "ship it"}))?.wait(Duration::from_secs(1))?;
//! assert!(answer.json().contains("success"));
//! agent.close(Duration::from_secs(2));
//! # Ok::<(), hook_agent::Error>(())
//! ```
//!
//! Module layers, each depending only on those below: [`client`] → delivery → spool | transport →
//! offload → config, error.

mod claude_code;
pub mod cli;
pub mod client;
mod config;
mod delivery;
mod error;
mod fallback_dir;
mod kind;
mod offload;
mod redaction;
mod rule_file;
mod spool;
pub mod sync;
mod text;
mod token;
mod transport;

pub use client::{
    Answer, Call, Helper, HookAgent, Keep, RESTORE_LAST, SharedAgent, Stats, Ticket,
    process_session,
};
pub use config::{Config, FullPolicy, MAX_EVENT_BYTES, MAX_RECORD_BYTES};
pub use error::Error;
pub use rule_file::RuleFile;
pub use session_model::BatchLine;
pub use token::Token;
pub use transport::ServiceUrl;

/// Compiles and runs the README's examples with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
