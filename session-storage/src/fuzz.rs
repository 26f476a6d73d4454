//! Entry points for fuzzing: the parsers of bytes from outside, callable with any bytes.
//!
//! Built for the fuzz targets and for the tests of this crate. The tests call each entry point with
//! the seed inputs of the targets and with inputs that fuzzing found, so that a broken entry point
//! is noticed without a fuzzer.

#![expect(
    clippy::panic,
    reason = "the fuzzer looks for panics: what must not be is told by one"
)]

mod frames;
mod query;
mod service;

pub use frames::frames;
pub use query::{names, query};
pub use service::Service;
