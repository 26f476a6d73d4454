//! Typed extractors: what a handler takes from a request is parsed once, here, into a type.
//!
//! The caller is extracted in [`super::auth`].

pub mod body;
pub mod bounds;
pub mod headers;
pub mod ids;
pub(super) mod parameters;
pub mod redact;

#[cfg(any(test, fuzzing))]
pub use parameters::fuzz_parameters;
