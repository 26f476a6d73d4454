//! Bundles: sessions, or a whole storage directory, as one stream that proves itself.
//!
//! A bundle is a tar (plain here, packed with zstd in a file) of regular files and nothing else, with
//! `MANIFEST.json` as its last member: what it is, of which life and position, and length and SHA-256 of every
//! other member. Being last it is also the proof that the stream was not cut off.
//!
//! Reading trusts nothing: a member that is no regular file, whose path is not one of the few forms that
//! [`place`] knows, that comes twice, that is longer than the room there is, or that differs from the manifest
//! refuses the whole bundle, before anything outside of the staging folder was touched.

pub mod manifest;
pub mod place;
mod reader;
mod writer;

pub use manifest::{Kind, Manifest};
pub use reader::{BundleError, prove, stage};
pub use writer::BundleWriter;
