//! A bundle in a file: compressed, synced, and verified by reading it back.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use session_model::Timestamp;

use super::{BundleError, BundleWriter, Manifest, prove};

/// The compression level of a bundle.
pub const LEVEL: i32 = 3;

/// The encoder that compresses into a file.
pub type Packed = zstd::stream::write::Encoder<'static, File>;

/// Creates a file and starts to compress into it.
pub fn begin(path: &Path) -> io::Result<Packed> {
    let mut packed = Packed::new(File::create(path)?, LEVEL)?;
    packed.include_checksum(true)?;
    Ok(packed)
}

/// Writes a bundle to a file and verifies it; `fill` adds the members and finishes the bundle.
pub fn write<E: From<io::Error> + From<BundleError>>(
    path: &Path,
    at: Timestamp,
    fill: impl FnOnce(BundleWriter<&mut Packed>) -> Result<(), E>,
) -> Result<Manifest, E> {
    let mut packed = begin(path)?;
    fill(BundleWriter::new(&mut packed, at))?;
    packed.finish()?.sync_all()?;
    Ok(prove(BufReader::new(File::open(path)?))?)
}
