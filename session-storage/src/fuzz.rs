//! The fuzzer's doors: what takes bytes from outside and is nobody else's business, callable with any bytes.
//!
//! Built for the fuzz targets and for the tests of this crate, which go through each door with what the targets
//! start from and with what they have found: a door that does not open any more is noticed without a fuzzer.

#![expect(clippy::panic, reason = "the fuzzer looks for panics: what must not be is told by one")]

mod frames;
mod query;
mod service;

pub use frames::frames;
pub use query::{names, query};
pub use service::Service;

pub use crate::store::segment::fuzz_decode as journal;
