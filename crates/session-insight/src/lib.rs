//! Computes documents from the records of a session: records in, document out.
//!
//! This crate has no I/O, no clock and no async code, and the same records give the same document
//! in any order. [`usage`] says what a session's model requests used and cost. [`hail`] reads,
//! checks and writes the vendor-neutral session file.

pub mod hail;
pub mod usage;
