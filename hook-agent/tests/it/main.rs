//! Tests the agent against a service with every known kind of failure.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    unreachable_pub,
    reason = "tests fail by panicking and say what they skip"
)]

mod blob_faults;
mod blobs;
mod blobs_real;
mod bounds;
mod claude_code;
mod command;
mod crash;
mod delivery;
mod faults;
mod fork;
mod https;
mod keys;
mod log_command;
mod losses;
mod no_session;
mod real_service;
mod redaction;
mod scenarios;
mod service;
mod setup;
mod sharing;
mod spools;
mod token_scope;
mod versions;
