//! Moves stored data: `export` and `import` of sessions, `backup` and `restore` of a directory.
//!
//! Data is copied out of a running service through its `/api/admin` paths, or out of a stopped one
//! by opening its directory. Data is imported only into a directory that no service uses, under its
//! lock. It is unpacked to `.incoming/`, verified there, and only then renamed into place, so that
//! an interruption at any point leaves each session either complete or absent.

pub mod archive;
mod body;
mod client;
mod gather;
mod import;
mod inspect;
mod outgoing;
mod restore;
mod source;
mod staging;

pub use client::Door;
pub use import::{Existing, Imported, import};
use outgoing::percent;
pub use outgoing::{Asked, Written, write};
pub use restore::{Restored, restore};
pub use source::{Source, is_storage_directory};
