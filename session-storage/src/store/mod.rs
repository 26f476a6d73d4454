//! The store: sessions as plain files behind one journal. Blocking; knows neither HTTP nor async.
//!
//! # Layout
//! See [`layout`]. `sessions/<id>/` holds what people read; `journal/` is what makes an answer durable.
//!
//! # What is durable when
//! - At the answer (with `always`): the journal, written and synced as one group ([`journal`], [`committer`]).
//! - At the answer, in the page cache: the lines of the logs ([`log_writer`]).
//! - Within 200 ms, in the page cache: the snapshots ([`snapshots`]).
//! - At a checkpoint: all of these, synced with one `syncfs`; below it the journal is not needed ([`maintenance`]).
//!
//! The first entry of a session after a checkpoint bears the session's whole view, so that recovery needs none of
//! the files that may have been lost half-written since (what databases call a full-page image).
//!
//! # Crash cases
//! Listed in [`recovery`] (the journal) and [`session_dir`] (a session's folder).
//!
//! # Copies of a running store
//! One session as of one offset: [`export`]. The whole directory as of one position: [`backup`]. Neither holds up a
//! write.
//!
//! # Folders
//! Writing a session's snapshots and moving its folder aside exclude each other: see [`folders`].
//!
//! # Order
//! An event's offset is its place in the journal. A session's lock is held from deciding to appending, so the
//! order in its logs is the order in the journal; the commit thread alone writes logs and tells the watchers.

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
