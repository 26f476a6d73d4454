//! Incoming data: sessions are imported into a directory, or a back-up is restored into an empty
//! one.
//!
//! Data is imported only into a directory that no service uses, under its lock. It is unpacked to
//! `.incoming/`, verified there, and only then renamed into place, so that an interruption at any
//! point leaves each session either complete or absent.
//!
//! [`import()`] takes the sessions of a bundle or of another storage directory. [`restore()`] takes a
//! back-up.

mod error;
mod gather;
mod import;
mod inspect;
mod restore;
mod staging;

pub use error::IncomingError;
pub use import::{Existing, Imported, import};
pub use restore::{Restored, restore};
