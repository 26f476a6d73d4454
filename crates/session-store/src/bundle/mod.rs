//! Bundles: sessions, or a whole storage directory, as one self-verifying stream.
//!
//! A bundle is a tar of regular files and nothing else, compressed with zstd when it is stored in a
//! file. Its last member is `MANIFEST.json`: the kind, epoch and position of the bundle, and the
//! length and SHA-256 of every other member. Because the manifest comes last, it also proves that
//! the stream was not cut off.
//!
//! The reader trusts nothing. It refuses the whole bundle if a member is no regular file, if its
//! path has none of the few forms that [`member_path`] accepts, if it appears twice, if it is longer than
//! the available space, or if it differs from the manifest. Until the whole bundle is verified,
//! nothing outside the staging folder is touched.

pub mod file;
pub mod manifest;
pub mod member_path;
mod reader;
mod writer;

pub use manifest::{Kind, Manifest};
pub use reader::{BundleError, prove, stage};
pub use writer::{BundleWriter, Sink};
