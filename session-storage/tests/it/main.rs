//! Tests of the service from outside: every test spawns the real binary on a directory of its own
//! and talks to it as clients and operators do, or crashes it.
//!
//! `server`, `client`, `socket`, `raw` and `disk` are helpers, `load` writes and records what was
//! acknowledged, and `audit` reads it back. Every other module tests one part of the documented
//! behaviour.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::needless_pass_by_value,
    clippy::large_futures,
    missing_docs,
    reason = "tests fail by panicking, and their names are sentences"
)]

mod audit;
mod client;
mod disk;
mod load;
mod model;
mod raw;
mod server;
mod socket;

mod access;
mod actions;
#[cfg(feature = "archive")]
mod archive;
mod audit_log;
mod backup;
mod backup_keys;
mod batches;
mod blob_copies;
mod blob_kills;
mod blobs;
mod broken_off;
mod campaigns;
mod check;
mod clamped;
mod compat;
mod configuration;
mod connection_limit;
mod damage;
mod damaged_documents;
mod descriptors;
mod directories;
mod disk_full;
mod errors;
mod failing_disk;
mod files;
mod goals_agents;
mod hail_files;
#[path = "../../../crates/session-insight/tests/it/hail_rules.rs"]
mod hail_rules;
mod histories;
mod hostile;
mod keys;
mod lanes;
mod large_batches;
mod late_snapshots;
mod lenience;
mod limits;
mod live;
mod lost_files;
mod numbers;
mod observe;
mod operation;
mod origins;
mod permissions;
mod query;
mod record_keys;
mod recovery;
mod recreated_sessions;
mod retention;
mod revocation;
mod secrets;
mod sessions;
mod slow_readers;
mod state;
mod stream;
mod tls;
mod token_usage;
mod traces;
mod transfer;
mod transfer_tls;
mod unreadable;
mod versions;
mod vocabulary;
