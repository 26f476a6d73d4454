//! Session store: sessions as plain files behind one journal. Blocking code that knows neither HTTP
//! nor async.
//!
//! # Layout
//! See [`layout`]. `sessions/<id>/` holds the files that people read; `journal/` makes an
//! acknowledged write durable.
//!
//! # What is durable when
//! - When a write is acknowledged (with `always`): the journal, written and synced as one commit
//!   group ([`journal`], [`committer`]).
//! - When a write is acknowledged, in the page cache: the lines of the logs ([`log_writer`]).
//! - Within 200 ms, in the page cache: the snapshots ([`snapshots`]).
//! - At a checkpoint: all of the above, synced with one `syncfs`; the journal below the checkpoint
//!   is no longer needed ([`maintenance`]).
//!
//! The first entry of a session after a checkpoint contains the session's full view (its image), so
//! recovery needs none of the files that may have been lost half-written since then. Databases call
//! this a full-page image.
//!
//! # Crash cases
//! Listed in [`recovery`] (the journal) and [`session_dir`] (a session's folder).
//!
//! # Copies of a running store
//! [`export`] copies one session as of one offset. [`backup`] copies the whole directory as of one
//! position. Neither delays writes.
//!
//! # Directory locks
//! Writing a session's snapshots and moving its folder exclude each other: see [`folders`].
//!
//! # Order
//! An event's offset is its place in the journal. A session's lock is held from the decision to the
//! append, so the order in its logs is the order in the journal. Only the commit thread writes logs
//! and notifies observers.

pub mod adopted;
pub mod backup;
pub mod behind;
pub mod cells;
pub mod checkpoint;
pub mod committer;
pub mod disk;
pub mod error;
pub mod export;
pub mod figures;
pub mod files;
pub mod folders;
pub mod index;
pub mod journal;
pub mod journal_reader;
pub mod layout;
pub mod legacy;
pub mod loading;
pub mod lock;
pub mod log_file;
mod log_lines;
pub mod log_writer;
pub mod maintenance;
pub mod readers;
pub mod recent;
pub mod recovery;
mod redaction_key;
pub mod retention;
pub mod segment;
pub mod segments;
pub mod session_dir;
pub mod snapshots;
pub mod ticket;

mod healing;
mod open;

pub use open::{OpenFiles, Options, Store, SyncPolicy};
