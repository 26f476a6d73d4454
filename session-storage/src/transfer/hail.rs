//! Writes sessions as HAIL files, and imports such a file as a session.
//!
//! A file is checked as a whole before anything is imported, and after it was written: by the rules of
//! the format, and for an import also line by line as the records that will be stored. An import
//! opens the directory as the service does, so each record is an event in the journal. It sends the
//! records in batches with producer numbers that come from the file's digest, so an import that was
//! interrupted is completed by repeating it, and stores nothing twice. The last batch notes the
//! digest in the metadata: the same file is then recognised as imported.

mod check;
mod export;
mod import;
mod lines;

pub use export::export;
pub use import::import;
