//! Copies stored data out: `export` of sessions, `backup` of a directory, `archive`.
//!
//! Data is copied out of a running service through its `/api/admin` paths, or out of a stopped one
//! by opening its directory. The way in, `import` and `restore`, is [`session_store::incoming`],
//! which needs no service.

pub mod archive;
mod body;
mod client;
pub mod hail;
mod outgoing;
mod source;

pub use client::Connector;
use outgoing::percent;
pub use outgoing::{Asked, Written, write};
pub use source::{Source, is_storage_directory};
