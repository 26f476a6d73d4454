//! Session store: sessions as plain files behind one journal. Blocking code that knows neither HTTP
//! nor async.
//!
//! # The face
//! Start with [`engine`]: the trait [`Engine`](engine::Engine) is all that the service knows of the
//! place where sessions are stored, and the module has every type that the trait mentions.
//! [`Store`] is the local engine, described below; [`memory`] is the one of tests.
//! - Reading what an engine stores: [`log_page`], [`session_events`], [`event_number`],
//!   [`old_state`], [`initial_document`]; [`refusals`] are what clients see of a failed read.
//! - Copies: [`bundle`]. The way in, into a directory that no service uses: [`incoming`].
//! - A directory that is not open: [`directory`], [`check`], [`retention`].
//!
//! [`disk`] and [`snapshots`] are public for tests that make the disk fail or a snapshot late, and
//! [`files`] because the service reads its own files with the same care. All other modules are
//! private. They are how the local engine works.
//!
//! # Layout
//! See `layout`. `sessions/<id>/` holds the files that people read; `journal/` makes an
//! acknowledged write durable.
//!
//! # What is durable when
//! - When a write is acknowledged (with `always`): the journal, written and synced as one commit
//!   group (`journal`, `committer`).
//! - When a write is acknowledged, in the page cache: the lines of the logs (`log_writer`).
//! - Within 200 ms, in the page cache: the snapshots ([`snapshots`]).
//! - At a checkpoint: all of the above, synced with one `syncfs`; the journal below the checkpoint
//!   is no longer needed (`maintenance`).
//!
//! The first entry of a session after a checkpoint contains the session's full view (its image), so
//! recovery needs none of the files that may have been lost half-written since then. Databases call
//! this a full-page image.
//!
//! # Crash cases
//! Listed in `recovery` (the journal) and `session_dir` (a session's folder).
//!
//! # Derived data
//! `index.json`, `recent/` and the index of record keys ([`keys`]) can be deleted and are rebuilt.
//!
//! # Copies of a running store
//! `export` copies one session as of one offset. `backup` copies the whole directory as of one
//! position. Neither delays writes.
//!
//! # Directory locks
//! Writing a session's snapshots and moving its folder exclude each other: see `directory_locks`.
//!
//! # Order
//! An event's offset is its place in the journal. A session's lock is held from the decision to the
//! append, so the order in its logs is the order in the journal. Only the commit thread writes logs
//! and notifies observers.

mod adopted;
mod backup;
pub mod blobs;
pub mod bundle;
#[cfg(test)]
mod bytes_tests;
pub mod check;
mod checkpoint;
mod committer;
pub mod directory;
mod directory_locks;
pub mod disk;
pub mod engine;
pub mod error;
pub mod event_number;
mod export;
pub mod files;
mod fold;
mod healing;
pub mod incoming;
mod incomplete;
mod index;
pub mod initial_document;
mod journal;
mod journal_reader;
mod journaled;
pub mod keys;
mod layout;
mod legacy;
mod loading;
mod local;
mod lock;
mod log_file;
mod log_lines;
pub mod log_page;
pub mod log_records;
mod log_writer;
mod maintenance;
pub mod memory;
mod metrics;
pub mod old_state;
mod open;
mod quarantine_folder;
mod reader_limit;
mod recent;
mod recovery;
mod redaction_key;
pub mod refusals;
pub mod retention;
mod segment;
mod segments;
mod session_cache;
mod session_dir;
pub mod session_events;
pub mod snapshots;
mod store;
mod stored_document;
mod ticket;

#[doc(hidden)]
pub use segment::fuzz_decode;
pub use store::{OpenFiles, Options, Store, SyncPolicy};
