//! HAIL: the vendor-neutral session file, `.hail.jsonl`.
//!
//! One session per file. The first line is a `header`, then one `event` per line, then optionally
//! `stats`. Export is a projection of the vocabulary of records: one record is one event.
//!
//! - [`table`] says which record type is which event type, and where each field goes.
//! - Fields for which HAIL has no place go into the attributes `record.fields` and `record.absent`,
//!   so that [`restore`] makes the same record again. An event of another program has none of these
//!   and becomes the record that its type says; what the vocabulary has no place for goes into the
//!   field `hail` of the record.
//! - [`Timeline`] brings the records of both logs into one order; [`Export`] writes the lines.
//! - [`Reader`] reads the lines, [`Import`] makes records of them, [`Validator`] has the exact
//!   rules, [`Stats`] the counters.
//!
//! An event of a type that this version does not know is kept; it is an error only in older
//! readers.

mod attributes;
mod event;
mod export;
mod import;
mod project;
mod read;
mod restore;
mod running_total;
mod stats;
pub mod table;
mod timeline;
mod validate;

use std::path::Path;

pub use event::{Agent, Context, Event, Header};
pub use export::{CountedTokens, Export, SessionInfo};
pub use import::{FileNotes, Import};
pub use project::project;
pub use read::{Item, ReadError, Reader};
pub use restore::{Restored, restore, restore_unknown};
pub use stats::Stats;
pub use timeline::{Timed, Timeline};
pub use validate::{Fault, Rule, Validator};

/// The end of a file's name.
pub const FILE_ENDING: &str = ".hail.jsonl";

/// Whether this is the name of a HAIL file.
pub fn is_file_name(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_encoded_bytes().ends_with(FILE_ENDING.as_bytes()))
}

/// The version that is written.
pub const VERSION: &str = "hail-1.0.0";
/// The prefix of every version that is read.
pub const VERSION_PREFIX: &str = "hail-";
