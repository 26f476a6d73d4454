//! Moving what is stored: `export` and `import` of sessions, `backup` and `restore` of a directory.
//!
//! Out of a running service through its `/api/admin` paths, out of a stopped one by opening its directory; into a
//! stopped one only, under its lock. What comes in is unpacked into `.incoming/` and proved there, and only then
//! moved into place by renames, so that whatever ends it in between leaves each session whole or not there.

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
